"""Each resource over HTTP: what is sent arrives at the verb, and what it answers comes back."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from tests.builders import a_step_run
from tests.unit.api.client import NOW, Api, W, a_graph, a_pipeline, a_schedule

from penstock.core.model import StepRun
from penstock.core.states import StepState
from penstock.service import files
from penstock.store import steps


def all_pages(api: Api, path: str) -> list[Any]:
    """Return the items of all pages of two."""
    sign = "&" if "?" in path else "?"
    items, after = [], ""
    while after is not None:
        page = api.shown(f"{path}{sign}limit=2{f'&after={after}' if after else ''}")
        assert len(page["items"]) <= 2
        items += page["items"]
        after = page["next"]
    return items


# ---- workspaces and experiments ------------------------------------------------------------------


def test_a_workspace_is_made_found_and_listed(api: Api) -> None:
    made = api.made("/api/v1/workspaces", {"name": "team", "resource_group": "rg"})
    assert made["resource_group"] == "rg"
    assert api.shown("/api/v1/workspaces/team") == made
    names = [workspace["name"] for workspace in api.shown("/api/v1/workspaces")]
    assert names == ["default", "team"]
    again = api.post("/api/v1/workspaces", {"name": "team"})
    assert (again.status_code, again.json()["code"]) == (409, "conflict")


def test_a_workspace_has_its_default_datastore(api: Api) -> None:
    (store,) = api.shown(f"{W}/datastores")
    assert store["name"] == "workspaceblobstore"
    assert store["is_default"] is True
    assert api.shown(f"{W}/datastores/workspaceblobstore") == store
    assert "path" not in store


def test_an_experiment_is_made_on_first_use(api: Api) -> None:
    first = api.put(f"{W}/experiments/exp").json()
    assert api.put(f"{W}/experiments/exp").json() == first
    assert api.shown(f"{W}/experiments/exp") == first
    assert api.get(f"{W}/experiments/other").status_code == 404
    bad = api.put(f"{W}/experiments/a%20b")
    assert (bad.status_code, bad.json()["field"]) == (400, "experiment")


def test_an_archived_experiment_is_listed_on_demand(api: Api) -> None:
    for number in range(5):
        api.clock.value += timedelta(seconds=1)
        api.put(f"{W}/experiments/exp{number}")
    changed = api.patch(f"{W}/experiments/exp3", {"is_archived": True, "tags": {"a": "b"}}).json()
    assert changed["archived_at"] is not None
    assert changed["tags"] == {"a": "b"}
    names = [e["name"] for e in all_pages(api, f"{W}/experiments")]
    assert names == ["exp0", "exp1", "exp2", "exp4"]
    everything = all_pages(api, f"{W}/experiments?include_archived=true")
    assert len(everything) == 5


def test_compute_targets_come_from_the_server(api: Api) -> None:
    (local,) = api.shown(f"{W}/compute-targets")
    assert local["name"] == "local"
    assert api.shown("/api/v1/server")["compute_targets"] == [local]
    assert api.get("/api/v1/workspaces/nowhere/compute-targets").status_code == 404


def test_activity_tells_who_did_what(api: Api) -> None:
    pipeline = a_pipeline(api)
    lines = api.shown(f"{W}/activity?subject_id={pipeline['id']}")["items"]
    assert [(line["actor"], line["action"]) for line in lines] == [("admin", "pipeline.publish")]
    assert len(api.shown(f"{W}/activity")["items"]) > 1


# ---- pipelines -----------------------------------------------------------------------------------


def test_a_pipeline_is_published_shown_and_listed(api: Api) -> None:
    made = a_pipeline(api, name="prepare", version="1")
    assert api.shown(f"{W}/pipelines/{made['id']}") == made
    assert api.shown(f"{W}/pipelines")["items"] == [made]
    assert made["step_count"] == 1
    subscription = api.shown(W)["subscription_id"]
    assert made["endpoint"] == (
        f"http://test/pipelines/v1.0/subscriptions/{subscription}/resourceGroups/penstock/providers"
        f"/Microsoft.MachineLearningServices/workspaces/default/PipelineRuns/PipelineSubmit/{made['id']}"
    )
    graph = api.shown(f"{W}/graphs/{made['graph_id']}")
    assert graph["steps"][0]["name"] == "train"


def test_a_disabled_pipeline_is_listed_on_demand(api: Api) -> None:
    kept, disabled = a_pipeline(api, name="a"), a_pipeline(api, name="b")
    path = f"{W}/pipelines/{disabled['id']}"
    assert api.patch(path, {"status": "Disabled"}).json()["status"] == "Disabled"
    assert [p["id"] for p in api.shown(f"{W}/pipelines")["items"]] == [kept["id"]]
    assert len(all_pages(api, f"{W}/pipelines?active_only=false")) == 2
    assert len(all_pages(api, f"{W}/pipelines?active_only=false&name=b")) == 1


def test_a_pipeline_that_a_schedule_starts_stays_enabled(api: Api) -> None:
    pipeline = a_pipeline(api)
    schedule = a_schedule(api, pipeline["id"])
    answer = api.patch(f"{W}/pipelines/{pipeline['id']}", {"status": "Disabled"})
    assert (answer.status_code, answer.json()["code"]) == (409, "in-use")
    assert schedule["id"] in answer.json()["detail"]
    assert answer.json()["schedules"] == [{"id": schedule["id"], "name": "daily"}]


def test_a_graph_is_checked_without_being_stored(api: Api) -> None:
    graph = a_graph(api)
    assert api.post(f"{W}/graphs/validate", {"graph": graph}).json() == {"errors": []}
    graph["steps"][0]["run_after"] = ["one"]
    (error,) = api.post(f"{W}/graphs/validate", {"graph": graph}).json()["errors"]
    assert "circle" in error["message"]
    answer = api.post(f"{W}/pipelines", {"graph": graph})
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid-pipeline")
    assert answer.json()["errors"] == [error]


# ---- runs ----------------------------------------------------------------------------------------


def test_a_run_is_submitted_and_found(api: Api) -> None:
    pipeline = a_pipeline(api)
    run = api.made(f"{W}/runs", {"experiment": "exp", "pipeline_id": pipeline["id"]})
    assert run["state"] == "NotStarted"
    assert api.shown(f"{W}/runs/{run['id']}") == run
    assert api.shown(f"{W}/runs/{run['id']}/steps") == []
    graph = api.shown(f"{W}/runs/{run['id']}/graph")
    assert graph == api.shown(f"{W}/graphs/{pipeline['graph_id']}")


def test_the_daemon_is_woken_by_writes_and_not_by_reads_or_failures(api: Api) -> None:
    pipeline = a_pipeline(api)
    api.wakes.clear()
    api.shown(f"{W}/runs")
    assert api.post(f"{W}/runs", {"experiment": "exp"}).status_code == 400
    assert api.wakes == []
    api.made(f"{W}/runs", {"experiment": "exp", "pipeline_id": pipeline["id"]})
    assert api.wakes == ["wake"]


def test_a_submission_sent_twice_is_one_run(api: Api) -> None:
    request = {"experiment": "exp", "pipeline_id": a_pipeline(api)["id"]}
    headers = {"Idempotency-Key": "my submission 1"}
    first, second = (api.post(f"{W}/runs", request, headers=headers).json() for _ in range(2))
    assert first == second
    assert len(api.shown(f"{W}/runs")["items"]) == 1


@pytest.mark.parametrize("key", ["", "x" * 256, "a\tb", "é"])
def test_a_bad_submission_key_is_refused(api: Api, key: str) -> None:
    request = {"experiment": "exp", "pipeline_id": a_pipeline(api)["id"]}
    headers = {"Idempotency-Key": key.encode("latin-1")}
    answer = api.post(f"{W}/runs", request, headers=headers)
    assert (answer.status_code, answer.json()["field"]) == (400, "Idempotency-Key")
    assert api.shown(f"{W}/runs")["items"] == []


def test_runs_are_found_by_what_is_true_of_them(api: Api) -> None:
    pipeline, other = a_pipeline(api), a_pipeline(api)
    made = []
    for number in range(5):
        api.clock.value += timedelta(seconds=1)
        request = {
            "experiment": f"exp{number % 2}",
            "pipeline_id": (pipeline if number < 3 else other)["id"],
            "tags": {"number": str(number), "odd" if number % 2 else "even": ""},
        }
        made.append(api.made(f"{W}/runs", request)["id"])

    def found(query: str) -> list[int]:
        return [made.index(run["id"]) for run in all_pages(api, f"{W}/runs?{query}")]

    assert found("") == [4, 3, 2, 1, 0]
    assert found("experiment=exp1") == [3, 1]
    assert found(f"pipeline_id={pipeline['id']}") == [2, 1, 0]
    assert found("state=NotStarted&state=Running") == [4, 3, 2, 1, 0]
    assert found("state=Finished") == []
    assert found("tag=odd") == [3, 1]
    assert found("tag=even&tag=number%3D2") == [2]
    assert found("tag=number%3D9") == []
    assert found("schedule_id=x") == []
    assert found("parent_run_id=x") == []


def test_a_run_is_cancelled_once(api: Api) -> None:
    run = api.made(f"{W}/runs", {"experiment": "e", "pipeline_id": a_pipeline(api)["id"]})
    cancelled = [api.made(f"{W}/runs/{run['id']}/cancel") for _ in range(2)]
    assert cancelled[0]["cancel_requested_at"] is not None
    assert cancelled[0]["history_status"] == "CancelRequested"
    assert cancelled[0] == cancelled[1]


def test_a_run_is_annotated(api: Api) -> None:
    run = api.made(f"{W}/runs", {"experiment": "e", "pipeline_id": a_pipeline(api)["id"]})
    path = f"{W}/runs/{run['id']}"
    changes = {"tags": {"a": "1", "b": "2"}, "properties": {"p": "1"}, "description": "d"}
    changed = api.patch(path, changes).json()
    assert {name: changed[name] for name in changes} == changes
    assert api.patch(path, {"removed_tags": ["a"]}).json()["tags"] == {"b": "2"}
    answer = api.patch(path, {"properties": {"p": "2"}})
    assert (answer.status_code, answer.json()["field"]) == (409, "properties.p")


def test_metrics_are_appended_and_listed(api: Api) -> None:
    run = api.made(f"{W}/runs", {"experiment": "e", "pipeline_id": a_pipeline(api)["id"]})
    path = f"{W}/runs/{run['id']}/metrics"
    values = [1, 2.5, "text", [1, 2], {"a": [None]}, True]
    for value in values:
        other = {"name": "other", "value": 0, "step": 7}
        body = {"metrics": [{"name": "m", "value": value}, other]}
        assert api.post(path, body).status_code == 204
    listed = api.shown(f"{path}?name=m")
    assert [(m["sequence"], m["value"]) for m in listed] == list(enumerate(values))
    assert {m["step"] for m in api.shown(path) if m["name"] == "other"} == {7}
    too_far = {"metrics": [{"name": "m", "value": 1, "step": 2**63}]}
    assert api.post(path, too_far).status_code == 400


# ---- step runs -----------------------------------------------------------------------------------


@pytest.fixture
def step_run(api: Api) -> StepRun:
    """A step at work that has left some files."""
    run = api.made(f"{W}/runs", {"experiment": "e", "pipeline_id": a_pipeline(api)["id"]})
    made = a_step_run(
        run_id=run["id"],
        step_id="one",
        state=StepState.RUNNING,
        attempt=1,
        queued_at=NOW,
        started_at=NOW,
    )
    with api.context.store.begin() as tx:
        steps.insert_many(tx, [made])
    folder = files.step_folder(api.context.settings.home, made)
    for name in ("code", "outputs", "logs", "user_logs", "system_logs"):
        (folder / name).mkdir(parents=True)
    (folder / "code" / "train.py").write_text("secret")
    (folder / "user_logs" / "std_log.txt").write_text("one\ntwö\n", encoding="utf-8")
    (folder / "outputs" / "model.bin").write_bytes(b"0123456789")
    return made


def test_a_step_run_is_shown_listed_and_annotated(api: Api, step_run: StepRun) -> None:
    shown = api.shown(f"{W}/step-runs/{step_run.id}")
    assert (shown["state"], shown["history_status"]) == ("Running", "Running")
    assert api.shown(f"{W}/runs/{step_run.run_id}/steps") == [shown]
    changed = api.patch(f"{W}/step-runs/{step_run.id}", {"tags": {"a": "b"}}).json()
    assert changed["tags"] == {"a": "b"}
    assert api.shown(f"{W}/step-runs/{step_run.id}/outputs") == []


def test_a_log_is_read_piece_by_piece(api: Api, step_run: StepRun) -> None:
    path = f"{W}/step-runs/{step_run.id}/log"
    first = api.shown(f"{path}?limit=7")
    assert first == {"text": "one\ntw", "next_offset": 6, "is_complete": False}
    rest = api.shown(f"{path}?offset=6")
    assert (rest["text"], rest["is_complete"]) == ("ö\n", False)
    ended = {"state": StepState.FINISHED, "ended_at": NOW}
    with api.context.store.begin() as tx:
        assert steps.move(
            tx, step_run.id, expected_attempt=1, expected_state=StepState.RUNNING, **ended
        )
    assert api.shown(f"{path}?offset={rest['next_offset']}")["is_complete"] is True
    assert api.get(f"{path}?offset=-1").status_code == 400
    assert api.get(f"{path}?limit=3").status_code == 400
    assert api.shown(f"{path}?offset={2**43}")["text"] == ""
    assert api.get(f"{path}?offset={2**80}").status_code == 400


def test_the_log_and_files_of_an_earlier_attempt_can_still_be_read(
    api: Api, step_run: StepRun
) -> None:
    with api.context.store.begin() as tx:
        assert steps.move(
            tx, step_run.id, expected_attempt=1, expected_state=StepState.RUNNING, attempt=2
        )
    path = f"{W}/step-runs/{step_run.id}"
    assert api.shown(f"{path}/log")["text"] == ""
    first = api.shown(f"{path}/log?attempt=1")
    assert (first["text"], first["is_complete"]) == ("one\ntwö\n", True)
    assert len(api.shown(f"{path}/files?attempt=1")) == 2
    assert api.get(f"{path}/files/outputs/model.bin?attempt=1").content == b"0123456789"
    assert api.get(f"{path}/files/outputs/model.bin").status_code == 404
    unknown = api.get(f"{path}/log?attempt=3")
    assert (unknown.status_code, unknown.json()["id"]) == (404, "3")
    assert api.get(f"{path}/log?attempt=0").status_code == 400


def test_files_of_a_step_run_are_listed_and_downloaded(api: Api, step_run: StepRun) -> None:
    path = f"{W}/step-runs/{step_run.id}/files"
    listed = [(file["path"], file["size"]) for file in api.shown(path)]
    assert listed == [("outputs/model.bin", 10), ("user_logs/std_log.txt", 9)]
    got = api.get(f"{path}/outputs/model.bin?offset=5")
    assert (got.content, got.headers["content-length"]) == (b"56789", "5")
    assert got.headers["x-content-type-options"] == "nosniff"
    assert got.headers["content-disposition"].startswith("attachment")
    assert api.get(f"{path}/outputs/none").status_code == 404
    assert api.get(f"{path}/outputs/sub/none").status_code == 404


@pytest.mark.parametrize(
    "name",
    [
        "code/train.py",
        "..%2f..%2fpenstock.db",
        "outputs/..%2f..%2f1/code/train.py",
        "%2fetc/passwd",
    ],
)
def test_nothing_but_the_files_of_the_attempt_is_given_out(
    api: Api, step_run: StepRun, name: str
) -> None:
    answer = api.get(f"{W}/step-runs/{step_run.id}/files/{name}")
    assert (answer.status_code, answer.json()["field"]) == (400, "path")


def test_a_file_is_put_below_outputs_or_logs(api: Api, step_run: StepRun) -> None:
    path = f"{W}/step-runs/{step_run.id}/files"
    answer = api.put(f"{path}/outputs/deep/er/x.txt", b"hello")
    assert answer.status_code == 201
    assert answer.json() == {"path": "outputs/deep/er/x.txt", "size": 5}
    assert api.put(f"{path}/outputs/deep/er/x.txt", b"again").status_code == 201
    assert api.get(f"{path}/outputs/deep/er/x.txt").content == b"again"
    assert api.put(f"{path}/logs/l.txt", b"").status_code == 201
    for name in ("user_logs/std_log.txt", "system_logs/x", "code/x", "x", "outputs/..%2fcode/x"):
        answer = api.put(f"{path}/{name}", b"evil")
        assert (answer.status_code, answer.json()["field"]) == (400, "path"), name


def test_metrics_of_steps_are_found_from_the_run(api: Api, step_run: StepRun) -> None:
    body = {"metrics": [{"name": "loss", "value": 0.5}]}
    assert api.post(f"{W}/step-runs/{step_run.id}/metrics", body).status_code == 204
    (metric,) = api.shown(f"{W}/step-runs/{step_run.id}/metrics")
    assert metric["run_id"] == step_run.id
    assert api.shown(f"{W}/runs/{step_run.run_id}/metrics") == []
    assert api.shown(f"{W}/runs/{step_run.run_id}/metrics?recursive=true") == [metric]


# ---- schedules -----------------------------------------------------------------------------------


def test_a_schedule_is_made_shown_and_listed(api: Api) -> None:
    pipeline = a_pipeline(api)
    made = a_schedule(api, pipeline["id"])
    assert made["next_fire_time"] == "2026-03-03T12:00:00Z"
    assert api.shown(f"{W}/schedules/{made['id']}") == made
    for query in ("", f"pipeline_id={pipeline['id']}", "name=daily"):
        assert api.shown(f"{W}/schedules?{query}")["items"] == [made]
    for query in ("pipeline_id=x", "name=x", "pipeline_endpoint_id=x"):
        assert api.shown(f"{W}/schedules?{query}")["items"] == []


def test_a_disabled_schedule_is_listed_on_demand(api: Api) -> None:
    schedule = a_schedule(api, a_pipeline(api)["id"])
    changed = api.patch(f"{W}/schedules/{schedule['id']}", {"status": "Disabled"}).json()
    assert (changed["status"], changed["next_fire_time"]) == ("Disabled", None)
    assert api.shown(f"{W}/schedules")["items"] == []
    assert all_pages(api, f"{W}/schedules?active_only=false") == [changed]


def test_what_is_previewed_before_saving_is_what_is_saved(api: Api) -> None:
    recurrence = {"frequency": "Day", "interval": 1, "start_time": "2026-03-27T02:30:00",
                  "time_zone": "W. Europe Standard Time"}  # fmt: skip
    answer = api.post(f"{W}/schedules/preview", {"recurrence": recurrence, "count": 3})
    preview = answer.json()
    assert preview["time_zone"] == "Europe/Berlin"
    assert preview["description"]
    fires = [(o["fire_time"], o["local_time"], o["mark"]) for o in preview["occurrences"]]
    assert fires == [
        ("2026-03-27T01:30:00Z", "2026-03-27T02:30:00+01:00", None),
        ("2026-03-28T01:30:00Z", "2026-03-28T02:30:00+01:00", None),
        ("2026-03-29T01:30:00Z", "2026-03-29T03:30:00+02:00", "moved"),
    ]
    schedule = a_schedule(api, a_pipeline(api)["id"], recurrence=recurrence)
    saved = api.shown(f"{W}/schedules/{schedule['id']}/preview?count=3")
    assert saved == preview


def test_a_preview_may_start_later_at_an_instant_with_a_zone(api: Api) -> None:
    recurrence = {"frequency": "Hour", "interval": 1}
    body = {"recurrence": recurrence, "after": "2026-06-01T00:00:00+02:00", "count": 1}
    (occurrence,) = api.post(f"{W}/schedules/preview", body).json()["occurrences"]
    assert occurrence["fire_time"] == "2026-05-31T23:00:00Z"
    answer = api.post(f"{W}/schedules/preview", body | {"after": "2026-06-01T00:00:00"})
    assert (answer.status_code, answer.json()["field"]) == (400, "after")


def test_a_schedule_is_fired_by_hand_and_says_why(api: Api) -> None:
    schedule = a_schedule(api, a_pipeline(api)["id"])
    path = f"{W}/schedules/{schedule['id']}"
    runs = []
    for body in (None, {}, {"parameters": {}}):
        api.clock.value += timedelta(seconds=1)
        runs.append(api.made(f"{path}/fire", body)["id"])
    fires = all_pages(api, f"{path}/fires")
    assert [fire["run_id"] for fire in fires] == runs[::-1]
    assert fires[0]["reason"] == "fired by hand by admin"
    assert all_pages(api, f"{path}/fires?outcome=missed&outcome=skipped") == []
    assert api.get(f"{path}/fires?outcome=x").status_code == 400
    assert len(all_pages(api, f"{W}/runs?schedule_id={schedule['id']}")) == 3


def test_a_bad_recurrence_keeps_its_own_code(api: Api) -> None:
    answer = api.post(f"{W}/schedules/preview", {"recurrence": {"frequency": "Day", "interval": 0}})
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid-recurrence")
    assert answer.json()["field"] == "interval"
