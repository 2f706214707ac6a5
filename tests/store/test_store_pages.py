"""Lists page by page: nothing twice, nothing left out, whatever is inserted meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from tests.builders import (
    NOW,
    PIPELINE_ID,
    WORKSPACE_ID,
    a_fire,
    a_pipeline,
    a_run,
    a_schedule,
    a_workspace,
    an_experiment,
    stored,
)

from penstock.core.due import Outcome
from penstock.core.model import Status
from penstock.core.states import RunState
from penstock.errors import Invalid
from penstock.store import activity, fires, pages, pipelines, runs, schedules, workspaces
from penstock.store.database import Store, Transaction, new_id

SECOND = timedelta(seconds=1)


def put_run(tx: Transaction, second: int) -> str:
    run = a_run(created_at=NOW + second * SECOND)
    runs.insert(tx, run)
    return run.id


def put_schedule(tx: Transaction, second: int) -> str:
    schedule = a_schedule(created_at=NOW + second * SECOND)
    schedules.insert(tx, schedule)
    return schedule.id


def put_pipeline(tx: Transaction, second: int) -> str:
    pipeline = a_pipeline(id=new_id(), created_at=NOW + second * SECOND, name="paged")
    pipelines.insert(tx, pipeline)
    return pipeline.id


def put_fire(tx: Transaction, second: int) -> str:
    fire = a_fire(source_id="source", fire_key=new_id(), fired_at=NOW + second * SECOND)
    fires.insert(tx, fire)
    return fire.fire_key


def put_activity(tx: Transaction, second: int) -> str:
    subject = new_id()
    activity.record(
        tx,
        workspace_id=WORKSPACE_ID,
        at=NOW + second * SECOND,
        actor="admin",
        action="run.cancel",
        subject_kind="run",
        subject_id=subject,
    )
    return subject


def ids_of_fires(tx: Transaction, **page: Any) -> tuple[list[str], str | None]:
    items, following = fires.list(tx, "source", **page)
    return [item.fire_key for item in items], following


def ids_of_activity(tx: Transaction, **page: Any) -> tuple[list[str], str | None]:
    items, following = activity.list(tx, WORKSPACE_ID, **page)
    return [item.subject_id for item in items], following


def ids_of(listed: Callable[..., Any], **filters: Any) -> Callable[..., Any]:
    def ask(tx: Transaction, **page: Any) -> tuple[list[str], str | None]:
        items, following = listed(tx, WORKSPACE_ID, **filters, **page)
        return [item.id for item in items], following

    return ask


LISTS = {
    "runs": (put_run, ids_of(runs.list)),
    "schedules": (put_schedule, ids_of(schedules.list)),
    "pipelines": (put_pipeline, ids_of(pipelines.list, name="paged")),
    "fires": (put_fire, ids_of_fires),
    "activity": (put_activity, ids_of_activity),
}


def read_all(tx: Transaction, ask: Callable[..., Any], limit: int) -> list[list[str]]:
    found: list[list[str]] = []
    after = None
    while True:
        items, after = ask(tx, after=after, limit=limit)
        found.append(items)
        if after is None:
            return found


@pytest.mark.parametrize("name", LISTS)
def test_pages_join_to_the_whole_list_newest_first(store: Store, name: str) -> None:
    put, ask = LISTS[name]
    with store.begin() as tx:
        stored(tx)
        # Some share their instant, and they do not come in order.
        seconds = [0, 3, 1, 3, 3, 2, 0, 1, 3, 2]
        made = {put(tx, second): second for second in seconds}
        whole, _ = ask(tx)
        assert [made[id] for id in whole] == sorted(seconds, reverse=True)
        for limit in (1, 3, 4, 10, 11):
            pages_read = read_all(tx, ask, limit)
            assert [id for page in pages_read for id in page] == whole
            assert [len(page) for page in pages_read[:-1]] == [limit] * (len(pages_read) - 1)
            assert pages_read[-1]


@pytest.mark.parametrize("name", LISTS)
def test_what_is_inserted_meanwhile_neither_repeats_nor_hides_an_item(
    store: Store, name: str
) -> None:
    put, ask = LISTS[name]
    with store.begin() as tx:
        stored(tx)
        before = [put(tx, second) for second in range(6)]
        first, after = ask(tx, limit=3)
        put(tx, 100)
        put(tx, 3)
        second, after = ask(tx, limit=3, after=after)
        assert first + second[:3] == [*reversed(before)]
        assert after is None


@pytest.mark.parametrize("name", LISTS)
def test_an_empty_list_is_one_empty_page(store: Store, name: str) -> None:
    _, ask = LISTS[name]
    with store.begin() as tx:
        assert ask(tx) == ([], None)


def test_experiments_are_listed_by_name(store: Store) -> None:
    with store.begin() as tx:
        stored(tx)
        for name in ("d", "b", "archived", "c", "a"):
            archived = NOW if name == "archived" else None
            workspaces.ensure(tx, an_experiment(name=name, archived_at=archived))
        first, after = workspaces.list_experiments(tx, WORKSPACE_ID, limit=3)
        second, end = workspaces.list_experiments(tx, WORKSPACE_ID, limit=3, after=after)
        everything, _ = workspaces.list_experiments(tx, WORKSPACE_ID, include_archived=True)
    assert [item.name for item in first + second] == ["a", "b", "c", "d"]
    assert end is None
    assert [item.name for item in everything] == ["a", "archived", "b", "c", "d"]


@pytest.mark.parametrize(
    "after",
    [
        "",
        "nonsense",
        "ü",
        "====",
        pages.cursor([]),
        pages.cursor(["text", "id"]),
        pages.cursor([1]),
        pages.cursor([1, 2]),
        pages.cursor([1, "id", "more"]),
        pages.cursor([2**63, "id"]),
        pages.cursor([True, "id"]),
        pages.cursor([1, "nul\0"]),
        pages.cursor([1, "half a character \ud800"]),
        "eyJhIjoxfQ",  # {"a":1}
        pytest.param("W" * 100_000, id="long"),
    ],
)
def test_a_cursor_that_is_none_is_the_callers_fault(store: Store, after: str) -> None:
    with store.read() as tx, pytest.raises(Invalid) as caught:
        runs.list(tx, WORKSPACE_ID, after=after)
    assert caught.value.details["field"] == "after"


# ---- filters -------------------------------------------------------------------------------------


def test_runs_by_each_filter(store: Store) -> None:
    parent = a_run()
    made = {
        "plain": a_run(),
        "experiment": a_run(experiment="other"),
        "pipeline": a_run(pipeline_id=PIPELINE_ID),
        "schedule": a_run(schedule_id="s"),
        "running": a_run(state=RunState.RUNNING),
        "failed": a_run(state=RunState.FAILED),
        "child": a_run(parent_run_id=parent.id),
    }
    names = {run.id: name for name, run in made.items()} | {parent.id: "parent"}
    with store.begin() as tx:
        stored(tx)
        runs.insert_many(tx, [parent, *made.values()])

        def found(**filters: Any) -> set[str]:
            items, _ = runs.list(tx, WORKSPACE_ID, **filters)
            return {names[item.id] for item in items}

        assert found(experiment="other") == {"experiment"}
        assert found(pipeline_id=PIPELINE_ID) == {"pipeline"}
        assert found(schedule_id="s") == {"schedule"}
        assert found(states=[RunState.RUNNING, RunState.FAILED]) == {"running", "failed"}
        assert found(states=[]) == set()
        assert found(parent_run_id=parent.id) == {"child"}
        assert found(parent_run_id=parent.id, states=[RunState.FAILED]) == set()
        assert found(tags={}) == {*names.values()}


def test_runs_by_tags(store: Store) -> None:
    odd = "a\"b'c.$[0]"
    made = {
        "none": {},
        "red": {"colour": "red"},
        "blue": {"colour": "blue", "size": "1"},
        "odd": {odd: "value", "colour": ""},
    }
    tagged = {name: a_run(tags=tags) for name, tags in made.items()}
    names = {run.id: name for name, run in tagged.items()}
    with store.begin() as tx:
        stored(tx)
        runs.insert_many(tx, list(tagged.values()))

        def found(**tags: str | None) -> set[str]:
            return found_with(tags)

        def found_with(tags: dict[str, str | None]) -> set[str]:
            items, _ = runs.list(tx, WORKSPACE_ID, tags=tags)
            return {names[item.id] for item in items}

        assert found(colour=None) == {"red", "blue", "odd"}
        assert found(colour="red") == {"red"}
        assert found(colour="") == {"odd"}
        assert found(colour="blue", size="1") == {"blue"}
        assert found(colour="red", size="1") == set()
        assert found(size="1.0") == set()
        assert found(Colour=None) == set()
        assert found_with({odd: "value"}) == {"odd"}


def test_schedules_by_each_filter(store: Store) -> None:
    made = {
        "plain": a_schedule(),
        "disabled": a_schedule(status=Status.DISABLED),
        "named": a_schedule(name="special"),
        "endpoint": a_schedule(pipeline_id=None, pipeline_endpoint_id="endpoint"),
    }
    names = {schedule.id: name for name, schedule in made.items()}
    with store.begin() as tx:
        stored(tx)
        for schedule in made.values():
            schedules.insert(tx, schedule)

        def found(**filters: Any) -> set[str]:
            items, _ = schedules.list(tx, WORKSPACE_ID, **filters)
            return {names[item.id] for item in items}

        assert found() == {*made}
        assert found(statuses=[Status.DISABLED, Status.DEPRECATED]) == {"disabled"}
        assert found(name="special") == {"named"}
        assert found(pipeline_endpoint_id="endpoint") == {"endpoint"}
        assert found(pipeline_id=PIPELINE_ID) == {"plain", "disabled", "named"}


def test_pipelines_by_each_filter(store: Store) -> None:
    with store.begin() as tx:
        stored(tx)
        other = a_pipeline(id=new_id(), name="other", status=Status.DISABLED)
        pipelines.insert(tx, other)
        assert pipelines.list(tx, WORKSPACE_ID, name="other") == ([other], None)
        assert pipelines.list(tx, WORKSPACE_ID, statuses=[Status.DISABLED]) == ([other], None)
        assert pipelines.list(tx, WORKSPACE_ID, statuses=[Status.ACTIVE]) == ([a_pipeline()], None)


def test_fires_by_outcome(store: Store) -> None:
    fired = a_fire(source_id="s", fire_key="1")
    missed = a_fire(source_id="s", fire_key="2", outcome=Outcome.MISSED)
    with store.begin() as tx:
        fires.insert_many(tx, [fired, missed, a_fire(source_id="other")])
        assert fires.list(tx, "s") == ([missed, fired], None)
        assert fires.list(tx, "s", outcomes=[Outcome.FIRED]) == ([fired], None)
        assert fires.list(tx, "s", outcomes=[]) == ([], None)


def test_activity_of_one_subject(store: Store) -> None:
    with store.begin() as tx:
        stored(tx)
        wanted = put_activity(tx, 1)
        put_activity(tx, 2)
        items, following = activity.list(tx, WORKSPACE_ID, subject_id=wanted)
        assert activity.list(tx, "another workspace", subject_id=wanted) == ([], None)
    assert [item.subject_id for item in items] == [wanted]
    assert following is None


def test_workspaces_do_not_share_lists(store: Store) -> None:
    other = a_workspace(id=new_id(), name="other")
    with store.begin() as tx:
        stored(tx)
        workspaces.insert(tx, other)
        runs.insert_many(tx, [a_run(), a_run(workspace_id=other.id)])
        assert len(runs.list(tx, other.id)[0]) == 1
