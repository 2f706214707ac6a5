"""Compute targets."""

from typing import TYPE_CHECKING

from azureml._later import later
from penstock import AmlCompute, ComputeTarget

__all__ = ["AmlCompute", "ComputeTarget"]

if not TYPE_CHECKING:
    __getattr__ = later(__name__)
