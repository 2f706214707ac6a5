"""Schedules: creating, finding, changing, previewing and firing them, and why they fired."""

from __future__ import annotations

import builtins
from collections.abc import Iterator, Mapping
from typing import Any

import penstock
from penstock.core.due import CATCH_UP_WINDOW_SECONDS
from penstock.errors import Invalid
from penstock.sdk import schedule_forms as forms
from penstock.sdk.notices import deprecated
from penstock.sdk.parameters import wire_assignments
from penstock.sdk.pipeline_run import PipelineRun
from penstock.sdk.published import checked_id
from penstock.sdk.recurrence import ScheduleRecurrence
from penstock.sdk.schedule_record import ScheduleRecord
from penstock.wire import (
    FireDocument,
    FireRequest,
    OccurrenceDocument,
    PreviewDocument,
    RunDocument,
    ScheduleDocument,
    ScheduleDraft,
)


class Schedule(ScheduleRecord):
    """What starts runs of a published pipeline by itself: at times, or when data changes.

    The properties are those of the last answer; `refresh` asks again.
    """

    # ---- creating --------------------------------------------------------------------------------

    @staticmethod
    def create(
        workspace: penstock.Workspace,
        name: str,
        pipeline_id: str,
        experiment_name: str,
        recurrence: ScheduleRecurrence | None = None,
        description: str | None = None,
        pipeline_parameters: Mapping[str, Any] | None = None,
        wait_for_provisioning: bool = False,
        wait_timeout: float = 3600,
        datastore: penstock.Datastore | str | None = None,
        polling_interval: int = 5,
        data_path_parameter_name: str | None = None,
        continue_on_step_failure: bool | None = None,
        path_on_datastore: str | None = None,
        *,
        status: str = "Active",
        run_on_create: bool = True,
        catch_up: str = "skip",
        catch_up_window_seconds: float = CATCH_UP_WINDOW_SECONDS,
        overlap: str = "allow",
    ) -> Schedule:
        """Create a schedule for a published pipeline. Everything is checked before it is stored.

        Args:
            workspace: where.
            name: for people; several schedules may have the same name.
            pipeline_id: the id of the published pipeline.
            experiment_name: under which the runs are found.
            recurrence: when it fires; or else `datastore`.
            description: for people.
            pipeline_parameters: values for parameters, the same in every run.
            wait_for_provisioning: taken; a schedule is ready as soon as it is created.
            wait_timeout: taken, not used.
            datastore: fires when files on it are added or changed.
            polling_interval: minutes between two looks at the datastore.
            data_path_parameter_name: the parameter that gets the changed file.
            continue_on_step_failure: None: as the pipeline was published.
            path_on_datastore: the folder to watch; None is the datastore's root.
            status: `Active`, or `Disabled` to create it without firing.
            run_on_create: whether a recurrence without a start time fires at once.
            catch_up: what happens to times missed while the server was down: `skip`, `latest`
                (one run) or `all` (within the window).
            catch_up_window_seconds: how far back `all` reaches.
            overlap: what happens while an earlier run is active: `allow`, `skip`, `queue` or
                `cancel_previous`.

        Raises:
            Invalid: both or neither of a recurrence and a datastore, a bad value.
            InvalidRecurrence: the recurrence is wrong.
            InvalidParameters: the parameters do not fit the pipeline.
            NotFound: there is no such published pipeline or datastore.
            Conflict: the published pipeline is disabled.
        """
        trigger = forms.trigger(
            recurrence, datastore, polling_interval, data_path_parameter_name, path_on_datastore
        )
        draft = forms.draft(
            trigger,
            name=name,
            experiment=experiment_name,
            pipeline_id=checked_id(pipeline_id, "pipeline_id"),
            description=description,
            parameters=pipeline_parameters,
            status=status,
            continue_on_step_failure=continue_on_step_failure,
            run_on_create=run_on_create,
            catch_up=catch_up,
            catch_up_window_seconds=catch_up_window_seconds,
            overlap=overlap,
        )
        return Schedule._created(workspace, draft, wait_for_provisioning)

    @staticmethod
    def create_for_pipeline_endpoint(
        workspace: penstock.Workspace,
        name: str,
        pipeline_endpoint_id: str,
        experiment_name: str,
        recurrence: ScheduleRecurrence | None = None,
        description: str | None = None,
        pipeline_parameters: Mapping[str, Any] | None = None,
        wait_for_provisioning: bool = False,
        wait_timeout: float = 3600,
        datastore: penstock.Datastore | str | None = None,
        polling_interval: int = 5,
        data_path_parameter_name: str | None = None,
        continue_on_step_failure: bool | None = None,
        path_on_datastore: str | None = None,
        *,
        status: str = "Active",
        run_on_create: bool = True,
        catch_up: str = "skip",
        catch_up_window_seconds: float = CATCH_UP_WINDOW_SECONDS,
        overlap: str = "allow",
    ) -> Schedule:
        """Create a schedule for a pipeline endpoint: each run is of its default version then.

        The arguments and errors are those of `create`, with the endpoint's id instead of the
        pipeline's.
        """
        trigger = forms.trigger(
            recurrence, datastore, polling_interval, data_path_parameter_name, path_on_datastore
        )
        draft = forms.draft(
            trigger,
            name=name,
            experiment=experiment_name,
            pipeline_endpoint_id=checked_id(pipeline_endpoint_id, "pipeline_endpoint_id"),
            description=description,
            parameters=pipeline_parameters,
            status=status,
            continue_on_step_failure=continue_on_step_failure,
            run_on_create=run_on_create,
            catch_up=catch_up,
            catch_up_window_seconds=catch_up_window_seconds,
            overlap=overlap,
        )
        return Schedule._created(workspace, draft, wait_for_provisioning)

    @classmethod
    def _created(
        cls, workspace: penstock.Workspace, draft: ScheduleDraft, is_awaited: bool
    ) -> Schedule:
        path = forms.checked_workspace(workspace).route("schedules")
        document = workspace.client.send(ScheduleDocument, "POST", path, draft)
        if is_awaited:
            forms.say_provisioned()
        return cls._of(workspace, document)

    # ---- finding ---------------------------------------------------------------------------------

    @staticmethod
    def get(workspace: penstock.Workspace, id: str) -> Schedule:
        """Return the schedule of an id; raise NotFound if there is none."""
        path = forms.checked_workspace(workspace).route("schedules", checked_id(id))
        return Schedule._of(workspace, workspace.client.read(ScheduleDocument, path))

    @staticmethod
    def list(
        workspace: penstock.Workspace,
        active_only: bool = True,
        pipeline_id: str | None = None,
        pipeline_endpoint_id: str | None = None,
    ) -> builtins.list[Schedule]:
        """Return the schedules, newest first.

        Args:
            workspace: where.
            active_only: leave out disabled ones; not looked at when an id is given, as it was.
            pipeline_id: only those of this published pipeline.
            pipeline_endpoint_id: only those of this pipeline endpoint, when `pipeline_id` is None.
        """
        query: dict[str, Any] = {"active_only": "true" if active_only else "false"}
        if pipeline_id is not None:
            query = {"active_only": "false", "pipeline_id": checked_id(pipeline_id, "pipeline_id")}
        elif pipeline_endpoint_id is not None:
            endpoint_id = checked_id(pipeline_endpoint_id, "pipeline_endpoint_id")
            query = {"active_only": "false", "pipeline_endpoint_id": endpoint_id}
        path = forms.checked_workspace(workspace).route("schedules")
        documents = workspace.client.pages(ScheduleDocument, path, **query)
        return [Schedule._of(workspace, document) for document in documents]

    @staticmethod
    def get_all(
        workspace: penstock.Workspace,
        active_only: bool = True,
        pipeline_id: str | None = None,
        pipeline_endpoint_id: str | None = None,
    ) -> builtins.list[Schedule]:
        """Do what `list` does; the older name."""
        deprecated("Schedule.get_all", "Schedule.list")
        return Schedule.list(workspace, active_only, pipeline_id, pipeline_endpoint_id)

    @staticmethod
    def get_schedules_for_pipeline_id(
        workspace: penstock.Workspace, pipeline_id: str
    ) -> builtins.list[Schedule]:
        """Return the schedules of a published pipeline, disabled ones too."""
        return Schedule.list(workspace, pipeline_id=checked_id(pipeline_id, "pipeline_id"))

    @staticmethod
    def get_schedules_for_pipeline_endpoint_id(
        workspace: penstock.Workspace, pipeline_endpoint_id: str
    ) -> builtins.list[Schedule]:
        """Return the schedules of a pipeline endpoint, disabled ones too."""
        endpoint_id = checked_id(pipeline_endpoint_id, "pipeline_endpoint_id")
        return Schedule.list(workspace, pipeline_endpoint_id=endpoint_id)

    @staticmethod
    def load_yaml(workspace: penstock.Workspace, filename: str) -> dict[str, Any]:
        """Return the arguments of `create` that a YAML file holds below the key `Schedule`.

        Name, pipeline and experiment are not in the file.

        Raises:
            Invalid: the file has no key `Schedule`.
            KeyError: its recurrence lacks one of the eight keys; null is allowed.
        """
        return forms.loaded_yaml(workspace, filename)

    # ---- changing --------------------------------------------------------------------------------

    def update(
        self,
        name: str | None = None,
        description: str | None = None,
        recurrence: ScheduleRecurrence | None = None,
        pipeline_parameters: Mapping[str, Any] | None = None,
        status: str | None = None,
        wait_for_provisioning: bool = False,
        wait_timeout: float = 3600,
        datastore: penstock.Datastore | str | None = None,
        polling_interval: int | None = None,
        data_path_parameter_name: str | None = None,
        continue_on_step_failure: bool | None = None,
        path_on_datastore: str | None = None,
        *,
        catch_up: str | None = None,
        catch_up_window_seconds: float | None = None,
        overlap: str | None = None,
    ) -> None:
        """Change what is given; what is None stays. `pipeline_parameters` replaces the whole set.

        A schedule that is enabled, or gets another recurrence, goes on at the next time from now.

        Raises:
            Invalid: a recurrence for a schedule that watches a datastore, a datastore for one with
                a recurrence, a bad value.
            InvalidRecurrence, InvalidParameters, NotFound, Conflict: as for `create`.
        """
        _refuse_class_call(self, "update")
        changes = forms.changes(
            self._document,
            name=name,
            description=description,
            recurrence=recurrence,
            parameters=pipeline_parameters,
            status=status,
            datastore=datastore,
            polling_interval=polling_interval,
            data_path_parameter_name=data_path_parameter_name,
            path_on_datastore=path_on_datastore,
            continue_on_step_failure=continue_on_step_failure,
            catch_up=catch_up,
            catch_up_window_seconds=catch_up_window_seconds,
            overlap=overlap,
        )
        document = self._workspace.client.send(ScheduleDocument, "PATCH", self._route(), changes)
        self._take(document)
        if wait_for_provisioning:
            forms.say_provisioned()

    def enable(self, wait_for_provisioning: bool = False, wait_timeout: float = 3600) -> None:
        """Let it fire again, from the next time on; what was missed meanwhile stays missed."""
        _refuse_class_call(self, "enable")
        self.update(status="Active", wait_for_provisioning=wait_for_provisioning)

    def disable(self, wait_for_provisioning: bool = False, wait_timeout: float = 3600) -> None:
        """Let it not fire."""
        _refuse_class_call(self, "disable")
        self.update(status="Disabled", wait_for_provisioning=wait_for_provisioning)

    # ---- what it did and will do -----------------------------------------------------------------

    def get_pipeline_runs(self) -> builtins.list[PipelineRun]:
        """Return the runs that it started, newest first."""
        documents = self._workspace.client.pages(
            RunDocument, self._workspace.route("runs"), schedule_id=self._id
        )
        return [PipelineRun._of(self._workspace, document) for document in documents]

    def get_last_pipeline_run(self) -> PipelineRun | None:
        """Return the newest run that it started; None when there is none."""
        documents = self._workspace.client.pages(
            RunDocument, self._workspace.route("runs"), schedule_id=self._id, limit=1
        )
        newest = next(documents, None)
        return PipelineRun._of(self._workspace, newest) if newest else None

    def get_fires(self, outcome: str | None = None) -> Iterator[FireDocument]:
        """Yield the record of every time it was evaluated, newest first: what came of it, and why.

        Args:
            outcome: only `fired`, `skipped`, `missed` or `failed` ones.
        """
        return self._workspace.client.pages(FireDocument, self._route("fires"), outcome=outcome)

    def preview(self, count: int = 10) -> builtins.list[OccurrenceDocument]:
        """Return its next fires, in UTC and local time; for a disabled one, if it were enabled.

        Slots that a clock change dropped or merged stand among them and are not counted.

        Raises:
            Invalid: it watches a datastore, so that nobody knows when it will fire.
        """
        return self._workspace.client.read(
            PreviewDocument, self._route("preview"), count=count
        ).occurrences

    def fire(self, parameters: Mapping[str, Any] | None = None) -> PipelineRun:
        """Start a run now, disabled or not; its times stay as they are.

        Args:
            parameters: values that replace the schedule's own in this run.
        """
        request = FireRequest.made(parameters=wire_assignments(parameters))
        document = self._workspace.client.send(RunDocument, "POST", self._route("fire"), request)
        return PipelineRun._of(self._workspace, document)


def _refuse_class_call(schedule: Any, verb: str) -> None:
    """Say what to write when a verb is called on the class, with an id."""
    if not isinstance(schedule, Schedule):
        raise Invalid(
            f"Schedule.{verb} is called on a schedule, not on the class. Write "
            f"Schedule.get(ws, {schedule!r}).{verb}().",
            field="schedule",
        )
