"""Penstock schedules and triggers machine-learning pipelines: the names that users import.

    from penstock import Experiment, Pipeline, PythonScriptStep, Schedule, Workspace

Every public name is here. They are loaded when they are first used, so that `import penstock` costs
next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from penstock.errors import (
        ComputeUnavailable,
        Conflict,
        DatastoreUnavailable,
        InUse,
        Invalid,
        InvalidParameters,
        InvalidPipeline,
        InvalidRecurrence,
        NotAllowed,
        NotAuthenticated,
        NotFound,
        PenstockError,
        RunFailed,
        ServerUnreachable,
        StorageFull,
        StoreBusy,
        TooLarge,
        Unavailable,
    )
    from penstock.sdk.authentication import (
        AbstractAuthentication,
        ArmTokenAuthentication,
        AzureCliAuthentication,
        InteractiveLoginAuthentication,
        MsiAuthentication,
        ServicePrincipalAuthentication,
        TokenAuthentication,
    )
    from penstock.sdk.client import Client
    from penstock.sdk.compute import AmlCompute, ComputeTarget
    from penstock.sdk.data import DataPath, DataPathComputeBinding, DataReference
    from penstock.sdk.datastore import Datastore
    from penstock.sdk.exceptions import (
        ActivityFailedException,
        ComputeTargetException,
        ExperimentExecutionException,
        RunEnvironmentException,
        SnapshotException,
        UserErrorException,
    )
    from penstock.sdk.experiment import Experiment, ViewType
    from penstock.sdk.parameters import PipelineParameter
    from penstock.sdk.pipeline import Pipeline
    from penstock.sdk.pipeline_run import PipelineRun
    from penstock.sdk.port_data import PortDataReference, StepRunOutput
    from penstock.sdk.ports import InputPortBinding, OutputPortBinding, PipelineData
    from penstock.sdk.published import PublishedPipeline
    from penstock.sdk.recurrence import ScheduleRecurrence
    from penstock.sdk.run import Run, get_run
    from penstock.sdk.schedule import Schedule
    from penstock.sdk.script_step import PythonScriptStep
    from penstock.sdk.step_run import StepRun
    from penstock.sdk.steps import PipelineStep, StepSequence
    from penstock.sdk.time_zones import TimeZone
    from penstock.sdk.workspace import Workspace

    __version__: str

__all__ = [
    "AbstractAuthentication",
    "ActivityFailedException",
    "AmlCompute",
    "ArmTokenAuthentication",
    "AzureCliAuthentication",
    "Client",
    "ComputeTarget",
    "ComputeTargetException",
    "ComputeUnavailable",
    "Conflict",
    "DataPath",
    "DataPathComputeBinding",
    "DataReference",
    "Datastore",
    "DatastoreUnavailable",
    "Experiment",
    "ExperimentExecutionException",
    "InUse",
    "InputPortBinding",
    "InteractiveLoginAuthentication",
    "Invalid",
    "InvalidParameters",
    "InvalidPipeline",
    "InvalidRecurrence",
    "MsiAuthentication",
    "NotAllowed",
    "NotAuthenticated",
    "NotFound",
    "OutputPortBinding",
    "PenstockError",
    "Pipeline",
    "PipelineData",
    "PipelineParameter",
    "PipelineRun",
    "PipelineStep",
    "PortDataReference",
    "PublishedPipeline",
    "PythonScriptStep",
    "Run",
    "RunEnvironmentException",
    "RunFailed",
    "Schedule",
    "ScheduleRecurrence",
    "ServerUnreachable",
    "ServicePrincipalAuthentication",
    "SnapshotException",
    "StepRun",
    "StepRunOutput",
    "StepSequence",
    "StorageFull",
    "StoreBusy",
    "TimeZone",
    "TokenAuthentication",
    "TooLarge",
    "Unavailable",
    "UserErrorException",
    "ViewType",
    "Workspace",
    "get_run",
]

_HOMES = {
    name: module
    for module, names in {
        "penstock.errors": (
            "ComputeUnavailable",
            "Conflict",
            "DatastoreUnavailable",
            "InUse",
            "Invalid",
            "InvalidParameters",
            "InvalidPipeline",
            "InvalidRecurrence",
            "NotAllowed",
            "NotAuthenticated",
            "NotFound",
            "PenstockError",
            "RunFailed",
            "ServerUnreachable",
            "StorageFull",
            "StoreBusy",
            "TooLarge",
            "Unavailable",
        ),
        "penstock.sdk.authentication": (
            "AbstractAuthentication",
            "ArmTokenAuthentication",
            "AzureCliAuthentication",
            "InteractiveLoginAuthentication",
            "MsiAuthentication",
            "ServicePrincipalAuthentication",
            "TokenAuthentication",
        ),
        "penstock.sdk.client": ("Client",),
        "penstock.sdk.compute": (
            "AmlCompute",
            "ComputeTarget",
        ),
        "penstock.sdk.data": (
            "DataPath",
            "DataPathComputeBinding",
            "DataReference",
        ),
        "penstock.sdk.datastore": ("Datastore",),
        "penstock.sdk.exceptions": (
            "ActivityFailedException",
            "ComputeTargetException",
            "ExperimentExecutionException",
            "RunEnvironmentException",
            "SnapshotException",
            "UserErrorException",
        ),
        "penstock.sdk.experiment": (
            "Experiment",
            "ViewType",
        ),
        "penstock.sdk.parameters": ("PipelineParameter",),
        "penstock.sdk.pipeline": ("Pipeline",),
        "penstock.sdk.pipeline_run": ("PipelineRun",),
        "penstock.sdk.step_run": ("StepRun",),
        "penstock.sdk.port_data": (
            "PortDataReference",
            "StepRunOutput",
        ),
        "penstock.sdk.ports": (
            "InputPortBinding",
            "OutputPortBinding",
            "PipelineData",
        ),
        "penstock.sdk.published": ("PublishedPipeline",),
        "penstock.sdk.recurrence": ("ScheduleRecurrence",),
        "penstock.sdk.run": (
            "Run",
            "get_run",
        ),
        "penstock.sdk.schedule": ("Schedule",),
        "penstock.sdk.script_step": ("PythonScriptStep",),
        "penstock.sdk.steps": (
            "PipelineStep",
            "StepSequence",
        ),
        "penstock.sdk.time_zones": ("TimeZone",),
        "penstock.sdk.workspace": ("Workspace",),
    }.items()
    for name in names
}


def _load(name: str) -> Any:
    """Return what a public name stands for."""
    if name == "__version__":
        return import_module("importlib.metadata").version("penstock")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


if not TYPE_CHECKING:  # a type checker reads the imports above, and finds names that are not there

    def __getattr__(name: str) -> Any:
        """Load a public name when it is first used."""
        value = globals()[name] = _load(name)
        return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
