"""Pipelines: `azureml.pipeline.core` and `azureml.pipeline.steps`."""
