"""Zone names, and wall times as instants."""

from __future__ import annotations

import zoneinfo
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from penstock.core.windows_zones import WINDOWS_NEWER_TO_IANA
from penstock.core.zones import (
    WINDOWS_TO_IANA,
    FoldPolicy,
    GapPolicy,
    _version_found_in,
    change_near,
    instants,
    is_near_change,
    readings,
    resolve,
    tzdata_version,
    zone,
)
from penstock.errors import Invalid


def test_there_are_131_windows_names():
    assert len(WINDOWS_TO_IANA) == 131


@pytest.mark.parametrize(
    ("windows", "iana"), sorted({**WINDOWS_TO_IANA, **WINDOWS_NEWER_TO_IANA}.items())
)
def test_a_windows_name_is_an_installed_zone(windows, iana):
    assert iana in zoneinfo.available_timezones()
    assert zone(windows) is zone(windows)
    assert zone(windows).key == iana


@pytest.mark.parametrize(
    ("name", "iana"),
    [
        ("Pacific Standard Time", "America/Los_Angeles"),
        ("pacific standard time", "America/Los_Angeles"),
        ("Turks and Caicos Standard Time", "America/Grand_Turk"),
        ("UTC", "Etc/UTC"),
        ("UTC+12", "Etc/GMT-12"),
        ("UTC-11", "Etc/GMT+11"),
        ("Mid-Atlantic Standard Time", "Etc/GMT+2"),
        ("Kamchatka Standard Time", "Asia/Kamchatka"),
        ("Europe/Berlin", "Europe/Berlin"),
        ("Asia/Calcutta", "Asia/Calcutta"),
    ],
)
def test_a_name_resolves_to(name, iana):
    assert resolve(name) == iana


@pytest.mark.parametrize(
    ("name", "offset_hours"),
    [
        ("Dateline Standard Time", -12),
        ("UTC-02", -2),
        ("Central Asia Standard Time", 6),
        ("Line Islands Standard Time", 14),
        ("Mountain Standard Time (Mexico)", -7),
        ("W. Europe Standard Time", 1),
    ],
)
def test_a_windows_name_has_the_offset_it_is_known_for(name, offset_hours):
    january = datetime(2026, 1, 15, tzinfo=UTC)
    assert january.astimezone(zone(name)).utcoffset() == timedelta(hours=offset_hours)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "/etc/passwd",
        "../../etc/passwd",
        "Europe/../../etc/passwd",
        "posix/Europe/Berlin",
        "right/Europe/Berlin",
        "Europe",
        "Europe/Berlin\0",
        "europe/berlin",
        "localtime",
        "posixrules",
        "Factory",
        "tzdata.zi",
        "EST-5",
        "x" * 100_000,
        None,
        5,
    ],
)
def test_what_is_no_zone_is_refused(name):
    with pytest.raises(Invalid) as caught:
        resolve(name)
    assert caught.value.details["field"] == "time_zone"


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("Europe/Berlim", "'Europe/Berlin'"),
        ("europe/berlin", "'Europe/Berlin'"),
        ("Pacific Standart Time", "'Pacific Standard Time'"),
    ],
)
def test_the_hint_names_what_looks_alike(name, near):
    with pytest.raises(Invalid) as caught:
        resolve(name)
    assert near in caught.value.details["hint"]


def test_a_name_like_no_other_gets_no_hint():
    with pytest.raises(Invalid) as caught:
        resolve("§§§§")
    assert "hint" not in caught.value.details


def _wall(text):
    return datetime.fromisoformat(text)


