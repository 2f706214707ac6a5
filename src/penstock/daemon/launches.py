"""What one attempt of a step needs to start: its folder, its words, its data and its environment.

`gather` reads what must be known inside a transaction; `compose` turns it into a launch without
one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from penstock.compute.target import StepLaunch
from penstock.core.model import Datastore, Experiment, Run, SnapshotFile, StepPlace, Workspace
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
from penstock.errors import Invalid, NotFound
from penstock.service.files import attempt_folder
from penstock.service.pipelines import load_graph
from penstock.service.runs import output_path
from penstock.service.tokens import RunTokens
from penstock.store import pipelines, runs, steps, workspaces
from penstock.store.database import Transaction

Key = TypeVar("Key")
Value = TypeVar("Value")


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What is the same for all steps of a server."""

    home: Path
    tokens: RunTokens
    base_url: Callable[[], str]
    open_datastore: Callable[[Datastore], listing.Datastore]


@dataclass(frozen=True, slots=True, kw_only=True)
class _RunFacts:
    run: Run
    graph: Graph
    workspace: Workspace
    experiment: Experiment
    datastores: Mapping[str, Datastore]


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the database knows about one attempt that is to start."""

    place: StepPlace
    of_run: _RunFacts
    step: Step
    files: tuple[SnapshotFile, ...]
    producers: Mapping[str, StepPlace]  # by step id; empty for a step that reads no other's output


def launch_id(place: StepPlace) -> str:
    """Return the name under which compute targets know this attempt."""
    return f"{place.id}-{place.attempt}"


class Shelf:
    """What the database knows that does not change while a run lasts, kept for the newest runs.

    A run sees its workspace's datastores as they were when its first step started. Other daemons
    keep shelves of their own; nothing here decides anything.
    """

    def __init__(self) -> None:
        self._runs: dict[str, _RunFacts] = {}
        self._files: dict[tuple[str, str], tuple[SnapshotFile, ...]] = {}

    def facts(self, tx: Transaction, place: StepPlace) -> Facts:
        """Return what one attempt needs; what is not on the shelf is read.

        Raises:
            NotFound: its run, or the snapshot of its step, is gone.
        """
        known = self._runs.get(place.run_id)
        if known is None:
            known = _keep(self._runs, place.run_id, _read_run(tx, place.run_id))
        step = known.graph.by_id[place.step_id]
        key = (known.workspace.id, step.snapshot_id or "")
        files = self._files.get(key)
        if files is None:
            files = _keep(self._files, key, pipelines.get_snapshot(tx, *key).files)
        producers: Mapping[str, StepPlace] = {}
        if any(item.source is SourceKind.STEP for item in step.inputs):
            producers = steps.places(tx, [place.run_id])[place.run_id]
        return Facts(place=place, of_run=known, step=step, files=files, producers=producers)


def _read_run(tx: Transaction, run_id: str) -> _RunFacts:
    run = runs.find(tx, run_id)
    if run is None:
        raise NotFound(kind="run", id=run_id)
    return _RunFacts(
        run=run,
        graph=load_graph(tx, run.workspace_id, run.graph_id),
        workspace=workspaces.get_by_id(tx, run.workspace_id),
        experiment=workspaces.get_experiment(tx, run.workspace_id, run.experiment),
        datastores={d.name: d for d in workspaces.list_datastores(tx, run.workspace_id)},
    )


_KEPT_MAX = 256


def _keep(kept: dict[Key, Value], key: Key, value: Value) -> Value:
    """Put a value on a shelf in the place of the oldest one."""
    while len(kept) >= _KEPT_MAX:
        del kept[next(iter(kept))]
    kept[key] = value
    return value


def compose(facts: Facts, around: Surroundings) -> StepLaunch:
    """Return the launch of an attempt.

    Raises:
        Invalid: an input's data is not where it should be.
        NotFound: a datastore does not exist any more.
    """
    place = facts.place
    folder = attempt_folder(around.home, place.run_id, place.id, place.attempt)
    copies: list[tuple[Path, Path]] = []
    directories: list[Path] = []
    ports: dict[str, Path] = {}
    for item in facts.step.inputs:
        source = _input_place(facts, item, around)
        ports[item.name] = _input_path(item, source, folder, copies)
    for output in facts.step.outputs:
        written = _output_place(facts, output, around)
        ports[output.name] = written
        directories.append(written if output.is_directory else written.parent)
    return StepLaunch(
        id=launch_id(place),
        folder=folder,
        script=facts.step.script or "",
        arguments=tuple(_word(facts, ports, argument) for argument in facts.step.arguments),
        files=facts.files,
        environment=_environment(facts, ports, around),
        copies=tuple(copies),
        directories=tuple(directories),
    )


def outline(facts: Facts, around: Surroundings) -> StepLaunch:
    """Return what is known of a launch before its inputs are there: enough to lay out its
    folder."""
    place = facts.place
    return StepLaunch(
        id=launch_id(place),
        folder=attempt_folder(around.home, place.run_id, place.id, place.attempt),
        script=facts.step.script or "",
        arguments=(),
        files=facts.files,
        environment={},
    )


# ---- data ----------------------------------------------------------------------------------------


def _input_place(facts: Facts, item: Input, around: Surroundings) -> Path:
    """Return where an input's data lies on this machine."""
    datastore: str | None
    path: str | None
    match item.source:
        case SourceKind.STEP:
            producer = facts.of_run.graph.by_id[item.step_id or ""]
            output = next(o for o in producer.outputs if o.name == item.output)
            datastore = output.datastore
            path = output_path(output, facts.producers[producer.id].id)
            origin = f"step {producer.name!r} did not write its output {output.name!r}"
        case SourceKind.DATASTORE:
            datastore, path = item.datastore, item.path
            origin = f"nothing at {path!r} on datastore {datastore!r}"
        case SourceKind.PARAMETER:
            value = facts.of_run.run.parameters[item.parameter or ""]
            datastore, path = value["datastore"], value["path"]
            origin = (
                f"nothing at {path!r} on datastore {datastore!r} (parameter {item.parameter!r})"
            )
    place = _place(facts, datastore, path or "", around)
    if not _is_there(place):
        raise Invalid(
            f"Input {item.name!r} of step {facts.step.name!r}: {origin}.", field=item.name
        )
    return place


