"""The article about triggering pipelines: every Python block of it, in order, as it stands.

The blocks are in tests/conformance/trigger_article.json. Filled in are the two places that stand
for an id, and the import of Datastore, which the article takes for granted.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from azureml.core import Datastore, Experiment, Workspace
from azureml.data.datapath import DataPath, DataPathComputeBinding
from azureml.pipeline.core import (
    Pipeline,
    PipelineParameter,
    PublishedPipeline,
    Schedule,
    ScheduleRecurrence,
)
from azureml.pipeline.core._restclients.aeva.models.error_response import ErrorResponseException
from azureml.pipeline.steps import PythonScriptStep
from penstock.errors import InUse, NotFound
from penstock.sdk.client import Patience
from penstock.testing.server import temporary_server

BLOCKS = json.loads(
    (Path(__file__).parents[1] / "conformance" / "trigger_article.json").read_text()
)
ID_PLACES = ("aaaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee", "<pipeline-id-here>")
RUN_SECONDS = 60


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with temporary_server(tmp_path_factory.mktemp("server"), step_poll_seconds=0.1) as running:
        yield running


@pytest.fixture
def project(server, tmp_path, monkeypatch):
    """A folder as a user has it: `.azureml/config.json`, a script, and this user's server."""
    folder = tmp_path / "project"
    (folder / ".azureml").mkdir(parents=True)
    config = {
        "subscription_id": "00000000-0000-0000-0000-000000000000",
        "resource_group": "my-group",
        "workspace_name": tmp_path.name,  # of its own for each test
    }
    (folder / ".azureml" / "config.json").write_text(json.dumps(config))
    (folder / "score.py").write_text("import sys\nprint('scored', sys.argv[1:])\n")
    for name in ("PENSTOCK_URL", "PENSTOCK_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PENSTOCK_CONFIG_DIR", str(server.settings.config_dir))
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def published(project):
    """The article's prerequisite: a published pipeline, with the parameter that it speaks of."""
    ws = Workspace.from_config()
    store = Datastore(ws, "workspaceblobstore")
    (project / "data").mkdir()
    (project / "data" / "first.csv").write_text("1,2\n")
    store.upload(str(project / "data"), target_path="incoming")
    place = DataPath(datastore=store, path_on_datastore="incoming/first.csv")
    data = (PipelineParameter("input_data", place), DataPathComputeBinding(mode="mount"))
    step = PythonScriptStep(
        name="score",
        script_name="score.py",
        source_directory=str(project),
        arguments=["--data", data],
        inputs=[data],
        compute_target="cpu-cluster",
    )
    pipeline = Pipeline(ws, steps=[step])
    return pipeline.publish(name="Scoring", description="Scores what comes in", version="1.0")


def test_every_block_of_the_article_runs_as_it_stands(published, capsys):
    Experiment(Workspace.from_config(), "Earlier")
    names = {"Datastore": Datastore}

    def run(block):
        """Run a block in the one namespace they share; return what it printed."""
        capsys.readouterr()
        code = "\n".join(BLOCKS[block])
        for place in ID_PLACES:
            code = code.replace(place, published.id)
        exec(compile(code, f"<{block}>", "exec"), names)
        return capsys.readouterr().out

    # Initialize the workspace & get data
    printed = run("initialize").splitlines()
    assert "Earlier" in printed
    assert f"Scoring,'{published.id}'" in printed

    # Create a time-based schedule: its first run starts at once
    run("import_schedule")
    run("time_based")
    recurring = names["recurring_schedule"]
    assert (recurring.name, recurring.status) == ("MyRecurringSchedule", "Active")
    assert (recurring.recurrence.frequency, recurring.recurrence.interval) == ("Minute", 15)
    first_run = a_run_of(recurring)
    assert first_run.experiment.name == "MyExperiment"
    assert first_run.wait_for_completion(show_output=False, timeout_seconds=RUN_SECONDS) == (
        "Finished"
    )
    (step_run,) = first_run.get_steps()
    assert "first.csv" in step_run.get_stdout_log()

    # Create a change-based schedule: it is stored with what it watches
    run("change_based")
    reactive = Schedule.get(names["ws"], names["reactive_schedule"].id)
    assert (reactive.name, reactive.status) == ("MyReactiveSchedule", "Active")
    assert reactive.recurrence is None
    assert (reactive.datastore_name, reactive.polling_interval) == ("workspaceblobstore", 5)
    assert (reactive.data_path_parameter_name, reactive.path_on_datastore) == ("input_data", None)

    # Deactivate the pipeline: while it is scheduled, its schedules must be disabled first
    with pytest.raises(InUse) as refused:
        run("deactivate")
    for schedule in (recurring, reactive):
        assert schedule.name in str(refused.value)
        assert schedule.id in str(refused.value)
    assert PublishedPipeline.get(names["ws"], published.id).status == "Active"

    printed = run("list_schedules")
    for schedule in (recurring, reactive):
        assert f"Name: {schedule.name}" in printed
        assert f"Id: {schedule.id}" in printed
    assert printed.startswith("Pipeline(")

    for schedule in (recurring, reactive):
        names["schedule_id"] = schedule.id
        run("stop")
    assert Schedule.list(names["ws"]) == []
    disabled = Schedule.list(names["ws"], active_only=False)
    assert sorted(s.status for s in disabled) == ["Disabled", "Disabled"]

    run("deactivate")
    assert names["pipeline"].status == "Disabled"
    assert PublishedPipeline.list(names["ws"]) == []

    # Use Azure Logic Apps for complex triggers
    run("endpoint")
    assert re.fullmatch(
        r"http://127\.0\.0\.1:\d+/pipelines/v1\.0/subscriptions/[^/]+/resourceGroups/my-group"
        r"/providers/Microsoft\.MachineLearningServices/workspaces/[^/]+"
        rf"/PipelineRuns/PipelineSubmit/{published.id}",
        names["published_pipeline"].endpoint,
    )


def a_run_of(schedule):
    """Return the schedule's first run, as soon as it is there."""
    patience = Patience(RUN_SECONDS)
    while not patience.is_over:
        run = schedule.get_last_pipeline_run()
        if run is not None:
            return run
        patience.wait()
    raise AssertionError(f"{schedule.name} has started no run in {RUN_SECONDS} s")


def test_a_schedule_may_be_created_disabled(published):
    ws = Workspace.from_config()
    schedule = Schedule.create(
        ws,
        name="Later",
        pipeline_id=published.id,
        experiment_name="MyExperiment",
        recurrence=ScheduleRecurrence(frequency="Day", interval=1, time_of_day="6:00"),
        status="Disabled",
    )
    assert schedule.status == "Disabled"
    assert Schedule.list(ws) == []
    assert schedule.get_pipeline_runs() == []
    published.disable()  # a schedule that is not active is in nobody's way
    assert PublishedPipeline.get(ws, published.id).status == "Disabled"


@pytest.mark.parametrize(
    "look_up",
    [
        lambda ws: Schedule.get(ws, "00000000-0000-0000-0000-000000000000"),
        lambda ws: PublishedPipeline.get(ws, id="00000000-0000-0000-0000-000000000000"),
    ],
    ids=["schedule", "published pipeline"],
)
def test_an_unknown_id_is_the_error_that_old_scripts_catch(project, look_up):
    with pytest.raises(ErrorResponseException, match="00000000-0000") as caught:
        look_up(Workspace.from_config())
    assert isinstance(caught.value, NotFound)
