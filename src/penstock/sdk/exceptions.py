"""The error names that scripts of the old SDK catch, placed in our tree.

    Invalid ◄── UserErrorException ◄── ComputeTargetException
    PenstockError ◄── ExperimentExecutionException, RunEnvironmentException
    RunFailed ◄── ActivityFailedException
    TooLarge ◄── SnapshotException

Everything else that can happen is an error of `penstock.errors` itself.
"""

from __future__ import annotations

from penstock.errors import Invalid, InvalidRecurrence, PenstockError, RunFailed, TooLarge


class UserErrorException(Invalid):
    """Something in the call is not as it should be."""


class ExperimentExecutionException(PenstockError):
    """Watching a run was interrupted; the run itself goes on."""

    code = "watch-interrupted"


class ActivityFailedException(RunFailed):
    """The run that was waited for did not succeed."""


class RunEnvironmentException(PenstockError):
    """This process is not a step of a run."""

    code = "no-run"


class ComputeTargetException(UserErrorException):
    """There is no such compute target."""


class SnapshotException(TooLarge):
    """A source directory is over the limits of a snapshot."""


class WrongType(InvalidRecurrence, TypeError):
    """A part of a recurrence is of a wrong type; the old SDK raised TypeError there."""
