"""From the arguments of Schedule's methods to what goes over the wire."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

import penstock
from penstock.core.due import CatchUp, Overlap
from penstock.core.model import DataChange, Status
from penstock.core.recurrence import Recurrence
from penstock.errors import Invalid
from penstock.sdk.datastore import Datastore
from penstock.sdk.experiment import checked_name
from penstock.sdk.notices import notice
from penstock.sdk.parameters import wire_assignments
from penstock.sdk.recurrence import ScheduleRecurrence
from penstock.sdk.time_zones import TimeZone
from penstock.wire import ScheduleChanges, ScheduleDocument, ScheduleDraft

Trigger = Recurrence | DataChange


def trigger(
    recurrence: ScheduleRecurrence | None,
    datastore: penstock.Datastore | str | None,
    polling_interval: int,
    data_path_parameter_name: str | None,
    path_on_datastore: str | None,
) -> Trigger:
    """Return what makes a schedule fire.

    Raises:
        Invalid: both or neither of a recurrence and a datastore.
        InvalidRecurrence: the recurrence is wrong.
    """
    if recurrence is not None:
        of_a_change = {
            "datastore": datastore,
            "data_path_parameter_name": data_path_parameter_name,
            "path_on_datastore": path_on_datastore,
        }
        for field, value in of_a_change.items():
            if value is not None:
                raise Invalid(
                    f"{field} goes with a schedule that watches a datastore, not with a "
                    "recurrence. Leave out one of them, or create two schedules.",
                    field=field,
                )
        return _rule(recurrence)
    if datastore is None:
        raise Invalid(
            "A schedule needs a recurrence, or a datastore to watch.",
            field="recurrence",
            hint='Write recurrence=ScheduleRecurrence("Day", 1), for example.',
        )
    return DataChange(
        datastore=datastore_name(datastore),
        path=path_on_datastore,
        polling_minutes=polling_interval,
        data_path_parameter=data_path_parameter_name,
    )


def draft(
    of: Trigger,
    *,
    name: str,
    experiment: str,
    pipeline_id: str | None = None,
    pipeline_endpoint_id: str | None = None,
    description: str | None,
    parameters: Mapping[str, Any] | None,
    status: str,
    continue_on_step_failure: Any,
    run_on_create: bool,
    catch_up: str,
    catch_up_window_seconds: float,
    overlap: str,
) -> ScheduleDraft:
    """Return a new schedule as it goes over the wire; raise Invalid for what is wrong in it."""
    return ScheduleDraft.made(
        name=_checked_name(name),
        experiment=checked_name(experiment),
        pipeline_id=pipeline_id,
        pipeline_endpoint_id=pipeline_endpoint_id,
        description=description or "",
        recurrence=of if isinstance(of, Recurrence) else None,
        data_change=of if isinstance(of, DataChange) else None,
        parameters=wire_assignments(parameters),
        status=_status(status),
        continue_on_step_failure=_yes_or_no(continue_on_step_failure),
        run_on_create=run_on_create,
        catch_up=_member(CatchUp, "catch_up", catch_up),
        catch_up_window_seconds=catch_up_window_seconds,
        overlap=_member(Overlap, "overlap", overlap),
    )


def changes(
    before: ScheduleDocument,
    *,
    recurrence: ScheduleRecurrence | None,
    datastore: penstock.Datastore | str | None,
    polling_interval: int | None,
    data_path_parameter_name: str | None,
    path_on_datastore: str | None,
    name: str | None,
    description: str | None,
    parameters: Mapping[str, Any] | None,
    status: str | None,
    continue_on_step_failure: Any,
    catch_up: str | None,
    catch_up_window_seconds: float | None,
    overlap: str | None,
) -> ScheduleChanges:
    """Return what changes in a schedule as it goes over the wire.

    Raises:
        Invalid: the change would make a schedule of the other kind, or a value is wrong.
    """
    _refuse_other_kind(before, recurrence, datastore)
    if datastore is not None and polling_interval is not None and polling_interval < 0:
        raise Invalid(field="polling_interval", value=polling_interval, expected="1 minute or more")
    given = {
        "name": name,
        "description": description,
        "recurrence": _rule(recurrence) if recurrence is not None else None,
        "data_change": _changed_watch(
            before.data_change,
            datastore=datastore_name(datastore) if datastore is not None else None,
            polling_minutes=polling_interval,
            data_path_parameter=data_path_parameter_name,
            path=path_on_datastore,
        ),
        "parameters": wire_assignments(parameters) if parameters is not None else None,
        "status": _status(status) if status is not None else None,
        "continue_on_step_failure": _yes_or_no(continue_on_step_failure),
        "catch_up": _member(CatchUp, "catch_up", catch_up) if catch_up is not None else None,
        "catch_up_window_seconds": catch_up_window_seconds,
        "overlap": _member(Overlap, "overlap", overlap) if overlap is not None else None,
    }
    return ScheduleChanges.made(**{n: v for n, v in given.items() if v is not None})


def _refuse_other_kind(before: ScheduleDocument, recurrence: Any, datastore: Any) -> None:
    if recurrence is not None and before.recurrence is None:
        raise Invalid(
            f"The schedule {before.name!r} watches a datastore; it cannot get a recurrence. Create "
            "another schedule.",
            field="recurrence",
        )
    if datastore is not None and before.recurrence is not None:
        raise Invalid(
            f"The schedule {before.name!r} has a recurrence; it cannot watch a datastore. Create "
            "another schedule.",
            field="datastore",
        )


def _changed_watch(watch: DataChange | None, **given: Any) -> DataChange | None:
    """Return what a schedule watches, with what is given changed; None when nothing is."""
    given = {name: value for name, value in given.items() if value is not None}
    if not given:
        return None
    if watch is None:
        notice("a schedule with a recurrence has no path, polling interval or data path parameter.")
        return None
    return replace(watch, **given)


def _rule(recurrence: Any) -> Recurrence:
    if not isinstance(recurrence, ScheduleRecurrence):
        raise Invalid(
            field="recurrence",
            value=recurrence,
            expected="a ScheduleRecurrence",
            hint='Write ScheduleRecurrence("Day", 1), for example.',
        )
    return recurrence.to_rule()


def datastore_name(datastore: Any) -> str:
    """Return the name of a datastore given as an object or a name."""
    name = datastore if isinstance(datastore, str) else getattr(datastore, "name", None)
    if isinstance(name, str) and name:
        return name
    raise Invalid(field="datastore", value=datastore, expected="a Datastore, or its name")


def _checked_name(name: Any) -> str:
    if isinstance(name, str) and name.strip():
        return name
    raise Invalid(field="name", value=name, expected="the schedule's name")


def _status(status: Any) -> Status:
    if status in (Status.ACTIVE, Status.DISABLED):
        return Status(status)
    raise Invalid(field="status", value=status, expected='"Active" or "Disabled"')


def _yes_or_no(value: Any) -> bool | None:
    """Return True, False or None; YAML files of the old SDK have the text `None`."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in _WORDS:
        return _WORDS[value.lower()]
    raise Invalid(field="continue_on_step_failure", value=value, expected="True, False or None")


