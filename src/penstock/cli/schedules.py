"""`penstock schedule`: list, show, create, update, preview, why, enable, disable, fire."""

from __future__ import annotations

from datetime import timedelta
from itertools import islice
from typing import Annotated, Any

import typer

from penstock.cli.naming import get_pipeline, get_schedule, parameter_values
from penstock.cli.printing import Cell, Column, Printer, duration, exact, state
from penstock.cli.recurring import recurrence_from
from penstock.cli.session import Session
from penstock.cli.verbs import noun, server_verb
from penstock.core.due import CatchUp, Outcome, Overlap
from penstock.core.model import Status
from penstock.core.recurrence import Recurrence
from penstock.core.wording import describe
from penstock.errors import Invalid
from penstock.wire import (
    FireDocument,
    FireRequest,
    OccurrenceDocument,
    PreviewDocument,
    PreviewRequest,
    RunDocument,
    ScheduleChanges,
    ScheduleDocument,
    ScheduleDraft,
)

app = noun("schedule", "Schedules: when a pipeline runs, and why it did or did not.")

ScheduleArgument = Annotated[
    str, typer.Argument(metavar="SCHEDULE", help="The id of a schedule, or its name.")
]
Parameter = Annotated[
    list[str] | None,
    typer.Option("--parameter", "-p", metavar="NAME=VALUE", help="A parameter; repeatable."),
]
ContinueOnStepFailure = Annotated[
    bool | None,
    typer.Option(
        help="Let other branches go on after a failure. Default: as published.", show_default=False
    ),
]
CatchUpOption = Annotated[
    CatchUp | None,
    typer.Option(
        help="Occurrences missed while the server was down. Default: skip.", show_default=False
    ),
]
CatchUpWindow = Annotated[
    float | None,
    typer.Option(
        metavar="SECONDS",
        help="How far back --catch-up all reaches. Default: 86400.",
        show_default=False,
    ),
]
OverlapOption = Annotated[
    Overlap | None,
    typer.Option(help="A fire while an earlier run is active. Default: allow.", show_default=False),
]
RunOnCreate = Annotated[
    bool, typer.Option(help="Without a start time, the first run starts at once.")
]

MARKS = {
    "on_create": "the schedule is created: the first run starts at once",
    "moved": "the clocks jump over this time, so it fires later",
    "repeated": "the clocks show this time twice, and it fires both times",
    "merged": "falls on the same instant as another one: one fire for both",
    "dropped": "the clocks jump over this time, so nothing fires",
}
"""What the marks of a preview mean."""


@server_verb(app, "list")
def list_schedules(
    here: Session,
    every: Annotated[bool, typer.Option("--all", help="Disabled ones too.")] = False,
    pipeline: Annotated[
        str | None,
        typer.Option(help="Only those of this pipeline (id or name).", show_default=False),
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="Only those of this name.", show_default=False)
    ] = None,
) -> None:
    """List the schedules, newest first."""
    pipeline_id = get_pipeline(here, pipeline).id if pipeline else None
    found = here.client.pages(
        ScheduleDocument,
        here.path("schedules"),
        active_only=not every,
        pipeline_id=pipeline_id,
        name=name,
    )
    columns = [
        Column("NAME", lambda s: s.name),
        Column("ID", lambda s: s.id),
        Column("STATUS", lambda s: state(s.status)),
        Column("FIRES", trigger_in_words),
        Column("NEXT FIRE", lambda s: here.printer.when(s.next_fire_time)),
    ]
    empty = "No schedules." if every else "No active schedules. --all shows disabled ones too."
    here.printer.many(found, columns, empty=empty)


@server_verb(app, "show")
def show_schedule(here: Session, schedule: ScheduleArgument) -> None:
    """Show one schedule with its policies."""
    _show(here.printer, get_schedule(here, schedule))


@server_verb(app, "create", rule=recurrence_from)
def create_schedule(
    here: Session,
    name: Annotated[str, typer.Option(help="Its name; need not be unique.")],
    pipeline: Annotated[str, typer.Option(help="The published pipeline (id or name).")],
    experiment: Annotated[
        str, typer.Option("--experiment", "-e", help="The experiment of its runs.")
    ],
    rule: Recurrence | None,
    description: Annotated[str, typer.Option(help="What it is for.", show_default=False)] = "",
    parameter: Parameter = None,
    disabled: Annotated[bool, typer.Option("--disabled", help="Create it disabled.")] = False,
    run_on_create: RunOnCreate = True,
    catch_up: CatchUpOption = None,
    catch_up_window: CatchUpWindow = None,
    overlap: OverlapOption = None,
    continue_on_step_failure: ContinueOnStepFailure = None,
) -> None:
    """Create a schedule for a published pipeline."""
    if rule is None:
        raise Invalid("Say when it fires, for example --every 15 --unit minute.", field="--every")
    draft = ScheduleDraft(
        name=name,
        experiment=experiment,
        pipeline_id=get_pipeline(here, pipeline).id,
        description=description,
        recurrence=rule,
        parameters=parameter_values(parameter),
        status=Status.DISABLED if disabled else Status.ACTIVE,
        run_on_create=run_on_create,
        **_policies(catch_up, catch_up_window, overlap, continue_on_step_failure),
    )
    created = here.client.send(ScheduleDocument, "POST", here.path("schedules"), draft)
    _show(here.printer, created)


