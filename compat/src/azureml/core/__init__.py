"""Workspaces, experiments, runs, datastores and compute targets."""

from typing import TYPE_CHECKING

from azureml._later import later
from penstock import ComputeTarget, Datastore, Experiment, Run, Workspace, get_run

# Of the SDK whose names these are: scripts print it.
__version__ = VERSION = "1.61.0"

__all__ = ["VERSION", "ComputeTarget", "Datastore", "Experiment", "Run", "Workspace", "get_run"]

if not TYPE_CHECKING:
    __getattr__ = later(__name__)
