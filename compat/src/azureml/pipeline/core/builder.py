"""Steps, and the data between them."""

from penstock import PipelineData, PipelineStep, StepSequence

__all__ = ["PipelineData", "PipelineStep", "StepSequence"]