_WORDS = {"none": None, "true": True, "false": False}


def _member(kind: Any, field: str, value: Any) -> Any:
    try:
        return kind(value)
    except ValueError:
        allowed = ", ".join(member.value for member in kind)
        raise Invalid(field=field, value=value, expected=f"one of {allowed}") from None


def checked_workspace(workspace: Any) -> penstock.Workspace:
    """Return the workspace; raise Invalid when something else is given in its place."""
    if isinstance(workspace, penstock.Workspace):
        return workspace
    raise Invalid(
        field="workspace",
        value=workspace,
        expected="the Workspace as the first argument",
        hint="Write ws = Workspace.from_config() and pass ws first.",
    )


def say_provisioned() -> None:
    """Print what the old SDK printed when it had waited."""
    print("Provisioning status: Completed")


# ---- YAML ----------------------------------------------------------------------------------------

_KEYS = (
    "description",
    "pipeline_parameters",
    "wait_for_provisioning",
    "wait_timeout",
    "polling_interval",
    "data_path_parameter_name",
    "continue_on_step_failure",
    "path_on_datastore",
)


def loaded_yaml(workspace: penstock.Workspace, filename: str) -> dict[str, Any]:
    """Return the arguments of Schedule.create that a YAML file holds below the key `Schedule`."""
    try:
        content = yaml.safe_load(Path(filename).read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise Invalid(f"{filename} is not valid YAML: {error}", field="filename") from error
    section = content.get("Schedule") if isinstance(content, dict) else None
    if not isinstance(section, dict):
        raise Invalid(
            f"{filename} has no key `Schedule` at the top with a schedule below it.",
            field="filename",
            value=str(filename),
        )
    arguments = {key: section[key] for key in _KEYS if key in section}
    if section.get("datastore_name") is not None:
        arguments["datastore"] = Datastore(workspace, section["datastore_name"])
    if section.get("recurrence") is not None:
        arguments["recurrence"] = _recurrence_in_yaml(section["recurrence"])
    return arguments


def _recurrence_in_yaml(section: Mapping[str, Any]) -> ScheduleRecurrence:
    zone = section["time_zone"]
    return ScheduleRecurrence(
        section["frequency"],
        section["interval"],
        section["start_time"],
        _zone_in_yaml(zone),
        section["hours"],
        section["minutes"],
        section["week_days"],
        _time_of_day_in_yaml(section["time_of_day"]),
    )


def _time_of_day_in_yaml(value: Any) -> Any:
    """Return a time of day; YAML reads 4:50 without quotes as a number to the base 60."""
    return f"{value // 60}:{value % 60:02d}" if isinstance(value, int) else value


def _zone_in_yaml(zone: str | None) -> TimeZone | str | None:
    """Return a Windows id as a TimeZone; an IANA name stays text."""
    known = {member.value: member for member in TimeZone}
    return known.get(zone, zone) if zone is not None else None
