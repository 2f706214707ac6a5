"""The due-queue: who gets a timer, for how long, and whose write back is refused."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import pytest
from tests.builders import NOW

from penstock.core.model import Timer
from penstock.store import timers
from penstock.store.database import Store

SECOND = timedelta(seconds=1)
LEASE_SECONDS = 30.0
LEASE = timedelta(seconds=LEASE_SECONDS)


def arm(store: Store, *subjects: str, kind: str = "step", at: datetime = NOW) -> None:
    with store.begin() as tx:
        timers.arm_many(tx, [(kind, subject, at) for subject in subjects])


def claim(
    store: Store, *kinds: str, now: datetime = NOW, limit: int = 100, lease: float = LEASE_SECONDS
) -> list[Timer]:
    with store.begin() as tx:
        return timers.claim(tx, kinds or ("step",), now, lease, limit)


def due_at(store: Store, subject: str, kind: str = "step") -> datetime | None:
    with store.read() as tx:
        timer = timers.find(tx, kind, subject)
    return timer.due_at if timer else None


# ---- arming --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("second", "expected"), [(NOW - SECOND, NOW - SECOND), (NOW, NOW), (NOW + SECOND, NOW)]
)
def test_arming_again_never_makes_a_timer_later(
    store: Store, second: datetime, expected: datetime
) -> None:
    with store.begin() as tx:
        timers.arm(tx, "step", "a", NOW)
        timers.arm(tx, "step", "a", second)
    assert due_at(store, "a") == expected


def test_putting_sets_a_timer_earlier_or_later(store: Store) -> None:
    arm(store, "a")
    for at in (NOW + SECOND, NOW - SECOND):
        with store.begin() as tx:
            timers.put(tx, "step", "a", at)
        assert due_at(store, "a") == at


def test_a_subject_has_one_timer_of_each_kind(store: Store) -> None:
    arm(store, "a", kind="run")
    arm(store, "a", kind="step", at=NOW + SECOND)
    assert due_at(store, "a", "run") == NOW
    assert due_at(store, "a", "step") == NOW + SECOND


def test_arming_none_does_nothing(store: Store) -> None:
    with store.begin() as tx:
        timers.arm_many(tx, [])
        timers.disarm_many(tx, "step", [])
        assert timers.rearm_many(tx, []) == 0
        assert timers.finish_many(tx, []) == 0
        assert timers.next_due(tx) is None


def test_disarming_deletes_the_timer_of_that_kind_only(store: Store) -> None:
    arm(store, "a", "b", "c")
    arm(store, "a", kind="run")
    with store.begin() as tx:
        timers.disarm(tx, "step", "a")
        timers.disarm_many(tx, "step", ["b", "never armed"])
    assert [due_at(store, subject) for subject in "abc"] == [None, None, NOW]
    assert due_at(store, "a", "run") == NOW


# ---- claiming ------------------------------------------------------------------------------------


def test_only_what_is_due_is_claimed(store: Store) -> None:
    arm(store, "past", at=NOW - SECOND)
    arm(store, "present", at=NOW)
    arm(store, "future", at=NOW + timedelta(microseconds=1))
    assert [timer.subject_id for timer in claim(store)] == ["past", "present"]


def test_only_the_kinds_asked_for_are_claimed(store: Store) -> None:
    for kind in ("run", "schedule", "step"):
        arm(store, "a", kind=kind)
    assert [timer.kind for timer in claim(store, "step", "run")] == ["run", "step"]


def test_timers_are_claimed_longest_due_first_and_then_by_key(store: Store) -> None:
    arm(store, "late", kind="step", at=NOW - SECOND)
    arm(store, "b", "a", kind="step")
    arm(store, "z", kind="run")
    claimed = claim(store, "step", "run")
    assert [(timer.kind, timer.subject_id) for timer in claimed] == [
        ("step", "late"),
        ("run", "z"),
        ("step", "a"),
        ("step", "b"),
    ]


def test_the_limit_holds_over_all_kinds_and_the_longest_due_go_first(store: Store) -> None:
    for second in range(4):
        arm(store, f"run {second}", kind="run", at=NOW - 2 * second * SECOND)
        arm(store, f"step {second}", kind="step", at=NOW - (2 * second + 1) * SECOND)
    claimed = [timer.subject_id for timer in claim(store, "run", "step", limit=3)]
    assert claimed == ["step 3", "run 3", "step 2"]
    assert len(claim(store, "run", "step")) == 5


def test_a_claim_postpones_by_the_lease_and_counts_the_attempt(store: Store) -> None:
    arm(store, "a", at=NOW - SECOND)
    (timer,) = claim(store)
    assert (timer.due_at, timer.attempts) == (NOW - SECOND, 1)
    with store.read() as tx:
        stored = timers.find(tx, "step", "a")
    assert stored == Timer(
        kind="step", subject_id="a", due_at=NOW + LEASE, token=timer.token, attempts=1
    )


def test_a_claimed_timer_is_nobody_elses_until_the_lease_ends(store: Store) -> None:
    arm(store, "a")
    (first,) = claim(store)
    assert claim(store, now=NOW + LEASE - SECOND) == []
    (second,) = claim(store, now=NOW + LEASE)
    assert second.token != first.token
    assert second.attempts == 2


def test_claiming_nothing_returns_nothing(store: Store) -> None:
    assert claim(store) == []


def test_two_claimers_never_get_the_same_timer_within_a_lease(store: Store) -> None:
    subjects = [f"{number:03}" for number in range(300)]
    arm(store, *subjects)
    start = threading.Barrier(4)

    def claim_all(_: int) -> list[str]:
        start.wait()
        mine: list[str] = []
        while claimed := claim(store, limit=7):
            mine += [timer.subject_id for timer in claimed]
        return mine

    with ThreadPoolExecutor(4) as pool:
        claimed = [subject for mine in pool.map(claim_all, range(4)) for subject in mine]
    assert sorted(claimed) == subjects


def test_two_stores_never_claim_the_same_timer(store: Store, database_url: str) -> None:
    subjects = [f"{number:03}" for number in range(100)]
    arm(store, *subjects)
    other = Store(database_url)
    start = threading.Barrier(2)

    def claim_all(mine: Store) -> list[str]:
        start.wait()
        got: list[str] = []
        while claimed := claim(mine, limit=3):
            got += [timer.subject_id for timer in claimed]
        return got

    with ThreadPoolExecutor(2) as pool:
        claimed = [subject for got in pool.map(claim_all, [store, other]) for subject in got]
    other.dispose()
    assert sorted(claimed) == subjects


@pytest.mark.postgres
def test_timers_that_another_transaction_holds_are_passed_over(store: Store) -> None:
    arm(store, "a", "b", "c")
    with store.begin() as tx:
        held = timers.due(tx, "step", NOW, 2)
        if store.kind == "postgresql":  # SQLite has one writer: nobody else could ask meanwhile
            with store.begin() as other:
                others = timers.due(other, "step", NOW, 2)
            assert [timer.subject_id for timer in others] == ["c"]
    assert [timer.subject_id for timer in held] == ["a", "b"]


def test_due_returns_timers_as_they_stand(store: Store) -> None:
    arm(store, "b", at=NOW)
    arm(store, "a", at=NOW + SECOND)
    with store.begin() as tx:
        found = timers.due(tx, "step", NOW + SECOND, 10)
        again = timers.due(tx, "step", NOW + SECOND, 10)
    assert [timer.subject_id for timer in found] == ["b", "a"]
    assert [timer.attempts for timer in found] == [0, 0]
    assert again == found


# ---- writing back --------------------------------------------------------------------------------


def test_a_holder_rearms_and_the_attempts_start_anew(store: Store) -> None:
    arm(store, "a")
    (timer,) = claim(store)
    with store.begin() as tx:
        assert timers.rearm(tx, timer, NOW + SECOND)
        stored = timers.find(tx, "step", "a")
    assert stored is not None
    assert (stored.due_at, stored.attempts) == (NOW + SECOND, 0)


def test_a_failed_attempt_keeps_counting(store: Store) -> None:
    arm(store, "a")
    for attempt in (1, 2, 3):
        (timer,) = claim(store)
        assert timer.attempts == attempt
        with store.begin() as tx:
            assert timers.rearm(tx, timer, NOW, keep_attempts=True)


def test_a_holder_finishes(store: Store) -> None:
    arm(store, "a")
    (timer,) = claim(store)
    with store.begin() as tx:
        assert timers.finish(tx, timer)
        assert not timers.finish(tx, timer)
    assert due_at(store, "a") is None


def test_a_token_that_was_lost_to_another_claim_cannot_write(store: Store) -> None:
    arm(store, "a")
    (slow,) = claim(store)
    (present,) = claim(store, now=NOW + LEASE)
    with store.begin() as tx:
        assert not timers.rearm(tx, slow, NOW)
        assert not timers.rearm(tx, slow, NOW, keep_attempts=True)
        assert not timers.finish(tx, slow)
        assert timers.rearm_many(tx, [(slow, NOW)]) == 0
        assert timers.finish_many(tx, [slow]) == 0
    assert due_at(store, "a") == NOW + 2 * LEASE
    with store.begin() as tx:
        assert timers.finish(tx, present)


@pytest.mark.parametrize("rearming", [timers.arm, timers.put])
def test_arming_during_a_claim_takes_the_timer_from_its_holder(
    store: Store, rearming: object
) -> None:
    """What the holder saw is out of date: somebody must look again, and soon."""
    assert callable(rearming)
    arm(store, "a")
    (timer,) = claim(store)
    with store.begin() as tx:
        rearming(tx, "step", "a", NOW + SECOND)
    assert due_at(store, "a") == NOW + SECOND
    with store.begin() as tx:
        assert not timers.rearm(tx, timer, NOW + timedelta(hours=1))
        assert not timers.finish(tx, timer)
    (again,) = claim(store, now=NOW + SECOND)
    assert again.attempts == 1


def test_a_timer_armed_after_its_end_has_none_of_its_former_tokens(store: Store) -> None:
    arm(store, "a")
    (slow,) = claim(store)
    (quick,) = claim(store, now=NOW + LEASE)
    with store.begin() as tx:
        timers.finish(tx, quick)
        timers.arm(tx, "step", "a", NOW)
    claim(store)  # as many claims as in its first life
    claim(store, now=NOW + LEASE)
    with store.begin() as tx:
        assert not timers.rearm(tx, slow, NOW)
        assert not timers.finish(tx, quick)


def test_many_are_written_back_each_at_its_instant(store: Store) -> None:
    arm(store, "a", "b", "c")
    a, b, c = claim(store)
    with store.begin() as tx:
        timers.arm(tx, "step", "b", NOW)
        later = [(c, NOW + 3 * SECOND), (a, NOW + SECOND), (b, NOW + 2 * SECOND)]
        assert timers.rearm_many(tx, later) == 2
    assert [due_at(store, subject) for subject in "abc"] == [
        NOW + SECOND,
        NOW,
        NOW + 3 * SECOND,
    ]
    with store.begin() as tx:
        assert timers.finish_many(tx, [c, b, a]) == 2
    assert [due_at(store, subject) for subject in "abc"] == [None, NOW, None]


# ---- looking -------------------------------------------------------------------------------------


def test_next_due_is_the_earliest_of_the_kinds(store: Store) -> None:
    with store.begin() as tx:
        assert timers.next_due(tx) is None
        assert timers.next_due(tx, ["step"]) is None
        for number, kind in enumerate(("c", "a", "d", "b")):
            timers.arm(tx, kind, "later", NOW + timedelta(hours=1))
            timers.arm(tx, kind, "x", NOW + number * SECOND)
        assert timers.next_due(tx) == NOW
        assert timers.next_due(tx, ["a", "d"]) == NOW + SECOND
        assert timers.next_due(tx, ["b", "none of this kind"]) == NOW + 3 * SECOND


def test_count_due_counts_every_kind(store: Store) -> None:
    arm(store, "a", "b")
    arm(store, "c", kind="run", at=NOW - SECOND)
    arm(store, "d", kind="schedule", at=NOW + SECOND)
    with store.read() as tx:
        assert timers.count_due(tx, NOW) == 3
        assert timers.count_due(tx, NOW - 2 * SECOND) == 0
