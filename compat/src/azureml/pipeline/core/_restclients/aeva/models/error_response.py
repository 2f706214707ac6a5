"""The error of the old service, as scripts catch it: anything that the server refuses."""

from penstock import PenstockError as ErrorResponseException

__all__ = ["ErrorResponseException"]
