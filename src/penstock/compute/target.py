"""What a compute target is: a place that runs one attempt of one step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from penstock.core.model import SnapshotFile


@dataclass(frozen=True, slots=True, kw_only=True)
class StepLaunch:
    """Everything needed to start one attempt: a value, so it can be made again after a crash."""

    id: str  # "<step run id>-<attempt>": a second launch of the same id finds the first one
    folder: Path  # this attempt's own folder: code/ outputs/ logs/ user_logs/ system_logs/
    script: str  # relative to code/, with forward slashes
    arguments: tuple[str, ...]
    files: tuple[SnapshotFile, ...]  # what is to lie in code/
    environment: Mapping[str, str]  # variables beyond those of the target itself; may hold secrets
    copies: tuple[tuple[Path, Path], ...] = ()  # (from, to): inputs in download mode
    directories: tuple[Path, ...] = ()  # to be made before the start: parents of outputs


class Phase(StrEnum):
    """Where an attempt stands."""

    ABSENT = "absent"  # never launched here, as far as can be seen
    RUNNING = "running"
    EXITED = "exited"  # ended by itself; `exit_code` says how
    VANISHED = (
        "vanished"  # was launched and is gone without a trace: killed, or the machine went down
    )
    ELSEWHERE = "elsewhere"  # launched on another machine, which alone can tell


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What was seen of an attempt."""

    phase: Phase
    exit_code: int | None = None  # as a shell counts: 128 + n for an end by signal n
    ended_at: datetime | None = None


class ComputeTarget(Protocol):
    """Runs attempts. None of its methods waits for an attempt to end."""

    def prepare(self, launch: StepLaunch) -> None:
        """Lay out the attempt's folder ahead of its start; twice, or not at all, changes nothing.

        Raises:
            ComputeUnavailable: the target cannot do it now.
            StorageFull: no room for the folder.
            Invalid: it can never be laid out as it is (a file whose content is not there).
        """
        ...

    def launch(self, launch: StepLaunch, on_exit: Callable[[str], None]) -> None:
        """Start an attempt, or find it already started; call `on_exit(launch.id)` when it ends.

        An attempt that was started, ended or stopped before is never started again.
        `on_exit` is a hint, called from any thread, perhaps never (after a restart), perhaps too
        early (if two launched at once); `poll` is the truth.

        Raises:
            ComputeUnavailable: the target cannot take it now; the attempt was not started.
            StorageFull: no room for its folder; the attempt was not started.
            Invalid: it can never be started as it is (a script that is not there).
        """
        ...

    def poll(self, launch_id: str, folder: Path) -> Observation:
        """Say where the attempt stands."""
        ...

    def stop(self, launch_id: str, folder: Path) -> None:
        """Ask the attempt and all its processes to end, then make them. Twice is once.

        Returns at once. An attempt that was not started yet is closed: no launch starts it any
        more, and it is VANISHED.
        """
        ...
