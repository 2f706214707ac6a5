"""Runs attempts as processes of this machine: one process group each, logs to files.

An attempt is a small shell process, the wrapper, which leads a session of its own and runs the
script as its child. The wrapper needs no server: it lives on when the server is killed, and it
writes down the exit code itself. A server that comes back finds everything in the attempt's folder
(see `claim`).
"""

from __future__ import annotations

import _thread
import difflib
import errno
import os
import shutil
import signal
import socket
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path, PurePosixPath

from penstock.compute.claim import (
    LAUNCH_ID,
    claim_for_nobody,
    claim_path,
    find_claim,
    find_group,
)
from penstock.compute.folder import BlobFolder, CopyFile, is_inside, lay_out, translated
from penstock.compute.target import Observation, Phase, StepLaunch
from penstock.errors import Invalid

# $0 the claim's path, $1 launch id, $2 host, $3 folder to work in, then the command.
# Builtins only: an outside program would cost as much again as the wrapper itself.
#  - `set -C` makes `>` fail on a file that is there: whoever makes the claim may run the script.
#  - A signal to the whole group ends the script; the wrapper's own handler does nothing, so that it
#    lives to record the code. A handler, because the script would inherit an ignored signal.
#  - No variable of its own, since it would change one of the same name for the script.
_WRAPPER = """\
set -C
{ echo "$$ $2" >"$0"; } 2>/dev/null || exit 0
trap : TERM INT HUP QUIT USR1 USR2
cd "$3" || exit
shift 3
"$@"
set -- $?
echo "$1" >>"$0"
exit "$1"
"""

_OF_THE_SERVER = ("PENSTOCK_", "AZUREML_")  # variables that hold its own secrets and addresses
_RESET = (  # the server may ignore these (Python itself does the first); a script must not
    signal.SIGPIPE,
    signal.SIGXFSZ,
    signal.SIGTERM,
    signal.SIGINT,
    signal.SIGHUP,
    signal.SIGQUIT,
)


