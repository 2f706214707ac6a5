"""Datastores."""

from penstock import Datastore

__all__ = ["Datastore"]
