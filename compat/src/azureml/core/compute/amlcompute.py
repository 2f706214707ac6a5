"""Clusters."""

from typing import TYPE_CHECKING

from azureml._later import later
from penstock import AmlCompute

__all__ = ["AmlCompute"]

if not TYPE_CHECKING:
    __getattr__ = later(__name__)