def _utc(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


SHIFT, AFTER, SKIP = GapPolicy
FIRST, SECOND, BOTH = FoldPolicy


@pytest.mark.parametrize(
    ("name", "wall", "gap", "fold", "expected"),
    [
        ("Europe/Berlin", "2026-01-05 12:00", SKIP, BOTH, ["2026-01-05 11:00"]),
        # 02:00 to 03:00 is missing
        ("Europe/Berlin", "2026-03-29 01:59", SKIP, FIRST, ["2026-03-29 00:59"]),
        ("Europe/Berlin", "2026-03-29 02:00", SHIFT, FIRST, ["2026-03-29 01:00"]),
        ("Europe/Berlin", "2026-03-29 02:30", SHIFT, FIRST, ["2026-03-29 01:30"]),
        ("Europe/Berlin", "2026-03-29 02:30", AFTER, FIRST, ["2026-03-29 01:00"]),
        ("Europe/Berlin", "2026-03-29 02:00", AFTER, FIRST, ["2026-03-29 01:00"]),
        ("Europe/Berlin", "2026-03-29 02:30", SKIP, FIRST, []),
        ("Europe/Berlin", "2026-03-29 03:00", SKIP, FIRST, ["2026-03-29 01:00"]),
        # 02:00 to 03:00 comes twice
        ("Europe/Berlin", "2026-10-25 02:30", SHIFT, FIRST, ["2026-10-25 00:30"]),
        ("Europe/Berlin", "2026-10-25 02:30", SHIFT, SECOND, ["2026-10-25 01:30"]),
        (
            "Europe/Berlin",
            "2026-10-25 02:30",
            SHIFT,
            BOTH,
            ["2026-10-25 00:30", "2026-10-25 01:30"],
        ),
        ("Europe/Berlin", "2026-10-25 03:00", SHIFT, BOTH, ["2026-10-25 02:00"]),
        # half an hour
        ("Australia/Lord_Howe", "2026-10-04 02:15", SHIFT, FIRST, ["2026-10-03 15:45"]),
        ("Australia/Lord_Howe", "2026-10-04 02:15", AFTER, FIRST, ["2026-10-03 15:30"]),
        # two hours
        ("Antarctica/Troll", "2026-03-29 01:30", SHIFT, FIRST, ["2026-03-29 01:30"]),
        ("Antarctica/Troll", "2026-03-29 01:30", AFTER, FIRST, ["2026-03-29 01:00"]),
        # a whole day: 30 December 2011 was left out
        ("Pacific/Apia", "2011-12-30 09:00", SHIFT, FIRST, ["2011-12-30 19:00"]),
        ("Pacific/Apia", "2011-12-30 09:00", AFTER, FIRST, ["2011-12-30 10:00"]),
        ("Pacific/Apia", "2011-12-30 09:00", SKIP, FIRST, []),
        # winter time is the exception there, and called a saving of minus one hour
        ("Europe/Dublin", "2026-03-29 01:30", SHIFT, FIRST, ["2026-03-29 01:30"]),
        ("Europe/Dublin", "2026-10-25 01:30", SHIFT, SECOND, ["2026-10-25 01:30"]),
    ],
)
def test_a_wall_time_means(name, wall, gap, fold, expected):
    assert list(instants(_wall(wall), zone(name), gap, fold)) == [_utc(text) for text in expected]


def test_the_two_readings_differ_only_at_a_change():
    berlin = zone("Europe/Berlin")
    plain, missing, twice = (
        readings(_wall(text), berlin)
        for text in ("2026-01-05 12:00", "2026-03-29 02:30", "2026-10-25 02:30")
    )
    assert plain[0] == plain[1]
    assert missing[0] > missing[1]
    assert twice[0] < twice[1]


@pytest.mark.parametrize(
    ("at", "near"),
    [
        ("2026-03-27 22:59", False),
        ("2026-03-28 01:01", True),
        ("2026-03-29 02:30", True),
        ("2026-03-30 03:59", True),
        ("2026-03-30 05:01", False),
        ("2026-10-24 00:59", False),
        ("2026-10-24 01:01", True),
        ("2026-10-25 02:30", True),
        ("2026-10-26 04:59", True),
        ("2026-10-26 05:01", False),
    ],
)
def test_a_change_is_near_for_26_hours_on_both_sides(at, near):
    local = _wall(at).replace(tzinfo=zone("Europe/Berlin"))
    assert is_near_change(local) is near
    assert change_near(local) == timedelta(hours=1 if near else 0)


def test_no_zone_changes_its_clock_twice_within_a_week_or_by_more_than_a_day():
    """What the search for the next fire relies on. Every zone, every day from 2000 to 2037."""
    faults = [fault for name in _different_zones() for fault in _hasty_changes(ZoneInfo(name))]
    assert faults == []


def _different_zones():
    """One name for each zone that the others are aliases of, as far as a few looks can tell."""
    looks = [datetime(year, month, 1, tzinfo=UTC) for year in range(2000, 2038) for month in (1, 7)]
    distinct = {}
    for name in sorted(zoneinfo.available_timezones()):
        tz = ZoneInfo(name)
        distinct.setdefault(tuple(look.astimezone(tz).utcoffset() for look in looks), name)
    return distinct.values()


_EVERY_DAY = [datetime(2000, 1, 1, tzinfo=UTC) + timedelta(days=n) for n in range(38 * 365)]


def _hasty_changes(tz):
    offsets = [day.astimezone(tz).utcoffset() for day in _EVERY_DAY]
    changes = [n for n, (before, after) in enumerate(pairwise(offsets)) if before != after]
    yield from ((tz.key, n) for n, after in pairwise(changes) if after - n < 7)
    yield from (
        (tz.key, n) for n in changes if abs(offsets[n + 1] - offsets[n]) > timedelta(hours=24)
    )


def test_the_time_zone_data_have_a_release():
    assert tzdata_version()[:2] == "20"


def test_the_release_is_read_from_the_first_directory_that_has_one(tmp_path):
    empty, full, nameless = tmp_path / "empty", tmp_path / "full", tmp_path / "nameless"
    full.mkdir()
    nameless.mkdir()
    (full / "tzdata.zi").write_text("# version 2031c\n# more\n")
    (nameless / "tzdata.zi").write_text("")
    assert _version_found_in((str(empty), str(full)), "tzdata") == "2031c"
    assert _version_found_in((str(nameless),), "tzdata") == "unknown"


def test_without_system_data_the_release_is_that_of_the_package():
    assert _version_found_in((), "tzdata")[:2] == "20"
    assert _version_found_in((), "no-such-package") == "unknown"
