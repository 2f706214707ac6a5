"""Steps as real processes: side by side, stopped, tried again, and found again after a crash."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from tests.acceptance.server_process import ServerProcess, until

from penstock import Pipeline, PythonScriptStep, Workspace
from penstock.serve import Server
from penstock.testing.server import temporary_server

SCRIPTS = {
    # Says when it began and ended, by a clock that all processes share.
    "span.py": """
import sys, time
with open(sys.argv[1], "a") as spans:
    begun = time.monotonic()
    time.sleep(0.5)
    spans.write(f"{begun} {time.monotonic()}\\n")
""",
    "ok.py": "print('fine')",
    "fail.py": "print('about to fail'); raise SystemExit(3)",
    "flaky.py": """
import os
print("attempt", os.environ["PENSTOCK_ATTEMPT"])
raise SystemExit(0 if os.environ["PENSTOCK_ATTEMPT"] == "3" else 1)
""",
    # Starts a child and a grandchild; the grandchild does not end when it is asked to.
    "family.py": """
import os, subprocess, sys, time
child = '''
import os, subprocess, sys, time
grandchild = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
own = subprocess.Popen([sys.executable, "-c", grandchild])
print(os.getpid(), own.pid, flush=True)
time.sleep(600)
'''
own = subprocess.Popen([sys.executable, "-c", child], stdout=subprocess.PIPE, text=True)
pids = f"{os.getpid()} {own.stdout.readline()}"
with open(sys.argv[1] + ".part", "w") as file:
    file.write(pids)
os.rename(sys.argv[1] + ".part", sys.argv[1])
time.sleep(600)
""",
    # Prints a line, waits until a file is there, prints another and leaves an output.
    "wait.py": """
import os, pathlib, sys, time
print("begun", flush=True)
deadline = time.monotonic() + 120
while not os.path.exists(sys.argv[1]):
    if time.monotonic() > deadline:
        raise SystemExit("nobody came")
    time.sleep(0.02)
print("ended", os.environ["PENSTOCK_ATTEMPT"], flush=True)
pathlib.Path("outputs", "result.txt").write_text("done")
with open(sys.argv[1] + ".starts", "a") as starts:
    starts.write("x")
