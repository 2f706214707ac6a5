"""What one attempt of a step needs to start: its folder, its words, its data and its environment.

`gather` reads what must be known inside a transaction; `compose` turns it into a launch without
one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from penstock.compute.target import StepLaunch
from penstock.core.model import Datastore, Experiment, Run, SnapshotFile, StepRun, Workspace
from penstock.core.pipeline import (
    Argument,
    ArgumentKind,
    Graph,
    Input,
    Output,
    SourceKind,
    Step,
    as_word,
)
from penstock.datastores import listing
from penstock.errors import Invalid
from penstock.service.files import attempt_folder
from penstock.service.runs import output_path
from penstock.service.tokens import RunTokens
from penstock.store import pipelines, workspaces
from penstock.store.database import Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What is the same for all steps of a server."""

    home: Path
    tokens: RunTokens
    base_url: Callable[[], str]
    open_datastore: Callable[[Datastore], listing.Datastore]


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the database knows about one attempt that is to start."""

    run: Run
    step_run: StepRun  # its attempt is the one to start
    step: Step
    workspace: Workspace
    experiment: Experiment
    files: tuple[SnapshotFile, ...]
    datastores: Mapping[str, Datastore]
    producers: Mapping[str, tuple[Step, str]]  # step id to the step and its step run's id


def launch_id(step_run: StepRun) -> str:
    """Return the name under which compute targets know this attempt."""
    return f"{step_run.id}-{step_run.attempt}"


def gather(
    tx: Transaction, run: Run, graph: Graph, step_run: StepRun, siblings: Mapping[str, str]
) -> Facts:
    """Read what one attempt needs.

    Args:
        tx: the transaction.
        run: the run.
        graph: its graph.
        step_run: the attempt that is to start.
        siblings: the ids of all step runs of the run by step id.

    Raises:
        NotFound: the snapshot is gone.
    """
    step = graph.by_id[step_run.step_id]
    workspace = workspaces.get_by_id(tx, run.workspace_id)
    snapshot = pipelines.get_snapshot(tx, run.workspace_id, step.snapshot_id or "")
    return Facts(
        run=run,
        step_run=step_run,
        step=step,
        workspace=workspace,
        experiment=workspaces.get_experiment(tx, run.workspace_id, run.experiment),
        files=snapshot.files,
        datastores={d.name: d for d in workspaces.list_datastores(tx, run.workspace_id)},
        producers={other: (graph.by_id[other], siblings[other]) for other in siblings},
    )


def compose(facts: Facts, around: Surroundings) -> StepLaunch:
    """Return the launch of an attempt.

    Raises:
        Invalid: an input's data is not where it should be.
        NotFound: a datastore does not exist any more.
    """
    folder = attempt_folder(around.home, facts.run.id, facts.step_run.id, facts.step_run.attempt)
    copies: list[tuple[Path, Path]] = []
    directories: list[Path] = []
    ports: dict[str, Path] = {}
    for item in facts.step.inputs:
        source = _input_place(facts, item, around)
        ports[item.name] = _input_path(item, source, folder, copies)
    for output in facts.step.outputs:
        place = _output_place(facts, output, facts.step_run.id, around)
        ports[output.name] = place
        directories.append(place if output.is_directory else place.parent)
    return StepLaunch(
        id=launch_id(facts.step_run),
        folder=folder,
        script=facts.step.script or "",
        arguments=tuple(_word(facts, ports, argument) for argument in facts.step.arguments),
        files=facts.files,
        environment=_environment(facts, ports, around),
        copies=tuple(copies),
        directories=tuple(directories),
    )


# ---- data ----------------------------------------------------------------------------------------


def _input_place(facts: Facts, item: Input, around: Surroundings) -> Path:
    """Return where an input's data lies on this machine."""
    datastore: str | None
    path: str | None
    match item.source:
        case SourceKind.STEP:
            producer, step_run_id = facts.producers[item.step_id or ""]
            output = next(o for o in producer.outputs if o.name == item.output)
            datastore, path = output.datastore, output_path(output, step_run_id)
            origin = f"step {producer.name!r} did not write its output {output.name!r}"
        case SourceKind.DATASTORE:
            datastore, path = item.datastore, item.path
            origin = f"nothing at {path!r} on datastore {datastore!r}"
        case SourceKind.PARAMETER:
            value = facts.run.parameters[item.parameter or ""]
            datastore, path = value["datastore"], value["path"]
            origin = (
                f"nothing at {path!r} on datastore {datastore!r} (parameter {item.parameter!r})"
            )
    place = _place(facts, datastore, path or "", around)
    if not place.exists():
        raise Invalid(
            f"Input {item.name!r} of step {facts.step.name!r}: {origin}.", field=item.name
        )
    return place


