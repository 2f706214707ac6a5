"""The SDK's main road: build a pipeline, publish it, schedule it, run it, read what came of it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from penstock import (
    ActivityFailedException,
    Conflict,
    DataPath,
    DataPathComputeBinding,
    Datastore,
    Experiment,
    InUse,
    Invalid,
    InvalidParameters,
    InvalidPipeline,
    NotFound,
    Pipeline,
    PipelineData,
    PipelineParameter,
    PipelineRun,
    PublishedPipeline,
    PythonScriptStep,
    Run,
    StepRun,
    StepSequence,
    UserErrorException,
    ViewType,
    Workspace,
    get_run,
)
from penstock.testing.server import temporary_server

SCRIPTS = {
    "prepare.py": """
import argparse, os, pathlib
parser = argparse.ArgumentParser()
parser.add_argument("--out"); parser.add_argument("--count", type=int)
given = parser.parse_args()
os.makedirs(given.out)
pathlib.Path(given.out, "numbers.txt").write_text(" ".join(map(str, range(given.count))))
print("prepared", given.count)
""",
    "train.py": """
import os, pathlib, sys
from penstock import Run
numbers, model = sys.argv[1:]
run = Run.get_context()
total = sum(map(int, pathlib.Path(numbers, "numbers.txt").read_text().split()))
run.log("total", total)
run.log("loss", float("nan"))
for epoch in range(3):
    run.log("epoch", epoch)
run.log_row("rows", a=1, b=2)
run.log_row("rows", a=3, b=4)
run.log_list("list", (1, 2))
run.log_table("table", {"x": [1, 2]})
run.log_confusion_matrix("matrix", '{"data": [[1]]}')
run.tag("kind", "sum")
run.add_properties({"scale": 1})
run.parent.log("overall", total)
os.makedirs(model)
pathlib.Path(model, "model.txt").write_text(str(total))
pathlib.Path("outputs", "report.txt").write_text("report")
run.upload_file("extra.txt", os.path.join(model, "model.txt"))
run.log_image("plot", path="outputs/report.txt")
print("in", run.experiment.workspace.name, run.experiment.name, run.parent.id)
run.complete()
""",
    "fail.py": "print('about to fail'); raise SystemExit('no data today')",
    "sleep.py": "import time; print('asleep', flush=True); time.sleep(600)",
    "read.py": "import pathlib, sys; print('read', pathlib.Path(sys.argv[1]).read_text())",
    "flaky.py": """
