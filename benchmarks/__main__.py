"""Run the benchmarks, or those that are named: `python -m benchmarks [fires steps latency …]`.

Exit code 1 if a promise is not kept.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

from benchmarks import fires, latency, recurrence, steps, weight
from benchmarks.figures import Figure, print_table

ALL: dict[str, Callable[[], list[Figure]]] = {
    "recurrence": recurrence.figures,
    "fires": fires.figures,
    "steps": steps.figures,
    "latency": latency.figures,
    "weight": weight.figures,
}


def main(names: list[str]) -> int:
    """Run and print; return the exit code."""
    found = []
    for name in names or ALL:
        print(f"{name} …", file=sys.stderr, flush=True)
        found += ALL[name]()
    print_table(found)
    return 0 if all(figure.is_kept for figure in found) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
