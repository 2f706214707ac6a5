"""Compute targets of any kind."""

from typing import TYPE_CHECKING

from azureml._later import later
from penstock.sdk.compute import ComputeTarget, ComputeTargetProvisioningConfiguration

__all__ = ["ComputeTarget", "ComputeTargetProvisioningConfiguration"]

if not TYPE_CHECKING:
    __getattr__ = later(__name__)
