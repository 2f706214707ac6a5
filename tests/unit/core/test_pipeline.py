"""A pipeline as a graph: what is wrong with it, its parameters, and which steps may start."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest

from penstock.core.pipeline import (
    Advance,
    Argument,
    ArgumentKind,
    Graph,
    Input,
    Output,
    Parameter,
    ParameterKind,
    SourceKind,
    Step,
    advance,
    as_word,
    coerced,
    is_stopping,
    problems,
    resolve_parameters,
    validated,
)
from penstock.core.states import STEP_ENDS, StepState, advance_step
from penstock.errors import InvalidParameters, InvalidPipeline


def a_step(id, *after, **fields):
    """Return a step that runs after the steps named."""
    return Step(**{"id": id, "name": id, "script": "work.py", "run_after": after, **fields})


def reads(name, step_id, output="out"):
    return Input(name=name, source=SourceKind.STEP, step_id=step_id, output=output)


def word(kind, value):
    return Argument(kind=ArgumentKind(kind), value=value)


def a_parameter(name, kind="string", default="x"):
    return Parameter(name=name, kind=ParameterKind(kind), default=default)


def a_graph(*steps, parameters=()):
    return Graph(steps=steps, parameters=parameters)


PATH = {"datastore": "workspaceblobstore", "path": "in/a.csv"}
WRITER = a_step("write", outputs=(Output(name="out"),))
INPUT_PATH = a_parameter("where", "data_path", PATH)


class TestPredecessors:
    def test_are_those_it_reads_from_and_those_it_runs_after(self):
        graph = a_graph(
            WRITER,
            a_step("first"),
            a_step(
                "read",
                "first",
                inputs=(
                    reads("a", "write"),
                    Input(name="b", source=SourceKind.DATASTORE, datastore="d", path="p"),
                    Input(name="c", source=SourceKind.STEP),
                ),
            ),
        )
        assert graph.predecessors == {
            "write": frozenset(),
            "first": frozenset(),
            "read": frozenset({"first", "write"}),
        }


class TestProblems:
    def test_a_good_pipeline_has_none(self):
        graph = a_graph(
            WRITER,
            a_step(
                "read",
                "write",
                inputs=(
                    reads("data", "write"),
                    Input(name="file", source=SourceKind.PARAMETER, parameter="where"),
                    Input(name="fixed", source=SourceKind.DATASTORE, datastore="d", path="p"),
                ),
                outputs=(Output(name="model"),),
                arguments=(
                    word("literal", "--data"),
                    word("input", "data"),
                    word("output", "model"),
                    word("parameter", "rate"),
                    word("parameter", "where"),
                ),
                retries=3,
                timeout_seconds=0.5,
                retry_delay_seconds=0.0,
            ),
            parameters=(a_parameter("rate", "float", 0.5), INPUT_PATH),
        )
        assert problems(graph) == []
        assert validated(graph) is graph

    def test_two_steps_may_have_one_name(self):
        assert problems(a_graph(a_step("a", name="x"), a_step("b", name="x"))) == []

    @pytest.mark.parametrize(
        ("graph", "field", "message"),
        [
            (a_graph(), "steps", "The pipeline has no steps."),
            (
                a_graph(a_step("a"), a_step("a", name="b")),
                "steps",
                "There are two step ids of the name 'a'.",
            ),
            (
                a_graph(a_step("a"), parameters=(a_parameter("p"), a_parameter("p"))),
                "parameters",
                "There are two parameters of the name 'p'.",
            ),
            (
                a_graph(a_step("a", outputs=(Output(name="o"), Output(name="o")))),
                "steps[a].outputs",
                "There are two outputs of the name 'o'.",
            ),
            (
                a_graph(WRITER, a_step("a", inputs=(reads("i", "write"), reads("i", "write")))),
                "steps[a].inputs",
                "There are two inputs of the name 'i'.",
            ),
            (a_graph(a_step("a", script=None)), "steps[a].script", "Step 'a' names no script."),
            (a_graph(a_step("a", script="")), "steps[a].script", "Step 'a' names no script."),
            (
                a_graph(a_step("a", "gone")),
                "steps[a].run_after",
                "Step 'a' runs after an unknown step 'gone'.",
            ),
            (
                a_graph(a_step("a", inputs=(reads("i", "gone"),))),
                "steps[a].inputs[i]",
                "Input 'i' of step 'a' comes from an unknown step.",
            ),
            (
                a_graph(a_step("a", inputs=(Input(name="i", source=SourceKind.STEP),))),
                "steps[a].inputs[i]",
                "Input 'i' of step 'a' comes from an unknown step.",
            ),
            (
                a_graph(WRITER, a_step("a", inputs=(reads("i", "write", "other"),))),
                "steps[a].inputs[i]",
                "Input 'i' of step 'a': step 'write' has no output 'other'.",
            ),
            (
                a_graph(
                    a_step(
                        "a",
                        inputs=(Input(name="i", source=SourceKind.PARAMETER, parameter="p"),),
                    ),
                    parameters=(a_parameter("p"),),
                ),
                "steps[a].inputs[i]",
                "Input 'i' of step 'a' needs a data path parameter 'p'.",
            ),
            (
                a_graph(a_step("a", inputs=(Input(name="i", source=SourceKind.PARAMETER),))),
                "steps[a].inputs[i]",
                "Input 'i' of step 'a' needs a data path parameter None.",
            ),
            (
                a_graph(a_step("a", arguments=(word("parameter", "p"),))),
                "steps[a].arguments",
                "Step 'a' uses 'p', which is no parameter of the pipeline.",
            ),
            (
                a_graph(a_step("a", arguments=(word("input", "i"),))),
                "steps[a].arguments",
                "The arguments of step 'a' name 'i', which is neither one of its inputs nor one "
                "of its outputs.",
            ),
            (
                a_graph(a_step("a", arguments=(word("output", "o"),))),
                "steps[a].arguments",
                "The arguments of step 'a' name 'o', which is neither one of its inputs nor one "
                "of its outputs.",
            ),
            (
                a_graph(a_step("a", retries=-1)),
                "steps[a].retries",
                "Step 'a': retries = -1, expected a number, 0 or more.",
            ),
            (
                a_graph(a_step("a", retry_delay_seconds=-0.1)),
                "steps[a].retry_delay_seconds",
                "Step 'a': retry_delay_seconds = -0.1, expected a number, 0 or more.",
            ),
            (
                a_graph(a_step("a", timeout_seconds=0)),
                "steps[a].timeout_seconds",
                "Step 'a': timeout_seconds = 0, expected a number, more than 0.",
            ),
            (
                a_graph(a_step("a", retry_delay_seconds=math.nan)),
                "steps[a].retry_delay_seconds",
                "Step 'a': retry_delay_seconds = nan, expected a number, 0 or more.",
            ),
            (
                a_graph(a_step("a", timeout_seconds=math.inf)),
                "steps[a].timeout_seconds",
                "Step 'a': timeout_seconds = inf, expected a number, more than 0.",
            ),
            (
                a_graph(a_step("a"), parameters=(a_parameter("n", "integer", "many"),)),
                "parameters[n].default",
                "The default of parameter 'n' does not fit its type integer: 'many'.",
            ),
            (
                a_graph(a_step("a"), parameters=(a_parameter("n", "data_path", None),)),
                "parameters[n].default",
                "The default of parameter 'n' does not fit its type data_path: None.",
            ),
            (
                a_graph(a_step("a", "a")),
                "steps",
                "The steps wait for each other in a circle: 'a' -> 'a'.",
            ),
        ],
        ids=lambda value: None if isinstance(value, Graph) else str(value)[:40],
    )
    def test_one_is_named_with_its_place(self, graph, field, message):
        assert problems(graph) == [{"field": field, "message": message}]

    def test_a_circle_is_told_in_the_order_of_waiting(self):
        out = (Output(name="out"),)
        graph = a_graph(
            a_step("1", "3", name="prepare", outputs=out),
            a_step("2", name="train", inputs=(reads("i", "1"),), outputs=out),
            a_step("3", name="score", inputs=(reads("i", "2"),)),
            a_step("4", "3", name="outside"),
        )
        (found,) = problems(graph)
        names = found["message"].removesuffix(".").split(": ")[1].split(" -> ")
        waits_for = {"'prepare'": "'score'", "'train'": "'prepare'", "'score'": "'train'"}
        assert len(names) == 4
        assert [waits_for[name] for name in names[:-1]] == names[1:]

    def test_all_are_found_together_and_raised_as_one(self):
        graph = a_graph(a_step("a", "gone", script=None), a_step("b", retries=-1))
        with pytest.raises(InvalidPipeline) as caught:
            validated(graph)
        assert [e["field"] for e in caught.value.details["errors"]] == [
            "steps[a].script",
            "steps[a].run_after",
            "steps[b].retries",
        ]
        assert "names no script" in str(caught.value)
        assert "unknown step 'gone'" in str(caught.value)

    def test_a_circle_is_looked_for_only_when_the_rest_is_right(self):
        graph = a_graph(a_step("a", "b"), a_step("b", "a", script=None))
        assert [p["field"] for p in problems(graph)] == ["steps[b].script"]


class TestCoerced:
    @pytest.mark.parametrize(
        ("kind", "value", "expected"),
        [
            ("string", "x", "x"),
            ("string", "", ""),
            ("string", 5, "5"),
            ("string", 0.5, "0.5"),
            ("string", True, "True"),
            ("integer", 5, 5),
            ("integer", "5", 5),
            ("integer", "-5", -5),
            ("integer", 5.0, 5),
            ("integer", True, 1),
            ("integer", "True", 1),
            ("integer", "false", 0),
            ("float", 0.5, 0.5),
            ("float", 1, 1.0),
            ("float", "0.5", 0.5),
            ("float", "1e-3", 0.001),
            ("float", False, 0.0),
            ("boolean", True, True),
            ("boolean", False, False),
            ("boolean", 1, True),
            ("boolean", 0, False),
            ("boolean", "True", True),
            ("boolean", "false", False),
            ("boolean", "1", True),
            ("boolean", "0", False),
            ("data_path", PATH, PATH),
            ("data_path", {"datastore": "d"}, {"datastore": "d", "path": None}),
            ("data_path", {"datastore": "d", "path": None}, {"datastore": "d", "path": None}),
            ("data_path", {**PATH, "more": 1}, PATH),
        ],
    )
    def test_what_fits_becomes(self, kind, value, expected):
        result = coerced(ParameterKind(kind), value)
        assert (result, type(result)) == (expected, type(expected))

    @pytest.mark.parametrize(
        ("kind", "value"),
        [
            ("string", None),
            ("string", ["x"]),
            ("string", PATH),
            ("integer", "five"),
            ("integer", "5.0"),
            ("integer", ""),
            ("integer", 5.5),
            ("integer", math.inf),
            ("integer", math.nan),
            ("integer", None),
            ("integer", [5]),
            ("float", "half"),
            ("float", None),
            ("float", [0.5]),
            ("float", "nan"),
            ("float", math.inf),
            pytest.param("float", 10**400, id="float-huge"),
            ("boolean", 2),
            ("boolean", -1),
            ("boolean", "yes"),
            ("boolean", 1.0),
            ("boolean", None),
            ("data_path", "in/a.csv"),
            ("data_path", {"path": "in/a.csv"}),
            ("data_path", {"datastore": None}),
            ("data_path", {"datastore": "d", "path": 5}),
            ("data_path", None),
        ],
    )
    def test_what_does_not_fit_is_refused(self, kind, value):
        with pytest.raises(ValueError):  # noqa: PT011  # it has no message, its caller composes one
            coerced(ParameterKind(kind), value)


class TestResolveParameters:
    GRAPH = a_graph(
        a_step("a"),
        parameters=(
            a_parameter("rate", "float", 0.1),
            a_parameter("count", "integer", 3),
            INPUT_PATH,
        ),
    )

    @pytest.mark.parametrize(
        ("assignments", "changed"),
        [
            ({}, {}),
            ({"rate": "0.5"}, {"rate": 0.5}),
            ({"count": True, "rate": 1}, {"count": 1, "rate": 1.0}),
            ({"where": {"datastore": "d"}}, {"where": {"datastore": "d", "path": None}}),
        ],
    )
    def test_takes_the_assigned_value_else_the_default(self, assignments, changed):
        defaults = {"rate": 0.1, "count": 3, "where": PATH}
        assert resolve_parameters(self.GRAPH, assignments) == {**defaults, **changed}

    def test_names_every_fault_at_once(self):
        with pytest.raises(InvalidParameters) as caught:
            resolve_parameters(self.GRAPH, {"rat": 1, "count": "many", "rate": 0.2})
        assert caught.value.details["errors"] == [
            {
                "field": "parameters.rat",
                "message": "The pipeline has no parameter 'rat' (it has: count, rate, where).",
            },
            {
                "field": "parameters.count",
                "message": "The value of parameter 'count' does not fit its type integer: 'many'.",
            },
        ]

    def test_says_when_there_are_no_parameters_at_all(self):
        with pytest.raises(InvalidParameters, match=r"has no parameter 'x' \(it has: none\)"):
            resolve_parameters(a_graph(a_step("a")), {"x": 1})


@pytest.mark.parametrize(
    ("value", "expected"), [("x y", "x y"), (5, "5"), (0.1, "0.1"), (True, "True")]
)
def test_a_script_sees_a_value_as(value, expected):
    assert as_word(value) == expected


NS, Q, R, F, X, C, B = (
    StepState.NOT_STARTED,
    StepState.QUEUED,
    StepState.RUNNING,
    StepState.FINISHED,
    StepState.FAILED,
    StepState.CANCELED,
    StepState.BYPASSED,
)

#        ┌─► b ─► c
#   a ───┤            e (alone)
#        └─► d
GRAPH = a_graph(
    a_step("a", outputs=(Output(name="out"),)),
    a_step("b", inputs=(reads("i", "a"),)),
    a_step("c", "b"),
    a_step("d", "a"),
    a_step("e"),
)


def advanced(*states, goes_on=False, is_canceling=False):
    return advance(
        GRAPH,
        dict(zip("abcde", states, strict=True)),
        continue_on_step_failure=goes_on,
        is_canceling=is_canceling,
    )


class TestAdvance:
    @pytest.mark.parametrize(
        ("states", "expected"),
        [
            ((NS, NS, NS, NS, NS), Advance(queue=("a", "e"))),
            ((Q, NS, NS, NS, R), Advance()),
            ((R, NS, NS, NS, F), Advance()),
            ((F, NS, NS, NS, F), Advance(queue=("b", "d"))),
            ((F, R, NS, Q, F), Advance()),
            ((F, F, NS, R, NS), Advance(queue=("c", "e"))),
            ((F, F, F, F, F), Advance(end="succeed")),
        ],
    )
    def test_a_step_starts_when_all_before_it_have_finished(self, states, expected):
        assert advanced(*states) == expected

    @pytest.mark.parametrize(
        ("states", "expected"),
        [
            ((X, NS, NS, NS, R), Advance(cancel=("b", "c", "d", "e"))),
            ((F, X, NS, R, Q), Advance(cancel=("c", "d", "e"))),
            ((F, X, C, R, C), Advance(cancel=("d",))),
            ((F, X, C, C, C), Advance(end="fail")),
            ((F, F, F, F, X), Advance(end="fail")),
        ],
    )
    def test_a_failure_cancels_whatever_has_not_ended(self, states, expected):
        assert advanced(*states) == expected

    @pytest.mark.parametrize(
        ("states", "expected"),
        [
            ((X, NS, NS, NS, R), Advance(bypass=("b", "d"))),
            ((X, B, NS, B, R), Advance(bypass=("c",))),
            ((X, B, B, B, R), Advance()),
            ((X, B, B, B, F), Advance(end="fail")),
            ((F, X, NS, NS, NS), Advance(queue=("d", "e"), bypass=("c",))),
            ((F, X, B, R, F), Advance()),
            ((F, X, B, F, F), Advance(end="fail")),
            ((F, C, NS, F, F), Advance(bypass=("c",))),
        ],
    )
    def test_with_continue_on_step_failure_the_other_branches_go_on(self, states, expected):
        assert advanced(*states, goes_on=True) == expected

    @pytest.mark.parametrize("goes_on", [False, True])
    @pytest.mark.parametrize(
        ("states", "expected"),
        [
            ((NS, NS, NS, NS, NS), Advance(cancel=("a", "b", "c", "d", "e"))),
            ((F, R, NS, Q, F), Advance(cancel=("b", "c", "d"))),
            ((X, NS, NS, NS, R), Advance(cancel=("b", "c", "d", "e"))),
            ((F, C, C, C, F), Advance(end="cancel")),
            ((F, X, C, C, F), Advance(end="cancel")),
            ((F, F, F, F, F), Advance(end="succeed")),
            ((F, F, F, F, X), Advance(end="fail")),
        ],
    )
    def test_a_cancellation_cancels_whatever_has_not_ended(self, states, expected, goes_on):
        assert advanced(*states, goes_on=goes_on, is_canceling=True) == expected

    @pytest.mark.parametrize("goes_on", [False, True])
    def test_a_chain_behind_a_failure_ends_without_running(self, goes_on):
        names = [str(n) for n in range(6)]
        graph = a_graph(a_step("0"), *(a_step(b, a) for a, b in pairwise(names)))
        states = {"0": X, **dict.fromkeys(names[1:], NS)}
        for _ in names:
            todo = advance(graph, states, continue_on_step_failure=goes_on, is_canceling=False)
            assert not todo.queue
            states |= {s: advance_step(states[s], "bypass") for s in todo.bypass}
            states |= {s: advance_step(states[s], "cancel") for s in todo.cancel}
        assert todo == Advance(end="fail")
        assert set(states.values()) <= STEP_ENDS


@pytest.mark.parametrize(
    ("states", "goes_on", "is_canceling", "expected"),
    [
        ((F, R), False, False, False),
        ((X, R), False, False, True),
        ((X, R), True, False, False),
        ((F, R), False, True, True),
        ((F, R), True, True, True),
        ((X, R), True, True, True),
    ],
)
def test_a_run_is_stopping(states, goes_on, is_canceling, expected):
    named = dict(zip("ab", states, strict=True))
    result = is_stopping(named, continue_on_step_failure=goes_on, is_canceling=is_canceling)
    assert result is expected
