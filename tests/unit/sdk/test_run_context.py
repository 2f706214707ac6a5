"""The run of a process: inside a step, and outside of any."""

from __future__ import annotations

import pytest

from penstock import Run, RunEnvironmentException, StepRun, UserErrorException

INSIDE = {
    "AZUREML_RUN_ID": "step-run-1",
    "AZUREML_ROOT_RUN_ID": "run-1",
    "AZUREML_ARM_WORKSPACE_NAME": "main",
    "AZUREML_ARM_PROJECT_NAME": "training",
    "AZUREML_ARM_SUBSCRIPTION": "sub",
    "AZUREML_ARM_RESOURCEGROUP": "group",
    "PENSTOCK_URL": "http://127.0.0.1:1",  # nobody listens there
    "PENSTOCK_TOKEN": "psr_token",
}


@pytest.fixture
def outside(monkeypatch, tmp_path):
    for name in INSIDE:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def inside(monkeypatch):
    for name, value in INSIDE.items():
        monkeypatch.setenv(name, value)


@pytest.mark.usefixtures("inside")
def test_inside_a_step_the_run_is_known_without_asking_the_server():
    run = Run.get_context()
    assert isinstance(run, StepRun)
    assert (run.id, run.pipeline_run_id, run.parent.id) == ("step-run-1", "run-1", "run-1")
    workspace = run.experiment.workspace
    assert (run.experiment.name, workspace.name) == ("training", "main")
    assert (workspace.subscription_id, workspace.resource_group) == ("sub", "group")
    assert workspace.client.token == "psr_token"
    assert Run.get_context() is run
    assert Run.get_context(allow_offline=False) is run


@pytest.mark.usefixtures("inside")
def test_inside_a_step_the_exit_code_decides(capsys):
    run = Run.get_context()
    run.complete()
    run.fail("it went wrong")
    assert "it went wrong" in capsys.readouterr().err
    with run:
        pass


@pytest.mark.usefixtures("outside")
def test_outside_a_step_what_is_logged_is_printed(capsys):
    run = Run.get_context()
    assert run.id.startswith("OfflineRun_")
    assert Run.get_context().id == run.id
    with run:
        run.log("loss", 0.5)
        run.log("loss", 0.25)
        run.log_list("list", [1])
        run.log_row("row", a=1)
        run.log_table("table", {"a": [1]})
    assert "Attempted to log scalar metric loss:\n0.5" in capsys.readouterr().out
    assert run.get_metrics()["loss"] == [0.5, 0.25]
    assert run.get_metrics("list") == {"list": [1]}
    run.tag("a", 1)
    run.add_properties({"p": "1"})
    assert (run.get_tags(), run.get_properties()) == ({"a": "1"}, {"p": "1"})
    assert run.parent is run
    assert not hasattr(run, "experiment")
    for call in (run.complete, run.fail, run.cancel, run.flush):
        call()
    assert run.get_details()["status"] == "Running"


@pytest.mark.usefixtures("outside")
def test_outside_a_step_an_image_stays_here(tmp_path):
    class Plot:
        def savefig(self, file, format):
            file.write(format.encode())

    run = Run.get_context()
    run.log_image("plot", plot=Plot())
    assert (tmp_path / "outputs" / "plot.png").read_bytes() == b"png"


@pytest.mark.usefixtures("outside")
def test_outside_a_step_without_leave_is_an_error():
    with pytest.raises(RunEnvironmentException, match="PythonScriptStep"):
        Run.get_context(allow_offline=False)


@pytest.mark.usefixtures("outside")
@pytest.mark.parametrize(
    "call",
    [
        lambda run: run.log("x", [1, 2]),
        lambda run: run.log("x", {"a": 1}),
        lambda run: run.log_table("x", [1]),
        lambda run: run.log_image("x"),
        lambda run: run.log_image("x", path="a.png", plot=object()),
        lambda run: run.log_confusion_matrix("x", "{"),
    ],
)
def test_what_cannot_be_logged_is_refused(call):
    with pytest.raises(UserErrorException):
        call(Run.get_context())
