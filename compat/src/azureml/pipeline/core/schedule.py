"""Schedules, and when they fire."""

from penstock import Schedule, ScheduleRecurrence, TimeZone

__all__ = ["Schedule", "ScheduleRecurrence", "TimeZone"]