""",
    "sleep.py": "import time; print('asleep', flush=True); time.sleep(600)",
}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("source")
    for name, text in SCRIPTS.items():
        (folder / name).write_text(text)
    return folder


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("server")
    with temporary_server(
        folder, steps_running_max=3, step_poll_seconds=0.1, stop_grace_seconds=0.5
    ) as running:
        yield running


@pytest.fixture(scope="module")
def ws(server: Server) -> Workspace:
    return Workspace.get("default", url=server.url, token=server.token)


def step(source: Path, script: str, *arguments: object, **fields: object) -> PythonScriptStep:
    chosen = {"name": script} | fields
    return PythonScriptStep(
        f"{script}.py",
        source_directory=source,
        arguments=[str(word) for word in arguments],
        **chosen,
    )


def states(run):
    return {child.name: child.get_status() for child in run.get_steps()}


def log_of(run, name):
    children = run.find_step_run(name)
    return children[0].get_stdout_log() if children else ""


def error_of(run):
    return run.get_details()["error"]["error"]["message"]


def alive(pids):
    """Return those of the processes that still run."""
    found = [psutil.Process(pid) for pid in pids if psutil.pid_exists(pid)]
    return [p.pid for p in found if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]


# ---- side by side --------------------------------------------------------------------------------


def test_steps_that_do_not_wait_for_each_other_run_side_by_side_up_to_the_limit(
    ws, source, tmp_path
):
    steps = [step(source, "span", tmp_path / "spans", name=f"span {i}") for i in range(6)]
    run = Pipeline(ws, steps).submit("parallel")
    assert run.wait_for_completion(show_output=False) == "Finished"
    lines = (tmp_path / "spans").read_text().splitlines()
    spans = [tuple(map(float, line.split())) for line in lines]
    assert len(spans) == 6
    together = [sum(b <= begun < e for b, e in spans) for begun, _ in spans]
    assert max(together) == 3


# ---- failing -------------------------------------------------------------------------------------


def test_a_failed_step_stops_the_pipeline_and_what_runs_beside_it(ws, source, tmp_path):
    pids = tmp_path / "pids"
    family, fail = step(source, "family", pids), step(source, "fail")
    gate = step(source, "wait", tmp_path / "gate")
    fail.run_after(gate)
    after = step(source, "ok")
    after.run_after(fail)
    run = Pipeline(ws, [family, after]).submit("failing")
    until(pids.exists, "the family is there")
    (tmp_path / "gate").touch()
    assert run.wait_for_completion(show_output=False, raise_on_error=False) == "Failed"
    assert states(run) == {
        "wait": "Finished",
        "fail": "Failed",
        "family": "Canceled",
        "ok": "Canceled",
    }
    assert error_of(run) == "step 'fail' failed: exit code 3"
    until(lambda: not alive(map(int, pids.read_text().split())), "all of the family ended")


def test_with_continue_other_branches_go_on(ws, source):
    fail, after, other = step(source, "fail"), step(source, "ok", name="after"), step(source, "ok")
    after.run_after(fail)
    run = Pipeline(ws, [after, other]).submit("continue", continue_on_step_failure=True)
    assert run.wait_for_completion(show_output=False, raise_on_error=False) == "Failed"
    assert states(run) == {"fail": "Failed", "after": "Bypassed", "ok": "Finished"}


def test_a_step_is_tried_again_until_it_works(ws, source):
    flaky = step(source, "flaky", retries=2, retry_delay_seconds=0.1)
    run = Pipeline(ws, flaky).submit("flaky")
    assert run.wait_for_completion(show_output=False) == "Finished"
    (child,) = run.get_steps()
    assert child.attempt == 3
    assert "attempt 3" in child.get_stdout_log()


def test_a_step_that_runs_too_long_is_ended_and_says_so(ws, source):
    run = Pipeline(ws, step(source, "sleep", timeout_seconds=0.5)).submit("late")
    assert run.wait_for_completion(show_output=False, raise_on_error=False) == "Failed"
    assert error_of(run) == "step 'sleep' failed: timed out after 0.5 s"
    assert "asleep" in log_of(run, "sleep")


# ---- cancelling ----------------------------------------------------------------------------------


def test_cancelling_ends_the_process_its_children_and_theirs(ws, source, tmp_path):
    pids = tmp_path / "pids"
    run = Pipeline(ws, step(source, "family", pids)).submit("family")
    family = [int(pid) for pid in until(lambda: pids.exists() and pids.read_text(), "pids").split()]
    assert alive(family) == family
    assert len(family) == 3
    run.cancel()
    assert run.wait_for_completion(show_output=False) == "Canceled"
    until(lambda: not alive(family), "all of the family ended")


# ---- looking on ----------------------------------------------------------------------------------


def test_what_a_step_prints_can_be_read_while_it_runs(ws, source, tmp_path):
    run = Pipeline(ws, step(source, "wait", tmp_path / "go")).submit("live")
    until(lambda: "begun" in log_of(run, "wait"), "the first line")
    assert states(run) == {"wait": "Running"}
    assert "ended" not in log_of(run, "wait")
    (tmp_path / "go").touch()
    assert run.wait_for_completion(show_output=False) == "Finished"
    assert "ended 1" in log_of(run, "wait")


# ---- the server goes and comes back --------------------------------------------------------------


def is_complete(ws, run_id, go):
    """Expect that the run has finished, with one attempt and its whole output."""
    run = ws.get_run(run_id)
    assert run.wait_for_completion(show_output=False) == "Finished"
    (child,) = [child for child in run.get_steps() if child.name == "wait"]
    assert child.attempt == 1
    assert child.get_stdout_log().split() == ["begun", "ended", "1"]
    assert "outputs/result.txt" in child.get_file_names()
    assert go.with_name("go.starts").read_text() == "x"
    return run


@pytest.mark.parametrize("when", ["while the server is down", "after it is back"])
def test_steps_that_run_while_the_server_is_started_anew_are_found_again(source, tmp_path, when):
    go = tmp_path / "go"
    settings = {"step_poll_seconds": 0.1, "stop_grace_seconds": 0.5}
    with temporary_server(tmp_path, **settings) as first:
        ws = Workspace.get("default", url=first.url, token=first.token)
        last = step(source, "ok")
        last.run_after(step(source, "wait", go))
        run = Pipeline(ws, last).submit("restart")
        until(lambda: "begun" in log_of(run, "wait"), "the first line")
    if when == "while the server is down":
        go.touch()
        until(go.with_name("go.starts").exists, "the step has ended")
    with temporary_server(tmp_path, **settings) as second:
        ws = Workspace.get("default", url=second.url, token=second.token)
        if when == "after it is back":
            assert states(ws.get_run(run.id)) == {"wait": "Running", "ok": "NotStarted"}
            go.touch()
        done = is_complete(ws, run.id, go)
        assert states(done) == {"wait": "Finished", "ok": "Finished"}


@pytest.mark.parametrize("when", ["while the server is down", "after it is back"])
def test_steps_that_run_while_the_server_is_killed_are_found_again(source, tmp_path, when):
    go = tmp_path / "go"
    with ServerProcess(tmp_path) as server:
        ws = Workspace.get("default", url=server.url, token=server.token)
        last = step(source, "ok")
        last.run_after(step(source, "wait", go))
        run = Pipeline(ws, last).submit("crash")
        until(lambda: "begun" in log_of(run, "wait"), "the first line")
        server.end(signal.SIGKILL)
        if when == "while the server is down":
            go.touch()
            until(go.with_name("go.starts").exists, "the step has ended")
        server.start()
        ws = Workspace.get("default", url=server.url, token=server.token)
        go.touch()
        done = is_complete(ws, run.id, go)
        assert states(done) == {"wait": "Finished", "ok": "Finished"}


def test_a_step_whose_process_was_killed_with_the_server_is_tried_again(source, tmp_path):
    go = tmp_path / "go"
    with ServerProcess(tmp_path) as server:
        ws = Workspace.get("default", url=server.url, token=server.token)
        run = Pipeline(ws, step(source, "wait", go)).submit("power-cut")
        until(lambda: "begun" in log_of(run, "wait"), "the first line")
        group = wrapper_of(run)
        server.end(signal.SIGKILL)
        os.killpg(group, signal.SIGKILL)
        go.touch()
        server.start()
        ws = Workspace.get("default", url=server.url, token=server.token)
        again = ws.get_run(run.id)
        assert again.wait_for_completion(show_output=False) == "Finished"
        (child,) = again.get_steps()
        assert child.attempt == 2
        assert "ended 2" in child.get_stdout_log()


def wrapper_of(run):
    """Return the process group in which a run's only step runs."""
    (child,) = run.get_steps()
    for process in psutil.process_iter():
        try:
            if f"{child.id}-1" in process.cmdline():
                return os.getpgid(process.pid)
        except (psutil.Error, ProcessLookupError):
            continue
    raise AssertionError("the step's process is not there")
