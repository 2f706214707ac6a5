"""The options that say when something recurs, for whichever command takes them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import typer

from penstock.core.recurrence import (
    FoldPolicy,
    Frequency,
    GapPolicy,
    MonthEndPolicy,
    Recurrence,
)
from penstock.errors import Invalid

__all__ = ["recurrence_from"]

_START_FORMATS = ["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M:%S"]


def recurrence_from(
    every: Annotated[
        int | None, typer.Option(help="With --unit: every so many.", show_default=False)
    ] = None,
    unit: Annotated[
        Frequency | None,
        typer.Option(case_sensitive=False, help="With --every.", show_default=False),
    ] = None,
    frequency: Annotated[
        Frequency | None,
        typer.Option(case_sensitive=False, help="The same as --unit.", show_default=False),
    ] = None,
    interval: Annotated[
        int | None, typer.Option(help="The same as --every. Default: 1.", show_default=False)
    ] = None,
    hours: Annotated[
        str | None,
        typer.Option(metavar="8,16", help="Day and Week: at these hours.", show_default=False),
    ] = None,
    minutes: Annotated[
        str | None,
        typer.Option(
            metavar="0,30", help="Day and Week: at these minutes of each hour.", show_default=False
        ),
    ] = None,
    week_days: Annotated[
        str | None,
        typer.Option(metavar="Monday,Friday", help="Week: on these days.", show_default=False),
    ] = None,
    start: Annotated[
        datetime | None,
        typer.Option(
            formats=_START_FORMATS,
            metavar="YYYY-MM-DDTHH:MM",
            help="Not before this wall time; intervals are counted from it.",
            show_default=False,
        ),
    ] = None,
    time_zone: Annotated[
        str | None,
        typer.Option(help="IANA or Windows name. Default: UTC.", show_default=False),
    ] = None,
    gap: Annotated[
        GapPolicy | None,
        typer.Option(
            help="A time that the clocks jump over in spring. Default: shift.", show_default=False
        ),
    ] = None,
    fold: Annotated[
        FoldPolicy | None,
        typer.Option(
            help="A time that the clocks show twice in autumn. Default: first.", show_default=False
        ),
    ] = None,
    month_end: Annotated[
        MonthEndPolicy | None,
        typer.Option(
            help="Day 29 to 31 in a shorter month. Default: last_day.", show_default=False
        ),
    ] = None,
) -> Recurrence | None:
    """Return the recurrence that the options name, unchecked; None when none of them was given.

    Raises:
        Invalid: no frequency, or one that is given twice, or numbers that are none.
    """
    details: dict[str, Any] = {
        "hours": _numbers("--hours", hours),
        "minutes": _numbers("--minutes", minutes),
        "week_days": _days(week_days),
        "start_time": start,
        "time_zone": time_zone,
        "gap": gap,
        "fold": fold,
        "month_end": month_end,
    }
    given = {key: value for key, value in details.items() if value is not None}
    if not given and (every, unit, frequency, interval) == (None, None, None, None):
        return None
    return Recurrence(
        frequency=_either("--unit", unit, "--frequency", frequency),
        interval=_either("--every", every, "--interval", interval, default=1),
        **given,
    )


def _either(one: str, first: Any, other: str, second: Any, *, default: Any = None) -> Any:
    """Return what one of two spellings of the same option says."""
    if first is not None and second is not None:
        raise Invalid(f"{one} and {other} say the same thing: give one of them.", field=one)
    value = next((v for v in (first, second, default) if v is not None), None)
    if value is None:
        names = ", ".join(member.value for member in Frequency)
        raise Invalid(f"A recurrence needs a frequency: --frequency {names}.", field=other)
    return value


def _numbers(option: str, text: str | None) -> tuple[int, ...] | None:
    if text is None:
        return None
    try:
        return tuple(int(word) for word in text.split(","))
    except ValueError:
        expected = "whole numbers with commas between them"
        raise Invalid(field=option, value=text, expected=expected) from None


def _days(text: str | None) -> tuple[str, ...] | None:
    return None if text is None else tuple(day.strip().capitalize() for day in text.split(","))
