"""Pipelines."""

from penstock import Pipeline

__all__ = ["Pipeline"]
