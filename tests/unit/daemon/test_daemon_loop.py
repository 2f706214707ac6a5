"""The sleeping loop: woken, stopped, startled by the clock, and not ended by an error.

Threads are the subject here, so these tests wait for real: each for something that comes within
milliseconds, with a limit that only a failure reaches.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextlib import contextmanager
from datetime import timedelta

import pytest
from tests.builders import NOW
from tests.unit.daemon.works import Works

from penstock.core.states import RunState
from penstock.errors import StoreBusy
from penstock.store.database import Store


def until(condition: Callable[[], bool], seconds: float = 10) -> None:
    """Wait until something another thread does is true."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.005)  # another thread is at work, and nothing tells when it is done


@contextmanager
def started(daemon):
    daemon.start()
    try:
        yield daemon
    finally:
        daemon.stop()


class Moody:
    """A store that fails when it is told to."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.errors: list[Exception] = []
        self.asked = threading.Event()

    def __getattr__(self, name):
        return getattr(self._store, name)

    def read(self):
        self.asked.set()
        if self.errors:
            raise self.errors.pop(0)
        return self._store.read()


def test_both_lanes_work_by_themselves(works):
    schedule = works.site.schedule(run_on_create=False)
    with started(works.daemon):
        works.site.later(minutes=1)
        works.daemon.wake()
        until(lambda: len(works.target.running) == 1)
        (run,) = works.runs_of(schedule.id)
        works.target.finish(works.attempt(run), 0, at=works.site.now)
        until(lambda: works.state(run) is RunState.FINISHED)
    assert works.daemon.last_tick_at == works.site.now


def test_a_wake_is_answered_at_once(works):
    with started(works.daemon):
        until(lambda: works.daemon.last_tick_at is not None)
        took = []
        for _ in range(5):
            begun = time.monotonic()
            run = works.site.submit()
            works.daemon.wake()
            until(lambda: len(works.target.launches) == len(took) + 1)
            took.append(time.monotonic() - begun)
            works.target.finish(works.attempt(run), 0, at=NOW)
    assert min(took) < 0.5  # unwoken, a lane sleeps for a second


def test_without_a_wake_a_lane_looks_within_a_second(works):
    with started(works.daemon):
        works.site.submit()
        until(lambda: len(works.target.launches) == 1)


def test_stopping_is_quick_and_leaves_steps_alone(works):
    run = works.submit()
    with started(works.daemon):
        until(lambda: works.daemon.last_tick_at is not None)
        begun = time.monotonic()
    assert time.monotonic() - begun < 5
    assert works.running(run) == ["train"]
    assert [t.name for t in threading.enumerate() if t.name in ("scheduling", "running")] == []


def test_a_start_looks_at_what_was_under_way(works):
    run = works.submit()
    works.target.forget_listeners()
    works.target.finish(works.attempt(run), 0, at=NOW)
    with started(works.another_daemon()):
        until(lambda: works.state(run) is RunState.FINISHED)


@pytest.mark.parametrize("jump", [timedelta(days=-400), timedelta(days=400)])
def test_when_the_clock_jumps_everything_under_way_is_looked_at(works, jump, caplog):
    run = works.submit()
    with started(works.daemon):
        until(lambda: works.daemon.last_tick_at is not None)
        works.target.forget_listeners()
        works.target.finish(works.attempt(run), 0, at=NOW)
        works.site.clock.advance(jump)
        works.daemon.wake()
        until(lambda: works.state(run) is RunState.FINISHED)
    assert "clock_jumped" in caplog.text


def test_a_small_step_of_the_clock_is_no_jump(works, caplog):
    with started(works.daemon):
        until(lambda: works.daemon.last_tick_at is not None)
        works.site.clock.advance(timedelta(seconds=30))
        works.daemon.wake()
        until(lambda: works.daemon.last_tick_at == works.site.now)
    assert "clock_jumped" not in caplog.text


@pytest.mark.parametrize(
    ("error", "word"), [(StoreBusy("busy", retry_after=0.01), "lane_waits"), (KeyError(), "failed")]
)
def test_an_error_does_not_end_a_lane(site, caplog, error, word):
    works = Works(site)
    moody = Moody(site.store)
    daemon = works.another_daemon(store=moody)
    with caplog.at_level(logging.WARNING), started(daemon):
        until(lambda: daemon.last_tick_at is not None)
        moody.errors = [error, error]
        until(lambda: not moody.errors)
        works.site.submit()
        daemon.wake()
        until(lambda: len(works.target.launches) == 1)
    assert word in caplog.text


def test_a_storm_is_fired_in_batches_without_sleeping_in_between(works):
    published = works.site.publish()
    for _ in range(150):
        works.site.schedule(pipeline_id=published.id, run_on_create=False)
    works.site.later(minutes=1)
    begun = time.monotonic()
    with started(works.daemon):
        until(lambda: len(works.site.contents()["fires"]) == 150, seconds=30)
    assert time.monotonic() - begun < 30
