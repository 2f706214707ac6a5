"""What an attempt is started with: its words, its data, its variables and its token."""

from __future__ import annotations

import pytest
from tests.unit.daemon.works import Works

from penstock import wire
from penstock.core.pipeline import (
    Argument,
    ArgumentKind,
    Input,
    Output,
    Parameter,
    ParameterKind,
    SourceKind,
)
from penstock.core.states import RunState
from penstock.service import runs
from penstock.testing.compute import FakeComputeTarget

STORE = "workspaceblobstore"


def literal(text):
    return Argument(kind=ArgumentKind.LITERAL, value=text)


def of_parameter(name):
    return Argument(kind=ArgumentKind.PARAMETER, value=name)


def of_input(name):
    return Argument(kind=ArgumentKind.INPUT, value=name)


def of_output(name):
    return Argument(kind=ArgumentKind.OUTPUT, value=name)


@pytest.fixture
def data(site):
    """The folder of the workspace's datastore."""
    return site.home / "datastores" / site.workspace.id / STORE


def launched(works: Works, *steps, **fields):
    """Submit a run and return it with the launches of its steps by step id."""
    run = works.submit(*steps, **fields)
    works.copier.work()
    by_id = {f"{s.id}-{s.attempt}": s.step_id for s in works.steps(run).values()}
    target: FakeComputeTarget = works.target
    return run, {by_id[id]: launch for id, launch in target.launches.items() if id in by_id}


def test_arguments_come_out_as_words_in_their_order(works):
    parameters = [
        Parameter(name="text", kind=ParameterKind.STRING, default="a b"),
        Parameter(name="count", kind=ParameterKind.INTEGER, default=5),
        Parameter(name="rate", kind=ParameterKind.FLOAT, default=0.1),
        Parameter(name="flag", kind=ParameterKind.BOOLEAN, default=True),
    ]
    words = [literal("--x"), *(of_parameter(p.name) for p in parameters), literal("")]
    _, found = launched(
        works,
        works.site.step(arguments=tuple(words)),
        parameters=parameters,
    )
    assert found["train"].arguments == ("--x", "a b", "5", "0.1", "True", "")
    assert found["train"].script == "train.py"
    assert [file.path for file in found["train"].files] == ["train.py", "prepare.py", "score.py"]


def test_the_folder_is_that_of_the_attempt(works):
    run = works.submit(works.site.step(retries=1, retry_delay_seconds=0))
    works.finish(run, exit_code=1)
    (step,) = works.steps(run).values()
    folders = [launch.folder for launch in works.target.launches.values()]
    place = works.site.home / "runs" / run.id / step.id
    assert folders == [place / "1", place / "2"]


def test_the_script_finds_its_run_through_variables(works):
    run, found = launched(
        works,
        works.site.step(environment_variables={"MINE": "1", "PENSTOCK_URL": "http://not-mine"}),
    )
    (step,) = works.steps(run).values()
    workspace = works.site.workspace
    environment = dict(found["train"].environment)
    token = environment["PENSTOCK_TOKEN"]
    claim = works.tokens.read(token)
    assert (claim.run_id, claim.step_run_id, claim.attempt) == (run.id, step.id, 1)
    assert claim.workspace_id == workspace.id
    assert environment == {
        "MINE": "1",
        "AZUREML_RUN_ID": step.id,
        "AZUREML_ROOT_RUN_ID": run.id,
        "AZUREML_ARM_SUBSCRIPTION": workspace.subscription_id,
        "AZUREML_ARM_RESOURCEGROUP": workspace.resource_group,
        "AZUREML_ARM_WORKSPACE_NAME": "home",
        "AZUREML_ARM_PROJECT_NAME": "training",
        "AZUREML_EXPERIMENT_ID": environment["AZUREML_EXPERIMENT_ID"],
        "AZUREML_WORKSPACE_ID": workspace.id,
        "AZUREML_SERVICE_ENDPOINT": "http://here",
        "AZUREML_RUN_TOKEN": token,
        "PENSTOCK_URL": "http://here",
        "PENSTOCK_TOKEN": token,
        "PENSTOCK_ATTEMPT": "1",
        "PYTHONUNBUFFERED": "1",
    }


def test_each_attempt_has_a_token_of_its_own(works):
    run = works.submit(works.site.step(retries=1, retry_delay_seconds=0))
    works.finish(run, exit_code=1)
    first, second = (launch.environment for launch in works.target.launches.values())
    assert works.tokens.read(first["PENSTOCK_TOKEN"]).attempt == 1
    assert works.tokens.read(second["PENSTOCK_TOKEN"]).attempt == 2
    assert second["PENSTOCK_ATTEMPT"] == "2"


