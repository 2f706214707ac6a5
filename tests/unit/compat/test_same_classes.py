"""One class under all its names: `azureml.*` adds none of its own."""

from __future__ import annotations

import importlib
import pkgutil
from enum import Enum
from inspect import isclass, isfunction

import pytest

import azureml
import azureml.pipeline.core
import penstock
import penstock.errors

PLACES = {
    "ComputeTarget": ("azureml.core", "azureml.core.compute", "azureml.core.compute.compute"),
    "DataPath": ("azureml.data.datapath",),
    "DataPathComputeBinding": ("azureml.data.datapath",),
    "DataReference": ("azureml.data.data_reference",),
    "Datastore": ("azureml.core", "azureml.core.datastore"),
    "Experiment": ("azureml.core", "azureml.core.experiment"),
    "InputPortBinding": ("azureml.pipeline.core", "azureml.pipeline.core.graph"),
    "OutputPortBinding": ("azureml.pipeline.core", "azureml.pipeline.core.graph"),
    "Pipeline": ("azureml.pipeline.core", "azureml.pipeline.core.pipeline"),
    "PipelineData": ("azureml.pipeline.core", "azureml.pipeline.core.builder"),
    "PipelineParameter": ("azureml.pipeline.core", "azureml.pipeline.core.graph"),
    "PipelineRun": ("azureml.pipeline.core", "azureml.pipeline.core.run"),
    "PipelineStep": ("azureml.pipeline.core", "azureml.pipeline.core.builder"),
    "PortDataReference": ("azureml.pipeline.core", "azureml.pipeline.core.graph"),
    "PublishedPipeline": ("azureml.pipeline.core", "azureml.pipeline.core.graph"),
    "PythonScriptStep": ("azureml.pipeline.steps", "azureml.pipeline.steps.python_script_step"),
    "Run": ("azureml.core", "azureml.core.run"),
    "Schedule": ("azureml.pipeline.core", "azureml.pipeline.core.schedule"),
    "ScheduleRecurrence": ("azureml.pipeline.core", "azureml.pipeline.core.schedule"),
    "StepRun": ("azureml.pipeline.core", "azureml.pipeline.core.run"),
    "StepRunOutput": ("azureml.pipeline.core", "azureml.pipeline.core.run"),
    "StepSequence": ("azureml.pipeline.core", "azureml.pipeline.core.builder"),
    "TimeZone": ("azureml.pipeline.core", "azureml.pipeline.core.schedule"),
    "Workspace": ("azureml.core", "azureml.core.workspace"),
}
MODULES = [
    m.name
    for m in pkgutil.walk_packages(azureml.__path__, "azureml.")
    if m.name != "azureml._later"
]


@pytest.mark.parametrize(
    ("name", "module"), [(name, module) for name, modules in PLACES.items() for module in modules]
)
def test_a_class_is_the_one_of_penstock(name, module):
    assert getattr(importlib.import_module(module), name) is getattr(penstock, name)


@pytest.mark.parametrize("module", MODULES)
def test_no_class_and_no_function_is_made_here(module):
    there = importlib.import_module(module)
    made = [
        name
        for name in getattr(there, "__all__", [])
        if (isclass(value := getattr(there, name)) or isfunction(value))
        and not value.__module__.startswith("penstock.")
    ]
    assert made == []


def test_a_schedule_is_a_schedule():
    assert azureml.pipeline.core.Schedule is penstock.Schedule


def test_time_zones_are_an_enum_of_131_members():
    time_zones = azureml.pipeline.core.TimeZone
    assert issubclass(time_zones, Enum)
    assert len(time_zones) == 131


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("AzureMLException", penstock.errors.PenstockError),
        ("AuthenticationException", penstock.errors.NotAuthenticated),
        ("UserErrorException", penstock.errors.Invalid),
        ("ComputeTargetException", penstock.errors.Invalid),
        ("ActivityFailedException", penstock.errors.RunFailed),
        ("SnapshotException", penstock.errors.TooLarge),
        ("ExperimentExecutionException", penstock.errors.PenstockError),
        ("RunEnvironmentException", penstock.errors.PenstockError),
    ],
)
def test_an_old_error_is_in_our_tree(name, kind):
    assert issubclass(getattr(importlib.import_module("azureml.exceptions"), name), kind)


def test_the_error_of_the_old_service_is_any_error_of_ours():
    private = "azureml.pipeline.core._restclients.aeva.models.error_response"
    caught = importlib.import_module(private).ErrorResponseException
    assert issubclass(penstock.errors.NotFound, caught)
    assert penstock.errors.NotFound(kind="schedule", id="s1").message