class LocalTarget:
    """Runs attempts as process groups of this machine."""

    def __init__(
        self,
        python: str,
        blobs: BlobFolder,
        stop_grace_seconds: float,
        *,
        environ: Mapping[str, str] | None = None,
        copy_file: CopyFile = shutil.copyfile,
    ) -> None:
        """Remember how steps are run; nothing is started.

        Args:
            python: the interpreter that runs scripts.
            blobs: where the contents of snapshot files lie.
            stop_grace_seconds: how long a stopped attempt may take to end by itself.
            environ: variables that every script gets, except the server's own; this process's
                when None.
            copy_file: how one file is copied; another one lets a test fill the disk.
        """
        variables = os.environ if environ is None else environ
        self._environment = {
            name: value for name, value in variables.items() if not name.startswith(_OF_THE_SERVER)
        }
        self._python = os.path.abspath(python) if "/" in python else python
        self._blobs = blobs
        self._stop_grace_seconds = stop_grace_seconds
        self._copy_file = copy_file
        self._host = socket.gethostname()
        self._lock = threading.Lock()
        self._live: set[str] = set()  # launch ids whose wrapper is this process's child
        self._stopping: set[str] = set()  # launch ids that will be killed when their grace is over

    def prepare(self, launch: StepLaunch) -> None:
        """Lay out the attempt's folder; quick when that was done before.

        Raises:
            Invalid: a file's path leaves code/, or its content or an input is not there.
            StorageFull: no room on the disk.
            ComputeUnavailable: the folder cannot be written for another reason.
        """
        lay_out(launch, self._blobs, self._copy_file)

    def launch(self, launch: StepLaunch, on_exit: Callable[[str], None]) -> None:
        """Start the script in a session of its own, unless this id was ever started or stopped.

        Output goes to user_logs/std_log.txt as it is written. Two processes that launch the same
        id at the same time both start a wrapper; the claim lets one of them run the script.

        Raises:
            Invalid: the script is not in the snapshot, or the command cannot be given to a process.
            StorageFull: no room on the disk.
            ComputeUnavailable: the machine can start no process now.
        """
        if os.path.exists(claim_path(launch.folder)):
            return
        with self._lock:
            if launch.id in self._live:
                return
            self._live.add(launch.id)
        try:
            self.prepare(launch)
            pid = self._spawn(launch, self._command(launch))
            # A thread in waitpid costs nothing meanwhile and wakes at once, on every system. It is
            # started at this level because Thread.start() waits until the thread runs: a
            # millisecond, in which another attempt could be started.
            _thread.start_new_thread(self._wait, (launch.id, pid, on_exit))
        except BaseException:
            self._live.discard(launch.id)
            raise

    def poll(self, launch_id: str, folder: Path) -> Observation:
        """Say where the attempt stands, from its folder and the machine's processes."""
        if launch_id in self._live:
            return Observation(phase=Phase.RUNNING)
        claim = find_claim(folder)
        if claim is None:
            return Observation(phase=Phase.ABSENT)
        if claim.exit_code is None:
            if find_group(claim, launch_id) is not None:
                return Observation(phase=Phase.RUNNING)
            # The wrapper may have ended, in good order, since the claim was read.
            claim = find_claim(folder) or claim
        if claim.exit_code is not None:
            return Observation(
                phase=Phase.EXITED, exit_code=claim.exit_code, ended_at=claim.written_at
            )
        is_here = claim.host is None or claim.host == self._host
        return Observation(phase=Phase.VANISHED if is_here else Phase.ELSEWHERE)

    def stop(self, launch_id: str, folder: Path) -> None:
        """Send SIGTERM to the attempt's process group, SIGKILL when the grace is over; never wait.

        Works as well for an attempt that another process started. The grace is kept by this
        process: if the server goes down meanwhile, stop the attempt again after the restart. An
        attempt on another machine is left alone. Processes that have left the group (a daemon) are
        not found. One that is killed leaves no exit code: it is VANISHED.

        Raises:
            StorageFull: the attempt was not started, and no room is left to forbid it.
            ComputeUnavailable: the same for another reason.
        """
        if self._close(folder):
            return
        with self._lock:
            if launch_id in self._stopping:
                return
            self._stopping.add(launch_id)
        if not self._signal(launch_id, folder, signal.SIGTERM):
            self._stopping.discard(launch_id)
            return
        timer = threading.Timer(self._stop_grace_seconds, self._kill, (launch_id, folder))
        timer.name = f"kill-{launch_id}"
        timer.daemon = True
        timer.start()

    def _command(self, launch: StepLaunch) -> list[str]:
        """Return the command that runs in code/; today always a Python script."""
        if not is_inside(launch.script) or not os.path.isfile(
            f"{launch.folder}/code/{launch.script}"
        ):
            raise _missing_script(launch)
        # A name that begins with a dash is a file all the same.
        script = f"./{launch.script}" if launch.script.startswith("-") else launch.script
        return [self._python, script, *launch.arguments]

    def _spawn(self, launch: StepLaunch, command: list[str]) -> int:
        folder = os.path.abspath(launch.folder)  # the wrapper works in another directory
        log = f"{folder}/user_logs/std_log.txt"
        arguments = [
            *("/bin/sh", "-c", _WRAPPER, claim_path(folder)),
            *(launch.id, self._host, f"{folder}/code"),
            *command,
        ]
        try:
            # Quicker than subprocess.Popen by a quarter of a millisecond. Python's own descriptors
            # close by themselves in the new process.
            return os.posix_spawn(
                "/bin/sh",
                arguments,
                {**self._environment, **launch.environment, LAUNCH_ID: launch.id},
                file_actions=[
                    (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                    (os.POSIX_SPAWN_OPEN, 1, log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666),
                    (os.POSIX_SPAWN_DUP2, 1, 2),
                ],
                setsid=True,
                setsigmask=(),
                setsigdef=_RESET,
            )
        except ValueError as error:  # a NUL, or half a surrogate pair
            raise Invalid(
                f"The arguments or environment of {launch.script!r} cannot be given to a process: "
                f"{error}.",
                field="arguments",
            ) from error
        except OSError as error:
            if error.errno == errno.E2BIG:
                raise Invalid(
                    f"The arguments and environment of {launch.script!r} are too long.",
                    field="arguments",
                    hint="Hand large values over in a file.",
                ) from error
            raise translated(error, "The process cannot be started") from error

    def _wait(self, launch_id: str, pid: int, on_exit: Callable[[str], None]) -> None:
        # Where SIGCHLD is ignored, the system has reaped it for us.
        with suppress(ChildProcessError):
            os.waitpid(pid, 0)
        self._live.discard(launch_id)  # first, so that a poll from within on_exit sees the end
        on_exit(launch_id)

    def _close(self, folder: Path) -> bool:
        try:
            return claim_for_nobody(folder, self._host)
        except OSError as error:
            raise translated(error, f"The attempt in {str(folder)!r} cannot be closed") from error

    def _kill(self, launch_id: str, folder: Path) -> None:
        self._stopping.discard(launch_id)
        self._signal(launch_id, folder, signal.SIGKILL)

    def _signal(self, launch_id: str, folder: Path, number: signal.Signals) -> bool:
        """Send a signal to what lives of the attempt; False if nothing does on this machine."""
        claim = find_claim(folder)
        group = None if claim is None else find_group(claim, launch_id)
        if group is None:
            return False
        with suppress(ProcessLookupError, PermissionError):  # gone meanwhile, or only zombies left
            os.killpg(group, number)
        return True


def _missing_script(launch: StepLaunch) -> Invalid:
    """Say which script is missing, and which files of the snapshot the user may have meant."""
    paths = [file.path for file in launch.files]
    name = PurePosixPath(launch.script).name
    near = [path for path in paths if PurePosixPath(path).name == name]
    near += difflib.get_close_matches(launch.script, paths, n=3, cutoff=0.6)
    found = ", ".join(repr(path) for path in dict.fromkeys(near))
    return Invalid(
        f"The script {launch.script!r} is not in the step's source directory.",
        field="script_name",
        value=launch.script,
        expected="a file of the source directory",
        hint=f"Did you mean {found}?" if found else "Its path is relative to source_directory.",
    )
