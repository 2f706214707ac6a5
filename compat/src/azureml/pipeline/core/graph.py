"""Parameters and ports, and the pipelines that were published."""

from typing import TYPE_CHECKING

from azureml._later import later
from penstock import (
    InputPortBinding,
    OutputPortBinding,
    PipelineParameter,
    PortDataReference,
    PublishedPipeline,
)

__all__ = [
    "InputPortBinding",
    "OutputPortBinding",
    "PipelineParameter",
    "PortDataReference",
    "PublishedPipeline",
]

if not TYPE_CHECKING:
    __getattr__ = later(__name__)
