"""A run at a glance, as text."""

from __future__ import annotations

from typing import Any

import penstock
from penstock.errors import Invalid
from penstock.sdk.run import Run


class RunDetails:
    """A run's status and those of its steps. Nothing is watched: each `show` asks again."""

    def __init__(self, run_instance: penstock.Run) -> None:
        """Keep the run.

        Args:
            run_instance: a pipeline run or a step run.

        Raises:
            Invalid: it is something else.
        """
        if not isinstance(run_instance, Run):
            raise Invalid(field="run_instance", value=run_instance, expected="a run")
        self._run = run_instance

    def __str__(self) -> str:
        run = self._run
        rows = [(child.name, child.get_status()) for child in run.get_children()]
        width = max((len(name) for name, _ in rows), default=0)
        head = f"Run {run.id} of the experiment {run.experiment.name!r}: {run.get_status()}"
        steps = [f"  {name:<{width}}  {status}" for name, status in rows]
        return "\n".join([head, *steps, run.get_portal_url()])

    def show(self, render_lib: Any = None, widget_settings: Any = None) -> None:
        """Print how the run is now, and go on.

        Args:
            render_lib: taken, not used.
            widget_settings: taken, not used.
        """
        print(self)

    def get_widget_data(self, widget_settings: Any = None) -> dict[str, Any]:
        """Return what is known of the run, as `run.get_details()` does."""
        return self._run.get_details()
