"""Every due occurrence is dealt with exactly once, whenever the ticks come."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.property.recurrence_strategies import rules_and_instants

from penstock.core.due import FIRES_MAX, CatchUp, Outcome, Overlap, plan_fires
from penstock.core.recurrence import between, next_after

pauses = st.one_of(st.integers(0, 120), st.integers(0, 5 * 86_400))


def _occurrences(rule, record):
    """The occurrences that a record stands for, by a walk."""
    last = record.through_time or record.fire_time
    found = [record.fire_time, *between(rule, record.fire_time, last)]
    assert len(found) == record.count
    return found


@settings(max_examples=300, deadline=None)
@given(
    rules_and_instants(),
    st.lists(pauses, min_size=1, max_size=12),
    st.sampled_from(CatchUp),
    st.sampled_from(Overlap),
    st.sampled_from([0.0, 60.0, 4000.0]),
    st.sampled_from([0.0, 7200.0, 86_400.0]),
)
def test_each_occurrence_is_in_exactly_one_record(case, pauses, catch_up, overlap, late, window):
    rule, instant = case
    first = due = next_after(rule, instant)
    now, covered = first - timedelta(seconds=30), []
    for pause in pauses:
        now += timedelta(seconds=pause)
        plan = plan_fires(
            rule=rule,
            next_fire_time=due,
            now=now,
            catch_up=catch_up,
            catch_up_window_seconds=window,
            overlap=overlap,
            late_seconds_max=late,
        )
        acted = [record for record in plan.fires if record.outcome is not Outcome.MISSED]
        covered += [at for record in plan.fires for at in _occurrences(rule, record)]
        assert len(acted) <= FIRES_MAX
        assert plan.next_fire_time > now or len(acted) == FIRES_MAX
        due = plan.next_fire_time
    assert covered == [at for at in (first, *between(rule, first, now)) if at < due and at <= now]
    assert due == (next_after(rule, covered[-1]) if covered else first)


@settings(max_examples=300, deadline=None)
@given(rules_and_instants(), pauses, st.sampled_from(CatchUp))
def test_what_is_on_time_is_never_missed_and_nothing_is_early(case, pause, catch_up):
    rule, instant = case
    due = next_after(rule, instant)
    now = due + timedelta(seconds=pause)
    plan = plan_fires(rule=rule, next_fire_time=due, now=now, catch_up=catch_up)
    for record in plan.fires:
        assert record.fire_time <= now
        if record.outcome is Outcome.MISSED:
            assert (record.through_time or record.fire_time) < now - timedelta(seconds=60)
