"""The kinds of steps."""

from typing import TYPE_CHECKING

from azureml._later import later
from penstock import PythonScriptStep

__all__ = ["PythonScriptStep"]

if not TYPE_CHECKING:
    __getattr__ = later(__name__)
