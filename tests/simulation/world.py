"""The simulated world: one seed decides everything that happens in it.

A world has a clock that is moved by hand, a real database, a fake machine, one to three daemons on
the one database, and users. It is one thread: a step of the world moves time to where something is
due, lets some lanes of some daemons make a pass, lets users act, and lets things go wrong. A daemon
that freezes in the middle of a call is a call that does not return before the world has made some
steps without it.
"""

from __future__ import annotations

import logging
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

from tests.simulation import workload
from tests.simulation.checkers import RUN_ENDS, Notes, Referee
from tests.simulation.faults import Copier, Crash, Faults, FaultyStore, FaultyTarget, Process
from tests.simulation.machine import Machine

from penstock import wire
from penstock.core.access import ADMIN
from penstock.core.model import Schedule, SnapshotFile, Status, Workspace
from penstock.daemon.launches import Surroundings
from penstock.daemon.loop import JUMP_SECONDS, Daemon
from penstock.daemon.running import Rules
from penstock.datastores.opening import open_datastore
from penstock.errors import Conflict, InUse, InvalidRecurrence, StoreBusy, Unavailable
from penstock.service import pipelines, runs, schedules, snapshots, workspaces
from penstock.service.tokens import RunTokens
from penstock.store.database import Store, Transaction, ids_from
from penstock.testing.clock import ManualClock

LATE_SECONDS_MAX = 60.0
PASSES_MAX = 60  # of a lane that always has more to do
HEAL_STEPS_MAX = 1500
STALL_STEPS = 200  # without any change: it is stuck
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Failed(Exception):
    """Something was not as it must be; the message says what, when and how to see it again."""


@dataclass(slots=True)
class Ground:
    """What all worlds of a test session stand on: a database, emptied for each of them."""

    home: Path
    store: Store
    database: sqlite3.Connection
    workspace: Workspace
    snapshot_id: str
    tables: tuple[str, ...]

    def clear(self) -> None:
        """Take away what the last world has left."""
        with self.store.begin() as tx:
            for table in self.tables:
                tx.connection.exec_driver_sql(f"DELETE FROM {table}")


@contextmanager
def ground() -> Iterator[Ground]:
    """Prepare a database in a folder of its own, in memory where the system has such a place."""
    memory = Path("/dev/shm")
    home = Path(tempfile.mkdtemp(prefix="simulation-", dir=memory if memory.is_dir() else None))
    store = Store(f"sqlite:///{home}/penstock.db")
    store.upgrade()
    clock = ManualClock(workload.CHANGES[0])
    with ids_from(clock, Random(0).randbytes), store.begin() as tx:
        workspace = workspaces.create(
            tx, ADMIN, wire.WorkspaceDraft(name="simulated"), home=home, now=clock.now()
        )
        file = SnapshotFile(path="s.py", sha256="0" * 64, size=0)
        snapshot = snapshots.create(
            tx, ADMIN, workspace, wire.SnapshotDraft(files=[file]), _AllBlobs(), clock.now()
        )
    (home / "datastores" / workspace.id / "workspaceblobstore" / "data.txt").write_text("data")
    database = sqlite3.connect(home / "penstock.db", isolation_level=None)
    tables = ("activity", "metrics", "timers", "step_runs", "runs", "fires", "schedules")
    tables += ("published_pipelines", "graphs", "experiments")
    try:
        yield Ground(home, store, database, workspace, snapshot.id, tables)
    finally:
        database.close()
        store.dispose()
        shutil.rmtree(home)


class _AllBlobs:
    """Every blob is there."""

    def missing(self, shas: Any) -> list[str]:
        """Return nothing."""
        return []


@dataclass(slots=True)
class _Server:
    """A place for a daemon; between its lives it is empty."""

    name: str
    process: Process | None = None
    daemon: Daemon | None = None
    busy: set[str] = field(default_factory=set)  # lanes that are frozen
    offset: timedelta = timedelta()  # of the clock, when it was last looked at
    is_recovering: bool = False


