"""Recurrences as people write them, with the checks and the text of the old SDK."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from difflib import get_close_matches
from typing import Any

from penstock.clock import SystemClock
from penstock.core import creation, zones
from penstock.core.recurrence import (
    WEEK_DAYS,
    FoldPolicy,
    Frequency,
    GapPolicy,
    MonthEndPolicy,
    Recurrence,
)
from penstock.errors import Invalid, InvalidRecurrence
from penstock.sdk.exceptions import WrongType
from penstock.sdk.time_zones import TimeZone
from penstock.wire import OccurrenceDocument

_TIME_OF_DAY = re.compile(r"(\d{1,2}):(\d{2})")
_START_FORMAT = "%Y-%m-%dT%H:%M:%S"
_FREQUENCIES = tuple(frequency.value for frequency in Frequency)


class ScheduleRecurrence:
    """When a schedule fires: every so many minutes, hours, days, weeks or months.

    A Day or Week recurrence fires at each pair of `hours` and `minutes`; a missing one, like the
    week day, is taken from the start time, or from the moment of creation. A recurrence without a
    start time also fires at once when the schedule is created (unless `run_on_create=False`). A
    start time that is itself one of the times fires.
    """

    def __init__(
        self,
        frequency: str,
        interval: int,
        start_time: datetime | str | None = None,
        time_zone: TimeZone | str | None = None,
        hours: Sequence[int] | None = None,
        minutes: Sequence[int] | None = None,
        week_days: Sequence[str] | None = None,
        time_of_day: str | None = None,
        *,
        gap: str = "shift",
        fold: str = "first",
        month_end: str = "last_day",
    ) -> None:
        """Describe a recurrence. Most of it is checked by `validate`, when a schedule is created.

        Args:
            frequency: `Minute`, `Hour`, `Day`, `Week` or `Month`.
            interval: how many of them from one time to the next.
            start_time: wall time in `time_zone`, as a datetime without zone or as text such as
                `2026-03-01T08:00:00`. Nothing fires before it.
            time_zone: a TimeZone, or a Windows or IANA name; UTC when None.
            hours: of the day, 0 to 23; Day and Week only.
            minutes: of the hour, 0 to 59; Day and Week only.
            week_days: English names; Week only.
            time_of_day: such as `4:50`, instead of hours and minutes.
            gap: a time that the clocks skip is moved on by the length of the gap (`shift`), is the
                first instant after it (`after`), or does not count (`skip`).
            fold: a time that the clocks show twice is the `first`, the `second`, or `both`.
            month_end: the 29th, 30th or 31st of a shorter month is its `last_day`, or does not
                count (`skip`).

        Raises:
            Invalid: the start time has a zone of its own; `time_of_day` is not a time, or is given
                together with hours or minutes.
        """
        self.frequency = frequency
        self.interval = interval
        self.start_time = _start_text(start_time)
        self.time_zone = time_zone
        if self.start_time is not None and time_zone is None:
            self.time_zone = TimeZone.UTC
        self.hours = hours
        self.minutes = minutes
        self.week_days = week_days
        if time_of_day is not None:
            self.hours, self.minutes = _split_time_of_day(time_of_day, hours, minutes)
        self.gap = gap
        self.fold = fold
        self.month_end = month_end

    def __repr__(self) -> str:
        parts = ", ".join(f"{name}={value!r}" for name, value in vars(self).items() if value)
        return f"ScheduleRecurrence({parts})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ScheduleRecurrence) and vars(self) == vars(other)

    __hash__ = None  # type: ignore[assignment]  # it can change

    def validate(self) -> None:
        """Check everything that the constructor lets pass.

        Raises:
            InvalidRecurrence: the first thing that is wrong; it says how to write it instead.
        """
        self._check_unit()
        by_day = self.frequency in ("Day", "Week")
        _check_belongs("hours", self.hours, by_day, "Day or Week", self.frequency)
        _check_belongs("minutes", self.minutes, by_day, "Day or Week", self.frequency)
        _check_belongs(
            "week_days", self.week_days, self.frequency == "Week", "Week", self.frequency
        )
        _check_numbers("hours", self.hours, 23)
        _check_numbers("minutes", self.minutes, 59)
        _check_week_days(self.week_days)
        _check_time_zone(self.time_zone)
        if self.start_time is not None and self.time_zone is None:
            raise InvalidRecurrence(
                field="time_zone", value=None, expected="a time zone, since there is a start_time"
            )

    def _check_unit(self) -> None:
        if self.frequency not in _FREQUENCIES:
            near = get_close_matches(
                str(self.frequency).capitalize(), _FREQUENCIES, n=1, cutoff=0.4
            )
            near = ["Day"] if str(self.frequency).lower() == "daily" else near
            raise InvalidRecurrence(
                field="frequency",
                value=self.frequency,
                expected=f"one of {', '.join(_FREQUENCIES)}",
                hint=f"Did you mean {near[0]!r}?" if near else None,
            )
        if not isinstance(self.interval, (int, float)):
            raise WrongType(field="interval", value=self.interval, expected="a whole number from 1")
        if self.interval < 1:
            raise InvalidRecurrence(
                field="interval", value=self.interval, expected="a whole number from 1"
            )

    def to_rule(self) -> Recurrence:
        """Return the checked recurrence as the core has it.

        Raises:
            InvalidRecurrence: as for `validate`; also an interval that is no whole number, and a
                start time that is no time.
        """
        self.validate()
        if self.interval != int(self.interval):
            raise InvalidRecurrence(
                field="interval", value=self.interval, expected="a whole number from 1"
            )
        zone = self.time_zone.value if isinstance(self.time_zone, TimeZone) else self.time_zone
        return Recurrence(
            frequency=Frequency(self.frequency),
            interval=int(self.interval),
            start_time=_start_wall(self.start_time, zone),
            time_zone=zone,
            hours=tuple(self.hours or ()),
            minutes=tuple(self.minutes or ()),
            week_days=tuple(self.week_days or ()),
            gap=_policy(GapPolicy, "gap", self.gap),
            fold=_policy(FoldPolicy, "fold", self.fold),
            month_end=_policy(MonthEndPolicy, "month_end", self.month_end),
        )

    @classmethod
    def from_rule(cls, rule: Recurrence) -> ScheduleRecurrence:
        """Return a recurrence of the core as people write it."""
        return cls(
            rule.frequency.value,
            rule.interval,
            rule.start_time,
            _as_member(rule.time_zone),
            list(rule.hours) or None,
            list(rule.minutes) or None,
            list(rule.week_days) or None,
            gap=rule.gap.value,
            fold=rule.fold.value,
            month_end=rule.month_end.value,
        )

    def preview(
        self, count: int = 10, *, after: datetime | None = None, run_on_create: bool = True
    ) -> list[OccurrenceDocument]:
        """Return the next fires of a schedule that is created now; nothing is asked of a server.

        Slots that a clock change dropped or merged stand among the fires and are not counted.

        Args:
            count: how many fires.
            after: only fires later than this aware instant; None: from the creation on, whose run
                is marked `on_create`.
            run_on_create: what the schedule will say about a run at its creation.

        Raises:
            InvalidRecurrence: the recurrence is wrong, or names no times.
        """
        _, found = creation.preview(
            self.to_rule(),
            count=count,
            now=SystemClock().now(),
            after=after,
            run_on_create=run_on_create,
        )
        return [OccurrenceDocument.of(occurrence) for occurrence in found]


def details_text(recurrence: ScheduleRecurrence) -> str:
    """Return a recurrence as the old SDK wrote it, e.g. `Runs at 4:50 on Monday every 2 Weeks`."""
    text = "Runs"
    if recurrence.hours:
        minutes = recurrence.minutes or [0]
        times = [f"{hour}:{minute or '00'}" for hour in recurrence.hours for minute in minutes]
        text += f" at {', '.join(times)}"
    if recurrence.week_days:
        text += f" on {', '.join(recurrence.week_days)}"
    if recurrence.interval == 1:
        return f"{text} every {recurrence.frequency}"
    return f"{text} every {recurrence.interval} {recurrence.frequency}s"


# ---- checks --------------------------------------------------------------------------------------


def _start_text(start_time: Any) -> str | None:
    if not isinstance(start_time, datetime):
        return start_time  # type: ignore[no-any-return]  # text is read when it is used
    if start_time.tzinfo is not None:
        raise Invalid(
            field="start_time",
            value=start_time.isoformat(),
            expected="a datetime without a time zone",
            hint="Name the zone with time_zone.",
        )
    return start_time.strftime(_START_FORMAT)


def _start_wall(text: Any, zone: str | None) -> datetime | None:
    """Return the start time as wall time in the zone."""
    if text is None:
        return None
    try:
        start = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        raise InvalidRecurrence(
            field="start_time", value=text, expected="a time such as 2026-03-01T08:00:00"
        ) from None
    if start.tzinfo is not None:
        start = start.astimezone(zones.zone(zone or "UTC"))
    return start.replace(tzinfo=None, microsecond=0)


def _split_time_of_day(text: Any, hours: Any, minutes: Any) -> tuple[list[int], list[int]]:
    if hours is not None or minutes is not None:
        raise Invalid(
            "time_of_day cannot be given together with hours or minutes.",
            field="time_of_day",
            value=text,
        )
    match = _TIME_OF_DAY.fullmatch(text) if isinstance(text, str) else None
    if match is None or int(match[1]) > 23 or int(match[2]) > 59:
        raise Invalid(
            field="time_of_day", value=text, expected="hours 0 to 23 and two digits, as in 4:50"
        )
    return [int(match[1])], [int(match[2])]


def _check_belongs(field: str, values: Any, fits: bool, where: str, frequency: str) -> None:
    if values and not fits:
        raise InvalidRecurrence(
            f"{field} = {values!r} is not valid with frequency {frequency}: {field} goes with "
            f"frequency {where} only.",
            field=field,
            value=values,
        )


def _check_numbers(field: str, values: Any, most: int) -> None:
    if values is None:
        return
    if isinstance(values, str) or not isinstance(values, (list, tuple, range, set)):
        raise WrongType(
            field=field, value=values, expected="a list", hint=f"Write {field}=[{values}]."
        )
    for value in values:
        if not isinstance(value, int) or not 0 <= value <= most:
            raise InvalidRecurrence(
                field=field, value=value, expected=f"whole numbers from 0 to {most}"
            )


def _check_week_days(values: Any) -> None:
    if values is None:
        return
    if not isinstance(values, (list, tuple, set)):
        raise InvalidRecurrence(
            field="week_days",
            value=values,
            expected="a list of English names of week days",
            hint=f"Write week_days=[{values!r}].",
        )
    for value in values:
        if value not in WEEK_DAYS:
            near = get_close_matches(str(value).capitalize(), WEEK_DAYS, n=1, cutoff=0.5)
            raise InvalidRecurrence(
                field="week_days",
                value=value,
                expected=f"names among {', '.join(WEEK_DAYS)}",
                hint=f"Did you mean {near[0]!r}?" if near else None,
            )


def _check_time_zone(value: Any) -> None:
    if value is None or isinstance(value, TimeZone):
        return
    try:
        zones.resolve(value)
    except Invalid as error:
        raise InvalidRecurrence(error.message, **error.details) from None


def _policy(kind: Any, field: str, value: Any) -> Any:
    try:
        return kind(value)
    except ValueError:
        allowed = ", ".join(member.value for member in kind)
        raise InvalidRecurrence(field=field, value=value, expected=f"one of {allowed}") from None


def _as_member(name: str | None) -> TimeZone | str | None:
    """Return the TimeZone of a Windows name; an IANA name stays text."""
    try:
        return TimeZone(name) if name is not None else None
    except ValueError:
        return name