def _input_path(item: Input, source: Path, folder: Path, copies: list[tuple[Path, Path]]) -> Path:
    """Return the path that the script gets, noting the copy it may need."""
    if item.mode != "download":
        return source
    target = (
        folder / "code" / item.path_on_compute
        if item.path_on_compute
        else folder / "inputs" / item.name
    )
    if source.is_file():
        target = target / source.name
    copies.append((source, target))
    return target


def _output_place(facts: Facts, output: Output, step_run_id: str, around: Surroundings) -> Path:
    return _place(facts, output.datastore, output_path(output, step_run_id), around)


def _place(facts: Facts, datastore: str | None, path: str, around: Surroundings) -> Path:
    name = datastore or facts.workspace.default_datastore
    if name not in facts.datastores:
        raise Invalid(
            f"Step {facts.step.name!r}: there is no datastore {name!r}.", field="datastore"
        )
    place = around.open_datastore(facts.datastores[name]).local_path(path)
    if place is None:
        raise Invalid(
            f"Step {facts.step.name!r}: datastore {name!r} does not lie on this machine.",
            field="datastore",
        )
    return place


# ---- words and environment -----------------------------------------------------------------------


def _word(facts: Facts, ports: Mapping[str, Path], argument: Argument) -> str:
    match argument.kind:
        case ArgumentKind.LITERAL:
            return argument.value
        case ArgumentKind.PARAMETER:
            return as_word(facts.run.parameters[argument.value])
        case ArgumentKind.INPUT | ArgumentKind.OUTPUT:
            return str(ports[argument.value])


def _environment(facts: Facts, ports: Mapping[str, Path], around: Surroundings) -> dict[str, str]:
    """Return the variables by which a script finds its run; the old SDK's names, and ours."""
    run, step_run, workspace = facts.run, facts.step_run, facts.workspace
    url = around.base_url()
    token = around.tokens.make(run.id, step_run.id, step_run.attempt, workspace.id)
    return {
        **facts.step.environment_variables,
        **{f"AZUREML_DATAREFERENCE_{name}": str(path) for name, path in ports.items()},
        "AZUREML_RUN_ID": step_run.id,
        "AZUREML_ROOT_RUN_ID": run.id,
        "AZUREML_ARM_SUBSCRIPTION": workspace.subscription_id,
        "AZUREML_ARM_RESOURCEGROUP": workspace.resource_group,
        "AZUREML_ARM_WORKSPACE_NAME": workspace.name,
        "AZUREML_ARM_PROJECT_NAME": run.experiment,
        "AZUREML_EXPERIMENT_ID": facts.experiment.id,
        "AZUREML_WORKSPACE_ID": workspace.id,
        "AZUREML_SERVICE_ENDPOINT": url,
        "AZUREML_RUN_TOKEN": token,
        "PENSTOCK_URL": url,
        "PENSTOCK_TOKEN": token,
        "PENSTOCK_ATTEMPT": str(step_run.attempt),
        "PYTHONUNBUFFERED": "1",
    }
