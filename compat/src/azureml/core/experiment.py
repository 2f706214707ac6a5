"""Experiments."""

from penstock import Experiment, ViewType

__all__ = ["Experiment", "ViewType"]
