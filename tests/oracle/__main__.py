"""Check recurrences against the oracle and report cells, differences and time.

python -m tests.oracle --zones all --years 2000-2037 --changes 2011,2024-2026
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from functools import partial
from multiprocessing import Pool

from tests.oracle.check import SAMPLE, Result, check_changes, check_years, region_zones

from penstock.core.zones import tzdata_version


def _years(text: str) -> list[int]:
    """Read "2000-2037" or "2011,2024-2026"."""
    spans = [part.split("-") for part in text.split(",") if part]
    return [year for span in spans for year in range(int(span[0]), int(span[-1]) + 1)]


def _run(title: str, check: Callable[[str], Result], zones: list[str], processes: int) -> Result:
    """Run one check for every zone, and say so as it goes."""
    total, began = Result(), time.monotonic()
    with Pool(processes) as pool:
        for done, result in enumerate(pool.imap_unordered(check, zones), start=1):
            total.add(result)
            _progress(title, done, len(zones), total)
    seconds = time.monotonic() - began
    print(
        f"{title}: {len(zones)} zones, {total.cells:,} cells, {total.fires:,} fires, "
        f"{len(total.differences)} differences, {seconds:.0f} s"
    )
    for difference in total.differences[:20]:
        print(f"  {difference}")
    return total


def _progress(title: str, done: int, of: int, total: Result) -> None:
    text = f"{title}: {done}/{of} zones, {total.cells:,} cells"
    if sys.stderr.isatty():
        bar = "#" * (30 * done // of)
        print(f"\r[{bar:<30}] {text}", end="\n" if done == of else "", file=sys.stderr, flush=True)
    elif done % 50 == 0:
        print(text, file=sys.stderr, flush=True)


def main() -> int:
    """Run what the command line asks for; the exit code is 1 when anything differs."""
    parser = argparse.ArgumentParser(prog="python -m tests.oracle", description=__doc__)
    parser.add_argument("--zones", default="sample", help="all, sample, or names with commas")
    parser.add_argument("--years", default="2024-2026", type=_years)
    parser.add_argument(
        "--changes",
        nargs="?",
        const="2011,2024-2026",
        default="",
        type=_years,
        help="also check every change of the clock in these years (2011,2024-2026)",
    )
    parser.add_argument("--processes", default=2, type=int)
    options = parser.parse_args()
    groups = {"all": region_zones, "sample": lambda: list(SAMPLE)}
    zones = groups.get(options.zones, lambda: options.zones.split(","))()
    print(f"time-zone data {tzdata_version()}")
    total = Result()
    if options.years:
        check = partial(check_years, years=options.years)
        total.add(_run("years", check, zones, options.processes))
    if options.changes:
        check = partial(check_changes, years=options.changes)
        total.add(_run("changes", check, zones, options.processes))
    return 1 if total.differences else 0


if __name__ == "__main__":
    sys.exit(main())
