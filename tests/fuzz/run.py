"""The long differential run: ``FUZZ_STREAMS`` streams of clients and as many of upstreams, on all cores.

``FUZZ_SEED`` repeats a run; without it, or with "random", each run looks somewhere else.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from fuzz import oracles
from fuzz.differential import SIDES, Oracle, Outcome, batches, random_seed, run

STREAMS = 100_000
BATCH = 2500


def part(side: str, seed: str, count: int, program: Path | None) -> Outcome:
    """One batch, in a process of its own."""
    return run(side, seed, count, chosen(program))


def chosen(program: Path | None) -> list[Oracle]:
    found: list[Oracle] = [] if program is None else [oracles.Go(program)]
    return found if oracles.httptools is None else [*found, oracles.Llhttp()]


def main() -> int:
    count = int(os.environ.get("FUZZ_STREAMS", STREAMS))
    seed = os.environ.get("FUZZ_SEED", "random")
    seed = random_seed() if seed == "random" else seed
    total, begun = Outcome(), time.monotonic()
    with tempfile.TemporaryDirectory() as folder, ProcessPoolExecutor() as pool:
        program = oracles.build(Path(folder)) if oracles.go_is_here() else None
        names = [oracle.name for oracle in chosen(program)]
        print(f"seed {seed}: {count} streams of clients and of upstreams, read by {' and '.join(names) or 'nobody'}")
        jobs = [(side, name, size) for side in SIDES for name, size in batches(f"{seed}-{side}", count, BATCH)]
        for outcome in pool.map(part, *zip(*jobs, strict=True), [program] * len(jobs)):
            total.tally += outcome.tally
            total.findings += outcome.findings
            if outcome.findings:  # the first of a batch is the one that was shrunk
                first = outcome.findings[0]
                print(f"\nFINDING {first.seed}\n  stream: {first.stream!r}\n  {first.text}", flush=True)
    for what, number in total.tally.items():
        print(f"{number:>9} {what}")
    print(f"{len(total.findings):>9} findings in {time.monotonic() - begun:.0f} s")
    return 1 if total.findings or not names else 0


if __name__ == "__main__":
    sys.exit(main())
