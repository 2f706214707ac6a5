"""Run simulated worlds: make simulate SEED=7 STEPS=30, or python -m tests.simulation --seeds
0-199."""

from __future__ import annotations

import argparse
import sys
import time
from datetime import timedelta
from random import SystemRandom

from tests.simulation.world import Failed, World, ground


def _seeds(text: str) -> list[int]:
    """Read "7", "0-199" or "7,0-199"."""
    spans = [part.partition("-") for part in text.split(",")]
    return [n for first, _, last in spans for n in range(int(first), int(last or first) + 1)]


def main() -> int:
    """Run what the command line asks for; the exit code is 1 when a seed fails."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seed", type=int, help="one world; without it, some by chance")
    parser.add_argument("--seeds", type=_seeds, help="several worlds: 0-199 or 7,12,0-99")
    parser.add_argument("--steps", type=int, help="end the troubles after so many steps")
    parser.add_argument("--first", action="store_true", help="stop at the first failing seed")
    options = parser.parse_args()
    seeds: list[int] = options.seeds or []
    if options.seed is not None:
        seeds = [options.seed]
    if not seeds:
        first = SystemRandom().randrange(10**9)
        seeds = list(range(first, first + 200))
    return _run(seeds, options.steps, stops=options.first)


def _run(seeds: list[int], steps: int | None, *, stops: bool) -> int:
    began, failed, simulated, counts = time.monotonic(), [], timedelta(), {}
    with ground() as earth:
        for number, seed in enumerate(seeds, start=1):
            world = World(seed, earth)
            try:
                world.run(steps)
            except Failed as error:
                failed.append(seed)
                print(f"\n{error}", flush=True)
                if stops:
                    break
            simulated += world.true_now - world.start
            for name, count in {**world.referee.counts, **world.faults.counts}.items():
                counts[name] = counts.get(name, 0) + count
            if sys.stderr.isatty() or number % 50 == 0:
                end = "\r" if sys.stderr.isatty() else "\n"
                print(
                    f"{number}/{len(seeds)} seeds, {len(failed)} failed", end=end, file=sys.stderr
                )
            if len(seeds) == 1:
                print(f"trace {world.referee.trace.hexdigest()}")
    seconds = time.monotonic() - began
    days = simulated / timedelta(days=1)
    print(
        f"{number} seeds, {days:.0f} simulated days, {len(failed)} failed {failed}, {seconds:.1f} s"
    )
    print(", ".join(f"{name} {count}" for name, count in sorted(counts.items())))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
