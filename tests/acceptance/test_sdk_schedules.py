"""Schedules through the SDK: creating, refusing, changing, previewing, firing, and why."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import penstock
from penstock import (
    Conflict,
    DataPath,
    Datastore,
    Experiment,
    InUse,
    Invalid,
    InvalidParameters,
    InvalidRecurrence,
    NotFound,
    Pipeline,
    PipelineParameter,
    PublishedPipeline,
    PythonScriptStep,
    Schedule,
    ScheduleRecurrence,
    TimeZone,
    UserErrorException,
    Workspace,
)
from penstock.sdk.client import Patience
from penstock.testing.server import temporary_server

SOON = timedelta(seconds=3)
DAILY = ScheduleRecurrence("Day", 1, time_of_day="4:50")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with temporary_server(tmp_path_factory.mktemp("server"), step_poll_seconds=0.1) as running:
        yield running


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    folder = tmp_path_factory.mktemp("source")
    (folder / "say.py").write_text("import sys; print('said', *sys.argv[1:])")
    return folder


@pytest.fixture
def ws(server, request):
    """A workspace of its own for each test."""
    name = re.sub(r"\W", "-", request.node.name)[:60]
    return Workspace.get(name, url=server.url, token=server.token)


@pytest.fixture
def published(ws, source):
    text = PipelineParameter("text", "hello")
    pipeline = Pipeline(ws, PythonScriptStep("say.py", arguments=[text], source_directory=source))
    return pipeline.publish("speaker")


@pytest.fixture
def create(ws, published):
    """Create a disabled daily schedule; arguments differ from that as given."""

    def make(**fields):
        given = {
            "name": "s",
            "pipeline_id": published.id,
            "experiment_name": "e",
            "recurrence": DAILY,
            "status": "Disabled",
        }
        return Schedule.create(ws, **given | fields)

    return make


def waited_for(question, seconds=30):
    patience = Patience(seconds)
    while not (answer := question()):
        assert not patience.is_over
        patience.wait()
    return answer


def test_a_schedule_without_a_start_time_runs_at_once_and_says_why(ws, published):
    schedule = Schedule.create(
        ws,
        "every quarter",
        published.id,
        "talks",
        ScheduleRecurrence("Minute", 15),
        "Based on time",
        {"text": "good morning"},
        True,
    )
    assert (schedule.status, schedule.description) == ("Active", "Based on time")
    assert (schedule.experiment_name, schedule.created_by) == ("talks", "admin")
    assert schedule.next_fire_time > datetime.now(UTC)
    run = schedule.get_last_pipeline_run()
    assert run.wait_for_completion(show_output=False) == "Finished"
    assert "said good morning" in next(run.get_steps()).get_stdout_log()
    assert [r.id for r in schedule.get_pipeline_runs()] == [run.id]
    assert run.schedule_id == schedule.id
    (fire,) = schedule.get_fires()
    assert (fire.outcome, fire.run_id) == ("fired", run.id)
    assert fire.reason in run.cause
    assert list(schedule.get_fires("missed")) == []


def test_what_is_previewed_is_what_fires(ws, published):
    schedule = Schedule.create(
        ws,
        "often",
        published.id,
        "e",
        ScheduleRecurrence("Minute", 1, datetime.now(UTC).replace(tzinfo=None) + SOON),
    )
    first = schedule.preview(1)[0]
    assert first.fire_time == schedule.next_fire_time
    run = waited_for(schedule.get_last_pipeline_run)
    assert run.fire_time == first.fire_time
    schedule.refresh()
    assert schedule.next_fire_time == first.fire_time + timedelta(minutes=1)
    schedule.disable()
    schedule.refresh()
    assert schedule.next_fire_time is None


def test_a_disabled_schedule_is_created_and_fired_by_hand(ws, create):
    schedule = create(pipeline_parameters={"text": "a"})
    assert schedule.status == "Disabled"
    assert schedule.get_last_pipeline_run() is None
    assert Schedule.list(ws) == []
    run = schedule.fire({"text": "b"})
    assert run.parameters == {"text": "b"}
    assert len(schedule.preview(3)) == 3
    run.wait_for_completion(show_output=False)


def test_the_text_of_a_schedule_is_the_old_one(create):
    schedule = create(recurrence=ScheduleRecurrence("Week", 2, week_days=["Monday"], hours=[4]))
    assert (
        repr(schedule)
        == str(schedule)
        == (
            f"Pipeline(Name: s,\nId: {schedule.id},\nStatus: Disabled,\n"
            f"Pipeline Id: {schedule.pipeline_id},\nPipeline Endpoint Id: None,\n"
            "Recurrence Details: Runs at 4:00 on Monday every 2 Weeks)"
        )
    )
    assert [
        schedule.datastore_name,
        schedule.polling_interval,
        schedule.data_path_parameter_name,
        schedule.path_on_datastore,
    ] == [None] * 4


def test_a_recurrence_comes_back_as_it_was_given(create, ws):
    recurrence = ScheduleRecurrence(
        "Week",
        1,
        "2026-03-01T08:00:00",
        TimeZone.PacificStandardTime,
        hours=[8, 16],
        minutes=[30],
        week_days=["Monday", "Friday"],
        gap="after",
        fold="second",
    )
    found = Schedule.get(ws, create(recurrence=recurrence).id)
    assert found.recurrence == recurrence
    named = create(recurrence=ScheduleRecurrence("Day", 1, time_zone="Europe/Berlin"))
    assert Schedule.get(ws, named.id).recurrence.time_zone == "Europe/Berlin"


# ---- what is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"datastore": "workspaceblobstore"}, "datastore goes with a schedule that watches"),
        ({"data_path_parameter_name": "text"}, "data_path_parameter_name goes with"),
        ({"path_on_datastore": "x"}, "path_on_datastore goes with"),
        ({"recurrence": None}, "needs a recurrence, or a datastore"),
        ({"recurrence": "daily"}, "expected a ScheduleRecurrence"),
        ({"recurrence": ScheduleRecurrence("Hourly", 1)}, "Did you mean 'Hour'"),
        ({"recurrence": ScheduleRecurrence("Week", 1, week_days="Monday")}, "Write week_days"),
        ({"recurrence": ScheduleRecurrence("Minute", 72_001)}, "interval = 72001"),
        ({"status": "Paused"}, '"Active" or "Disabled"'),
        ({"status": None}, '"Active" or "Disabled"'),
        ({"name": ""}, "name = ''"),
        ({"experiment_name": "no spaces"}, "experiment name = 'no spaces'"),
        ({"pipeline_parameters": {"txet": "x"}}, "no parameter 'txet'"),
        ({"pipeline_parameters": {"text": None}}, "of the type NoneType"),
        ({"pipeline_parameters": {"text": ["x"]}}, "of the type list"),
        ({"pipeline_parameters": "text"}, "a dictionary of names to values"),
        ({"pipeline_parameters": {"text": DataPath("s")}}, "'text' does not fit its type string"),
        ({"pipeline_id": 5}, "pipeline_id = 5"),
        ({"pipeline_id": None}, "pipeline_id = None"),
        ({"pipeline_id": "no-such-pipeline"}, "no-such-pipeline"),
        ({"recurrence": None, "datastore": 5}, "a Datastore, or its name"),
        ({"recurrence": None, "datastore": "elsewhere"}, "elsewhere"),
        ({"recurrence": None, "datastore": "workspaceblobstore", "polling_interval": 0}, "polling"),
        (
            {
                "recurrence": None,
                "datastore": "workspaceblobstore",
                "data_path_parameter_name": "text",
            },
            "holds a data path",
        ),
        ({"catch_up": "some"}, "one of skip, latest, all"),
        ({"overlap": "maybe"}, "one of allow, skip, queue, cancel_previous"),
        ({"catch_up_window_seconds": 0}, "catch_up_window_seconds"),
        ({"continue_on_step_failure": "maybe"}, "True, False or None"),
    ],
)
def test_a_wrong_schedule_is_refused_before_anything_is_stored(ws, create, fields, message):
    with pytest.raises((ValueError, NotFound), match=message):
        create(**fields)
    assert Schedule.list(ws, active_only=False) == []
    assert "e" not in ws.experiments


def test_the_wrong_uses_people_make_get_a_hint(ws, create, published):
    with pytest.raises(Invalid, match=r"write pipeline_id=….id"):
        create(pipeline_id=published)
    schedule = create()
    with pytest.raises(Invalid, match=rf"Schedule.get\(ws, '{schedule.id}'\).disable\(\)"):
        Schedule.disable(schedule.id)
    with pytest.raises(Invalid, match="Workspace as the first argument"):
        Schedule.list(schedule.id)
    with pytest.raises(Invalid, match=r"write id=….id"):
        Schedule.get(ws, schedule)
    with pytest.raises(NotFound, match="no-such-schedule"):
        Schedule.get(ws, "no-such-schedule")
    with pytest.raises(TypeError):
        Schedule.get_schedules_for_pipeline_id(schedule.id)


def test_a_schedule_of_a_disabled_pipeline_is_refused(ws, create, published):
    published.disable()
    with pytest.raises(Conflict, match="disabled"):
        create()


# ---- lists ---------------------------------------------------------------------------------------


def test_lists(ws, create, published, source):
    active = create(name="a", status="Active", run_on_create=False)
    disabled = create(name="d")
    ids = {active.id, disabled.id}
    assert [s.id for s in Schedule.list(ws)] == [active.id]
    assert {s.id for s in Schedule.list(ws, active_only=False)} == ids
    assert {s.id for s in Schedule.list(ws, pipeline_id=published.id)} == ids
    assert {s.id for s in Schedule.get_schedules_for_pipeline_id(ws, published.id)} == ids
    assert [s.id for s in Schedule.get_all(ws)] == [active.id]
    assert Schedule.list(ws, pipeline_id="other") == []
    assert Schedule.get_schedules_for_pipeline_endpoint_id(ws, "other") == []
    assert list(active.get_fires()) == []


# ---- changing ------------------------------------------------------------------------------------


def test_update_changes_what_is_given(ws, create):
    schedule = create(description="d", pipeline_parameters={"text": "a"})
    schedule.update(
        name="new",
        recurrence=ScheduleRecurrence("Hour", 2),
        status="Active",
        continue_on_step_failure=True,
        catch_up="latest",
        overlap="skip",
    )
    found = Schedule.get(ws, schedule.id)
    for one in (schedule, found):
        assert (one.name, one.description, one.status) == ("new", "d", "Active")
        assert one.recurrence == ScheduleRecurrence("Hour", 2)
        assert one.continue_on_step_failure is True
        assert (one.catch_up, one.overlap) == ("latest", "skip")
        assert one.pipeline_parameters == {"text": "a"}
        assert one.next_fire_time is not None
    assert schedule.updated_at > schedule.created_at
    schedule.update(pipeline_parameters={})
    assert schedule.pipeline_parameters == {}
    assert schedule.get_last_pipeline_run() is None, "nothing fires because of a change"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"datastore": "workspaceblobstore"}, "cannot watch a datastore"),
        ({"status": "Deprecated"}, '"Active" or "Disabled"'),
        ({"recurrence": ScheduleRecurrence("Day", 0)}, "interval = 0"),
        ({"pipeline_parameters": {"x": 1}}, "no parameter 'x'"),
        ({"overlap": "x"}, "overlap = 'x'"),
        ({"name": " "}, "name"),
    ],
)
def test_a_wrong_change_is_refused_and_changes_nothing(ws, create, fields, message):
    schedule = create()
    with pytest.raises(ValueError, match=message):
        schedule.update(**fields)
    assert Schedule.get(ws, schedule.id).updated_at == schedule.created_at


def test_enable_and_disable(ws, create, published):
    schedule = create()
    schedule.enable()
    schedule.enable(wait_for_provisioning=True)
    assert Schedule.get(ws, schedule.id).status == schedule.status == "Active"
    with pytest.raises(InUse, match=f"'s' .{schedule.id}"):
        published.disable()
    schedule.disable()
    schedule.disable()
    assert schedule.get_pipeline_runs() == []
    published.disable()


# ---- change-based --------------------------------------------------------------------------------


@pytest.fixture
def watching(ws, source):
    """A published pipeline with a data path parameter, and the schedule that sets it."""
    store = Datastore(ws)
    pair = (
        PipelineParameter("input_data", DataPath(store, "x")),
        penstock.DataPathComputeBinding(),
    )
    step = PythonScriptStep("say.py", inputs=[pair], arguments=[pair], source_directory=source)
    return Schedule.create(
        ws,
        name="MyReactiveSchedule",
        pipeline_id=Pipeline(ws, step).publish("reactive").id,
        experiment_name="e",
        datastore=store,
        data_path_parameter_name="input_data",
        path_on_datastore="in",
        continue_on_step_failure="None",
    )


def test_a_change_based_schedule_is_stored(ws, watching):
    found = Schedule.get(ws, watching.id)
    assert found.recurrence is None
    assert (found.datastore_name, found.polling_interval) == ("workspaceblobstore", 5)
    assert (found.data_path_parameter_name, found.path_on_datastore) == ("input_data", "in")
    assert found.continue_on_step_failure is None
    assert str(found).endswith("Datastore: workspaceblobstore,\nPath on Datastore: in)")
    assert found.get_pipeline_runs() == []
    with pytest.raises(Invalid, match="cannot be foretold"):
        found.preview()


def test_a_change_based_schedule_keeps_its_kind(watching):
    with pytest.raises(Invalid, match="cannot get a recurrence"):
        watching.update(recurrence=DAILY)
    with pytest.raises(Invalid, match="polling_interval = -1"):
        watching.update(datastore="workspaceblobstore", polling_interval=-1)
    watching.update(polling_interval=60, path_on_datastore="other")
    assert (watching.polling_interval, watching.path_on_datastore) == (60, "other")
    assert watching.data_path_parameter_name == "input_data"


# ---- YAML ----------------------------------------------------------------------------------------

YAML = """
Schedule:
  description: from a file
  recurrence:
    frequency: Week
    interval: 1
    start_time: 2026-06-07T10:50:00
    time_zone: Pacific Standard Time
    hours:
    minutes:
    time_of_day: 4:50
    week_days: [Friday]
  pipeline_parameters: {text: yaml}
  wait_for_provisioning: True
  wait_timeout: 3600
  datastore_name: ~
  continue_on_step_failure: None
