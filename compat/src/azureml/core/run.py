"""Runs, and the run of the present process."""

from typing import TYPE_CHECKING

from azureml._later import later
from penstock import Run, get_run
from penstock.sdk.offline_run import OfflineRun as _OfflineRun

__all__ = ["Run", "_OfflineRun", "get_run"]

if not TYPE_CHECKING:
    __getattr__ = later(__name__)
