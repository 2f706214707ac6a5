"""A script as people wrote them for the old SDK, with azureml names only, from build to metrics."""

from __future__ import annotations

import json

import pytest

from azureml.core import Datastore, Experiment, Workspace
from azureml.core.authentication import InteractiveLoginAuthentication
from azureml.core.compute import AmlCompute, ComputeTarget
from azureml.core.compute_target import ComputeTargetException
from azureml.exceptions import ActivityFailedException
from azureml.pipeline.core import (
    Pipeline,
    PipelineData,
    PipelineRun,
    PublishedPipeline,
    Schedule,
    ScheduleRecurrence,
    TimeZone,
)
from azureml.pipeline.core.graph import PipelineParameter
from azureml.pipeline.steps import PythonScriptStep
from azureml.widgets import RunDetails
from penstock.testing.server import temporary_server

PREPARE = """
import argparse, os
from azureml.core import Run

parser = argparse.ArgumentParser()
parser.add_argument("--rows", type=int)
parser.add_argument("--out")
args = parser.parse_args()
os.makedirs(args.out, exist_ok=True)
with open(os.path.join(args.out, "rows.txt"), "w") as f:
    f.write("x" * args.rows)
run = Run.get_context()
run.log("rows", args.rows)
run.tag("stage", "prepared")
print("prepared in", run.experiment.workspace.name)
"""

TRAIN = """
import os, sys
from azureml.core.run import Run

size = os.path.getsize(os.path.join(sys.argv[1], "rows.txt"))
if size == 0:
    sys.exit("nothing to train on")
run = Run.get_context()
for epoch in range(3):
    run.log("loss", 1 / (epoch + size))
os.makedirs("outputs", exist_ok=True)
with open("outputs/model.txt", "w") as f:
    f.write(str(size))
"""


@pytest.fixture
def ws(tmp_path, monkeypatch):
    project = tmp_path / "project"
    (project / "src").mkdir(parents=True)
    (project / "src" / "prepare.py").write_text(PREPARE)
    (project / "src" / "train.py").write_text(TRAIN)
    with temporary_server(tmp_path / "server", step_poll_seconds=0.1) as server:
        for name in ("PENSTOCK_URL", "PENSTOCK_TOKEN"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("PENSTOCK_CONFIG_DIR", str(server.settings.config_dir))
        monkeypatch.chdir(project)
        yield Workspace.get(
            name="team",
            subscription_id="00000000-0000-0000-0000-000000000000",
            resource_group="my-group",
            auth=InteractiveLoginAuthentication(tenant_id="t"),
        )


def a_cluster(ws):
    """Return the compute target, by the recipe that most scripts contain."""
    try:
        return ComputeTarget(workspace=ws, name="cpu-cluster")
    except ComputeTargetException:
        configuration = AmlCompute.provisioning_configuration(vm_size="D2_V2", max_nodes=4)
        target = ComputeTarget.create(ws, "cpu-cluster", configuration)
        target.wait_for_completion(show_output=True)
        return target


def test_a_pipeline_is_built_submitted_published_and_scheduled(ws, tmp_path, capsys):
    target = a_cluster(ws)
    rows = PipelineParameter(name="rows", default_value=10)
    data = PipelineData("prepared", datastore=Datastore.get(ws, "workspaceblobstore"))
    PythonScriptStep(
        name="prepare",
        script_name="prepare.py",
        source_directory="src",
        arguments=["--rows", rows, "--out", data],
        outputs=[data],
        compute_target=target,
        allow_reuse=False,
    )
    train = PythonScriptStep(
        name="train",
        script_name="train.py",
        source_directory="src",
        arguments=[data],
        inputs=[data],
        compute_target=target,
        allow_reuse=False,
    )
    pipeline = Pipeline(workspace=ws, steps=[train])  # prepare comes along: train reads from it
    assert pipeline.validate() == []

    # Submit it, look at it, wait for it
    run = Experiment(ws, "scoring").submit(pipeline, pipeline_parameters={"rows": 4})
    RunDetails(run).show()
    assert run.wait_for_completion(show_output=True) == "Finished"
    assert "prepared in team" in capsys.readouterr().out
    assert (run.get_status(), run.status) == ("Finished", "Completed")

    # What the steps left
    (prepared,) = run.find_step_run("prepare")
    (trained,) = run.find_step_run("train")
    assert prepared.get_metrics() == {"rows": 4}
    assert prepared.get_tags()["stage"] == "prepared"
    assert trained.get_metrics()["loss"] == [1 / 4, 1 / 5, 1 / 6]
    assert "outputs/model.txt" in trained.get_file_names()
    count = prepared.get_output_data("prepared").download(str(tmp_path / "down"))
    assert count == 1
    assert [p.read_text() for p in (tmp_path / "down").rglob("rows.txt")] == ["xxxx"]

    # Publish it, and run what was published with other parameters
    published = run.publish_pipeline(name="Scoring", description="Daily scores", version="1.0")
    assert [p.id for p in PublishedPipeline.list(ws)] == [published.id]
    with pytest.raises(ActivityFailedException):
        published.submit(ws, "scoring", pipeline_parameters={"rows": 0}).wait_for_completion(
            show_output=False
        )

    # Schedule it; it is published with what the run was given
    schedule = Schedule.create(
        ws,
        name="Weekly",
        pipeline_id=published.id,
        experiment_name="scoring",
        recurrence=ScheduleRecurrence(
            frequency="Week",
            interval=1,
            start_time="2060-01-01T00:00:00",
            time_zone=TimeZone.TaipeiStandardTime,
            week_days=["Monday"],
            time_of_day="6:00",
        ),
        wait_for_provisioning=True,
    )
    assert "at 6:00 on Monday every Week" in str(schedule)
    assert schedule.get_last_pipeline_run() is None
    schedule.disable(wait_for_provisioning=True)
    published.disable()

    # Find a run again by its id, as scripts do that post to the REST endpoint
    again = PipelineRun(ws.experiments["scoring"], run.id)
    assert again.get_status() == "Finished"
    assert json.dumps(again.get_details()["status"]) == '"Completed"'