"""


def test_a_schedule_is_read_from_yaml(ws, create, tmp_path):
    file = tmp_path / "schedule.yml"
    file.write_text(YAML)
    arguments = Schedule.load_yaml(ws, str(file))
    assert arguments["recurrence"].time_zone is TimeZone.PacificStandardTime
    assert (arguments["recurrence"].hours, arguments["recurrence"].minutes) == ([4], [50])
    schedule = create(**arguments)
    assert schedule.description == "from a file"
    assert schedule.continue_on_step_failure is None
    assert schedule.recurrence.start_time == "2026-06-07T10:50:00"
    file.write_text(YAML.replace("Schedule", "Plan"))
    with pytest.raises(ValueError, match="no key `Schedule`"):
        Schedule.load_yaml(ws, str(file))
    file.write_text(YAML.replace("    hours:\n", ""))
    with pytest.raises(KeyError, match="hours"):
        Schedule.load_yaml(ws, str(file))
    file.write_text("Schedule: [")
    with pytest.raises(ValueError, match="not valid YAML"):
        Schedule.load_yaml(ws, str(file))
    file.write_text("Schedule: {datastore_name: workspaceblobstore}")
    assert Schedule.load_yaml(ws, str(file))["datastore"].name == "workspaceblobstore"


# ---- the article ---------------------------------------------------------------------------------

BLOCKS = json.loads(
    (Path(__file__).parents[1] / "conformance" / "trigger_article.json").read_text()
)


def test_the_articles_blocks_run_with_the_names_of_penstock(ws, published, server, tmp_path):
    """The same blocks that run as they stand with azureml's names, with ours instead."""
    Experiment(ws, "MyExperiment")
    names = {name: getattr(penstock, name) for name in penstock.__all__}
    names["Workspace"] = type("Here", (), {"from_config": staticmethod(lambda: ws)})
    for block in BLOCKS.values():
        text = "\n".join(block).replace("aaaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee", published.id)
        text = text.replace("<pipeline-id-here>", published.id)
        text = re.sub(r"^(from|import) azureml.*$", "", text, flags=re.MULTILINE)
        if "reactive_schedule" in text:
            with pytest.raises(Invalid, match="holds a data path"):
                exec(text, names)
            text = text.replace(', data_path_parameter_name="input_data"', "")
        if ".disable()" in text and "pipeline = " in text:
            with pytest.raises(InUse, match="MyRecurringSchedule"):
                exec(text, names)
            continue
        if "stop_by_schedule_id(ws, schedule_id)" in text:
            for schedule in Schedule.list(ws):
                exec(text, names | {"schedule_id": schedule.id})
            continue
        exec(text, names)
    assert names["recurring_schedule"].status == "Active", "as it was when it was created"
    assert Schedule.list(ws) == []
    PublishedPipeline.get(ws, id=published.id).disable()
    assert PublishedPipeline.list(ws) == []


def test_errors_of_old_and_new_name_are_the_same_classes():
    assert issubclass(UserErrorException, ValueError)
    assert issubclass(InvalidRecurrence, ValueError)
    assert issubclass(InvalidParameters, Invalid)
