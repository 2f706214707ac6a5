"""Places on datastores, as values of pipeline parameters."""

from penstock import DataPath, DataPathComputeBinding

__all__ = ["DataPath", "DataPathComputeBinding"]
