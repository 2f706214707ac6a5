"""`penstock run`: list, show, steps, outputs, metrics, logs, wait, cancel."""

from __future__ import annotations

import json
from datetime import timedelta
from itertools import islice
from typing import Annotated

import typer

from penstock.cli.failures import ExitCode, exit_code_of_run
from penstock.cli.following import (
    follow_logs,
    get_run,
    get_steps,
    print_logs,
    wait_for_end,
)
from penstock.cli.naming import get_pipeline, get_schedule
from penstock.cli.printing import Column, Printer, duration, state
from penstock.cli.session import Session
from penstock.cli.verbs import noun, server_verb
from penstock.core.states import RunState
from penstock.wire import (
    MetricDocument,
    OutputDocument,
    RunDocument,
    StepRunDocument,
)

app = noun("run", "Runs: what was started, how it goes, what it left.")

RunArgument = Annotated[str, typer.Argument(metavar="RUN", help="The id of a run.")]
StepName = Annotated[
    str | None, typer.Option("--step", help="Only this step (name or id).", show_default=False)
]


@server_verb(app, "list")
def list_runs(
    here: Session,
    experiment: Annotated[
        str | None, typer.Option("--experiment", "-e", help="Only of it.", show_default=False)
    ] = None,
    pipeline: Annotated[
        str | None, typer.Option(help="Only of this pipeline (id or name).", show_default=False)
    ] = None,
    schedule: Annotated[
        str | None, typer.Option(help="Only of this schedule (id or name).", show_default=False)
    ] = None,
    state_: Annotated[
        list[RunState] | None,
        typer.Option("--state", help="Only in these states; repeatable.", show_default=False),
    ] = None,
    tag: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME[=VALUE]", help="Only with these tags; repeatable."),
    ] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="At most so many.")] = 20,
) -> None:
    """List runs, newest first."""
    found = here.client.pages(
        RunDocument,
        here.path("runs"),
        experiment=experiment,
        pipeline_id=get_pipeline(here, pipeline).id if pipeline else None,
        schedule_id=get_schedule(here, schedule).id if schedule else None,
        state=[word.value for word in state_ or ()],
        tag=tag or [],
        limit=min(limit, 100),
    )
    columns = [
        Column("ID", lambda r: r.id),
        Column("STATE", lambda r: state(r.state)),
        Column("EXPERIMENT", lambda r: r.experiment),
        Column("CREATED", lambda r: here.printer.when(r.created_at)),
        Column("TOOK", lambda r: _took(here.printer, r), is_right=True),
        Column("CAUSE", lambda r: r.cause),
    ]
    here.printer.many(islice(found, limit), columns, empty="No runs.")


@server_verb(app, "show")
def show_run(here: Session, run: RunArgument) -> None:
    """Show one run, what caused it, and its steps."""
    found = get_run(here, run)
    here.printer.one(
        found,
        [
            Column("Id", lambda r: r.id),
            Column("State", lambda r: state(r.state)),
            Column("Error", lambda r: r.error),
            Column("Cause", lambda r: r.cause),
            Column("Experiment", lambda r: r.experiment),
            Column("Pipeline", lambda r: r.pipeline_id),
            Column("Schedule", lambda r: r.schedule_id),
            Column("Fire time", lambda r: here.printer.when(r.fire_time)),
            Column("Parent", lambda r: r.parent_run_id),
            Column("Description", lambda r: r.description),
            Column("Parameters", lambda r: ", ".join(f"{k}={v}" for k, v in r.parameters.items())),
            Column("Tags", lambda r: ", ".join(f"{k}={v}" for k, v in r.tags.items())),
            Column("Created", lambda r: here.printer.when(r.created_at)),
            Column("Started", lambda r: here.printer.when(r.started_at)),
            Column("Ended", lambda r: here.printer.when(r.ended_at)),
            Column("Took", lambda r: _took(here.printer, r)),
        ],
    )
    if here.printer.is_table:
        here.printer.say()
        _show_steps(here.printer, get_steps(here, run))


@server_verb(app, "steps")
def show_steps(here: Session, run: RunArgument) -> None:
    """List the steps of a run with their states."""
    _show_steps(here.printer, get_steps(here, run))


