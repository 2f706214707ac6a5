"""A recurrence said in words."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, time

from penstock.core.recurrence import (
    WEEK_DAYS,
    Frequency,
    MonthEndPolicy,
    Recurrence,
    times_of_day,
)
from penstock.core.zones import resolve

_TIMES_LISTED_MAX = 8


def describe(rule: Recurrence) -> str:
    """Return the rule as one phrase, such as "every 2 weeks on Monday at 04:50, Europe/Berlin".

    What a rule takes from its anchor is said with the anchor's own figures; before it has one, as
    "when it is created".
    """
    unit = rule.frequency.value.lower()
    phrase = f"every {unit}" if rule.interval == 1 else f"every {rule.interval} {unit}s"
    parts = [phrase + _DAYS_IN_WORDS[rule.frequency](rule) + _times_in_words(rule)]
    if rule.start_time is not None:
        parts.append(f"from {_clock(rule.start_time)}")
    parts.append(_zone_in_words(rule.time_zone))
    return ", ".join(parts)


def _week_in_words(rule: Recurrence) -> str:
    if rule.week_days:
        return f" on {_listed(rule.week_days)}"
    return f" on {WEEK_DAYS[rule.anchor.weekday()]}" if rule.anchor else ""


def _month_in_words(rule: Recurrence) -> str:
    if rule.anchor is None:
        return ""
    shorter = {
        MonthEndPolicy.LAST_DAY: " (the last day of a shorter month)",
        MonthEndPolicy.SKIP: " (not in a shorter month)",
    }
    return f" on day {rule.anchor.day}" + (shorter[rule.month_end] if rule.anchor.day > 28 else "")


_DAYS_IN_WORDS: Mapping[Frequency, Callable[[Recurrence], str]] = {
    Frequency.MINUTE: lambda rule: "",
    Frequency.HOUR: lambda rule: "",
    Frequency.DAY: lambda rule: "",
    Frequency.WEEK: _week_in_words,
    Frequency.MONTH: _month_in_words,
}


def _times_in_words(rule: Recurrence) -> str:
    if rule.anchor is None:
        needs_anchor = not (rule.hours and rule.minutes)
        return " counted from when it is created" if needs_anchor else _listed_times(rule, time())
    if rule.frequency in (Frequency.MINUTE, Frequency.HOUR):
        return "" if rule.anchor == rule.start_time else f" counted from {_clock(rule.anchor)}"
    return _listed_times(rule, rule.anchor.time())


def _listed_times(rule: Recurrence, anchor: time) -> str:
    times = [f"{_short(moment)}" for moment in times_of_day(rule, anchor)]
    if len(times) > _TIMES_LISTED_MAX:
        return f" at {len(times)} times from {times[0]} to {times[-1]}"
    return f" at {_listed(times)}"


def _zone_in_words(name: str | None) -> str:
    iana = resolve(name or "UTC")
    if name is None or name == "UTC":
        return "UTC"
    return iana if name == iana else f"{name} ({iana})"


def _clock(wall: datetime) -> str:
    return f"{wall.date().isoformat()} {_short(wall.time())}"


def _short(moment: time) -> str:
    return moment.isoformat("seconds" if moment.second else "minutes")


def _listed(words: Sequence[str]) -> str:
    *most, last = words
    return f"{', '.join(most)} and {last}" if most else last
