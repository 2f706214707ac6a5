"""Runs of pipelines and of their steps."""

from penstock import PipelineRun, StepRun, StepRunOutput

__all__ = ["PipelineRun", "StepRun", "StepRunOutput"]
