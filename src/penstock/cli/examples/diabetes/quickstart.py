"""Quickstart: publish a pipeline, let a schedule start it every minute, and watch two of its runs.

Needs a running server (`penstock up`) and scikit-learn. `penstock demo` runs this script
too, against a server of its own.
"""

import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from penstock import (
    Pipeline,
    PipelineData,
    PipelineParameter,
    PipelineRun,
    PublishedPipeline,
    PythonScriptStep,
    Schedule,
    ScheduleRecurrence,
    Workspace,
)

HERE = Path(__file__).parent
STEPS = ("prepare", "train", "score")
ENDED = ("Finished", "Failed", "Canceled", "Bypassed")

console = Console(highlight=False, soft_wrap=True)


def publish(ws: Workspace) -> PublishedPipeline:
    """Three steps that hand data to each other; what depends on what follows from the data."""
    test_share = PipelineParameter("test_share", default_value=0.25)
    prepared = PipelineData("prepared")
    model = PipelineData("model")
    prepare = PythonScriptStep(
        name="prepare",
        script_name="prepare.py",
        arguments=["--test-share", test_share, "--output", prepared],
        outputs=[prepared],
        source_directory=HERE,
        allow_reuse=False,
    )
    train = PythonScriptStep(
        name="train",
        script_name="train.py",
        arguments=["--data", prepared, "--output", model],
        inputs=[prepared],
        outputs=[model],
        source_directory=HERE,
        allow_reuse=False,
    )
    score = PythonScriptStep(
        name="score",
        script_name="score.py",
        arguments=["--data", prepared, "--model", model],
        inputs=[prepared, model],
        source_directory=HERE,
        allow_reuse=False,
    )
    pipeline = Pipeline(ws, steps=[prepare, train, score])
    pipeline.validate()
    return pipeline.publish(name="diabetes", description="Foretell the progression of diabetes")


def await_run(schedule: Schedule, number: int) -> PipelineRun:
    """Wait until the schedule has started its run of this number, and return it."""
    while len(runs := schedule.get_pipeline_runs()) < number:
        time.sleep(0.2)
    return sorted(runs, key=lambda run: run.created_at)[number - 1]


def watch(run: PipelineRun) -> None:
    """Show the steps until the run has ended; stop the script if it did not end well."""
    columns = (
        TextColumn("  {task.description:<8}"),
        BarColumn(),
        TextColumn("{task.fields[state]:<10}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as bars:
        tasks = {name: bars.add_task(name, start=False, state="", total=None) for name in STEPS}
        seen = dict.fromkeys(STEPS, "NotStarted")
        is_over = False
        while not is_over:
            is_over = run.get_status() in ENDED
            for step in sorted(run.get_steps(), key=lambda step: STEPS.index(step.name)):
                state = step.get_status()
                if seen[step.name] == state:
                    continue
                seen[step.name] = state
                if not console.is_terminal:
                    console.print(f"  {datetime.now(UTC):%H:%M:%S}  {step.name:<8} {state}")
                if state == "Running":
                    bars.start_task(tasks[step.name])
                if state in ENDED:
                    bars.update(tasks[step.name], total=1, completed=1)
                bars.update(tasks[step.name], state=state)
            time.sleep(0.2)
    if run.get_status() != "Finished":
        sys.exit(f"The run ended as {run.get_status()}: penstock run logs {run.id}")


def show_score(run: PipelineRun) -> None:
    """Print what the last step logged."""
    metrics = run.find_step_run("score")[0].get_metrics()
    console.print(f"  R2 {metrics['r2']:.3f}, RMSE {metrics['rmse']:.1f}", style="bold green")


def show_lateness(schedule: Schedule) -> None:
    """Print the newest line of the schedule's record: what became of its last due time."""
    last = next(schedule.get_fires())
    if last.fire_time is not None:
        late = (last.fired_at - last.fire_time).total_seconds()
        console.print(f"  {last.outcome} {late * 1000:.0f} ms after its time: {last.reason}")


def count_down(until: datetime) -> None:
    """Show how long it is until the next fire."""
    length = (until - datetime.now(UTC)).total_seconds()
    console.print(f"\nThe next run is due at {until:%H:%M:%S} UTC, in {length:.0f} s.")
    columns = (TextColumn("  waiting "), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bars:
        task = bars.add_task("", total=length)
        while (left := (until - datetime.now(UTC)).total_seconds()) > 0:
            bars.update(task, completed=length - left)
            time.sleep(0.1)


def main() -> None:
    """The story from start to end."""
    ws = Workspace.get("default")
    published = publish(ws)
    console.print(f"Published pipeline {published.name!r}, id {published.id}")
    schedule = Schedule.create(
        ws,
        name="diabetes-every-minute",
        pipeline_id=published.id,
        experiment_name="diabetes",
        recurrence=ScheduleRecurrence(frequency="Minute", interval=1),
    )
    console.print(f"Created schedule {schedule.name!r}, id {schedule.id}: every minute\n")
    try:
        console.print("Without a start time the first run is fired at once:")
        first = await_run(schedule, 1)
        watch(first)
        show_score(first)
        upcoming = [fire.fire_time for fire in schedule.preview(3) if fire.fire_time]
        console.print(
            "\nThen every minute: " + ", ".join(f"{at:%H:%M:%S}" for at in upcoming) + " UTC, …"
        )
        count_down(upcoming[0])
        second = await_run(schedule, 2)
        show_lateness(schedule)
        watch(second)
        show_score(second)
    finally:
        schedule.disable()
    console.print("\nThe schedule is disabled. What there is to see:")
    console.print(f"  the runs         penstock run list --schedule {schedule.id}")
    console.print(f"  why they ran     penstock schedule why {schedule.id}")
    console.print(f"  logs             penstock run logs {second.id}")
    console.print(f"  metrics          penstock run metrics {second.id}")
    console.print(f"  outputs          penstock run outputs {second.id}")
    console.print(f"  the API's page   {ws.discovery_url}/docs")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("Interrupted; the schedule, if it was created, is disabled.")
