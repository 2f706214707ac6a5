"""`python -m penstock`, the same as the `penstock` program."""

from __future__ import annotations

from penstock.cli import run

run()
