"""Watching a run from a terminal: states as they change, and the steps' output as it comes."""

from __future__ import annotations

from collections.abc import Callable

from penstock.core.states import RUN_ENDS, STEP_ENDS, StepState
from penstock.errors import Unavailable
from penstock.sdk.client import Client, Patience
from penstock.wire import LogDocument, RunDocument, StepRunDocument

AWAY_SECONDS_MAX = 120.0
"""For so long a wait goes on while the server does not answer or is busy: it may be starting."""


class LogTail:
    """Reads the log of a step run's newest attempt as it grows, and prints whole lines."""

    def __init__(self, client: Client, path: str, say: Callable[[str], None]) -> None:
        """Begin at the beginning of the log at the API path `path`."""
        self._client = client
        self._path = path
        self._say = say
        self._offset = 0
        self._rest = ""
        self._attempt = 0
        self.is_complete = False

    def turn_to(self, attempt: int) -> None:
        """Begin anew when a later attempt has started."""
        if attempt > self._attempt:
            if self._attempt:
                self._finish()
                self._say(f"---- attempt {attempt} ----")
            self._attempt, self._offset, self.is_complete = attempt, 0, False

    def read(self) -> bool:
        """Print what is new; return whether there was anything."""
        if self.is_complete:
            return False
        log = self._client.read(LogDocument, self._path, offset=self._offset)
        has_more = log.next_offset > self._offset
        self._offset = log.next_offset
        *lines, self._rest = (self._rest + log.text).split("\n")
        for line in lines:
            self._say(line.rstrip("\r"))
        if log.is_complete:
            self._finish()
        return has_more

    def _finish(self) -> None:
        if self._rest:
            self._say(self._rest)
        self._rest = ""
        self.is_complete = True


class RunWatch:
    """Follows a pipeline run until it ends, printing what happens."""

    def __init__(
        self,
        client: Client,
        run_path: str,
        step_path: Callable[[str], str],
        *,
        is_quiet: bool,
        away_seconds_max: float = AWAY_SECONDS_MAX,
    ) -> None:
        """Follow the run at the API path `run_path`.

        Args:
            client: the transport.
            run_path: of the run.
            step_path: from a step run's id to its path.
            is_quiet: print nothing.
            away_seconds_max: for so long the server may be away in between.
        """
        self._client = client
        self._run_path = run_path
        self._step_path = step_path
        self._is_quiet = is_quiet
        self._away_seconds_max = away_seconds_max
        self._said: dict[str, str] = {}
        self._tails: dict[str, LogTail] = {}

    def until_end(self, timeout_seconds: float) -> RunDocument:
        """Watch until the run has ended or the time is over, and return the run as it is then."""
        patience = Patience(timeout_seconds)
        away: Patience | None = None
        run: RunDocument | None = None
        while True:
            try:
                run = self._client.read(RunDocument, self._run_path)
                has_news = not self._is_quiet and self._show(run)
                away = None
                if (run.state in RUN_ENDS and not has_news) or patience.is_over:
                    return run
                if has_news:
                    patience.hurry()
            except Unavailable:
                away = away or Patience(self._away_seconds_max)
                if away.is_over:
                    raise
            patience.wait()

    def _show(self, run: RunDocument) -> bool:
        """Print what is new of the run and its steps; return whether more may come at once.

        A state that ends something is said after everything it printed.
        """
        if run.state not in RUN_ENDS:
            self._say_once(run.id, run.state, f"PipelineRun Status: {run.state}")
        steps = self._client.read_list(StepRunDocument, f"{self._run_path}/steps")
        has_news = any([self._show_step(step, len(steps) > 1) for step in steps])
        if run.state in RUN_ENDS and not has_news:
            self._say_once(run.id, run.state, f"PipelineRun Status: {run.state}")
        return has_news

    def _show_step(self, step: StepRunDocument, is_one_of_several: bool) -> bool:
        line = f"StepRun( {step.name} ) Status: {step.state}"
        if step.state not in (StepState.NOT_STARTED, *STEP_ENDS):
            self._say_once(step.id, step.state, line)
        has_news = False
        if step.attempt:
            tail = self._tails.get(step.id) or self._new_tail(step, is_one_of_several)
            tail.turn_to(step.attempt)
            # What has ended may have written more than one piece.
            has_news = tail.read() or (step.state in STEP_ENDS and not tail.is_complete)
        if step.state in STEP_ENDS and not has_news:
            self._say_once(step.id, step.state, line)
        return has_news

    def _new_tail(self, step: StepRunDocument, is_one_of_several: bool) -> LogTail:
        prefix = f"[{step.name}] " if is_one_of_several else ""
        path = f"{self._step_path(step.id)}/log"
        tail = LogTail(self._client, path, lambda line: print(prefix + line, flush=True))
        self._tails[step.id] = tail
        return tail

    def _say_once(self, subject: str, state: str, line: str) -> None:
        if self._said.get(subject) != state:
            self._said[subject] = state
            print(line, flush=True)
