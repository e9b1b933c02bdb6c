"""``make bench``: this proxy against HAProxy doing the same job, in one run; see README.md beside this file.

``run.py [--rounds 3] [--twistd PATH] [CASE ...]``
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

from cases import Case, Figures, by_name, clean
from rig import Rig, require_tools

PROXIES = ("haproxy", "kubeoidcproxy")


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure against HAProxy.")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--twistd", type=Path, default=Path(sys.executable).with_name("twistd"))
    parser.add_argument("cases", nargs="*", metavar="CASE")
    arguments = parser.parse_args()
    require_tools()
    memory = Path("/dev/shm")  # an upload is written by nginx: memory is not what is measured
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as directory:
        rig = Rig(Path(directory), arguments.twistd)
        print("| case | HAProxy | kubeoidcproxy | ratio | kubeoidcproxy (HAProxy) |\n|---|---|---|---|---|", flush=True)
        with rig.upstreams():
            for case in by_name(arguments.cases):
                report(case, [one_round(rig, case) for _ in range(arguments.rounds)])


def one_round(rig: Rig, case: Case) -> dict[str, Figures]:
    """Each proxy once, one after the other: they share what the machine is doing in that minute."""
    figures = {}
    for name in PROXIES:
        with rig.proxy(name, case.certificate) as proxy:
            figures[name] = case.measure(rig, proxy)
        clean(rig.directory)
    return figures


def report(case: Case, rounds: list[dict[str, Figures]]) -> None:
    """One line of the table: medians, and the median of the ratios of each round."""
    costs = {name: statistics.median(r[name].cost for r in rounds) for name in PROXIES}
    ratios = sorted(r["kubeoidcproxy"].cost / r["haproxy"].cost for r in rounds)
    unit = rounds[0]["haproxy"].unit
    last = rounds[-1]["kubeoidcproxy"].beside
    peer = rounds[-1]["haproxy"].beside
    beside = ", ".join(f"{key} {last[key]} ({peer[key]})" for key in last)
    spread = f"{statistics.median(ratios):.2f} ({ratios[0]:.2f}-{ratios[-1]:.2f})"
    values = " | ".join(f"{costs[name]:.3g} {unit}" for name in PROXIES)
    print(f"| {case.name} | {values} | {spread} | {beside} |", flush=True)


if __name__ == "__main__":
    main()
