"""`penstock pipeline`: list, show, enable, disable, submit."""

from __future__ import annotations

from typing import Annotated

import typer

from penstock.cli.naming import get_pipeline, parameter_values
from penstock.cli.printing import Column, state
from penstock.cli.session import Session
from penstock.cli.verbs import noun, server_verb
from penstock.core.model import Status
from penstock.core.pipeline import Graph
from penstock.sdk.client import new_submission_key
from penstock.wire import (
    GRAPH,
    PipelineChanges,
    PublishedPipelineDocument,
    RunDocument,
    SubmitRequest,
)

app = noun("pipeline", "Published pipelines: immutable, ready to be submitted and scheduled.")

PipelineArgument = Annotated[
    str, typer.Argument(metavar="PIPELINE", help="The id of a published pipeline, or its name.")
]


@server_verb(app, "list")
def list_pipelines(
    here: Session,
    every: Annotated[bool, typer.Option("--all", help="Disabled ones too.")] = False,
    name: Annotated[
        str | None, typer.Option(help="Only those of this name.", show_default=False)
    ] = None,
) -> None:
    """List the published pipelines, newest first."""
    path = here.path("pipelines")
    found = here.client.pages(PublishedPipelineDocument, path, active_only=not every, name=name)
    columns = [
        Column("NAME", lambda p: p.name),
        Column("ID", lambda p: p.id),
        Column("VERSION", lambda p: p.version or ""),
        Column("STATUS", lambda p: state(p.status)),
        Column("STEPS", lambda p: str(p.step_count), is_right=True),
        Column("PUBLISHED", lambda p: here.printer.when(p.created_at)),
    ]
    empty = "No pipelines." if every else "No active pipelines. --all shows disabled ones too."
    here.printer.many(found, columns, empty=empty)


@server_verb(app, "show")
def show_pipeline(here: Session, pipeline: PipelineArgument) -> None:
    """Show one published pipeline, its parameters and its steps."""
    found = get_pipeline(here, pipeline)
    here.printer.one(
        found,
        [
            Column("Name", lambda p: p.name),
            Column("Id", lambda p: p.id),
            Column("Version", lambda p: p.version),
            Column("Description", lambda p: p.description),
            Column("Status", lambda p: state(p.status)),
            Column("On step failure", lambda p: _on_failure(p.continue_on_step_failure)),
            Column("Published", lambda p: here.printer.when(p.created_at)),
            Column("Endpoint", lambda p: p.endpoint),
        ],
    )
    if here.printer.is_table:
        graph = GRAPH.validate_python(
            here.client.request("GET", here.path("graphs", found.graph_id)).json()
        )
        _show_graph(here, graph)


@server_verb(app, "enable")
def enable_pipeline(here: Session, pipeline: PipelineArgument) -> None:
    """Let a disabled pipeline be submitted and scheduled again."""
    _change(here, pipeline, Status.ACTIVE)


@server_verb(app, "disable")
def disable_pipeline(here: Session, pipeline: PipelineArgument) -> None:
    """Refuse new runs of a pipeline; refused while an active schedule refers to it."""
    _change(here, pipeline, Status.DISABLED)


@server_verb(app, "submit")
def submit_pipeline(
    here: Session,
    pipeline: PipelineArgument,
    experiment: Annotated[
        str, typer.Option("--experiment", "-e", help="The experiment of the run.")
    ],
    parameter: Annotated[
        list[str] | None,
        typer.Option("--parameter", "-p", metavar="NAME=VALUE", help="A parameter; repeatable."),
    ] = None,
    continue_on_step_failure: Annotated[
        bool | None,
        typer.Option(
            help="Let other branches go on after a failure. Default: as published.",
            show_default=False,
        ),
    ] = None,
    description: Annotated[str, typer.Option(help="About this run.", show_default=False)] = "",
) -> None:
    """Start a run of a published pipeline; `penstock run wait` follows it."""
    request = SubmitRequest(
        experiment=experiment,
        pipeline_id=get_pipeline(here, pipeline).id,
        parameters=parameter_values(parameter),
        continue_on_step_failure=continue_on_step_failure,
        description=description,
        source="CLI",
    )
    run = here.client.send(
        RunDocument, "POST", here.path("runs"), request, submission_key=new_submission_key()
    )
    here.printer.say(f"Submitted run {run.id}.")
    here.printer.say(f"Follow it: penstock run wait {run.id}")
    here.printer.data(run.model_dump(mode="json"))


def _change(here: Session, pipeline: str, status: Status) -> None:
    path = here.path("pipelines", get_pipeline(here, pipeline).id)
    changes = PipelineChanges(status=status)
    changed = here.client.send(PublishedPipelineDocument, "PATCH", path, changes)
    here.printer.say(f"Pipeline {changed.name!r} ({changed.id}) is {changed.status}.")
    here.printer.data(changed.model_dump(mode="json"))


def _on_failure(continues: bool) -> str:
    return "other branches go on" if continues else "the run stops"


def _show_graph(here: Session, graph: Graph) -> None:
    names = {step.id: step.name for step in graph.steps}
    if graph.parameters:
        here.printer.say()
        columns = [
            Column("PARAMETER", lambda p: p.name),
            Column("KIND", lambda p: p.kind.value),
            Column("DEFAULT", lambda p: str(p.default)),
        ]
        here.printer.many(graph.parameters, columns, empty="")
    here.printer.say()
    columns = [
        Column("STEP", lambda s: s.name),
        Column("SCRIPT", lambda s: s.script),
        Column("COMPUTE", lambda s: s.compute),
        Column(
            "AFTER", lambda s: ", ".join(sorted(names[other] for other in graph.predecessors[s.id]))
        ),
    ]
    here.printer.many(graph.steps, columns, empty="No steps.")