@server_verb(app, "update", rule=recurrence_from)
def update_schedule(
    here: Session,
    schedule: ScheduleArgument,
    rule: Recurrence | None,
    name: Annotated[str | None, typer.Option(help="Its new name.", show_default=False)] = None,
    description: Annotated[
        str | None, typer.Option(help="What it is for.", show_default=False)
    ] = None,
    parameter: Parameter = None,
    catch_up: CatchUpOption = None,
    catch_up_window: CatchUpWindow = None,
    overlap: OverlapOption = None,
    continue_on_step_failure: ContinueOnStepFailure = None,
) -> None:
    """Change a schedule; what is not named stays.

    A recurrence is replaced as a whole, and so are the parameters.
    """
    given: dict[str, Any] = {
        "name": name,
        "description": description,
        "recurrence": rule,
        "parameters": parameter_values(parameter) if parameter else None,
    }
    given = {key: value for key, value in given.items() if value is not None}
    given |= _policies(catch_up, catch_up_window, overlap, continue_on_step_failure)
    if not given:
        raise Invalid("Nothing to change was named; see `penstock schedule update --help`.")
    _show(here.printer, _changed(here, schedule, ScheduleChanges(**given)))


@server_verb(app, "enable")
def enable_schedule(here: Session, schedule: ScheduleArgument) -> None:
    """Let a disabled schedule fire again, from now on."""
    _set_status(here, schedule, Status.ACTIVE)


@server_verb(app, "disable")
def disable_schedule(here: Session, schedule: ScheduleArgument) -> None:
    """Stop a schedule from firing; runs that are under way go on."""
    _set_status(here, schedule, Status.DISABLED)


@server_verb(app, "preview", rule=recurrence_from)
def preview_schedule(
    here: Session,
    rule: Recurrence | None,
    schedule: Annotated[
        str | None,
        typer.Argument(metavar="[SCHEDULE]", help="An id or a name; or give a recurrence instead."),
    ] = None,
    count: Annotated[int, typer.Option("--count", "-n", min=1, max=1000, help="How many.")] = 10,
    run_on_create: RunOnCreate = True,
) -> None:
    """Show the next fire times of a schedule, or of a recurrence before there is a schedule.

    Times that a change of the clock moved, merged, repeated or dropped are marked.
    """
    if (schedule is None) == (rule is None):
        raise Invalid("Give either a schedule or a recurrence (--frequency …).", field="schedule")
    if rule is not None:
        request = PreviewRequest(
            recurrence=rule, count=count, after=None, run_on_create=run_on_create
        )
        path = here.path("schedules", "preview")
        preview = here.client.send(PreviewDocument, "POST", path, request)
    else:
        found = get_schedule(here, schedule or "")
        path = here.path("schedules", found.id, "preview")
        preview = here.client.read(PreviewDocument, path, count=count)
    _show_preview(here.printer, preview)


@server_verb(app, "why")
def why(
    here: Session,
    schedule: ScheduleArgument,
    outcome: Annotated[
        list[Outcome] | None, typer.Option(help="Only these; repeatable.", show_default=False)
    ] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="At most so many.")] = 20,
) -> None:
    """Show what became of each occurrence and why, newest first: fired, skipped, missed, failed."""
    found = get_schedule(here, schedule)
    records = here.client.pages(
        FireDocument,
        here.path("schedules", found.id, "fires"),
        outcome=[one.value for one in outcome or ()],
        limit=min(limit, 100),
    )
    columns = [
        Column("FIRE TIME", lambda f: here.printer.when(f.fire_time)),
        Column("OUTCOME", _outcome),
        Column("LATE", _lateness, is_right=True),
        Column("RUN", lambda f: f.run_id or ""),
        Column("REASON", lambda f: f.reason),
    ]
    here.printer.many(islice(records, limit), columns, empty="No occurrence was due yet.")