class World:
    """Everything that one seed decides."""

    def __init__(self, seed: int, ground: Ground) -> None:
        """Begin the world: pipelines, schedules, daemons; no time has passed yet."""
        self.seed = seed
        self.step_number = 0
        self.chance = Random(f"{seed}/world")
        self.start = self.chance.choice(workload.CHANGES) - timedelta(
            seconds=self.chance.randint(0, 2 * 86_400)
        )
        self.true_now = self.start
        self.offset = timedelta()  # of the clock from true time
        self.clock = ManualClock(self.true_now)
        self.faults = Faults(Random(f"{seed}/faults"), self.chance.choice([0, 0.5, 1, 1, 1, 3]))
        self.users = Random(f"{seed}/users")
        self.tempo = self.chance.choice(list(workload.TEMPI))
        self.steps_planned = self.chance.randint(15, 35)
        self._ground = ground
        self._home = ground.home
        self._machine = Machine(Random(f"{seed}/machine"), self.clock, self.true_now)
        steps_running_max = self.chance.randint(2, 5)
        self._rules = Rules(steps_running_max=steps_running_max, step_poll_seconds=1.0)
        self.referee = Referee(
            ground.database,
            self._machine,
            steps_running_max=steps_running_max,
            late_seconds_max=LATE_SECONDS_MAX,
        )
        self._show_time()
        self.servers = [_Server(f"daemon {n}") for n in range(self.chance.randint(1, 3))]
        self.passes = 0
        self._limit = self.steps_planned
        self._depth = 0  # of freezes within freezes
        self._pipelines: list[str] = []
        self._broken: set[str | None] = set()  # pipelines disabled behind everybody's back
        self._user = Process("user", self.faults, lambda process: None)
        self._user_store = FaultyStore(ground.store, self._user, lambda: None)

    # ---- running ---------------------------------------------------------------------------------

    def run(self, steps: int | None = None) -> None:
        """Let the world live, heal it, and check what is left.

        Args:
            steps: end the troubles after so many steps; as many as the seed says when None.

        Raises:
            Failed: something was not as it must be.
        """
        self._limit = self.steps_planned if steps is None else steps
        handler = _Complaints(self)
        log = logging.getLogger("penstock")
        level, propagate = log.level, log.propagate
        log.addHandler(handler)
        log.propagate = False
        try:
            with ids_from(self.clock, Random(f"{self.seed}/ids").randbytes):
                self._ground.clear()
                self._populate()
                self.faults.is_on = True
                while self.step_number < self._limit:
                    self._step()
                    self._raise_complaints()
                self._heal()
                self._raise_complaints()
        finally:
            log.removeHandler(handler)
            log.setLevel(level)
            log.propagate = propagate

    def _raise_complaints(self) -> None:
        if self.referee.complaints:
            what = "\n".join(self.referee.complaints[:5])
            raise Failed(
                f"seed={self.seed} step={self.step_number} clock={self.clock.now()}\n{what}\n"
                f"again: make simulate SEED={self.seed} STEPS={min(self.step_number, self._limit)}"
            )

    def _step(self) -> None:
        self.step_number += 1
        self.referee.trace.update(f"{self.step_number} {self.clock.now()}".encode())
        self._go_wrong()
        if self.chance.random() < 0.6:
            self._use()
        self._move_time()
        self._start_servers()
        self._let_daemons_work()

    def _populate(self) -> None:
        chance, now = self.users, self.clock.now()
        with self._ground.store.begin() as tx:
            for number in range(4):
                name = f"graph {number}"
                graph = workload.graph(chance, name, self._ground.snapshot_id)
                self.referee.graphs[name] = graph
                request = wire.PublishRequest(
                    graph=graph, name=name, continue_on_step_failure=chance.random() < 0.3
                )
                published = pipelines.publish(tx, ADMIN, self._ground.workspace, request, now)
                self._pipelines.append(published.id)
        count = chance.choice([20, 20, 25, 30, 50, 100])
        while len(self.referee.schedules) < count:
            self._create_schedules(5)
        for server in self.servers:
            self._start(server)

    # ---- time ------------------------------------------------------------------------------------

    def _move_time(self, *, is_calm: bool = False) -> None:
        """Go to where something is due next: exactly there, or a little later."""
        now = self.clock.now()
        query = "SELECT min(due_at) FROM timers"
        if not is_calm and self.chance.random() < 0.4:  # what runs meanwhile is looked at late
            query += " WHERE kind = 'schedule'"
        (micros,) = self._ground.database.execute(query).fetchone()
        due = [] if micros is None else [_EPOCH + timedelta(microseconds=micros)]
        end = self._machine.next_end()
        if end is not None and "WHERE" not in query:
            due.append(end + self.offset)
        target = max(min(due, default=now + timedelta(minutes=1)), now)
        delay = 0.0
        if not is_calm and self.chance.random() < 0.5:
            delay = self.chance.choice([0.001, 0.5, 2, 2, 20, 90])
            delay *= self.chance.random()
        self._pass_time(target - now + timedelta(seconds=delay))

    def _pass_time(self, length: timedelta) -> None:
        self.true_now += length
        self._show_time()
        self._machine.advance(self.true_now)

    def _show_time(self) -> None:
        self.clock.set(self.true_now + self.offset)
        self.referee.highest = max(self.referee.highest, self.clock.now())

    # ---- what goes wrong -------------------------------------------------------------------------

    def _go_wrong(self) -> None:
        happens = self.faults.happens
        if happens("killed", 0.03):
            server = self.chance.choice(self.servers)
            if server.process is not None:
                server.process.die()
        if happens("clock jump", 0.04):
            self._jump()
        if happens("outage", 0.03):
            for server in self.servers:
                if server.process is not None:
                    server.process.die()
            longest = workload.OUTAGES[self.tempo].total_seconds()
            self._pass_time(timedelta(seconds=longest ** self.chance.uniform(0.3, 1)))
        if self._machine.is_away or happens("machine away", 0.02):
            self._machine.is_away = self.chance.random() < 0.7
        if happens("poison", 0.05):
            self._poison()

    def _jump(self) -> None:
        """Set the clock forward or back; half of the time back to the right time."""
        if self.offset and self.chance.random() < 0.5:
            self.offset = timedelta()
        else:
            seconds = self.chance.choice([1, 30, 90, 3600, 26 * 3600]) * self.chance.random()
            self.offset += timedelta(seconds=seconds * self.chance.choice([-1, 1]))
        before = self.clock.now()
        self._show_time()
        if self.clock.now() < before and self.chance.random() < 0.5:
            self._switch_what_has_fired()

    def _switch_what_has_fired(self) -> None:
        """Off and on again, for schedules that have fired at times that are still to come."""
        now = self.clock.now()
        ahead = [
            notes
            for notes in self.referee.schedules.values()
            if notes.is_active and notes.trouble is None and notes.done and max(notes.done) > now
        ]
        for notes in ahead[:5]:
            self._update(notes, wire.ScheduleChanges(status=Status.DISABLED))
            self._update(notes, wire.ScheduleChanges(status=Status.ACTIVE))

    def _poison(self) -> None:
        """Spoil a schedule behind everybody's back, or mend one."""
        spoilt = [n for n in self.referee.schedules.values() if n.trouble is not None]
        if spoilt and self.chance.random() < 0.6:
            return self._mend(self.chance.choice(spoilt))
        active = [n for n in self.referee.schedules.values() if n.is_active]
        if not active:
            return
        notes = self.chance.choice(active)
        if self.chance.random() < 0.5:
            self._set("schedules", notes.schedule.id, recurrence='{"frequency": "Never"}')
            notes.trouble = "text"
        else:
            self._broken.add(notes.schedule.pipeline_id)
            self._set("published_pipelines", notes.schedule.pipeline_id, status="Disabled")
            for other in self.referee.schedules.values():
                if other.schedule.pipeline_id == notes.schedule.pipeline_id:
                    other.trouble = other.trouble or "pipeline"

    def _mend(self, notes: Notes) -> None:
        if notes.trouble == "text":
            text = wire.RECURRENCE.dump_json(notes.rule).decode()
            self._set("schedules", notes.schedule.id, recurrence=text)
            is_broken = notes.schedule.pipeline_id in self._broken
            notes.trouble = "pipeline" if is_broken else None
            if not is_broken or self.faults.is_on:
                return
        self._broken.discard(notes.schedule.pipeline_id)
        self._set("published_pipelines", notes.schedule.pipeline_id, status="Active")
        for other in self.referee.schedules.values():
            is_same = other.schedule.pipeline_id == notes.schedule.pipeline_id
            if is_same and other.trouble == "pipeline":
                other.trouble = None

    def _set(self, table: str, id: str | None, **columns: str) -> None:
        ((name, value),) = columns.items()
        with self._ground.store.begin() as tx:
            tx.connection.exec_driver_sql(
                f"UPDATE {table} SET {name} = ? WHERE id = ?", (value, id)
            )

    def _freeze(self, process: Process) -> None:
        """The process stands still in the middle of a call; the others go on."""
        if self._depth >= 2 or self.referee.complaints:
            return
        self._depth += 1
        try:
            for _ in range(self.chance.randint(1, 5)):
                self._step()
        finally:
            self._depth -= 1

    # ---- daemons ---------------------------------------------------------------------------------

    def _start_servers(self) -> None:
        for server in self.servers:
            is_empty = server.process is None or not server.process.is_alive
            if is_empty and not server.busy and self.chance.random() < 0.5:
                self._start(server)

    def _start(self, server: _Server) -> None:
        process = Process(server.name, self.faults, self._freeze)
        store: Any = FaultyStore(self._ground.store, process, self.referee.look)
        target = FaultyTarget(self._machine, process)
        server.process, server.offset, server.is_recovering = process, self.offset, True
        server.daemon = Daemon(
            store=store,
            clock=self.clock,
            targets={"local": target},
            around=Surroundings(
                home=self._home,
                tokens=RunTokens(b"simulated" * 4),
                base_url=lambda: "http://simulated",
                open_datastore=open_datastore,
            ),
            rules=self._rules,
            late_seconds_max=LATE_SECONDS_MAX,
            copier=Copier(process),
        )

    def _let_daemons_work(self, *, all_of_them: bool = False) -> None:
        lanes = [(server, lane) for server in self.servers for lane in ("scheduling", "running")]
        self.chance.shuffle(lanes)
        for server, lane in lanes:
            if not all_of_them and self.chance.random() < 0.25:
                continue
            self._work(server, lane)
        for server in self.servers:
            self._copy(server)

    def _copy(self, server: _Server) -> None:
        """Let the thread of a daemon that copies data finish what it was given."""
        process = server.process
        if process is not None and "running" not in server.busy:
            copies, process.copies[:] = list(process.copies), []
            for copy in copies:
                self._guarded(server, "running", copy)

    def _work(self, server: _Server, lane: str) -> None:
        """Let one lane of a daemon do what is due, as its loop would."""
        process, daemon = server.process, server.daemon
        if process is None or daemon is None or not process.is_alive or lane in server.busy:
            return
        if lane == "running":
            self._guarded(server, lane, lambda: self._recover_if_needed(server))
        troubles = process.troubles
        for _ in range(PASSES_MAX):
            now = self.clock.now()
            done: list[int] = []
            self._guarded(
                server, lane, lambda now=now, done=done: done.append(daemon.lanes[lane](now).done)
            )
            self.passes += 1
            if done in ([], [0]) or not process.is_alive:
                break
        else:
            self.referee.complain(f"the {lane} lane of {server.name} never comes to an end")
        is_clean = process.troubles == troubles and done == [0]
        if lane == "scheduling" and is_clean and not self.referee.complaints:
            self.referee.check_nothing_is_due(now)

    def _recover_if_needed(self, server: _Server) -> None:
        assert server.daemon is not None
        if abs((self.offset - server.offset).total_seconds()) > JUMP_SECONDS:
            server.is_recovering = True
        server.offset = self.offset
        if server.is_recovering:
            server.daemon.recover(self.clock.now())
            server.is_recovering = False

    def _guarded(self, server: _Server, lane: str, work: Callable[[], object]) -> None:
        """Do what a lane does; what the loop survives is survived, a crash empties the server."""
        server.busy.add(lane)
        try:
            work()
        except Crash:
            pass
        except Unavailable:
            pass
        except Exception as error:
            logging.getLogger("penstock.simulation").exception("lane_failed %r", error)
        finally:
            server.busy.discard(lane)

    # ---- users -----------------------------------------------------------------------------------

    def _use(self) -> None:
        """Let a user do something."""
        doings = {
            self._submit: 6,
            self._cancel: 5,
            self._fire: 3,
            self._switch: 8,
            self._change: 4,
            self._create_schedule: 2,
            self._disable_pipeline: 1,
        }
        (doing,) = self.users.choices(list(doings), list(doings.values()))
        doing()

    def _transact(self, verb: Callable[[Transaction], Any]) -> Any:
        """Let a user call a verb; return what it returned if that was committed, else None."""
        commits = self._user.commits
        result = None
        try:
            with self._user_store.begin() as tx:
                result = verb(tx)
        except (StoreBusy, Conflict, Crash):
            self._user.is_alive = True
        return result if self._user.commits > commits else None

    def _submit(self) -> None:
        pipeline_id, now = self.users.choice(self._pipelines), self.clock.now()
        key = f"key {self.users.getrandbits(32)}"
        request = wire.SubmitRequest(experiment="Simulated", pipeline_id=pipeline_id)

        def verb(tx: Transaction) -> str:
            return runs.submit(
                tx, ADMIN, self._ground.workspace, request, now=now, submission_key=key
            ).id

        ids = {self._transact(verb) for _ in range(self.users.choice([1, 2]))} - {None}
        self.referee.require(len(ids) <= 1, f"one submission, several runs: {ids}")
        self.referee.look()

    def _cancel(self) -> None:
        open_runs = [run.id for run in self.referee.runs.values() if run.state not in RUN_ENDS]
        if not open_runs:
            return
        id, now = self.users.choice(open_runs), self.clock.now()
        self._transact(lambda tx: runs.cancel(tx, ADMIN, self._ground.workspace, id, now))
        self.referee.look()

    def _some_schedule(self) -> Notes | None:
        usable = [n for n in self.referee.schedules.values() if n.trouble is None]
        return self.users.choice(usable) if usable else None

    def _fire(self) -> None:
        notes, now = self._some_schedule(), self.clock.now()
        if notes is None:
            return
        id = notes.schedule.id
        verb = lambda tx: schedules.fire(tx, ADMIN, self._ground.workspace, id, {}, now)  # noqa: E731
        if self._transact(verb) is not None:
            notes.at_once += 1
        self.referee.look()

    def _switch(self) -> None:
        """Disable a schedule, or enable it again."""
        notes = self._some_schedule()
        if notes is None:
            return
        status = Status.DISABLED if notes.is_active else Status.ACTIVE
        self._update(notes, wire.ScheduleChanges(status=status))
        if self.users.random() < 0.3:  # and at once the other way round
            status = Status.DISABLED if notes.is_active else Status.ACTIVE
            self._update(notes, wire.ScheduleChanges(status=status))

    def _change(self) -> None:
        notes = self._some_schedule()
        if notes is not None:
            now = self.clock.now()
            changes = workload.changes(self.users, self.tempo, now, notes.schedule)
            self._update(notes, changes)

    def _update(self, notes: Notes, changes: wire.ScheduleChanges) -> None:
        id, now = notes.schedule.id, self.clock.now()

        def verb(tx: Transaction) -> Schedule:
            return schedules.update(tx, ADMIN, self._ground.workspace, id, changes, now)

        try:
            schedule = self._transact(verb)
        except InvalidRecurrence:
            return  # it was drawn so; nothing is stored
        if schedule is not None:
            self.referee.updated(schedule, now)
        self.referee.look()

    def _create_schedule(self) -> None:
        self._create_schedules(1)

    def _create_schedules(self, count: int) -> None:
        now, chance, workspace = self.clock.now(), self.users, self._ground.workspace

        def verb(tx: Transaction) -> list[tuple[Schedule, list[datetime]]]:
            found = []
            for number in range(count):
                pipeline_id = chance.choice(self._pipelines)
                name = f"schedule {len(self.referee.schedules) + number}"
                draft = workload.schedule(chance, self.tempo, name, pipeline_id, now)
                if self.tempo == "fast" and name == "schedule 0":
                    draft = workload.backlog(pipeline_id)
                created = schedules.create(tx, ADMIN, workspace, draft, now)
                promised: list[datetime] = []
                if chance.random() < 0.2 and created.status is Status.ACTIVE:
                    shown = schedules.preview(tx, ADMIN, workspace, created.id, 5, now)[1]
                    marks = (None, "moved", "repeated")
                    promised = [o.fire_time for o in shown if o.fire_time and o.mark in marks]
                found.append((created, promised))
            return found

        try:
            for schedule, promised in self._transact(verb) or []:
                self.referee.created(schedule, now, promised)
        except InvalidRecurrence:
            return
        self.referee.look()

    def _disable_pipeline(self) -> None:
        """Ask for what is refused as long as an active schedule starts the pipeline."""
        id, now, workspace = (
            self.users.choice(self._pipelines),
            self.clock.now(),
            self._ground.workspace,
        )
        is_used = any(
            n.is_active and n.schedule.pipeline_id == id for n in self.referee.schedules.values()
        )
        is_poisoned = any(n.trouble is not None for n in self.referee.schedules.values())
        if not is_used or is_poisoned:
            return

        def verb(tx: Transaction) -> bool:
            try:
                pipelines.change_status(tx, ADMIN, workspace, id, Status.DISABLED, now)
            except InUse:
                return True
            return False

        refused = self._transact(verb)
        self.referee.require(refused in (True, None), f"pipeline {id} was disabled while in use")

    # ---- the end ---------------------------------------------------------------------------------

    def _heal(self) -> None:
        """End all troubles; then everything must come to its end by itself."""
        self.faults.is_on = False
        self._machine.is_away = False
        self._machine.calm_down()
        self.offset = timedelta()
        self._show_time()
        for notes in list(self.referee.schedules.values()):
            if notes.trouble is not None:
                self._mend(notes)
        dead = [s for s in self.servers if s.process is None or not s.process.is_alive]
        if len(dead) == len(self.servers):
            self._start(self.chance.choice(dead))
        self._pass_time(timedelta(seconds=40))  # the last back-off of a schedule that failed
        self._let_daemons_work(all_of_them=True)
        self._raise_complaints()
        self._disable_all()
        # What would run for ever is cancelled; everything else must end by itself.
        endless = {a.run_id for a in self._machine.alive if a.ends_at is None}
        for id in sorted(endless):
            self._transact(
                lambda tx, id=id: runs.cancel(
                    tx, ADMIN, self._ground.workspace, id, self.clock.now()
                )
            )
        self.referee.look()
        self._drain()
        self.referee.check_end(self.clock.now())

    def _disable_all(self) -> None:
        now, changes = self.clock.now(), wire.ScheduleChanges(status=Status.DISABLED)
        active = [id for id, notes in self.referee.schedules.items() if notes.is_active]
        with self._ground.store.begin() as tx:
            for id in active:
                disabled = schedules.update(tx, ADMIN, self._ground.workspace, id, changes, now)
                self.referee.updated(disabled, now)
        self.referee.look()

    def _drain(self) -> None:
        limit = self.true_now + timedelta(hours=24)
        changes, since = self.referee.changes, self.step_number
        for _ in range(HEAL_STEPS_MAX):
            self._raise_complaints()
            if all(run.state in RUN_ENDS for run in self.referee.runs.values()):
                break
            if self.referee.changes != changes:
                changes, since = self.referee.changes, self.step_number
            if self.true_now > limit or self.step_number > since + STALL_STEPS:
                break
            self.step_number += 1
            self._move_time(is_calm=True)
            self._pass_time(timedelta(seconds=1))
            for server in self.servers:
                if len(self.servers) == 1 or self.chance.random() < 0.5:
                    self._work(server, "running")
                    self._copy(server)
        self._pass_time(timedelta(seconds=60))  # what is left of timers must go
        self._let_daemons_work(all_of_them=True)


class _Complaints(logging.Handler):
    """An error in the log is a complaint, unless somebody spoilt the data."""

    def __init__(self, world: World) -> None:
        super().__init__(logging.ERROR)
        self._world = world

    def emit(self, record: logging.LogRecord) -> None:
        """Complain."""
        referee = self._world.referee
        if record.exc_info and not any(n.trouble == "text" for n in referee.schedules.values()):
            text = logging.Formatter().formatException(record.exc_info)
            referee.complain(f"{record.getMessage()}\n{text}")
