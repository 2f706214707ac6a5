"""The error about compute targets."""

from typing import TYPE_CHECKING

from azureml._later import later
from penstock import ComputeTargetException

__all__ = ["ComputeTargetException"]

if not TYPE_CHECKING:
    __getattr__ = later(__name__)