@server_verb(app, "outputs")
def show_outputs(here: Session, run: RunArgument, step: StepName = None) -> None:
    """List where the outputs of a run's steps lie."""
    rows = []
    for step_run in get_steps(here, run):
        if step in (None, step_run.name, step_run.id):
            path = here.path("step-runs", step_run.id, "outputs")
            rows += [
                {
                    "step_run_id": step_run.id,
                    "step": step_run.name,
                    **output.model_dump(mode="json"),
                }
                for output in here.client.read_list(OutputDocument, path)
            ]
    columns = [
        Column("STEP", lambda o: o["step"]),
        Column("OUTPUT", lambda o: o["name"]),
        Column("DATASTORE", lambda o: o["datastore"]),
        Column("PATH", lambda o: o["path"]),
    ]
    here.printer.many(rows, columns, empty="No outputs.")


@server_verb(app, "metrics")
def show_metrics(
    here: Session,
    run: RunArgument,
    name: Annotated[str | None, typer.Option(help="Only this one.", show_default=False)] = None,
) -> None:
    """List the metrics that a run and its steps logged."""
    path = here.path("runs", run, "metrics")
    found = here.client.read_list(MetricDocument, path, recursive=True, name=name)
    steps = {step.id: step.name for step in get_steps(here, run)}
    columns = [
        Column("STEP", lambda m: steps.get(m.run_id, "")),
        Column("METRIC", lambda m: m.name),
        Column("VALUE", lambda m: _value(m)),
        Column("AT", lambda m: "" if m.step is None else str(m.step), is_right=True),
        Column("LOGGED", lambda m: here.printer.when(m.logged_at)),
    ]
    here.printer.many(found, columns, empty="No metrics.")


@server_verb(app, "logs")
def show_logs(
    here: Session,
    run: RunArgument,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on until the run ends.")
    ] = False,
    step: StepName = None,
) -> None:
    """Print the logs of a run's steps; with --follow, as they are written.

    With --follow the exit code tells how the run ended. The formats for programs are a JSON object
    per line.
    """
    if not follow:
        print_logs(here, run, step)
        return
    ended = follow_logs(here, run, step)
    here.printer.say(_end_in_words(here.printer, ended))
    raise typer.Exit(exit_code_of_run(ended.state))


@server_verb(app, "wait")
def wait(
    here: Session,
    run: RunArgument,
    timeout: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS", min=0, help="Wait no longer. Default: no limit.", show_default=False
        ),
    ] = None,
) -> None:
    """Wait until a run has ended and show its progress; the exit code tells how it ended."""
    ended = wait_for_end(here, run, timeout)
    if ended is None:
        here.printer.say(f"Run {run} has not ended after {timeout:g} s; it goes on.")
        here.printer.data(get_run(here, run).model_dump(mode="json"))
        raise typer.Exit(ExitCode.TIMED_OUT)
    here.printer.say(_end_in_words(here.printer, ended))
    here.printer.data(ended.model_dump(mode="json"))
    raise typer.Exit(exit_code_of_run(ended.state))


@server_verb(app, "cancel")
def cancel(here: Session, run: RunArgument) -> None:
    """Cancel a run: steps that are running are stopped, the others never start."""
    found = here.client.send(RunDocument, "POST", here.path("runs", run, "cancel"))
    here.printer.say(f"Run {found.id}: {found.history_status}.")
    here.printer.data(found.model_dump(mode="json"))


def _show_steps(printer: Printer, steps: list[StepRunDocument]) -> None:
    columns = [
        Column("STEP", lambda s: s.name),
        Column("STATE", lambda s: state(s.state)),
        Column("ATTEMPT", lambda s: str(s.attempt), is_right=True),
        Column("EXIT", lambda s: "" if s.exit_code is None else str(s.exit_code), is_right=True),
        Column("TOOK", lambda s: _took(printer, s), is_right=True),
        Column("ID", lambda s: s.id),
        Column("ERROR", lambda s: s.error or ""),
    ]
    printer.many(steps, columns, empty="No steps.")


def _took(printer: Printer, one: RunDocument | StepRunDocument) -> str:
    if one.started_at is None:
        return ""
    return duration(max((one.ended_at or printer.now) - one.started_at, timedelta()))


def _value(metric: MetricDocument) -> str:
    if isinstance(metric.value, float):
        return f"{metric.value:.6g}"
    return metric.value if isinstance(metric.value, str) else json.dumps(metric.value)


def _end_in_words(printer: Printer, run: RunDocument) -> str:
    words = {
        RunState.FINISHED: "finished",
        RunState.FAILED: "failed",
        RunState.CANCELED: "was cancelled",
    }
    took = _took(printer, run)
    sentence = f"Run {run.id} {words[run.state]}" + (f" after {took}." if took else ".")
    return f"{sentence} {run.error}" if run.error else sentence