import os
print("attempt", os.environ["PENSTOCK_ATTEMPT"])
raise SystemExit(0 if os.environ["PENSTOCK_ATTEMPT"] == "2" else 1)
""",
}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with temporary_server(
        tmp_path_factory.mktemp("server"), step_poll_seconds=0.1, stop_grace_seconds=1
    ) as running:
        yield running


@pytest.fixture(scope="module")
def ws(server):
    return Workspace.get("journey", url=server.url, token=server.token)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    folder = tmp_path_factory.mktemp("source")
    for name, text in SCRIPTS.items():
        (folder / name).write_text(text)
    return folder


@pytest.fixture
def step(source):
    def make(script, **fields):
        return PythonScriptStep(f"{script}.py", name=script, source_directory=source, **fields)

    return make


@pytest.fixture
def pipeline(ws, step):
    numbers = PipelineData("numbers", datastore=ws.get_default_datastore())
    model = PipelineData("model", pipeline_output_name="best")
    count = PipelineParameter("count", 5)
    prepare = step("prepare", arguments=["--out", numbers, "--count", count], outputs=[numbers])
    train = step("train", arguments=[numbers, model], inputs=[numbers], outputs=[model])
    assert prepare is numbers.producer
    return Pipeline(ws, [train], description="sums numbers")


def test_a_pipeline_runs_and_leaves_logs_metrics_files_and_outputs(ws, pipeline, tmp_path, capsys):
    assert pipeline.validate() == []
    assert "Step train is ready" in capsys.readouterr().out
    experiment = Experiment(ws, "sums")
    run = experiment.submit(pipeline, tags={"who": "me"}, pipeline_parameters={"count": 10})
    assert run.wait_for_completion() == "Finished"

    printed = capsys.readouterr().out
    assert f"Submitted PipelineRun {run.id}" in printed
    assert "[prepare] prepared 10" in printed
    assert f"[train] in journey sums {run.id}" in printed
    assert printed.index("prepared 10") < printed.index("StepRun( prepare ) Status: Finished")
    assert printed.index("StepRun( train ) Status: Finished") < printed.index(
        "PipelineRun Status: Finished"
    )

    assert (run.get_status(), run.status) == ("Finished", "Completed")
    details = run.get_details()
    assert details["status"] == "Completed"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", details["endTimeUtc"])
    assert run.tags == {"who": "me"}
    assert run.description == "sums numbers"
    assert run.parameters == {"count": 10}
    assert "submitted by" in run.cause
    assert [s.name for s in run.get_graph().steps] == ["prepare", "train"]
    assert run.get_metrics() == {"overall": 45}

    assert [child.name for child in run.get_children()] == ["train", "prepare"]
    train = run.find_step_run("train")[0]
    assert isinstance(train, StepRun)
    assert run.find_step_run("nothing") == []
    assert (train.get_status(), train.status) == ("Finished", "Completed")
    assert train.parent.id == train.pipeline_run_id == run.id
    assert train.tags == {"kind": "sum"}
    assert train.properties == {"scale": "1"}
    metrics = train.get_metrics()
    assert metrics.pop("loss") != metrics.get("loss")
    assert metrics == {
        "total": 45,
        "epoch": [0, 1, 2],
        "rows": {"a": [1, 3], "b": [2, 4]},
        "list": [1, 2],
        "table": {"x": [1, 2]},
        "matrix": {"data": [[1]]},
        "plot": "outputs/plot.txt",
    }
    assert train.get_metrics("total") == {"total": 45}
    assert set(run.get_metrics(recursive=True)) == {run.id, train.id}

    assert train.get_stdout_log() == train.get_job_log()
    assert "in journey sums" in train.get_stdout_log()
    assert train.get_file_names() == [
        "outputs/extra.txt",
        "outputs/plot.txt",
        "outputs/report.txt",
        "user_logs/std_log.txt",
    ]
    logs = train.get_details_with_logs()["logFiles"]
    assert "in journey sums" in logs["user_logs/std_log.txt"]
    train.download_file("outputs/report.txt", str(tmp_path / "mine.txt"))
    train.download_file("azureml-logs/70_driver_log.txt", str(tmp_path))
    train.download_files("outputs/", str(tmp_path / "all"), append_prefix=False)
    written = {p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if p.is_file()}
    assert written == {
        "mine.txt",
        "70_driver_log.txt",
        "all/extra.txt",
        "all/plot.txt",
        "all/report.txt",
    }
    assert (tmp_path / "mine.txt").read_text() == "report"
    paths = run.get_all_logs(str(tmp_path / "logs"))
    assert sorted(Path(p).relative_to(tmp_path).as_posix() for p in paths) == [
        "logs/prepare/user_logs/std_log.txt",
        "logs/train/user_logs/std_log.txt",
    ]

    best = run.get_pipeline_output("best")
    assert best.path_on_datastore == f"azureml/{train.id}/model"
    assert best.download(str(tmp_path / "data"), show_progress=False) == 1
    assert best.download(str(tmp_path / "data"), show_progress=False) == 0, "it is there"
    assert best.download(str(tmp_path / "data"), overwrite=True, show_progress=False) == 1
    assert (tmp_path / "data" / best.path_on_datastore / "model.txt").read_text() == "45"
    assert train.get_output_data("model").path_on_datastore == best.path_on_datastore
    assert set(train.get_outputs()) == {"model"}
    for call in (lambda: run.get_pipeline_output("x"), lambda: train.get_output("x")):
        with pytest.raises(NotFound, match="it has: "):
            call()


def test_runs_are_found_again_in_every_way(ws, pipeline):
    experiment = Experiment(ws, "finding")
    run = experiment.submit(pipeline, tags={"a": "1"})
    run.wait_for_completion(show_output=False)
    step = next(run.get_steps())
    assert PipelineRun.get(ws, run.id).id == run.id
    assert [type(r) for r in (ws.get_run(run.id), ws.get_run(step.id))] == [PipelineRun, StepRun]
    assert get_run(experiment, run.id).id == run.id
    assert Run(experiment, run.id).status == Run(experiment, step.id).status == "Completed"
    assert Run(experiment, run.id).wait_for_completion()["runId"] == run.id
    assert [r.id for r in experiment.get_runs()] == [run.id]
    assert [r.id for r in experiment.get_runs(tags="a")] == [run.id]
    assert [r.id for r in experiment.get_runs(tags={"a": "1"})] == [run.id]
    assert list(experiment.get_runs(tags={"a": "2"})) == []
    assert list(experiment.get_runs(type="azureml.StepRun")) == []
    assert len(list(experiment.get_runs(include_children=True))) == 3
    assert ws.experiments["finding"].name == "finding"
    child = experiment.submit(pipeline, parent_run_id=run.id)
    assert child.parent.id == run.id
    assert [r.id for r in run.get_children(type="azureml.PipelineRun")] == [child.id]
    for call in (lambda: PipelineRun.get(ws, "x"), lambda: ws.get_run("x")):
        with pytest.raises(NotFound, match="'x'"):
            call()


def test_tags_and_properties(ws, pipeline):
    run = Experiment(ws, "notes").submit(pipeline)
    run.tag("a", 1)
    run.set_tags({"b": "2", "c": None})
    run.remove_tags(["a"])
    run.add_properties({"p": 1})
    assert run.get_tags() == {"b": "2", "c": ""}
    assert run.get_properties() == {"p": "1"}
    run.wait_for_completion(show_output=False)


def test_a_failure_says_which_step_and_shows_the_end_of_its_log(ws, step):
    first, second = step("fail"), step("train", inputs=[], arguments=["a", "b"])
    second.run_after(first)
    run = Pipeline(ws, [second]).submit("failing")
    with pytest.raises(ActivityFailedException, match="no data today") as raised:
        run.wait_for_completion(show_output=False)
    assert "'fail'" in str(raised.value)
    assert run.wait_for_completion(show_output=False, raise_on_error=False) == "Failed"
    assert (run.get_status(), run.status) == ("Failed", "Failed")
    failed = run.find_step_run("fail")[0]
    assert "about to fail" in failed.get_stderr_log()
    assert failed.get_details()["exitCode"] == 1
    assert failed.get_details()["error"]["error"]["message"]
    with pytest.raises(ActivityFailedException):
        failed.wait_for_completion(show_output=False)
    assert run.find_step_run("train")[0].get_status() in ("Canceled", "Bypassed")
    republished = run.publish_pipeline("again", "from a failed run", "2")
    assert republished.get_step_names() == ["fail", "train"]


def test_a_step_is_tried_again(ws, step, capsys):
    run = Pipeline(ws, step("flaky", retries=1, retry_delay_seconds=0)).submit("flaky")
    assert run.wait_for_completion() == "Finished"
    printed = capsys.readouterr().out
    assert "attempt 2" in printed
    assert next(run.get_steps()).attempt == 2


def test_a_run_is_cancelled_with_what_it_started(ws, step, capsys):
    run = Pipeline(ws, step("sleep")).submit("sleeping")
    assert run.wait_for_completion(timeout_seconds=0.5) in ("NotStarted", "Running")
    assert "Timed out" in capsys.readouterr().out
    run.cancel()
    assert run.wait_for_completion(show_output=False) == "Canceled"
    assert run.status == "Canceled"
    run.cancel()
    with pytest.raises(Conflict, match=run.id):
        next(run.get_steps()).cancel()


def test_what_a_pipeline_run_cannot_do(ws, step):
    run = Pipeline(ws, step("read", arguments=["read.py"])).submit("forbidden")
    for call in (run.complete, run.fail, run.child_run):
        with pytest.raises(NotImplementedError):
            call()
    with pytest.raises(Invalid, match="keeps no files"):
        run.upload_file("a.txt", __file__)
    with pytest.raises(Invalid, match="no argument"):
        run.publish_pipeline("n", "d", "1", steps=[])
    run.wait_for_completion(show_output=False)
    for call in (next(run.get_steps()).complete, next(run.get_steps()).fail):
        with pytest.raises(NotImplementedError):
            call()


def test_a_step_run_is_waited_for_alone(ws, step, capsys):
    run = Pipeline(ws, step("read", arguments=["read.py"])).submit("alone")
    run.wait_for_completion(show_output=False)
    assert next(run.get_steps()).wait_for_completion() == "Finished"
    assert "read import pathlib" in capsys.readouterr().out


# ---- submitting ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"cuont": 1}, "no parameter 'cuont'"),
        ({"count": "1"}, "type integer"),
        ({"count": 1.5}, "type integer"),
    ],
)
def test_wrong_parameters_are_refused_before_anything_is_stored(ws, pipeline, parameters, message):
    experiment = Experiment(ws, "wrong")
    with pytest.raises(InvalidParameters, match=message):
        pipeline.submit("wrong", pipeline_parameters=parameters)
    with pytest.raises(InvalidParameters, match=message):
        experiment.submit(pipeline, pipeline_parameters=parameters)
    assert list(experiment.get_runs()) == []


def test_a_circle_is_refused_before_anything_is_stored(ws, step):
    a, b = step("read"), step("train")
    a.run_after(b)
    b.run_after(a)
    pipeline = Pipeline(ws, [a, b])
    assert "circle" in pipeline.validate()[0]
    for call in (lambda: pipeline.submit("circle"), lambda: pipeline.publish("circle")):
        with pytest.raises(InvalidPipeline, match="circle"):
            call()
    assert "circle" not in ws.experiments


def test_submit_refuses_what_it_does_not_know(ws, pipeline, capsys):
    with pytest.raises(Invalid, match="no argument 'parameters'"):
        pipeline.submit("x", parameters={})
    with pytest.raises(UserErrorException, match="config"):
        Experiment(ws, "x").submit(5)
    run = Experiment(ws, "x").submit(pipeline, regenerate=True, pipeline_params={"count": 2})
    assert run.parameters == {"count": 2}
    assert "no use for 'regenerate'" in capsys.readouterr().err
    run.wait_for_completion(show_output=False)


@pytest.mark.parametrize("name", ["", "a b", "-a", "é", "a" * 256, None])
def test_an_experiment_name_is_checked(ws, name):
    with pytest.raises(UserErrorException, match="experiment name"):
        Experiment(ws, name)


def test_experiments_are_listed_tagged_and_archived(ws):
    experiment = Experiment(ws, "archive-me")
    assert Experiment(ws, "archive-me").id == experiment.id
    experiment.set_tags({"a": 1})
    experiment.tag("b")
    experiment.remove_tags("a")
    assert Experiment(ws, "archive-me").tags == {"b": ""}
    assert [e.name for e in Experiment.list(ws, tags="b")] == ["archive-me"]
    experiment.archive()
    assert experiment.archived_time is not None
    assert "archive-me" not in [e.name for e in Experiment.list(ws)]
    archived = Experiment.list(ws, view_type=ViewType.ArchivedOnly)
    assert [e.name for e in archived] == ["archive-me"]
    experiment.reactivate()
    assert [e.name for e in Experiment.list(ws, "archive-me")] == ["archive-me"]


def test_a_step_sequence_runs_in_order(ws, step):
    steps = [step("read", arguments=["read.py"]), step("flaky", retries=1, retry_delay_seconds=0)]
    run = Pipeline(ws, StepSequence(steps)).submit("sequence")
    assert run.wait_for_completion(show_output=False) == "Finished"
    assert [child.name for child in run.get_steps()] == ["flaky", "read"]


# ---- published pipelines -------------------------------------------------------------------------


def test_a_published_pipeline_is_found_run_and_disabled(ws, pipeline):
    published = pipeline.publish("sums", "adds numbers", "1", continue_on_step_failure=True)
    again = PublishedPipeline.get(ws, published.id)
    assert (again.name, again.description, again.version) == ("sums", "adds numbers", "1")
    assert again.continue_on_step_failure is True
    assert again.total_run_steps == 2
    assert again.endpoint.endswith(f"/PipelineRuns/PipelineSubmit/{published.id}")
    assert again.graph_id == pipeline.publish("sums").graph_id, "the same steps, the same graph"
    assert again.created_at is not None
    assert again.created_by == "admin"
    assert str(again) == (
        f"Pipeline(Name: sums,\nId: {published.id},\nStatus: Active,\nEndpoint: {again.endpoint})"
    )
    run = published.submit(ws, "published", {"count": 3})
    assert run.wait_for_completion(show_output=False) == "Finished"
    assert run.get_metrics() == {"overall": 3}
    other = Experiment(ws, "published").submit(published, tags={"t": "1"}, pipeline_parameters={})
    assert other.tags == {"t": "1"}
    other.wait_for_completion(show_output=False)
    assert {r.id for r in PipelineRun.get_pipeline_runs(ws, published.id)} == {run.id, other.id}

    published.disable()
    published.disable()
    assert (published.status, PublishedPipeline.get(ws, published.id).status) == ("Disabled",) * 2
    assert published.id not in [p.id for p in PublishedPipeline.list(ws)]
    assert published.id in [p.id for p in PublishedPipeline.list(ws, active_only=False)]
    with pytest.raises(Conflict, match="disabled"):
        published.submit(ws, "published")
    published.enable()
    assert published.id in [p.id for p in PublishedPipeline.get_all(ws)]


def test_the_object_in_place_of_its_id_is_refused_with_a_hint(ws, pipeline):
    published = pipeline.publish("object")
    with pytest.raises(Invalid, match=r"write id=….id"):
        PublishedPipeline.get(ws, published)
    with pytest.raises(NotFound, match="no-such-id"):
        PublishedPipeline.get(ws, "no-such-id")
    assert issubclass(InUse, Conflict)


# ---- data ----------------------------------------------------------------------------------------


def test_files_go_up_and_come_down(server, tmp_path, capsys):
    ws = Workspace.get("files", url=server.url, token=server.token)
    store = Datastore(ws, "workspaceblobstore")
    assert store.name == Datastore(ws).name == Datastore.get_default(ws).name
    assert list(ws.datastores) == ["workspaceblobstore"]
    source = tmp_path / "source"
    (source / "sub").mkdir(parents=True)
    (source / "a b.txt").write_text("a")
    (source / "sub" / "ü.txt").write_text("u")
    reference = store.upload(source, target_path="in")
    assert (reference.datastore.name, reference.path_on_datastore) == (store.name, "in")
    assert "Uploaded 2 files" in capsys.readouterr().out
    (source / "a b.txt").write_text("changed")
    store.upload(source, target_path="in", show_progress=True)
    assert "Uploaded 0 files" in capsys.readouterr().out
    store.upload_files([str(source / "a b.txt")], target_path="in", overwrite=True)
    store.upload_files([source / "sub" / "ü.txt"], str(source), "in2", show_progress=False)
    assert [e.path for e in store.files()] == ["in/a b.txt", "in/sub/ü.txt", "in2/sub/ü.txt"]
    assert [e.path for e in store.files("in", recursive=False)] == ["in/a b.txt"]

    target = tmp_path / "target"
    assert store.download(target, prefix="in", show_progress=False) == 2
    assert (target / "in" / "a b.txt").read_text() == "changed"
    assert store.download(target, prefix="in/sub/ü.txt", overwrite=True, show_progress=False) == 1
    assert store.download(target, prefix="nowhere", show_progress=False) == 0
    with pytest.raises(Invalid, match="src_dir"):
        store.upload(tmp_path / "missing")
    with pytest.raises(Invalid, match="relative_root"):
        store.upload_files([source / "a b.txt"], relative_root=target)
    with pytest.raises(NotFound, match="elsewhere"):
        Datastore(ws, "elsewhere")


def test_a_data_path_is_switched_at_submission(ws, step, tmp_path):
    store = ws.get_default_datastore()
    for name in ("one", "two"):
        (tmp_path / f"{name}.txt").write_text(f"this is {name}")
    store.upload(tmp_path, "switch", show_progress=False)
    pair = (
        PipelineParameter("input_data", DataPath(store, "switch/one.txt")),
        DataPathComputeBinding(mode="download"),
    )
    pipeline = Pipeline(ws, step("read", arguments=[pair], inputs=[pair]))
    first = pipeline.submit("switch")
    second = pipeline.submit(
        "switch", pipeline_parameters={"input_data": DataPath(store, "switch/two.txt")}
    )
    for run, word in ((first, "one"), (second, "two")):
        run.wait_for_completion(show_output=False)
        assert f"read this is {word}" in next(run.get_steps()).get_stdout_log()
    with pytest.raises(InvalidParameters, match="elsewhere"):
        pipeline.submit("switch", {"input_data": DataPath("elsewhere", "x")})
