"""Steps and pipelines: what is refused when they are made, and the graph that comes of them."""

from __future__ import annotations

import pytest

import penstock
from penstock import (
    DataPath,
    DataPathComputeBinding,
    DataReference,
    InputPortBinding,
    Invalid,
    InvalidParameters,
    InvalidPipeline,
    Pipeline,
    PipelineData,
    PipelineParameter,
    PipelineStep,
    PythonScriptStep,
    StepSequence,
)
from penstock.core.pipeline import ArgumentKind, ParameterKind, SourceKind, problems
from penstock.sdk.parameters import checked_assignments, wire_assignments


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A current directory with a script for every step."""
    for name in "abcd":
        (tmp_path / f"{name}.py").write_text("")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def step(name, **fields):
    return PythonScriptStep(f"{name}.py", name=name, **fields)


def graph(*steps, **fields):
    return Pipeline(None, list(steps), **fields).graph


def names(graph):
    return [step.name for step in graph.steps]


def after(graph):
    return {
        step.name: {graph.by_id[before].name for before in graph.predecessors[step.id]}
        for step in graph.steps
    }


# ---- making steps --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"script_name": None}, "script_name = None"),
        ({"script_name": ""}, "script_name = ''"),
        ({"name": 5}, "name = 5"),
        ({"arguments": "--x 1"}, "arguments of step 'a.py' = '--x 1'.*expected a list"),
        ({"arguments": ["--x", None]}, r"arguments\[1\] of step 'a.py' = None"),
        ({"arguments": [["--x"]]}, r"arguments\[0\] of step"),
        ({"arguments": [PipelineData("d")]}, "neither among its inputs nor among its outputs"),
        ({"arguments": [DataReference("s")]}, "neither among its inputs nor among its outputs"),
        ({"arguments": [PipelineParameter("p", DataPath("s"))]}, "Give the pair"),
        ({"inputs": PipelineData("d")}, "inputs of step 'a.py'.*expected a list"),
        ({"inputs": ["data"]}, "inputs of step 'a.py' = 'data'"),
        ({"inputs": [DataPath("s")]}, "create_data_reference"),
        ({"inputs": [PipelineParameter("p", DataPath("s"))]}, "Give the pair"),
        ({"inputs": [DataReference("s", mode="upload")]}, "bind_mode = 'upload'"),
        ({"outputs": [DataReference("s")]}, "expected PipelineData or OutputPortBinding"),
        ({"compute_target": 5}, "compute_target = 5"),
        ({"source_directory": 5}, "source_directory = 5"),
        ({"params": {"p": PipelineParameter("p", 1)}}, "goes into `arguments`"),
        ({"retries": -1}, "retries = -1"),
        ({"retries": True}, "retries = True"),
        ({"retry_delay_seconds": -1}, "retry_delay_seconds = -1"),
        ({"timeout_seconds": 0}, "timeout_seconds = 0"),
        ({"timeout_seconds": "1"}, "timeout_seconds = '1'"),
    ],
)
def test_a_wrong_step_is_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        PythonScriptStep(**{"script_name": "a.py"} | fields)


PAIR = (PipelineParameter("p", DataPath("s", "x")), DataPathComputeBinding(mode="download"))


def test_a_data_path_pair_must_be_among_the_arguments_too():
    with pytest.raises(ValueError, match="not among its arguments"):
        step("a", inputs=[PAIR])
    with pytest.raises(ValueError, match="arguments"):
        step("a", arguments=[PAIR])
    step("a", inputs=[PAIR], arguments=["--x", PAIR])


@pytest.mark.parametrize("name", ["a b", "a-b", "", "é", "a/b", None])
def test_ports_have_plain_names(name):
    with pytest.raises(ValueError, match="letters, digits and underscores"):
        PipelineData(name)


@pytest.mark.parametrize("default", [None, [1], {"a": 1}, object()])
def test_a_parameter_needs_a_default_that_shows_its_type(default):
    with pytest.raises(ValueError, match="default_value"):
        PipelineParameter("p", default)


def test_a_data_path_needs_a_datastore():
    with pytest.raises(ValueError, match="needs a datastore"):
        DataPath(path_on_datastore="x")
    with pytest.raises(ValueError, match="mode = 'copy'"):
        DataPathComputeBinding(mode="copy")


def test_a_data_reference_makes_the_same_name_each_time():
    assert DataReference("store", path_on_datastore="a/b c.txt").data_reference_name == (
        "store_a_b_c_txt"
    )
    assert str(DataReference("store")) == "$AZUREML_DATAREFERENCE_store"
    below = DataReference("store", path_on_datastore="a").path("b").as_download()
    assert (below.path_on_datastore, below.mode) == ("a/b", "download")


# ---- the graph -----------------------------------------------------------------------------------


def test_a_step_becomes_a_node(here):
    data, model = PipelineData("data"), PipelineData("model", pipeline_output_name="best")
    count = PipelineParameter("count", 3)
    reference = DataReference("store", "ref", "in/x")
    step("a", outputs=[data], arguments=["--out", data, "--n", count, 1.5])
    second = step(
        "b",
        inputs=[data.as_download("renamed"), reference, PAIR],
        outputs=[model],
        arguments=[data, reference.as_mount(), PAIR, model],
        compute_target="gpu",
        params={"x": 1},
        version="7",
        allow_reuse=False,
        retries=2,
        timeout_seconds=60,
    )
    built = graph(second, default_datastore="other")
    assert problems(built) == []
    assert names(built) == ["a", "b"]
    one, two = built.steps
    assert [(w.kind, w.value) for w in one.arguments] == [
        (ArgumentKind.LITERAL, "--out"),
        (ArgumentKind.OUTPUT, "data"),
        (ArgumentKind.LITERAL, "--n"),
        (ArgumentKind.PARAMETER, "count"),
        (ArgumentKind.LITERAL, "1.5"),
    ]
    assert [(w.kind, w.value) for w in two.arguments] == [
        (ArgumentKind.INPUT, "renamed"),
        (ArgumentKind.INPUT, "ref"),
        (ArgumentKind.INPUT, "p"),
        (ArgumentKind.OUTPUT, "model"),
    ]
    assert [(i.source, i.mode) for i in two.inputs] == [
        (SourceKind.STEP, "download"),
        (SourceKind.DATASTORE, "mount"),
        (SourceKind.PARAMETER, "download"),
    ]
    assert two.inputs[0].step_id == one.id
    assert two.outputs[0].pipeline_output_name == "best"
    assert two.outputs[0].datastore == "other"
    assert (two.compute, two.version, two.retries, two.timeout_seconds) == ("gpu", "7", 2, 60.0)
    assert two.environment_variables == {"AML_PARAMETER_x": "1"}
    assert {p.name: (p.kind, p.default) for p in built.parameters} == {
        "count": (ParameterKind.INTEGER, 3),
        "p": (ParameterKind.DATA_PATH, {"datastore": "s", "path": "x"}),
    }


def test_the_same_pipeline_built_again_is_the_same_graph(here):
    def build():
        data = PipelineData("data")
        first = step("a", outputs=[data])
        others = [step("b", inputs=[data]), step("b", inputs=[data])]
        return graph(others, first)

    assert build() == build()
    assert [s.id for s in build().steps] == ["a", "b", "b-2"]


def test_the_last_step_brings_those_before_it(here):
    data = PipelineData("data")
    step("a", outputs=[data])
    second, third = step("b", inputs=[data]), step("c")
    third.run_after(second)
    assert names(graph(third)) == ["a", "b", "c"]
    assert after(graph(third)) == {"a": set(), "b": {"a"}, "c": {"b"}}


def test_without_the_closure_a_missing_step_is_an_error(here):
    first, second = step("a"), step("b")
    second.run_after(first)
    with pytest.raises(InvalidPipeline, match="step 'a', which is not among"):
        Pipeline(None, [second], resolve_closure=False)
    assert names(graph(second, first, resolve_closure=False)) == ["a", "b"]


def test_nested_lists_run_in_parallel_and_sequences_in_order(here):
    a, b, c, d = (step(name) for name in "abcd")
    assert after(graph([a, [b, [c]]], d)) == {"a": set(), "b": set(), "c": set(), "d": set()}
    sequence = StepSequence([a, [b, c], d])
    assert after(graph(sequence)) == {"a": set(), "b": {"a"}, "c": {"a"}, "d": {"b", "c"}}
    assert after(graph(sequence)) == after(graph(sequence)), "building twice changes nothing"


def test_a_pipeline_may_be_just_its_last_step(here):
    assert names(Pipeline(None, step("a")).graph) == ["a"]


def test_a_long_chain_is_no_problem(here):
    steps = [step("a") for _ in range(3000)]
    assert len(graph(StepSequence(steps)).steps) == 3000


def test_a_circle_is_found_when_the_pipeline_is_checked(here):
    a, b = step("a"), step("b")
    a.run_after(b)
    b.run_after(a)
    assert "circle" in Pipeline(None, [a]).validate()[0]


def test_an_input_that_nobody_writes_is_refused(here):
    with pytest.raises(InvalidPipeline, match="'data' of step 'a' is the output of no step"):
        Pipeline(None, [step("a", inputs=[PipelineData("data")])])


def test_data_has_one_writer_in_a_pipeline(here):
    data = PipelineData("data")
    steps = [step("a", outputs=[data]), step("b", outputs=[data])]
    with pytest.raises(InvalidPipeline, match="output of two steps, 'a' and 'b'"):
        Pipeline(None, steps)


def test_a_step_made_again_takes_over_its_outputs(here):
    data = PipelineData("data")
    step("a", outputs=[data])
    step("a", outputs=[data])  # a notebook's cell is run again
    assert names(graph(step("b", inputs=[data]))) == ["a", "b"]


def test_an_input_with_an_outputs_name_gets_another(here):
    earlier, later = PipelineData("data"), PipelineData("data")
    first = step("a", outputs=[earlier])
    second = step("b", inputs=[earlier], outputs=[later], arguments=[earlier, later])
    node = graph(first, second).steps[1]
    assert [w.value for w in node.arguments] == ["INPUT_data", "data"]
    with pytest.raises(Invalid, match="a name that no output of the step has"):
        PipelineStep("s", [InputPortBinding("data", earlier)], [PipelineData("data")])


def test_two_parameters_of_one_name_must_agree(here):
    one, two = PipelineParameter("p", 1), PipelineParameter("p", 2)
    with pytest.raises(InvalidPipeline, match=r"two parameters of the name 'p'.*1 and 2"):
        Pipeline(None, [step("a", arguments=[one]), step("b", arguments=[two])])
    again = PipelineParameter("p", 1)
    assert len(graph(step("a", arguments=[one]), step("b", arguments=[again])).parameters) == 1


@pytest.mark.parametrize(
    ("steps", "message"),
    [([], "at least one step"), (["a"], "steps = 'a'"), (None, "steps = None"), ([[5]], "5")],
)
def test_what_is_no_step_is_refused(steps, message):
    with pytest.raises(ValueError, match=message):
        Pipeline(None, steps)


def test_an_unknown_argument_is_refused():
    with pytest.raises(ValueError, match="no argument 'step'"):
        Pipeline(None, [], step=1)


# ---- scripts -------------------------------------------------------------------------------------


def test_the_script_must_exist_below_the_source_directory(here):
    with pytest.raises(ValueError, match=r"script not found at: .*missing\.py.*source_directory"):
        Pipeline(None, [PythonScriptStep("missing.py")])
    (here / "sub").mkdir()
    with pytest.raises(ValueError, match="a script inside its source_directory"):
        Pipeline(None, [PythonScriptStep("../a.py", source_directory="sub")])


def test_a_source_directory_is_looked_for_here_and_below_the_default(here):
    (here / "base" / "sub").mkdir(parents=True)
    (here / "base" / "x.py").write_text("")
    (here / "base" / "sub" / "y.py").write_text("")
    Pipeline(
        None,
        [
            PythonScriptStep("x.py"),
            PythonScriptStep("y.py", source_directory="sub"),
            PythonScriptStep("a.py", source_directory=str(here)),
        ],
        default_source_directory="base",
    )


def test_a_runconfig_gives_target_and_variables():
    class Environment:
        environment_variables = {"A": 1}  # noqa: RUF012

    class RunConfiguration:
        target = "gpu"
        environment = Environment()
        environment_variables = {"B": "2"}  # noqa: RUF012

    made = step("a", runconfig=RunConfiguration())
    assert (made.compute, made.environment_variables) == ("gpu", {"A": "1", "B": "2"})
    assert step("a", runconfig=Environment()).environment_variables == {"A": "1"}


# ---- assignments ---------------------------------------------------------------------------------

PARAMETERS = tuple(
    PipelineParameter(name, default).to_parameter()
    for name, default in [("i", 1), ("f", 1.0), ("s", "x"), ("b", True), ("d", DataPath("s"))]
)


@pytest.mark.parametrize(
    ("assignments", "message"),
    [
        ({"x": 1}, "no parameter 'x' .it has: b, d, f, i, s"),
        ({"i": "1"}, "'i' is of the type integer: '1' of the type str"),
        ({"i": 1.5}, "'i' is of the type integer"),
        ({"s": 1}, "'s' is of the type string"),
        ({"b": "True"}, "'b' is of the type boolean"),
        ({"d": "path"}, "'d' is of the type data_path"),
        ({"i": None}, "'i' is of the type integer"),
        ({"x": 1, "i": "1"}, "'x'.*'i'"),
    ],
)
def test_a_submission_is_checked_against_the_pipeline(assignments, message):
    with pytest.raises(InvalidParameters, match=message):
        checked_assignments(PARAMETERS, assignments)


def test_a_submission_that_fits_goes_over_the_wire():
    given = {"i": True, "f": 1, "s": "", "b": 0, "d": DataPath("t", "x")}
    sent = checked_assignments(PARAMETERS, given)
    assert sent == given | {"d": {"datastore": "t", "path": "x"}}


@pytest.mark.parametrize("value", [None, [1], PipelineParameter("p", 1), object(), 1j])
def test_a_value_of_no_parameters_type_is_refused(value):
    with pytest.raises(InvalidParameters, match=f"of the type {type(value).__name__}"):
        wire_assignments({"p": value})


def test_every_public_step_is_in_penstock():
    assert penstock.PythonScriptStep is PythonScriptStep
