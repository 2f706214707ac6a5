"""Asking the server for a run."""

from __future__ import annotations

import penstock
from penstock.sdk.client import new_submission_key
from penstock.wire import RunDocument, SubmitRequest


def submit_run(workspace: penstock.Workspace, request: SubmitRequest) -> penstock.PipelineRun:
    """Start a run, print its id and address, and return it.

    The request carries a key of its own: repeated after a lost answer, it finds the first run.
    """
    document = workspace.client.send(
        RunDocument, "POST", workspace.route("runs"), request, submission_key=new_submission_key()
    )
    run = penstock.PipelineRun._of(workspace, document)
    print(f"Submitted PipelineRun {run.id}")
    print(f"Link to the run: {run.get_portal_url()}")
    return run
