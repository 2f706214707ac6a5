"""Handlers: starting, watching and stopping attempts. Outward: no transaction is open while they
do it."""

from __future__ import annotations

import logging
import queue
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from penstock.compute.target import ComputeTarget, Observation, Phase, StepLaunch
from penstock.core.model import StepPlace, StepRun, Timer
from penstock.core.states import StepState
from penstock.daemon import running
from penstock.daemon.launches import (
    Facts,
    Shelf,
    Surroundings,
    compose,
    launch_id,
    outline,
)
from penstock.daemon.running import Result, Rules, Work
from penstock.errors import PenstockError, Unavailable
from penstock.service.files import step_folder
from penstock.store import runs, steps, timers
from penstock.store.database import Store, Transaction

log = logging.getLogger(__name__)

Item = TypeVar("Item")
Decided = TypeVar("Decided")

# How long a look at a running step may take before another daemon looks as well.
CHECK_LEASE_SECONDS = 30.0
# Attempts that this process started report their end themselves; a look now and then is the
# safety net.
WATCHED_POLL_SECONDS = 10.0
# A pass that has done so much returns, so that the clock is read again.
PASS_MAX = 1000
# Attempts with more to copy than this are started in another thread, so that nothing waits for
# them.
COPY_BYTES_MAX = 4_000_000
NEVER = datetime.min.replace(tzinfo=UTC)
# While attempts end one after the other, timers are looked for no more often than this.
LOOK_INTERVAL = timedelta(milliseconds=50)
# When another daemon is busy with what is due, this one looks again after so long.
HELD_ELSEWHERE = timedelta(milliseconds=50)


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """What one pass of a lane did, and when it is needed again."""

    done: int
    next_due: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """What must be known to look at one running step."""

    timer: Timer
    place: StepPlace
    is_stopping: bool
    started_at: datetime
    timeout_seconds: float | None
    facts: Facts  # to launch it again if it turns out never to have started

    @property
    def deadline(self) -> datetime | None:
        """When the attempt has run too long."""
        if self.timeout_seconds is None:
            return None
        return self.started_at + timedelta(seconds=self.timeout_seconds)


