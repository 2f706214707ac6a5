"""The claim: the file that says who runs an attempt, and how it ended.

`system_logs/claim` is made by the wrapper process (see `local`), exclusively, before it starts
the script: its first line holds the wrapper's process id and host, its second the script's exit
code. One file for both, because a second line still fits on a disk that the script has filled up.

A process id alone proves nothing, ids are used again. The wrapper carries the launch id among its
arguments and hands it to its children as PENSTOCK_LAUNCH_ID; a process that shows neither is a
stranger. No clock is involved, so none can mislead.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil

LAUNCH_ID = "PENSTOCK_LAUNCH_ID"
NOBODY = 0  # process id in a claim that was made so that nobody else can make it

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What a claim file says."""

    pid: int | None  # None: made, and not written yet
    host: str | None
    exit_code: int | None
    written_at: datetime  # after the second line was written: when the attempt ended


def claim_path(folder: Path | str) -> str:
    """Return where the claim of the attempt in `folder` lies."""
    return f"{folder}/system_logs/claim"


def find_claim(folder: Path) -> Claim | None:
    """Read the attempt's claim; None if nobody has made it."""
    try:
        with open(claim_path(folder), "rb") as file:
            text = file.read().decode(errors="replace")
            written_ns = os.fstat(file.fileno()).st_mtime_ns
    except (FileNotFoundError, NotADirectoryError):
        return None
    lines = text.split("\n")[:-1]  # a line without its end is still being written
    pid, _, host = lines[0].partition(" ") if lines else ("", "", "")
    return Claim(
        pid=int(pid) if pid.isdecimal() else None,
        host=host or None,
        exit_code=int(lines[1]) if len(lines) > 1 and lines[1].isdecimal() else None,
        written_at=_EPOCH + timedelta(microseconds=written_ns // 1000),
    )


def claim_for_nobody(folder: Path, host: str) -> bool:
    """Make the claim in nobody's name, unless it is made: then the attempt can never start."""
    path = claim_path(folder)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    try:
        with open(path, "x", encoding="utf-8") as file:
            file.write(f"{NOBODY} {host}\n")
    except FileExistsError:
        return False
    return True


def find_group(claim: Claim, launch_id: str) -> int | None:
    """Return the process group in which something of the attempt still lives, or None.

    Looks at the wrapper first, which is quick; only when that is gone, at every process there is.
    """
    if claim.pid == NOBODY:
        return None
    if claim.pid is None:
        return _find_wrapper(launch_id)
    if _is_wrapper(claim.pid, launch_id):
        return claim.pid
    return claim.pid if _has_member(claim.pid, launch_id) else None


def _is_wrapper(pid: int, launch_id: str) -> bool:
    try:
        return launch_id in psutil.Process(pid).cmdline()
    except psutil.Error:  # gone, a zombie, or another user's
        return False


def _find_wrapper(launch_id: str) -> int | None:
    """Find a wrapper that its claim does not name yet: it leads a group and knows the launch id."""
    own = (pid for pid in psutil.pids() if _group_of(pid) == pid and _is_wrapper(pid, launch_id))
    return next(own, None)


def _has_member(group: int, launch_id: str) -> bool:
    """True if the group holds a process of this attempt, not just one that got the id later."""
    return any(
        _variable(pid, LAUNCH_ID) == launch_id for pid in psutil.pids() if _group_of(pid) == group
    )


def _group_of(pid: int) -> int | None:
    try:
        return os.getpgid(pid)
    except OSError:
        return None


def _variable(pid: int, name: str) -> str | None:
    try:
        return psutil.Process(pid).environ().get(name)
    except (psutil.Error, OSError):
        return None
