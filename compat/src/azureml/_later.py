"""What the old SDK had and Penstock has not yet: importing it says so, in a sentence.

A name leaves the table when it arrives. A module that is not here at all needs no line in it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NoReturn

NAMES: Mapping[str, frozenset[str]] = {
    module: frozenset(names.split())
    for module, names in {
        "azureml.core": """
            ContainerRegistry Dataset Environment Image Keyvault LinkedService Model
            PrivateEndPoint PrivateEndPointConfig RunConfiguration ScriptRun ScriptRunConfig
            SynapseWorkspaceLinkedServiceConfiguration Webservice attach_legacy_compute_target
            diagnostic_log is_compute_target_prepared prepare_compute_target
            remove_legacy_compute_target
        """,
        "azureml.core.authentication": "AzureMLTokenAuthentication",
        "azureml.core.compute": """
            AdlaCompute AksCompute BatchCompute ComputeInstance DataFactoryCompute
            DatabricksCompute DsvmCompute HDInsightCompute KubernetesCompute KustoCompute
            RemoteCompute SynapseCompute
        """,
        "azureml.core.compute.amlcompute": """
            AmlComputeNodeStateCounts AmlComputeProvisioningConfiguration AmlComputeStatus
            ScaleSettings
        """,
        "azureml.core.compute.compute": """
            ComputeTargetAttachConfiguration ComputeTargetUpdateConfiguration
        """,
        "azureml.core.compute_target": """
            AbstractComputeTarget LocalTarget attach_legacy_compute_target
            is_compute_target_prepared prepare_compute_target remove_legacy_compute_target
        """,
        "azureml.core.run": "InputDatasets LinkOutput OutputDatasets",
        "azureml.data": """
            DataType DatacacheStore FileDataset HDFSOutputDatasetConfig
            LinkFileOutputDatasetConfig LinkTabularOutputDatasetConfig OutputFileDatasetConfig
            TabularDataset
        """,
        "azureml.exceptions": """
            AzureMLAggregatedException DatasetTimestampMissingError DiscoveryUrlNotFoundException
            ModelNotFoundException ModelPathNotFoundException ParallelRunException
            ProjectSystemException RunConfigurationException ServiceException TrainingException
            WebserviceException WorkspaceException WorkspacePrivateEndpointException
        """,
        "azureml.pipeline.core": """
            Module ModuleVersion ModuleVersionDescriptor PipelineDataset PipelineDraft
            PipelineEndpoint TrainingOutput
        """,
        "azureml.pipeline.core.graph": """
            DataSource DataSourceDef DataSourceNode DataType Edge Graph InputPort InputPortDef
            Module ModuleDef ModuleNode Node OutputPort OutputPortDef Param ParamDef
            PipelineDataset StoredProcedureParameter StoredProcedureParameterType TrainingOutput
        """,
        "azureml.pipeline.steps": """
            AdlaStep AutoMLStep AutoMLStepRun AzureBatchStep CommandStep DataTransferStep
            DatabricksStep EstimatorStep HyperDriveStep HyperDriveStepRun KustoStep ModuleStep
            MpiStep ParallelRunConfig ParallelRunStep RScriptStep SynapseSparkStep
        """,
    }.items()
}


def sentence(name: str) -> str:
    """Return what an import of `name` is answered with."""
    return f"{name} is not in Penstock yet; see docs/azureml.md."


def later(module: str) -> Callable[[str], NoReturn]:
    """Return the `__getattr__` of `module`: an ImportError for names that are still to come."""

    def missing(name: str) -> NoReturn:
        if name in NAMES[module]:
            raise ImportError(sentence(f"{module}.{name}"), name=module)
        raise AttributeError(f"module {module!r} has no attribute {name!r}")

    return missing


class MissingModules:
    """The last finder to be asked for a module: refuses those below `azureml`, in a sentence."""

    def find_spec(self, name: str, path: Any, target: Any = None) -> None:
        """Refuse a module of ours; know nothing of any other."""
        if name.startswith("azureml."):
            raise ModuleNotFoundError(sentence(name), name=name)