class Launching:
    """Starts, watches and stops the attempts of this server's steps."""

    def __init__(
        self,
        *,
        store: Store,
        targets: Mapping[str, ComputeTarget],
        around: Surroundings,
        rules: Rules,
        copier: Executor,
        wake: Callable[[], None],
    ) -> None:
        """Keep what is needed.

        Args:
            store: the database.
            targets: the compute targets by name.
            around: what is the same for all steps.
            rules: what the settings say.
            copier: where launches run that must copy data first, so that nothing waits for them.
            wake: called from any thread when an attempt has ended.
        """
        self._store = store
        self._targets = targets
        self._around = around
        self._rules = rules
        self._copier = copier
        self._wake = wake
        self._shelf = Shelf()
        self._ended: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._results: queue.SimpleQueue[Result] = queue.SimpleQueue()  # known, not recorded yet
        self._watched: dict[str, StepPlace] = {}  # by launch id: whose end we will hear of
        self._copying: set[str] = set()
        self._looked_at = NEVER  # when timers were last looked for

    # ---- one pass ----

    def run_once(self, now: datetime) -> Progress:
        """Take note of what ended, move due runs forward, look at running steps."""
        done = self._take_results(now)
        if done and timedelta(0) <= now - self._looked_at < LOOK_INTERVAL:
            return Progress(done=done, next_due=self._looked_at + LOOK_INTERVAL)
        self._looked_at = now
        while True:
            with self._store.read() as tx:
                run_due, step_due = timers.next_due(tx, ["run"]), timers.next_due(tx, ["step"])
            is_run_due = run_due is not None and run_due <= now
            is_step_due = step_due is not None and step_due <= now
            if not is_run_due and not is_step_due:
                return Progress(done=done, next_due=earliest(run_due, step_due))
            moved = self._advance_due(now) if is_run_due else 0
            looked = self._check_due(now) if is_step_due else 0
            done += moved + looked
            if moved + looked == 0:  # another daemon holds what is due
                return Progress(done=done, next_due=now + HELD_ELSEWHERE)
            if done >= PASS_MAX:
                return Progress(done=done, next_due=now)

    def recover(self, now: datetime) -> None:
        """Look at everything that was under way: after a start, and after the clock has jumped."""
        with self._store.begin() as tx:
            timers.arm_many(tx, [("step", id, now) for id in steps.running_ids(tx)])
            timers.arm_many(tx, [("run", id, now) for id in runs.unfinished_ids(tx)])
            # No back-off is that long: it was begun while the clock was ahead.
            too_long = now + timedelta(seconds=running.DELAY_SECONDS_MAX)
            timers.arm_many(tx, [("step", id, now) for id in steps.waiting_ids(tx, too_long)])
            work = running.fill(tx, now, self._rules, self._shelf)
        self._carry_out(work, now)

    def _advance_due(self, now: datetime) -> int:
        count, work = self._decided(running.advance_due, now, self._rules, self._shelf)
        self._carry_out(work, now)
        return count

    def _decided(self, decide: Callable[..., Decided], *arguments: Any) -> Decided:
        """Run a decision in a transaction; if it fails, once more and carefully, run by run."""
        try:
            with self._store.begin() as tx:
                return decide(tx, *arguments)
        except Unavailable:  # the database itself, not one of the runs
            raise
        except Exception:
            log.info("decision_repeated_carefully", exc_info=True)
        with self._store.begin() as tx:
            return decide(tx, *arguments, is_careful=True)

    # ---- ends ----

    def _on_exit(self, id: str) -> None:
        self._ended.put(id)
        self._wake()

    def _take_results(self, now: datetime) -> int:
        ended = [self._result(id) for id in _drained(self._ended)]
        results = [result for result in ended if result is not None] + _drained(self._results)
        if results:
            self._record_or_keep(results, now)
        return len(results)

    def _record_or_keep(self, results: list[Result], now: datetime) -> None:
        """Record results, or keep them for the next pass if the database cannot take them now."""
        try:
            self._record(results, now)
        except Unavailable:
            for result in results:
                self._results.put(result)
            raise

    def _result(self, id: str) -> Result | None:
        """Return how an attempt ended that is said to have ended; None if it has not, after all."""
        place = self._watched.pop(id, None)
        if place is None:
            return None
        seen = self._poll(place)
        if seen is None or seen.phase not in (Phase.EXITED, Phase.VANISHED):
            return None  # its timer will look again
        return _result(place, seen)

    def _record(self, results: list[Result], now: datetime) -> None:
        work = self._decided(running.record_results, results, now, self._rules, self._shelf)
        if work.has_armed:
            self._looked_at = NEVER
        self._carry_out(work, now)

    # ---- starts and stops ----

    def _carry_out(self, work: Work, now: datetime) -> None:
        """Do outside what a transaction decided; failures become results."""
        for place in work.stops:
            self._stop(place)
        for facts in work.launches:
            self._launch(facts)
        for facts in work.soon:
            self._prepare(facts)
        refused = _drained(self._results)
        if refused:
            self._record(refused, now)

    def _launch(self, facts: Facts) -> None:
        """Start an attempt, in another thread if it must copy data first."""
        place = facts.place
        try:
            launch = compose(facts, self._around)
        except Exception as error:
            self._note_refusal(place, error)
            return
        self._watched[launch.id] = place
        if launch.copies or _bytes(launch) > COPY_BYTES_MAX:
            self._copying.add(launch.id)
            self._copier.submit(self._start, place, launch)
        else:
            self._start(place, launch)

    def _start(self, place: StepPlace, launch: StepLaunch) -> None:
        try:
            self._targets[place.compute].launch(launch, self._on_exit)
        except Exception as error:
            self._watched.pop(launch.id, None)
            self._note_refusal(place, error)
        finally:
            self._copying.discard(launch.id)

    def _note_refusal(self, place: StepPlace, error: Exception) -> None:
        """Fail an attempt that can never be started; leave any other to its next look.

        An error that may pass says nothing for certain: the attempt may have been started all the
        same, and only the reply was lost. So it is neither given up nor made anew. A fault of ours
        would come again at every look: it fails the attempt, which is closed in case it started.
        """
        if isinstance(error, Unavailable):
            log.warning("step_launch_refused step_run_id=%s reason=%s", place.id, error)
            return
        reason = str(error)
        if not isinstance(error, PenstockError):
            log.error("step_launch_failed step_run_id=%s", place.id, exc_info=error)
            reason = f"internal error: {error!r}"
            self._stop(place)
        self._results.put(_hopeless(place, reason))
        self._wake()

    def _prepare(self, facts: Facts) -> None:
        """Lay out the folder of an attempt that will probably start next."""
        launch = outline(facts, self._around)
        if _bytes(launch) > COPY_BYTES_MAX:
            return  # its launch will do it, in another thread
        try:
            self._targets[facts.place.compute].prepare(launch)
        except Exception as error:  # the launch itself will fail, and say so where it counts
            log.info("step_not_prepared step_run_id=%s reason=%s", facts.place.id, error)

    def _stop(self, place: StepPlace) -> None:
        target = self._targets[place.compute]
        try:
            target.stop(launch_id(place), step_folder(self._around.home, place))
        except PenstockError as error:  # tried again at the next look
            log.warning("step_stop_failed step_run_id=%s reason=%s", place.id, error)
        except Exception:
            log.exception("step_stop_failed step_run_id=%s", place.id)

    # ---- looks ----

    def _check_due(self, now: datetime) -> int:
        """Look at the running steps whose timers are due."""
        with self._store.begin() as tx:
            due = timers.claim(tx, ["step"], now, CHECK_LEASE_SECONDS, 100)
            looks = [look for timer in due if (look := self._find(tx, timer, now)) is not None]
            work = running.fill(tx, now, self._rules, self._shelf)  # back-offs that have run out
        self._carry_out(work, now)
        results, going_on = [], []
        for look in looks:
            result = self._look(look, now)
            if result is not None:
                results.append(result)
            else:
                going_on.append((look.timer, now + self._until_next_look(look, now)))
        if going_on:
            with self._store.begin() as tx:
                timers.rearm_many(tx, going_on)
        if results:
            self._record(results, now)
        return len(due)

    def _find(self, tx: Transaction, timer: Timer, now: datetime) -> _Look | None:
        """Read what must be known of one step; None, and its timer gone, if it is not running."""
        step_run = steps.find(tx, timer.subject_id)
        run = runs.find(tx, step_run.run_id) if step_run else None
        if step_run is None or run is None or step_run.state is not StepState.RUNNING:
            timers.finish(tx, timer)
            if step_run is not None and step_run.state is StepState.QUEUED:
                self._end_back_off(tx, step_run)
            return None
        facts = self._shelf.facts(tx, step_run.place)
        return _Look(
            timer=timer,
            place=step_run.place,
            is_stopping=running.is_run_stopping(run, steps.places(tx, [run.id])[run.id]),
            started_at=step_run.started_at or now,
            timeout_seconds=facts.step.timeout_seconds,
            facts=facts,
        )

    def _end_back_off(self, tx: Transaction, step_run: StepRun) -> None:
        """Let a step start that had to wait before its next attempt.

        Whoever has a free place next takes it, whatever that one's clock shows.
        """
        steps.move(
            tx,
            step_run.id,
            expected_attempt=step_run.attempt,
            expected_state=StepState.QUEUED,
            available_at=None,
        )

    def _look(self, look: _Look, now: datetime) -> Result | None:
        """Look at one attempt; return its result if it has ended, and do what else is called
        for."""
        place = look.place
        if launch_id(place) in self._copying:
            return None
        seen = self._poll(place)
        if seen is None:
            return None
        is_late = look.deadline is not None and now >= look.deadline
        must_end = look.is_stopping or is_late
        if seen.phase is Phase.ELSEWHERE and must_end:
            seen = replace(seen, phase=Phase.VANISHED)
        if seen.phase in (Phase.ABSENT, Phase.RUNNING) and must_end:
            # Also one that is absent: a daemon that was held up may be about to launch it. The
            # next look sees the end, and says why, which a call of `_on_exit` would not.
            self._watched.pop(launch_id(place), None)
            self._stop(place)
        elif seen.phase is Phase.ABSENT:
            self._launch(look.facts)
        if seen.phase not in (Phase.EXITED, Phase.VANISHED):
            return None
        error = None
        if look.deadline is not None and (seen.ended_at or now) >= look.deadline:
            error = f"timed out after {look.timeout_seconds:g} s"
        return replace(_result(place, seen), error=error)

    def _until_next_look(self, look: _Look, now: datetime) -> timedelta:
        """Return how long an attempt that goes on is left alone."""
        is_watched = launch_id(look.place) in self._watched and not look.is_stopping
        seconds = WATCHED_POLL_SECONDS if is_watched else self._rules.step_poll_seconds
        if look.deadline is not None:
            left = (look.deadline - now).total_seconds()
            seconds = min(seconds, left if left > 0 else self._rules.step_poll_seconds)
        return timedelta(seconds=seconds)

    def _poll(self, place: StepPlace) -> Observation | None:
        """Return where an attempt stands; None if nobody can tell now."""
        target = self._targets[place.compute]
        try:
            return target.poll(launch_id(place), step_folder(self._around.home, place))
        except PenstockError as error:
            log.warning("step_poll_failed step_run_id=%s reason=%s", place.id, error)
            return None
        except Exception:  # one folder that cannot be read must not hide the other steps' ends
            log.exception("step_poll_failed step_run_id=%s", place.id)
            return None


def _bytes(launch: StepLaunch) -> int:
    return sum(file.size for file in launch.files)


def _result(place: StepPlace, seen: Observation) -> Result:
    return Result(step_run_id=place.id, attempt=place.attempt, observation=seen)


def _hopeless(place: StepPlace, error: str) -> Result:
    """Return the result of an attempt that can never be started as it is."""
    seen = Observation(phase=Phase.ABSENT)
    return Result(
        step_run_id=place.id,
        attempt=place.attempt,
        observation=seen,
        error=error,
        can_retry=False,
    )


def earliest(*instants: datetime | None) -> datetime | None:
    """Return the earliest of the instants that are known."""
    return min((instant for instant in instants if instant is not None), default=None)


def _drained(source: queue.SimpleQueue[Item]) -> list[Item]:
    items = []
    while True:
        try:
            items.append(source.get_nowait())
        except queue.Empty:
            return items
