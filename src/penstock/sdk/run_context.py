"""The run that this process is a step of."""

from __future__ import annotations

import os
from functools import lru_cache

import penstock
from penstock.sdk.exceptions import RunEnvironmentException
from penstock.sdk.offline_run import OfflineRun

_NAMES = ("AZUREML_RUN_ID", "AZUREML_ARM_WORKSPACE_NAME", "AZUREML_ARM_PROJECT_NAME")


def current_run(*, allow_offline: bool) -> penstock.StepRun | OfflineRun:
    """Return the run of this process, the same object every time.

    Args:
        allow_offline: outside a run, return an object that prints what is logged to it.

    Raises:
        RunEnvironmentException: there is no run, and `allow_offline` is False.
    """
    environ = os.environ
    if all(environ.get(name) for name in _NAMES):
        return _own_run(*(environ[name] for name in _NAMES), environ.get("AZUREML_ROOT_RUN_ID"))
    if allow_offline:
        return _offline_run()
    raise RunEnvironmentException(
        "This process is not a step of a run: AZUREML_RUN_ID is not set. Submit the script as a "
        "PythonScriptStep, or call Run.get_context() without allow_offline=False."
    )


@lru_cache(maxsize=8)
def _own_run(
    run_id: str, workspace_name: str, experiment_name: str, root_run_id: str | None
) -> penstock.StepRun:
    """Return the run of this process; nothing is asked of the server, so that it starts fast."""
    workspace = penstock.Workspace._in_step(os.environ, workspace_name)
    experiment = penstock.Experiment._known(workspace, experiment_name)
    run = penstock.StepRun(experiment, run_id, root_run_id or "", "")
    run._is_own = True
    return run


@lru_cache(maxsize=1)
def _offline_run() -> OfflineRun:
    return OfflineRun()
