"""Attempts as real processes: started once, found again, ended with all they started."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sys
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest

from penstock.compute.claim import claim_path, find_claim
from penstock.compute.target import Observation, Phase
from penstock.errors import ComputeUnavailable, Invalid, StorageFull

_SLEEP = "import time; print('started', flush=True); time.sleep(600)"
_DEAF = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"


def _wrapper(launch):
    claim = find_claim(launch.folder)
    assert claim is not None
    return claim.pid


# -- what a script sees


@pytest.mark.parametrize("code", [0, 1, 3, 255])
def test_the_exit_code_is_the_scripts(bench, code):
    launch = bench.script(f"raise SystemExit({code})")
    seen = bench.run(launch)
    assert (seen.phase, seen.exit_code) == (Phase.EXITED, code)
    assert bench.ended == [launch.id]


def test_a_traceback_is_in_the_log_and_the_exit_code_is_1(bench):
    launch = bench.script("print('before'); raise KeyError('lost')")
    assert bench.run(launch).exit_code == 1
    assert bench.log(launch).startswith("before\nTraceback")
    assert bench.log(launch).endswith("KeyError: 'lost'\n")


@pytest.mark.parametrize(
    "arguments",
    [
        ("plain", "--flag=1"),
        ("",),
        ("two words", "a\nb", "tab\t", "trailing\n"),
        ('"', "'", "$HOME", "`id`", "$(id)", "\\", "*", "a;b", "-"),
        ("größe", "日本語", "🌧"),
    ],
)
def test_arguments_arrive_as_they_are(bench, arguments):
    launch = bench.script("import json, sys; print(json.dumps(sys.argv[1:]))", *arguments)
    bench.run(launch)
    assert json.loads(bench.log(launch)) == list(arguments)


def test_the_script_starts_in_the_code_folder_with_no_input(bench):
    launch = bench.script("import os, sys; print(os.getcwd()); print(repr(sys.stdin.read()))")
    bench.run(launch)
    assert bench.log(launch) == f"{launch.folder.resolve()}/code\n''\n"


def test_a_script_in_a_folder_finds_the_modules_beside_it(bench):
    files = (
        bench.file("train/main.py", "import helper; helper.greet()"),
        bench.file("train/helper.py", "import os\ndef greet(): print('hi from', os.listdir())"),
    )
    launch = bench.script("", files=files, script="train/main.py")
    assert bench.run(launch).exit_code == 0
    assert "'train'" in bench.log(launch)


def test_a_script_whose_name_begins_with_a_dash_is_run_not_read_as_an_option(bench):
    launch = bench.script("print('ran')", name="-c.py")
    bench.run(launch)
    assert bench.log(launch) == "ran\n"


def test_a_relative_folder_and_interpreter_mean_what_they_mean_to_the_server(bench, tmp_path):
    launch = bench.script("print('ran')", folder=Path("runs/relative/1"))
    (tmp_path / "python").symlink_to(os.path.realpath(sys.executable))
    with contextlib.chdir(tmp_path):
        bench.target = bench.new_target(python="./python")
        assert bench.run(launch).exit_code == 0


def test_what_is_written_to_outputs_and_logs_lies_in_the_attempts_folder(bench):
    launch = bench.script("open('outputs/model', 'w').close(); open('logs/a', 'w').close()")
    assert bench.run(launch).exit_code == 0
    assert (launch.folder / "outputs" / "model").exists()
    assert (launch.folder / "logs" / "a").exists()


def test_a_script_gets_the_machines_variables_without_the_servers_own(bench):
    bench.target = bench.new_target(
        environ={
            "PATH": os.defpath,
            "claim": "user's",
            "PENSTOCK_TOKEN": "admin",
            "PENSTOCK_DATABASE_URL": "x",
            "AZUREML_RUN_TOKEN": "server's",
        }
    )
    launch = bench.script(
        "import json, os; print(json.dumps(dict(os.environ)))",
        environment={"PENSTOCK_URL": "http://here", "AZUREML_RUN_ID": "r1"},
    )
    bench.run(launch)
    seen = json.loads(bench.log(launch))
    assert seen["claim"] == "user's"
    assert seen["AZUREML_RUN_ID"] == "r1"
    assert {name: value for name, value in seen.items() if name.startswith("PENSTOCK_")} == {
        "PENSTOCK_URL": "http://here",
        "PENSTOCK_LAUNCH_ID": launch.id,
    }
    assert "AZUREML_RUN_TOKEN" not in seen


def test_no_variable_is_written_to_disk_or_shown_in_the_list_of_processes(bench):
    launch = bench.script(_SLEEP, environment={"PENSTOCK_TOKEN": "psr_very_secret"})
    bench.start(launch)
    bench.until(lambda: "started" in bench.log(launch))
    files = [path for path in launch.folder.rglob("*") if path.is_file()]
    assert len(files) >= 3
    assert not any(b"psr_very_secret" in path.read_bytes() for path in files)
    wrapper = psutil.Process(_wrapper(launch))
    commands = [process.cmdline() for process in [wrapper, *wrapper.children()]]
    assert len(commands) == 2
    assert "psr_very_secret" not in str(commands)


def test_output_is_in_the_log_while_the_script_runs(bench):
    launch = bench.script(_SLEEP)
    bench.start(launch)
    bench.until(lambda: bench.log(launch) == "started\n")
    assert bench.phase(launch) is Phase.RUNNING


def test_long_output_is_kept_whole(bench):
    launch = bench.script("for i in range(200_000): print('line', i)")
    bench.run(launch)
    lines = bench.log(launch).splitlines()
    assert (len(lines), lines[-1]) == (200_000, "line 199999")


def test_a_missing_interpreter_is_said_in_the_log(bench):
    bench.target = bench.new_target(python="/nowhere/python")
    launch = bench.script("")
    assert bench.run(launch).exit_code == 127
    assert "/nowhere/python" in bench.log(launch)


def test_signals_that_the_server_ignores_are_not_ignored_by_the_script(bench):
    previous = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        launch = bench.script(
            "import signal\n"
            "print([signal.getsignal(s).name for s in (signal.SIGTERM, signal.SIGHUP)])"
        )
        bench.run(launch)
    finally:
        signal.signal(signal.SIGTERM, previous)
    assert bench.log(launch) == "['SIG_DFL', 'SIG_DFL']\n"


# -- what cannot be started


def test_a_missing_script_is_named_with_what_may_have_been_meant(bench):
    files = (bench.file("src/train.py"), bench.file("score.py"))
    launch = bench.script("", files=files, script="train.py")
    with pytest.raises(Invalid, match=r"'train\.py'.*Did you mean 'src/train\.py'\?") as caught:
        bench.start(launch)
    assert caught.value.details["field"] == "script_name"
    assert bench.phase(launch) is Phase.ABSENT


@pytest.mark.parametrize("script", ["../step.py", "/etc/passwd", "", ".", "a/../step.py"])
def test_a_script_outside_the_code_folder_is_refused(bench, script):
    with pytest.raises(Invalid, match="not in the step's source directory"):
        bench.start(bench.script("", script=script))


@pytest.mark.parametrize("arguments", [("a\0b",), ("\ud800",), ("x" * 3_000_000,)])
def test_arguments_that_no_process_can_take_are_refused(bench, arguments):
    launch = bench.script("", *arguments)
    with pytest.raises(Invalid, match=r"step\.py"):
        bench.start(launch)
    assert bench.phase(launch) is Phase.ABSENT


def test_a_full_disk_starts_nothing_and_does_no_harm_later(bench):
    launch = bench.script("print('ran')")
    target = bench.new_target(copy_file=_no_room)
    with pytest.raises(StorageFull, match="No space left"):
        target.launch(launch, bench.ended.append)
    assert bench.phase(launch, target) is Phase.ABSENT
    assert bench.run(launch).exit_code == 0


def _no_room(source: Path, target: Path) -> None:
    raise OSError(28, "No space left on device", str(target))


# -- started once


def test_a_second_launch_finds_the_first_before_and_after_its_end(bench):
    launch = bench.script("open('outputs/starts', 'a').write('x')")
    bench.start(launch)
    bench.start(launch)
    bench.new_target().launch(launch, bench.ended.append)
    bench.until(lambda: bench.phase(launch) is Phase.EXITED)
    bench.start(launch)
    bench.new_target().launch(launch, bench.ended.append)
    assert bench.phase(launch) is Phase.EXITED
    assert (launch.folder / "outputs" / "starts").read_text() == "x"


def test_of_twenty_processes_that_launch_at_once_one_runs_the_script(bench):
    launch = bench.script("open('outputs/starts', 'a').write('x')")
    launchers = bench.start_elsewhere(launch, count=20)
    bench.until(lambda: bench.phase(launch) is Phase.EXITED)
    for process in launchers:  # whose wrappers have all ended before they do
        process.communicate("done\n")
    assert (launch.folder / "outputs" / "starts").read_text() == "x"
    assert sorted(path.name for path in launch.folder.iterdir()) == [
        *("code", "logs", "outputs", "system_logs", "user_logs")
    ]


# -- found again


def test_an_attempt_outlives_a_killed_server_and_its_exit_code_is_found(bench):
    launch = bench.script(
        "import os, time\nwhile not os.path.exists('outputs/go'): time.sleep(0.005)\nexit(7)"
    )
    (server,) = bench.start_elsewhere(launch)
    os.kill(server.pid, signal.SIGKILL)
    server.wait()
    bench.until(lambda: bench.phase(launch) is not Phase.ABSENT)
    assert bench.phase(launch) is Phase.RUNNING
    (launch.folder / "outputs" / "go").touch()
    bench.until(lambda: bench.phase(launch) is not Phase.RUNNING)
    seen = bench.target.poll(launch.id, launch.folder)
    assert (seen.phase, seen.exit_code) == (Phase.EXITED, 7)


def test_an_attempt_was_never_there_before_its_launch(bench):
    launch = bench.script("")
    assert bench.target.poll(launch.id, launch.folder) == Observation(phase=Phase.ABSENT)
    bench.target.prepare(launch)
    assert bench.target.poll(launch.id, launch.folder) == Observation(phase=Phase.ABSENT)


def test_the_instant_of_the_end_is_the_one_on_the_disk(bench):
    launch = bench.script("")
    bench.run(launch)
    os.utime(claim_path(launch.folder), ns=(0, 1_700_000_000_123_456_000))
    seen = bench.new_target().poll(launch.id, launch.folder)
    assert seen.ended_at == datetime(2023, 11, 14, 22, 13, 20, 123456, tzinfo=UTC)


def test_an_attempt_killed_with_its_wrapper_has_vanished(bench):
    launch = bench.script(_SLEEP)
    bench.start(launch)
    bench.until(lambda: "started" in bench.log(launch))
    os.killpg(_wrapper(launch), signal.SIGKILL)
    bench.until(lambda: bench.ended == [launch.id])
    bench.until(lambda: bench.phase(launch) is not Phase.RUNNING)  # the script dies after it
    assert bench.target.poll(launch.id, launch.folder) == Observation(phase=Phase.VANISHED)


def test_a_script_that_has_lost_its_wrapper_runs_and_then_has_vanished(bench, is_alive):
    launch = bench.script(_SLEEP)
    bench.start(launch)
    bench.until(lambda: "started" in bench.log(launch))
    (script,) = psutil.Process(_wrapper(launch)).children()
    os.kill(_wrapper(launch), signal.SIGKILL)
    bench.until(lambda: bench.ended == [launch.id])
    assert bench.phase(launch) is Phase.RUNNING
    bench.target.stop(launch.id, launch.folder)
    bench.until(lambda: bench.phase(launch) is not Phase.RUNNING)
    assert bench.phase(launch) is Phase.VANISHED
    assert not is_alive(script.pid)


def test_a_stranger_with_the_same_process_id_is_not_the_attempt(bench):
    launch = bench.script("")
    stranger = bench.script(_SLEEP)
    bench.start(stranger)
    bench.until(lambda: "started" in bench.log(stranger))
    bench.target.prepare(launch)
    host = socket.gethostname()
    Path(claim_path(launch.folder)).write_text(f"{_wrapper(stranger)} {host}\n")
    assert bench.phase(launch) is Phase.VANISHED
    bench.target.stop(launch.id, launch.folder)
    assert bench.phase(stranger) is Phase.RUNNING
    Path(claim_path(launch.folder)).write_text(f"{os.getpid()} {host}\n")
    assert bench.phase(launch) is Phase.VANISHED


@pytest.mark.parametrize("text", ["", "123", "unreadable\n", "999999999 HOST\n", "\n\n"])
def test_a_claim_without_a_living_process_means_vanished(bench, text):
    launch = bench.script("")
    bench.target.prepare(launch)
    Path(claim_path(launch.folder)).write_text(text.replace("HOST", socket.gethostname()))
    assert bench.phase(launch) is Phase.VANISHED


def test_a_wrapper_is_found_also_before_it_has_written_its_claim(bench):
    launch = bench.script(_SLEEP)
    bench.start(launch)
    bench.until(lambda: "started" in bench.log(launch))
    os.truncate(claim_path(launch.folder), 0)
    other = bench.new_target()
    assert bench.phase(launch, other) is Phase.RUNNING
    other.stop(launch.id, launch.folder)
    bench.until(lambda: bench.phase(launch, other) is not Phase.RUNNING)


def test_an_attempt_of_another_machine_is_elsewhere_until_its_code_is_there(bench):
    launch = bench.script("")
    bench.target.prepare(launch)
    Path(claim_path(launch.folder)).write_text("999999999 another-machine\n")
    assert bench.phase(launch) is Phase.ELSEWHERE
    bench.target.stop(launch.id, launch.folder)
    assert bench.phase(launch) is Phase.ELSEWHERE
    Path(claim_path(launch.folder)).write_text("999999999 another-machine\n5\n")
    assert bench.target.poll(launch.id, launch.folder).exit_code == 5


# -- ended with all it started


def test_a_stopped_script_ends_by_sigterm_and_the_code_says_so(bench):
    launch = bench.script(_SLEEP)
    bench.start(launch)
    bench.until(lambda: "started" in bench.log(launch))
    bench.target.stop(launch.id, launch.folder)
    bench.until(lambda: bench.ended)
    assert bench.target.poll(launch.id, launch.folder).exit_code == 128 + signal.SIGTERM


def test_a_stopped_script_may_end_in_its_own_way(bench):
    launch = bench.script(
        "import signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(9))\n"
        "print('started', flush=True)\n"
        "time.sleep(600)"
    )
    bench.start(launch)
    bench.until(lambda: "started" in bench.log(launch))
    bench.target.stop(launch.id, launch.folder)
    bench.target.stop(launch.id, launch.folder)
    bench.until(lambda: bench.ended)
    assert bench.target.poll(launch.id, launch.folder).exit_code == 9


def test_a_script_that_ignores_sigterm_is_killed_after_the_grace(bench):
    bench.target = bench.new_target(stop_grace_seconds=1.0)
    launch = bench.script(_DEAF + _SLEEP)
    bench.start(launch)
    bench.until(lambda: "started" in bench.log(launch))
    bench.target.stop(launch.id, launch.folder)
    assert bench.phase(launch) is Phase.RUNNING
    bench.until(lambda: bench.ended)
    bench.until(lambda: bench.phase(launch) is not Phase.RUNNING)
    assert bench.phase(launch) is Phase.VANISHED


@pytest.mark.parametrize("habit", ["", _DEAF])
def test_grandchildren_end_with_the_attempt_also_deaf_ones(bench, is_alive, habit):
    launch = bench.script(
        "import subprocess, sys, time\n"
        f"child = subprocess.Popen([sys.executable, '-c', {habit + _SLEEP!r}])\n"
        "open('outputs/child', 'w').write(str(child.pid))\n"
        "time.sleep(600)"
    )
    bench.start(launch)
    bench.until(lambda: "started" in bench.log(launch))
    child = int((launch.folder / "outputs" / "child").read_text())
    bench.target.stop(launch.id, launch.folder)
    bench.until(lambda: not is_alive(child))
    assert bench.target.poll(launch.id, launch.folder).exit_code == 128 + signal.SIGTERM


def test_a_restarted_server_stops_what_the_one_before_it_started(bench, is_alive):
    launch = bench.script(_DEAF + _SLEEP)
    (server,) = bench.start_elsewhere(launch)
    server.kill()
    bench.until(lambda: "started" in bench.log(launch))
    wrapper = _wrapper(launch)
    bench.target.stop(launch.id, launch.folder)
    bench.until(lambda: not is_alive(wrapper))
    bench.until(lambda: bench.phase(launch) is not Phase.RUNNING)
    assert bench.phase(launch) is Phase.VANISHED


def test_an_attempt_stopped_before_its_launch_never_starts(bench):
    launch = bench.script("open('outputs/starts', 'a').write('x')")
    bench.target.stop(launch.id, launch.folder)
    bench.start(launch)
    assert bench.phase(launch) is Phase.VANISHED
    assert not (launch.folder / "code").exists()


def test_stopping_what_has_ended_changes_nothing(bench):
    launch = bench.script("exit(4)")
    seen = bench.run(launch)
    bench.target.stop(launch.id, launch.folder)
    assert bench.target.poll(launch.id, launch.folder) == seen


def test_an_attempt_that_can_not_be_closed_says_why(bench):
    launch = bench.script("", folder=bench.root / "file" / "1")
    (bench.root / "file").write_text("in the way")
    with pytest.raises(ComputeUnavailable, match="Not a directory"):
        bench.target.stop(launch.id, launch.folder)
    with pytest.raises(Invalid, match="Not a directory"):
        bench.start(launch)


def test_no_zombie_stays_behind(bench):
    launch = bench.script("")
    bench.run(launch)
    zombies = [
        child.pid for child in psutil.Process().children() if child.status() == psutil.STATUS_ZOMBIE
    ]
    assert zombies == []


def test_a_process_that_cannot_be_started_is_said_and_can_be_started_later(bench):
    launch = bench.script("print('ran')")
    bench.target.prepare(launch)
    (launch.folder / "user_logs").rmdir()
    with pytest.raises(ComputeUnavailable, match="cannot be started: No such file"):
        bench.start(launch)
    assert bench.phase(launch) is Phase.ABSENT
    (launch.folder / "user_logs").mkdir()
    assert bench.run(launch).exit_code == 0
