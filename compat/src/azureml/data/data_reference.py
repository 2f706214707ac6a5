"""Places on datastores, as inputs of steps."""

from penstock import DataReference

__all__ = ["DataReference"]
