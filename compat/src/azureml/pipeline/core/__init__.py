"""Pipelines, what they are made of, and what starts them."""

from typing import TYPE_CHECKING

from azureml._later import later
from penstock import (
    InputPortBinding,
    OutputPortBinding,
    Pipeline,
    PipelineData,
    PipelineParameter,
    PipelineRun,
    PipelineStep,
    PortDataReference,
    PublishedPipeline,
    Schedule,
    ScheduleRecurrence,
    StepRun,
    StepRunOutput,
    StepSequence,
    TimeZone,
)

__all__ = [
    "InputPortBinding",
    "OutputPortBinding",
    "Pipeline",
    "PipelineData",
    "PipelineParameter",
    "PipelineRun",
    "PipelineStep",
    "PortDataReference",
    "PublishedPipeline",
    "Schedule",
    "ScheduleRecurrence",
    "StepRun",
    "StepRunOutput",
    "StepSequence",
    "TimeZone",
]

if not TYPE_CHECKING:
    __getattr__ = later(__name__)