def _is_there(place: Path) -> bool:
    try:
        return place.exists()
    except OSError:  # a name that is too long, a folder that may not be read
        return False


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


def _output_place(facts: Facts, output: Output, around: Surroundings) -> Path:
    return _place(facts, output.datastore, output_path(output, facts.place.id), around)


def _place(facts: Facts, datastore: str | None, path: str, around: Surroundings) -> Path:
    known = facts.of_run.datastores
    name = datastore or facts.of_run.workspace.default_datastore
    if name not in known:
        raise Invalid(
            f"Step {facts.step.name!r}: there is no datastore {name!r}.", field="datastore"
        )
    place = around.open_datastore(known[name]).local_path(path)
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
            return as_word(facts.of_run.run.parameters[argument.value])
        case ArgumentKind.INPUT | ArgumentKind.OUTPUT:
            return str(ports[argument.value])


def _environment(facts: Facts, ports: Mapping[str, Path], around: Surroundings) -> dict[str, str]:
    """Return the variables by which a script finds its run; the old SDK's names, and ours."""
    run, workspace, place = facts.of_run.run, facts.of_run.workspace, facts.place
    url = around.base_url()
    token = around.tokens.make(run.id, place.id, place.attempt, workspace.id)
    return {
        **facts.step.environment_variables,
        **{f"AZUREML_DATAREFERENCE_{name}": str(path) for name, path in ports.items()},
        "AZUREML_RUN_ID": place.id,
        "AZUREML_ROOT_RUN_ID": run.id,
        "AZUREML_ARM_SUBSCRIPTION": workspace.subscription_id,
        "AZUREML_ARM_RESOURCEGROUP": workspace.resource_group,
        "AZUREML_ARM_WORKSPACE_NAME": workspace.name,
        "AZUREML_ARM_PROJECT_NAME": run.experiment,
        "AZUREML_EXPERIMENT_ID": facts.of_run.experiment.id,
        "AZUREML_WORKSPACE_ID": workspace.id,
        "AZUREML_SERVICE_ENDPOINT": url,
        "AZUREML_RUN_TOKEN": token,
        "PENSTOCK_URL": url,
        "PENSTOCK_TOKEN": token,
        "PENSTOCK_ATTEMPT": str(place.attempt),
        "PYTHONUNBUFFERED": "1",
    }
