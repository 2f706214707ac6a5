"""Bugs, planted by hand in a copy of the source: the simulation must find each of them.

Each is one or more exact replacements; a snippet that is not there any more fails the test, so that
the list stays true. They are the mistakes that a careful person makes.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Bug:
    """A mistake, and how to make it."""

    name: str
    changes: tuple[tuple[str, str, str], ...]  # (file below src/penstock, snippet, replacement)
    seed: int = 0  # the first that found it; any other will do when the worlds have changed


def _bug(name: str, *changes: tuple[str, str, str], seed: int = 0) -> Bug:
    return Bug(name, changes, seed)


BUGS = (
    _bug(
        "later than instead of at or later than",
        ("core/due.py", "fire <= now and", "fire < now and"),
    ),
    _bug(
        "fires a little ahead of its time",
        ("core/due.py", "fire <= now and", "fire <= now + timedelta(seconds=90) and"),
    ),
    _bug(
        "late fires are dropped without a record",
        (
            "core/due.py",
            "records.append(_missed(rule, next_fire_time, kept_from, catch_up))",
            "pass",
        ),
    ),
    _bug(
        "missed due times are counted wrongly",
        ("core/due.py", "count = 1 + count_between(", "count = count_between("),
    ),
    _bug(
        "fires of one plan do not see each other",
        ("core/due.py", "active_runs += records[-1].outcome is Outcome.FIRED", "pass"),
        seed=2,
    ),
    _bug(
        "no unique key on fires",
        (
            "store/migrations/versions/v0001_first_schema.py",
            'sa.PrimaryKeyConstraint("source_id", "fire_key", name="pk_fires")',
            'sa.PrimaryKeyConstraint("source_id", "fire_key", "fired_at", name="pk_fires")',
        ),
        (
            "store/fires.py",
            "index_elements=(fires.c.source_id, fires.c.fire_key)",
            "index_elements=(fires.c.source_id, fires.c.fire_key, fires.c.fired_at)",
        ),
        seed=13,
    ),
    _bug(
        "next fire time reckoned from now, not from the plan",
        (
            "daemon/scheduling.py",
            "        next_fire_time=plan.next_fire_time,\n        due_at=plan.next_fire_time,",
            "        next_fire_time=(later := next_after(schedule.recurrence, now)),\n"
            "        due_at=later,",
        ),
        (
            "daemon/scheduling.py",
            "from penstock.core.due import",
            "from penstock.core.recurrence import next_after\nfrom penstock.core.due import",
        ),
        seed=13,
    ),
    _bug(
        "not armed again after a skip",
        (
            "daemon/scheduling.py",
            "for d in decisions if d.due_at is not None]",
            "for d in decisions if d.due_at is not None\n"
            '        and all(f.outcome != "skipped" for f in d.fires)]',
        ),
        (
            "daemon/scheduling.py",
            "[d.timer for d in decisions if d.due_at is None]",
            "[d.timer for d in decisions\n"
            '        if d.due_at is None or any(f.outcome == "skipped" for f in d.fires)]',
        ),
        seed=2,
    ),
    _bug(
        "the run is stored in another transaction than its fire",
        ("daemon/scheduling.py", "        runs.insert_many(tx, new_runs)\n", ""),
        (
            "daemon/scheduling.py",
            "    counts.timers = len(due)\n",
            "    counts.timers = len(due)\n"
            "    with store.begin() as tx:\n"
            "        runs.insert_many(tx, [run for d in decisions for run in d.runs])\n",
        ),
    ),
    _bug(
        "a result is taken from any attempt",
        ("daemon/running.py", " and step_run.attempt == result.attempt", ""),
        seed=29,
    ),
    _bug(
        "a claim that never runs out",
        (
            "store/timers.py",
            "until = micros(now + timedelta(seconds=lease_seconds))",
            "until = micros(now + timedelta(days=36_500))",
        ),
        seed=23,
    ),
    _bug(
        "a launch that is repeated under a new name",
        (
            "daemon/launches.py",
            "        id=launch_id(place),\n        folder=folder,",
            '        id=f"{new_id()}-1",\n        folder=folder,',
        ),
        (
            "daemon/launches.py",
            "from penstock.store.database import Transaction",
            "from penstock.store.database import Transaction, new_id",
        ),
    ),
    _bug(
        "running steps do not count against the limit",
        (
            "daemon/running.py",
            "free = rules.steps_running_max - steps.count_running(tx, LOCAL)",
            "free = rules.steps_running_max",
        ),
    ),
    _bug(
        "a cancellation does not reach running steps",
        (
            "daemon/running.py",
            "        if place.state is StepState.RUNNING:\n            work.stops.append(place)\n"
            "        else:",
            "        if place.state is StepState.RUNNING:\n            pass\n        else:",
        ),
        ("daemon/launching.py", "must_end = look.is_stopping or is_late", "must_end = is_late"),
    ),
    _bug(
        "retries without a limit",
        (
            "daemon/running.py",
            "return step_run.attempt - step_run.attempts_lost <= step.retries",
            "return True",
        ),
    ),
    _bug(
        "an attempt that was never started is given up, but not closed",
        (
            "daemon/launching.py",
            "        if seen.phase is Phase.ELSEWHERE and must_end:",
            "        if seen.phase in (Phase.ABSENT, Phase.ELSEWHERE) and must_end:",
        ),
        seed=63,
    ),
    _bug(
        "queued runs in the order of their creation",
        ("daemon/running.py", "r.fire_time or r.created_at, r.id", "r.created_at, r.id"),
        seed=13,
    ),
    _bug(
        "a step whose back-off is over is forgotten when there is no place",
        (
            "daemon/launching.py",
            "                self._end_back_off(tx, step_run)\n",
            "                pass\n",
        ),
        seed=9,
    ),
    _bug(
        "a lost reply is taken for a launch that failed",
        (
            "daemon/launching.py",
            "        if isinstance(error, Unavailable):\n",
            "        if isinstance(error, Unavailable) and False:\n",
        ),
    ),
    _bug(
        "cancel_previous spares the fires of its own plan",
        ("daemon/scheduling.py", ", *filter(None, started)]", "]"),
        ("daemon/scheduling.py", "for run in previous[:-1])", "for run in previous)"),
        seed=28,
    ),
    _bug(
        "a quarantine that never comes",
        ("daemon/scheduling.py", "if failures >= firing.FAILURES_MAX:", "if failures > 50:"),
        seed=11,
    ),
)
