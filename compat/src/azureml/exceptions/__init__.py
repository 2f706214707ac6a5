"""The errors that scripts catch."""

from typing import TYPE_CHECKING

from azureml._later import later
from penstock import (
    ActivityFailedException,
    ComputeTargetException,
    ExperimentExecutionException,
    RunEnvironmentException,
    SnapshotException,
    UserErrorException,
)
from penstock import NotAuthenticated as AuthenticationException
from penstock import PenstockError as AzureMLException

__all__ = [
    "ActivityFailedException",
    "AuthenticationException",
    "AzureMLException",
    "ComputeTargetException",
    "ExperimentExecutionException",
    "RunEnvironmentException",
    "SnapshotException",
    "UserErrorException",
]

if not TYPE_CHECKING:
    __getattr__ = later(__name__)
