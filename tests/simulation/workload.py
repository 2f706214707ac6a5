"""What the users of the simulated world do: pipelines, schedules, and changes of mind."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random

from penstock import wire
from penstock.core.due import CatchUp, Overlap
from penstock.core.model import Schedule
from penstock.core.pipeline import Argument, ArgumentKind, Graph, Input, SourceKind, Step
from penstock.core.recurrence import (
    WEEK_DAYS,
    FoldPolicy,
    Frequency,
    GapPolicy,
    MonthEndPolicy,
    Recurrence,
)
from penstock.core.zones import zone

# Instants at which the clocks change somewhere: the worlds begin shortly before one of them.
CHANGES = tuple(
    datetime.fromisoformat(text).replace(tzinfo=UTC)
    for text in (
        "2024-03-10T07:00",  # New York
        "2024-03-31T01:00",  # Berlin
        "2024-04-06T15:00",  # Lord Howe: half an hour
        "2024-10-27T01:00",
        "2025-03-30T01:00",
        "2025-10-04T15:30",
        "2025-11-02T06:00",
        "2026-02-28T12:00",  # no change: the end of a short month
        "2026-12-31T20:00",
        "2028-02-28T23:00",
    )
)

ZONES = (
    None,
    "UTC",
    "Europe/Berlin",
    "W. Europe Standard Time",
    "America/New_York",
    "Eastern Standard Time",
    "Australia/Lord_Howe",
    "Europe/Dublin",
    "Africa/Casablanca",
    "America/Santiago",
    "Asia/Kolkata",
    "Pacific/Chatham",
)

# How often things recur, by how fast a world lives: (frequency, intervals).
TEMPI: dict[str, tuple[tuple[Frequency, tuple[int, ...]], ...]] = {
    "fast": (
        (Frequency.MINUTE, (1, 5, 15, 45)),
        (Frequency.MINUTE, (60, 90, 120)),
        (Frequency.HOUR, (1, 2, 3)),
        (Frequency.DAY, (1,)),
        (Frequency.WEEK, (1,)),
    ),
    "middling": (
        (Frequency.MINUTE, (360, 720, 1439)),
        (Frequency.HOUR, (3, 6, 12, 25)),
        (Frequency.DAY, (1, 2)),
        (Frequency.WEEK, (1,)),
        (Frequency.MONTH, (1,)),
    ),
    "slow": (
        (Frequency.HOUR, (168, 500)),
        (Frequency.DAY, (1, 3, 10)),
        (Frequency.WEEK, (1, 2)),
        (Frequency.MONTH, (1, 2, 5)),
    ),
}

# The longest that a server stays down, by tempo.
OUTAGES = {
    "fast": timedelta(hours=20),
    "middling": timedelta(days=4),
    "slow": timedelta(days=40),
}


def recurrence(chance: Random, tempo: str, now: datetime) -> Recurrence:
    """Draw a recurrence."""
    frequency, intervals = chance.choice(TEMPI[tempo])
    time_zone = chance.choice(ZONES)
    by_day = frequency in (Frequency.DAY, Frequency.WEEK)
    start_time = None
    if chance.random() < 0.6:
        start_time = _start_time(chance, now.astimezone(zone(time_zone or "UTC")))
    days = chance.sample(WEEK_DAYS, chance.randint(0, 3))
    return Recurrence(
        frequency=frequency,
        interval=chance.choice(intervals),
        start_time=start_time,
        time_zone=time_zone,
        hours=tuple(chance.sample(range(24), chance.choice([0, 1, 2]))) if by_day else (),
        minutes=tuple(chance.sample((0, 15, 30, 59), chance.choice([0, 1, 2]))) if by_day else (),
        week_days=tuple(days) if frequency is Frequency.WEEK else (),
        gap=chance.choice(list(GapPolicy)),
        fold=chance.choice(list(FoldPolicy)),
        month_end=chance.choice(list(MonthEndPolicy)),
    )


def _start_time(chance: Random, local: datetime) -> datetime:
    """Draw a start around now; often a full hour, so that many schedules are due together."""
    start = local.replace(tzinfo=None, microsecond=0, second=0)
    start += timedelta(minutes=chance.choice([0, chance.randint(-9000, 2000), 60, -1440]))
    return start.replace(minute=0) if chance.random() < 0.6 else start


def schedule(
    chance: Random, tempo: str, name: str, pipeline_id: str, now: datetime
) -> wire.ScheduleDraft:
    """Draw a schedule."""
    rule = recurrence(chance, tempo, now)
    overlap = chance.choice([*Overlap, Overlap.ALLOW])
    catch_up = chance.choice(list(CatchUp))
    if _is_frequent(rule) and catch_up is CatchUp.ALL:
        overlap = Overlap.SKIP  # a pile of missed minutes is to be decided about, not to be run
    return wire.ScheduleDraft(
        name=name,
        experiment="Simulated",
        pipeline_id=pipeline_id,
        recurrence=rule,
        status="Disabled" if chance.random() < 0.05 else "Active",
        continue_on_step_failure=chance.choice([None, None, True, False]),
        run_on_create=chance.random() < 0.15,
        catch_up=catch_up,
        catch_up_window_seconds=chance.choice([90.0, 3600.0, 86_400.0]),
        overlap=overlap,
    )


def _is_frequent(rule: Recurrence) -> bool:
    return rule.frequency is Frequency.MINUTE and rule.interval < 15


def backlog(pipeline_id: str) -> wire.ScheduleDraft:
    """Return a schedule that has much to make up for after an outage, more than one plan holds."""
    return wire.ScheduleDraft(
        name="backlog",
        experiment="Simulated",
        pipeline_id=pipeline_id,
        recurrence=Recurrence(frequency=Frequency.MINUTE, interval=5),
        catch_up=CatchUp.ALL,
        overlap=Overlap.SKIP,
    )


def changes(chance: Random, tempo: str, now: datetime, schedule: Schedule) -> wire.ScheduleChanges:
    """Draw a change of a schedule other than disabling it."""
    kind = chance.choice(["name", "recurrence", "catch_up", "overlap"])
    rule = recurrence(chance, tempo, now)
    makes_up = schedule.catch_up is CatchUp.ALL
    is_too_much = makes_up and _is_frequent(
        rule if kind == "recurrence" else schedule.recurrence or rule
    )
    if kind == "name" or is_too_much:
        return wire.ScheduleChanges(name=f"renamed {chance.randint(1, 99)}")
    if kind == "recurrence":
        return wire.ScheduleChanges(recurrence=rule)
    if kind == "catch_up":
        return wire.ScheduleChanges(catch_up=chance.choice([CatchUp.SKIP, CatchUp.LATEST]))
    return wire.ScheduleChanges(overlap=chance.choice(list(Overlap)))


def graph(chance: Random, name: str, snapshot_id: str) -> Graph:
    """Draw a pipeline of one to five steps. Each step's words name the graph and the step."""
    count = chance.choices([1, 2, 3, 4, 5], [50, 20, 15, 8, 7])[0]
    return Graph(steps=tuple(_step(chance, name, number, snapshot_id) for number in range(count)))


def _step(chance: Random, graph: str, number: int, snapshot_id: str) -> Step:
    id = f"s{number}"
    inputs: tuple[Input, ...] = ()
    if chance.random() < 0.1:  # started by another thread, since it must copy first
        inputs = (
            Input(
                name="data",
                source=SourceKind.DATASTORE,
                datastore="workspaceblobstore",
                path="data.txt",
                mode="download",
            ),
        )
    return Step(
        id=id,
        name=id,
        script="s.py",
        snapshot_id=snapshot_id,
        arguments=tuple(Argument(kind=ArgumentKind.LITERAL, value=word) for word in (graph, id)),
        inputs=inputs,
        run_after=tuple(f"s{n}" for n in range(number) if chance.random() < 0.5),
        retries=chance.choice([0, 0, 1, 2]),
        retry_delay_seconds=chance.choice([0.0, 1.0, 10.0]),
        timeout_seconds=chance.choice([None, None, 20.0, 600.0]),
    )
