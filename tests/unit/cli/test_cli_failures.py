"""Errors become a sentence, or a problem document, and an exit code."""

from __future__ import annotations

import io
import json
from contextlib import redirect_stderr

import pytest

from penstock import errors
from penstock.cli.failures import EXIT_CODES, ExitCode, exit_code_of, exit_code_of_run, report
from penstock.cli.printing import Format
from penstock.core.states import RunState


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.Invalid("x"), 2),
        (errors.InvalidRecurrence("x"), 2),
        (errors.TooLarge("x"), 2),
        (errors.RunFailed("x"), 3),
        (errors.NotFound(kind="run", id="1"), 6),
        (errors.NotAuthenticated(), 7),
        (errors.NotAllowed(), 7),
        (errors.Conflict("x"), 8),
        (errors.InUse("x"), 8),
        (errors.ServerUnreachable("x"), 1),
        (errors.StoreBusy("x"), 1),
        (errors.PenstockError("x"), 1),
    ],
)
def test_the_exit_code_says_whose_fault_it_is(error: errors.PenstockError, code: int) -> None:
    assert exit_code_of(error) == code


def test_the_exit_code_of_a_run_tells_how_it_ended() -> None:
    ends = [RunState.FINISHED, RunState.FAILED, RunState.CANCELED]
    assert [exit_code_of_run(end) for end in ends] == [0, 3, 4]


def test_every_exit_code_is_explained() -> None:
    assert set(EXIT_CODES) == set(ExitCode)


def reported(error: errors.PenstockError, output: Format) -> str:
    stream = io.StringIO()
    with redirect_stderr(stream):
        report(error, output)
    return stream.getvalue()


def test_people_read_one_sentence() -> None:
    error = errors.Invalid(field="interval", value=0, expected="1 or more", hint="Mend it.")
    text = reported(error, Format.TABLE)
    assert text == "interval = 0 is not valid: expected 1 or more. Mend it.\n"


def test_a_long_sentence_is_not_broken_up_where_a_program_reads() -> None:
    assert reported(errors.Conflict("word " * 60), Format.TABLE).count("\n") == 1


def test_programs_read_the_problem_document() -> None:
    error = errors.NotFound(kind="schedule", id="nightly")
    problem = json.loads(reported(error, Format.JSON))
    assert problem == errors.to_problem(error)
    assert str(errors.from_problem(problem)) == str(error)
