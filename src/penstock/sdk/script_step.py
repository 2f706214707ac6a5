"""The step that runs a Python script."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from penstock.core.pipeline import Step
from penstock.errors import Invalid
from penstock.sdk.compute import LOCAL, name_of
from penstock.sdk.notices import notice
from penstock.sdk.parameters import PipelineParameter
from penstock.sdk.steps import PipelineStep, Surroundings

_PARAMETER_VARIABLE = "AML_PARAMETER_"


class PythonScriptStep(PipelineStep):
    """A step that runs a Python script with the words of its arguments.

    The script's directory is copied as it is when the pipeline is submitted or published, without
    what `.amlignore` or `.gitignore` name. The script starts in the copy; what it writes below
    `outputs/` and `logs/` is kept. It ends well when its exit code is 0.
    """

    step_type = "PythonScriptStep"

    def __init__(
        self,
        script_name: str,
        name: str | None = None,
        arguments: Sequence[Any] | None = None,
        compute_target: Any = None,
        runconfig: Any = None,
        runconfig_pipeline_params: Mapping[str, PipelineParameter] | None = None,
        inputs: Sequence[Any] | None = None,
        outputs: Sequence[Any] | None = None,
        params: Mapping[str, Any] | None = None,
        source_directory: str | Path | None = None,
        allow_reuse: bool = True,
        version: str | None = None,
        hash_paths: Sequence[str] | None = None,
        *,
        retries: int = 0,
        retry_delay_seconds: float = 10.0,
        timeout_seconds: float | None = None,
    ) -> None:
        """Describe a step; that the script exists is checked when the pipeline is made.

        Args:
            script_name: the script, relative to `source_directory`.
            name: what people call the step; the script's name when None.
            arguments: the words of the command line: text, numbers, PipelineParameters, and inputs
                and outputs, of which the script gets the local path.
            compute_target: where to run, by name or object; a name that is not registered means the
                server itself. None: the runconfig's target, else the server itself.
            runconfig: its environment variables are set for the script; the rest is not used.
            runconfig_pipeline_params: taken, not used.
            inputs: data that the script reads.
            outputs: data that the script writes; it makes the folders itself.
            params: set as environment variables AML_PARAMETER_<name>.
            source_directory: what is copied; the pipeline's `default_source_directory` when None.
            allow_reuse: whether an earlier result of the same step may stand for this one.
            version: free text.
            hash_paths: not used; every file of the source directory counts.
            retries: further attempts after the first has failed.
            retry_delay_seconds: before the first of them; doubled for each further one.
            timeout_seconds: after which an attempt is ended and has failed; None: no limit.

        Raises:
            Invalid: a value of a wrong type or out of range; data among the arguments that is
                neither input nor output; one name for two ports.
        """
        if not isinstance(script_name, str) or not script_name:
            raise Invalid(field="script_name", value=script_name, expected="the script's name")
        super().__init__(name or script_name, inputs, outputs, arguments, True)
        self.script_name = script_name
        self.compute = name_of(compute_target) or _target_of(runconfig) or LOCAL
        self.source_directory = _checked_directory(source_directory)
        self.environment_variables = {
            **_environment_variables(runconfig),
            **_parameter_variables(self.name, params),
        }
        self.allow_reuse = allow_reuse
        self.version = version
        self.retries = _checked_count("retries", retries)
        self.retry_delay_seconds = _checked_seconds("retry_delay_seconds", retry_delay_seconds)
        self.timeout_seconds = timeout_seconds
        if timeout_seconds is not None:
            self.timeout_seconds = _checked_seconds("timeout_seconds", timeout_seconds)
            if not self.timeout_seconds:
                raise Invalid(field="timeout_seconds", value=0, expected="more than 0 seconds")
        if hash_paths:
            notice("hash_paths is not used: every file of the source directory counts.")
        if runconfig_pipeline_params:
            notice("runconfig_pipeline_params is not used: steps run on the server itself.")

    def check_files(self, default_source_directory: Path | None) -> Path:
        """Return the source directory; raise Invalid unless the script lies in it."""
        directory = self._directory(default_source_directory)
        script = directory / self.script_name
        if not script.is_file():
            raise Invalid(
                f"Step {self.name!r}: script not found at: {script.absolute()}. Make sure to "
                "specify an appropriate source_directory on the Step or default_source_directory "
                "on the Pipeline.",
                field="script_name",
                value=self.script_name,
            )
        if not script.resolve().is_relative_to(directory.resolve()):
            raise Invalid(
                field="script_name",
                value=self.script_name,
                expected=f"a script inside its source_directory {directory}",
            )
        return directory

    def _directory(self, default: Path | None) -> Path:
        """Return where the files are: as written, else below the pipeline's default directory."""
        given = self.source_directory
        if given is None:
            return default or Path()
        if not given.is_dir() and default is not None and (default / given).is_dir():
            return default / given
        return given

    def node(self, around: Surroundings) -> Step:
        """Return the step as it stands in the graph."""
        return Step(
            id=around.ids[self],
            name=self.name,
            script=PurePosixPath(Path(self.script_name).as_posix()).as_posix(),
            snapshot_id=around.snapshot_ids.get(self),
            arguments=self.arguments,
            inputs=self.node_inputs(around),
            outputs=self.node_outputs(around),
            run_after=self.node_run_after(around),
            compute=around.compute(self.compute),
            environment_variables=self.environment_variables,
            allow_reuse=self.allow_reuse,
            version=self.version,
            retries=self.retries,
            retry_delay_seconds=self.retry_delay_seconds,
            timeout_seconds=self.timeout_seconds,
        )


def _checked_directory(directory: str | Path | None) -> Path | None:
    if directory is None or isinstance(directory, (str, Path)):
        return Path(directory) if directory is not None else None
    raise Invalid(field="source_directory", value=directory, expected="the path of a directory")


def _checked_count(field: str, value: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    raise Invalid(field=field, value=value, expected="a whole number, 0 or more")


def _checked_seconds(field: str, value: Any) -> float:
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < 1e9:
        return float(value)
    raise Invalid(field=field, value=value, expected="a number of seconds, 0 or more")


def _target_of(runconfig: Any) -> str | None:
    """Return the compute target's name in a runconfig."""
    return name_of(getattr(runconfig, "target", None) or None)


def _environment_variables(runconfig: Any) -> dict[str, str]:
    """Return the environment variables of a RunConfiguration or Environment, the only part used."""
    if runconfig is None:
        return {}
    notice(
        "of a runconfig only the environment variables are used: steps run in the server's Python."
    )
    places = (getattr(runconfig, "environment", None), runconfig)
    found: dict[str, str] = {}
    for place in places:
        variables = getattr(place, "environment_variables", None)
        if isinstance(variables, Mapping):
            found.update({str(name): str(value) for name, value in variables.items()})
    return found


def _parameter_variables(step: str, params: Mapping[str, Any] | None) -> dict[str, str]:
    for name, value in (params or {}).items():
        if isinstance(value, PipelineParameter):
            raise Invalid(
                field=f"params[{name!r}] of step {step!r}",
                value=value,
                expected="a fixed value",
                hint="A PipelineParameter goes into `arguments`.",
            )
    return {f"{_PARAMETER_VARIABLE}{name}": str(value) for name, value in (params or {}).items()}
