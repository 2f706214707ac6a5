"""A run at a glance."""

from penstock.sdk.run_details import RunDetails

__all__ = ["RunDetails"]
