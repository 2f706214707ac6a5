"""A run at a glance."""

from __future__ import annotations

import pytest

from penstock import Experiment, Run
from penstock.errors import Invalid
from penstock.sdk.run_details import RunDetails


class ARun(Run):
    """A run that knows everything about itself."""

    def __init__(self, name, status, *children):
        self._id = "r1"
        self._name = name
        self._status = status
        self._children = children
        self._experiment = Experiment.__new__(Experiment)
        self._experiment._name = "exp"

    @property
    def name(self):
        return self._name

    def get_status(self):
        return self._status

    def get_children(self, *args, **kwargs):
        yield from self._children

    def get_portal_url(self):
        return "http://127.0.0.1:8710/r1"

    def get_details(self):
        return {"runId": self._id}


RUN = ARun("r1", "Running", ARun("prepare", "Finished"), ARun("go", "Queued"))


def test_it_shows_the_run_and_its_steps(capsys):
    RunDetails(RUN).show(render_lib=None)
    assert capsys.readouterr().out.splitlines() == [
        "Run r1 of the experiment 'exp': Running",
        "  prepare  Finished",
        "  go       Queued",
        "http://127.0.0.1:8710/r1",
    ]


def test_a_run_without_steps_is_two_lines():
    assert len(str(RunDetails(ARun("r1", "NotStarted"))).splitlines()) == 2


def test_it_gives_what_is_known_of_the_run():
    assert RunDetails(RUN).get_widget_data() == {"runId": "r1"}


def test_it_is_about_runs_only():
    with pytest.raises(Invalid, match="run_instance = 'r1' is not valid: expected a run"):
        RunDetails("r1")
