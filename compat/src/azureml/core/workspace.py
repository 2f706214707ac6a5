"""Workspaces."""

from penstock import Workspace

__all__ = ["Workspace"]