def test_an_output_is_a_place_on_the_datastore_whose_parent_is_made(works, data):
    outputs = (
        Output(name="model"),
        Output(name="folder", is_directory=True),
        Output(name="kept", datastore=STORE, path="kept/here.txt"),
    )
    words = tuple(of_output(o.name) for o in outputs)
    run, found = launched(works, works.site.step(outputs=outputs, arguments=words))
    (step,) = works.steps(run).values()
    own = data / "azureml" / step.id
    launch = found["train"]
    assert launch.arguments == (
        str(own / "model"),
        str(own / "folder"),
        str(data / "kept/here.txt"),
    )
    assert launch.directories == (own, own / "folder", data / "kept")
    assert launch.environment["AZUREML_DATAREFERENCE_model"] == str(own / "model")


def test_what_one_step_writes_the_next_one_reads_at_the_same_place(works, data):
    read = Input(name="in", source=SourceKind.STEP, step_id="train", output="model")
    run = works.submit(
        works.site.step(outputs=(Output(name="model"),)),
        works.site.step("score", inputs=(read,), arguments=(of_input("in"),)),
    )
    written = data / "azureml" / works.steps(run)["train"].id / "model"
    written.mkdir(parents=True)
    works.finish(run)
    launch = works.target.launches[works.attempt(run, "score")]
    assert launch.arguments == (str(written),)
    assert launch.copies == ()


def place(name, path, **fields):
    return Input(name=name, source=SourceKind.DATASTORE, datastore=STORE, path=path, **fields)


def test_a_mounted_input_is_the_place_itself(works, data):
    (data / "raw").mkdir()
    step = works.site.step(inputs=(place("raw", "raw"),), arguments=(of_input("raw"),))
    _, found = launched(works, step)
    assert found["train"].arguments == (str(data / "raw"),)
    assert found["train"].environment["AZUREML_DATAREFERENCE_raw"] == str(data / "raw")


def test_a_downloaded_input_is_copied_to_the_attempt(works, data):
    (data / "raw").mkdir()
    (data / "one.csv").write_text("1")
    inputs = (
        place("raw", "raw", mode="download"),
        place("one", "one.csv", mode="download"),
        place("there", "one.csv", mode="download", path_on_compute="deep/er"),
    )
    words = tuple(of_input(i.name) for i in inputs)
    _, found = launched(works, works.site.step(inputs=inputs, arguments=words))
    launch = found["train"]
    targets = (
        launch.folder / "inputs" / "raw",
        launch.folder / "inputs" / "one" / "one.csv",
        launch.folder / "code" / "deep" / "er" / "one.csv",
    )
    sources = (data / "raw", data / "one.csv", data / "one.csv")
    assert launch.copies == tuple(zip(sources, targets, strict=True))
    assert launch.arguments == tuple(str(target) for target in targets)


def test_a_data_path_parameter_leads_to_its_place(works, data):
    (data / "mine").mkdir()
    parameter = Parameter(
        name="folder", kind=ParameterKind.DATA_PATH, default={"datastore": STORE, "path": "other"}
    )
    given = Input(name="in", source=SourceKind.PARAMETER, parameter="folder")
    step = works.site.step(inputs=(given,), arguments=(of_input("in"),))
    request = wire.SubmitRequest(
        experiment="training",
        graph=works.site.graph(step, parameters=(parameter,)),
        parameters={"folder": {"datastore": STORE, "path": "mine"}},
    )
    run = works.site.call(runs.submit, request)
    works.tick()
    assert works.target.launches[works.attempt(run)].arguments == (str(data / "mine"),)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (place("in", "no.csv"), "nothing at 'no.csv' on datastore 'workspaceblobstore'"),
        (place("in", "no.csv", mode="download"), "nothing at 'no.csv'"),
        (place("in", "../secret"), "stays within the datastore"),
        (
            Input(name="in", source=SourceKind.PARAMETER, parameter="folder"),
            r"nothing at 'other' on datastore 'workspaceblobstore' (parameter 'folder')",
        ),
    ],
)
def test_data_that_is_not_there_fails_the_step_with_the_place(works, given, words):
    parameter = Parameter(
        name="folder", kind=ParameterKind.DATA_PATH, default={"datastore": STORE, "path": "other"}
    )
    run, found = launched(works, works.site.step(inputs=(given,)), parameters=[parameter])
    works.tick()
    assert found == {}
    assert works.state(run) is RunState.FAILED
    assert words in works.run(run).error


def test_a_datastore_that_has_gone_since_is_named(works):
    with works.site.store.begin() as tx:
        tx.connection.exec_driver_sql("UPDATE datastores SET name = 'former'")
    run = works.site.submit(works.site.step(outputs=()))
    works.tick()
    assert works.state(run) is RunState.RUNNING
    other = works.site.submit(works.site.step(outputs=(Output(name="o"),)))
    works.tick()
    works.tick()
    assert "there is no datastore 'workspaceblobstore'" in works.run(other).error
