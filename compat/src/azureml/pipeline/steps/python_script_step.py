"""Steps that run a Python script."""

from penstock import PythonScriptStep

__all__ = ["PythonScriptStep"]
