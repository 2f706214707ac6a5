"""What a run can log: the `log…` family, the same inside a step, outside and offline."""

from __future__ import annotations

import io
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from penstock.sdk.exceptions import UserErrorException
from penstock.sdk.metrics import table_value


class LoggingRun(ABC):
    """The `log…` methods. A run says with `_log` and `_keep_file` where things go."""

    @abstractmethod
    def _log(self, name: str, kind: str, value: Any, step: int | None = None) -> None:
        """Log a value."""

    @abstractmethod
    def _keep_file(self, name: str, content: bytes) -> str:
        """Keep a file with the run, and return where it is."""

    def log(self, name: str, value: Any, description: str = "", step: int | None = None) -> None:
        """Log a number or a text. Logging to the same name again appends to its series.

        Args:
            name: of the metric.
            value: what to log.
            description: taken, not used.
            step: the place on the horizontal axis.

        Raises:
            UserErrorException: the value is a list; use log_list.
        """
        if isinstance(value, (list, tuple, Mapping)):
            raise UserErrorException(
                f"log({name!r}, …) takes a number or a text, not a {type(value).__name__}.",
                field="value",
                hint="Use log_list for lists, log_row or log_table for columns.",
            )
        self._log(name, "scalar", value, step)

    def log_list(self, name: str, value: Sequence[Any], description: str = "") -> None:
        """Log a list of numbers or texts."""
        self._log(name, "list", list(value))

    def log_row(self, name: str, description: str | None = None, **kwargs: Any) -> None:
        """Log a row of a table, one keyword a column. Rows of one name make one table."""
        self._log(name, "row", kwargs)

    def log_table(self, name: str, value: Mapping[str, Any], description: str = "") -> None:
        """Log a table: a dictionary of column names to lists."""
        if not isinstance(value, Mapping):
            raise UserErrorException(
                field="value", value=value, expected="a dictionary of columns to lists"
            )
        self._log(name, "table", dict(value))

    def log_confusion_matrix(self, name: str, value: Any, description: str = "") -> None:
        """Log a confusion matrix, given as a dictionary or as JSON text."""
        self._log(name, "confusion_matrix", table_value(name, value))

    def log_accuracy_table(self, name: str, value: Any, description: str = "") -> None:
        """Log an accuracy table, given as a dictionary or as JSON text."""
        self._log(name, "accuracy_table", table_value(name, value))

    def log_residuals(self, name: str, value: Any, description: str = "") -> None:
        """Log residuals, given as a dictionary or as JSON text."""
        self._log(name, "residuals", table_value(name, value))

    def log_predictions(self, name: str, value: Any, description: str = "") -> None:
        """Log predictions, given as a dictionary or as JSON text."""
        self._log(name, "predictions", table_value(name, value))

    def log_image(
        self,
        name: str,
        path: str | Path | None = None,
        plot: Any = None,
        description: str = "",
    ) -> None:
        """Keep an image among the run's files, and log where it is.

        Args:
            name: of the metric, and of the file.
            path: an image file.
            plot: something with `savefig`, such as matplotlib.pyplot.
            description: taken, not used.

        Raises:
            UserErrorException: neither or both of `path` and `plot`.
        """
        if (path is None) == (plot is None):
            raise UserErrorException(
                "log_image takes either the path of an image or a plot.", field="path"
            )
        if path is not None:
            content, suffix = Path(path).read_bytes(), Path(path).suffix or ".png"
        else:
            figure = io.BytesIO()
            plot.savefig(figure, format="png")
            content, suffix = figure.getvalue(), ".png"
        file_name = name if name.endswith(suffix) else f"{name}{suffix}"
        self._log(name, "image", self._keep_file(file_name, content))
