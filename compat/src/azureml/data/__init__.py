"""Data, and places on datastores."""

from typing import TYPE_CHECKING

from azureml._later import later

if not TYPE_CHECKING:
    __getattr__ = later(__name__)
