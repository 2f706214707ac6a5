"""Every error Penstock raises on purpose, on one page.

PenstockError
├── your fault
│   ├── Invalid                    400  a value was not what was expected (also a ValueError)
│   │   ├── InvalidRecurrence           a recurrence that names no times
│   │   ├── InvalidPipeline             a graph that cannot run: a cycle, a name twice, …
│   │   └── InvalidParameters           parameter assignments: all faults of a submission
│   ├── NotAuthenticated           401  no token, or one that is not known
│   ├── NotAllowed                 403  a known actor that may not do this
│   ├── NotFound                   404  no such thing, with its kind and id
│   ├── Conflict                   409  right request, wrong moment
│   │   └── InUse                       something else still refers to it
│   └── TooLarge                   413  over a stated limit
├── Unavailable                    503  the world's fault; `retry_after`: when to try again
│   ├── DatastoreUnavailable       503  a datastore did not answer
│   ├── ComputeUnavailable         503  a compute target did not answer
│   ├── StoreBusy                  503  the database is locked or away
│   ├── StorageFull                507  no room left where data is kept
│   └── ServerUnreachable          ---  (client only) no server at the configured address
└── RunFailed                      ---  (client only) a run that was waited for did not succeed

Anything else is our fault: it is never caught, it keeps its traceback, and the API answers 500
with an error id that is in the server's log.

The same classes are raised on both sides of the wire: the API turns an error into a problem
document (`to_problem`), the SDK turns the document back into the error (`from_problem`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any, ClassVar


class PenstockError(Exception):
    """Something went wrong in Penstock."""

    http_status: ClassVar[int] = 500
    code: ClassVar[str] = "internal"

    def __init__(self, message: str | None = None, /, **details: Any) -> None:
        """Keep the message and the structured details.

        Args:
            message: one sentence for a person; the class docstring's first line when None.
            details: JSON-able facts about the error (`field`, `value`, `id`, …); None is dropped.
        """
        self.message = message or (type(self).__doc__ or "").strip().splitlines()[0]
        self.details: dict[str, Any] = {k: v for k, v in details.items() if v is not None}
        super().__init__(self.message)

    def __str__(self) -> str:
        return self.message


class Invalid(PenstockError, ValueError):
    """A value is not valid."""

    http_status = 400
    code = "invalid"

    def __init__(
        self,
        message: str | None = None,
        /,
        *,
        field: str | None = None,
        value: Any = None,
        expected: str | None = None,
        hint: str | None = None,
        errors: Sequence[Mapping[str, Any]] | None = None,
        **details: Any,
    ) -> None:
        """Say which field, what it was, what was expected, and how to mend it.

        Args:
            message: a full sentence; composed from the other arguments when None.
            field: dotted name of the field as the user wrote it, e.g. `recurrence.interval`.
            value: the value found there.
            expected: what would have been right, as a noun phrase.
            hint: one sentence that says how to mend it.
            errors: several faults found together, each a mapping with `field` and `message`.
        """
        if message is None and field is not None:
            message = f"{field} = {value!r} is not valid: expected {expected}."
        if message is not None and hint and hint not in message:
            message = f"{message} {hint}"
        listed = [dict(error) for error in errors] if errors else None
        super().__init__(
            message,
            field=field,
            value=value if _is_plain(value) else repr(value),
            expected=expected,
            hint=hint,
            errors=listed,
            **details,
        )


class InvalidRecurrence(Invalid):
    """The recurrence is not valid."""

    code = "invalid-recurrence"


class InvalidPipeline(Invalid):
    """The pipeline cannot run as it is written."""

    code = "invalid-pipeline"


class InvalidParameters(Invalid):
    """The parameter assignments do not fit the pipeline."""

    code = "invalid-parameters"


class NotAuthenticated(PenstockError):
    """The request carries no valid token."""

    http_status = 401
    code = "not-authenticated"


class NotAllowed(PenstockError):
    """The actor may not do this."""

    http_status = 403
    code = "not-allowed"


class NotFound(PenstockError):
    """There is no such thing."""

    http_status = 404
    code = "not-found"

    def __init__(
        self,
        message: str | None = None,
        /,
        *,
        kind: str | None = None,
        id: str | None = None,
        hint: str | None = None,
        **details: Any,
    ) -> None:
        """Name the kind of thing and the id (or name) that was asked for.

        Args:
            message: a full sentence; composed from the other arguments when None.
            kind: a word of the glossary: `schedule`, `run`, `workspace`, …
            id: what the caller asked for.
            hint: one sentence that says where to look.
        """
        if message is None and kind is not None:
            message = f"There is no {kind} {id!r}."
        if message is not None and hint and hint not in message:
            message = f"{message} {hint}"
        super().__init__(message, kind=kind, id=id, hint=hint, **details)


class Conflict(PenstockError):
    """The request is not possible in the present state."""

    http_status = 409
    code = "conflict"


class InUse(Conflict):
    """Something else still refers to it."""

    code = "in-use"


class TooLarge(PenstockError):
    """The content is over the limit."""

    http_status = 413
    code = "too-large"


class Unavailable(PenstockError):
    """Something outside did not answer; a later attempt may succeed."""

    http_status = 503
    code = "unavailable"

    def __init__(
        self, message: str | None = None, /, *, retry_after: float = 5.0, **details: Any
    ) -> None:
        """Keep `retry_after`, in seconds."""
        super().__init__(message, retry_after=retry_after, **details)
        self.retry_after = retry_after


class DatastoreUnavailable(Unavailable):
    """The datastore did not answer."""

    code = "datastore-unavailable"


class ComputeUnavailable(Unavailable):
    """The compute target did not answer."""

    code = "compute-unavailable"


class StoreBusy(Unavailable):
    """The database is busy or away."""

    code = "store-busy"


class StorageFull(Unavailable):
    """There is no room left to store this."""

    http_status = 507
    code = "storage-full"


class ServerUnreachable(Unavailable):
    """No Penstock server answers at the configured address."""

    code = "server-unreachable"


class RunFailed(PenstockError):
    """The run did not succeed."""

    code = "run-failed"


def _is_plain(value: Any) -> bool:
    """True for what JSON can carry unchanged."""
    if isinstance(value, Mapping):
        return all(isinstance(k, str) and _is_plain(v) for k, v in value.items())
    if isinstance(value, (list, tuple)):
        return all(_is_plain(item) for item in value)
    if isinstance(value, float):
        return isfinite(value)
    return value is None or isinstance(value, (str, int, bool))


def _subclasses(cls: type[PenstockError]) -> list[type[PenstockError]]:
    return [cls, *(deep for sub in cls.__subclasses__() for deep in _subclasses(sub))]


def to_problem(error: PenstockError) -> dict[str, Any]:
    """Return the problem document (RFC 9457) that carries `error` over the wire."""
    return {
        "type": f"urn:penstock:error:{error.code}",
        "title": (type(error).__doc__ or "").strip().splitlines()[0],
        "status": error.http_status,
        "code": error.code,
        "detail": error.message,
        **{k: v for k, v in error.details.items() if k not in _PROBLEM_KEYS},
    }


def from_problem(problem: Mapping[str, Any]) -> PenstockError:
    """Return the error that a problem document carries; a plain PenstockError for an unknown
    code."""
    code = problem.get("code")
    cls = next((c for c in _subclasses(PenstockError) if c.code == code), PenstockError)
    details = {k: v for k, v in problem.items() if k not in _PROBLEM_KEYS}
    error = cls(**details)
    error.message = str(problem.get("detail") or problem.get("title") or error.message)
    error.args = (error.message,)
    return error


_PROBLEM_KEYS = frozenset({"type", "title", "status", "code", "detail", "instance"})