@server_verb(app, "fire")
def fire(here: Session, schedule: ScheduleArgument, parameter: Parameter = None) -> None:
    """Start a run now, as the schedule would; its own times stay as they are."""
    found = get_schedule(here, schedule)
    request = FireRequest(parameters=parameter_values(parameter))
    run = here.client.send(RunDocument, "POST", here.path("schedules", found.id, "fire"), request)
    here.printer.say(f"Started run {run.id}.")
    here.printer.say(f"Follow it: penstock run wait {run.id}")
    here.printer.data(run.model_dump(mode="json"))


def trigger_in_words(schedule: ScheduleDocument) -> str:
    """Return what makes a schedule fire, as a phrase."""
    if schedule.recurrence is not None:
        return describe(schedule.recurrence)
    change = schedule.data_change
    if change is None:
        return ""
    place = f"{change.datastore}/{change.path or ''}"
    return f"on changes in {place}, looked at every {change.polling_minutes} min"


def _policies(
    catch_up: CatchUp | None,
    catch_up_window: float | None,
    overlap: Overlap | None,
    continue_on_step_failure: bool | None,
) -> dict[str, Any]:
    """Return those that were given."""
    values = {
        "catch_up": catch_up,
        "catch_up_window_seconds": catch_up_window,
        "overlap": overlap,
        "continue_on_step_failure": continue_on_step_failure,
    }
    return {key: value for key, value in values.items() if value is not None}


def _changed(here: Session, schedule: str, changes: ScheduleChanges) -> ScheduleDocument:
    path = here.path("schedules", get_schedule(here, schedule).id)
    return here.client.send(ScheduleDocument, "PATCH", path, changes)


def _set_status(here: Session, schedule: str, status: Status) -> None:
    changed = _changed(here, schedule, ScheduleChanges(status=status))
    sentence = f"Schedule {changed.name!r} ({changed.id}) is {changed.status}"
    if changed.next_fire_time is not None:
        sentence += f"; it fires next at {exact(changed.next_fire_time)}"
    here.printer.say(sentence + ".")
    here.printer.data(changed.model_dump(mode="json"))


def _show(printer: Printer, schedule: ScheduleDocument) -> None:
    printer.one(
        schedule,
        [
            Column("Name", lambda s: s.name),
            Column("Id", lambda s: s.id),
            Column("Description", lambda s: s.description),
            Column("Status", lambda s: state(s.status)),
            Column("Stopped itself", lambda s: s.quarantined_reason),
            Column("Fires", trigger_in_words),
            Column("Next fire", lambda s: printer.when(s.next_fire_time)),
            Column("Pipeline", lambda s: s.pipeline_id),
            Column("Pipeline endpoint", lambda s: s.pipeline_endpoint_id),
            Column("Experiment", lambda s: s.experiment),
            Column("Parameters", lambda s: ", ".join(f"{k}={v}" for k, v in s.parameters.items())),
            Column("Catch-up", lambda s: s.catch_up.value),
            Column("Overlap", lambda s: s.overlap.value),
            Column("Created", lambda s: printer.when(s.created_at)),
            Column("Created by", lambda s: s.created_by),
        ],
    )


def _show_preview(printer: Printer, preview: PreviewDocument) -> None:
    if not printer.is_table:
        printer.data(preview.model_dump(mode="json"))
        return
    is_named = preview.time_zone in preview.description  # else by its Windows name
    zone = "" if is_named else f" ({preview.time_zone})"
    printer.say(f"{preview.description}{zone}")
    printer.say()
    columns = [
        Column("UTC", lambda o: printer.when(o.fire_time) or "-"),
        Column("LOCAL TIME", _local_time),
        Column("MARK", lambda o: state(o.mark)),
        Column("", lambda o: MARKS.get(o.mark or "", "")),
    ]
    printer.many(preview.occurrences, columns, empty="It never fires.")


def _local_time(occurrence: OccurrenceDocument) -> str:
    """Return the local time of a fire; the wall time that the rule names, where that is another."""
    nominal = f"{occurrence.nominal_time:%a %Y-%m-%d %H:%M:%S}"
    if occurrence.local_time is None:
        return nominal
    local = f"{occurrence.local_time:%a %Y-%m-%d %H:%M:%S}"
    offset = f"{occurrence.local_time:%z}"
    named = "" if local == nominal else f" (for {occurrence.nominal_time:%H:%M:%S})"
    return f"{local} {offset[:3]}:{offset[3:5]}{named}"


def _outcome(fire: FireDocument) -> Cell:
    word = state(fire.outcome)
    return word.append(f" x{fire.count}") if fire.count > 1 else word


def _lateness(fire: FireDocument) -> str:
    """How long after its time an occurrence fired; of the others it says nothing."""
    if fire.fire_time is None or fire.outcome is not Outcome.FIRED:
        return ""
    return duration(max(fire.fired_at - fire.fire_time, timedelta()))
