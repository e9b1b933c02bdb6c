"""Many streams, what we make of them, what others read in what we let through, and the shortest stream that differs."""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Protocol

from fuzz import answers, mutations
from fuzz.claims import Claim, RequestsClaim
from fuzz.judge import Judge
from fuzz.oracles import Reading, Stream


class Oracle(Protocol):
    name: str

    def read(self, streams: Sequence[Stream]) -> list[Reading]:
        """How it reads each."""


class Side(Protocol):
    """Streams of one kind, and how they are played. A seed says what the stream alone does not."""

    def streams(self, seed: str, count: int) -> Iterator[tuple[bytes, str]]:
        """So many streams, each with the seed to play it with."""

    def play(self, stream: bytes, seed: str) -> list[Claim]:
        """What we let through of it."""


class Requests:
    """Streams of clients."""

    def __init__(self) -> None:
        self._judge = Judge()

    def streams(self, seed: str, count: int) -> Iterator[tuple[bytes, str]]:
        for number, stream in enumerate(mutations.streams(seed, count)):
            yield stream, f"{seed}/{number}"

    def play(self, stream: bytes, seed: str) -> list[Claim]:
        verdict = self._judge.judge(stream, seed)
        if verdict.exchanges != verdict.ended:
            raise AssertionError("law 11: not every exchange ended once")
        return [RequestsClaim(upstream) for upstream in verdict.upstreams if upstream.sent]


class Answers:
    """Streams of upstreams."""

    def streams(self, seed: str, count: int) -> Iterator[tuple[bytes, str]]:
        return answers.streams(seed, count)

    def play(self, stream: bytes, seed: str) -> list[Claim]:
        return [answers.play(stream, seed)]


SIDES: dict[str, Callable[[], Side]] = {"requests": Requests, "answers": Answers}


@dataclass(frozen=True)
class Finding:
    """A stream of which somebody reads something else than we do, or that we fail on."""

    stream: bytes
    seed: str
    text: str


@dataclass
class Outcome:
    """What a run has come to."""

    tally: Counter[str] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)


def examine(side: Side, streams: Iterable[tuple[bytes, str]], oracles: Sequence[Oracle]) -> Outcome:
    """Play all streams, then let every oracle read all that was let through."""
    outcome = Outcome()
    claims: list[tuple[bytes, str, Claim]] = []
    for stream, seed in streams:
        outcome.tally["streams"] += 1
        try:
            made = side.play(stream, seed)
        except Exception:
            outcome.findings.append(Finding(stream, seed, traceback.format_exc()))
            continue
        claims += ((stream, seed, claim) for claim in made)
        outcome.tally["streams let through, at least in part"] += bool(made)
    outcome.tally["connections compared"] += len(claims)
    for oracle in oracles:
        judged = [each for each in claims if each[2].is_for(oracle.name)]
        readings = iter(oracle.read([part for _, _, claim in judged for part in claim.streams]))
        for stream, seed, claim in judged:
            read = [next(readings) for _ in claim.streams]
            outcome.tally[f"messages read by {oracle.name}"] += len(read[0].messages)
            faults = claim.faults(read)
            if faults:
                outcome.findings.append(Finding(stream, seed, _told(oracle, claim, read, faults)))
    return outcome


def _told(oracle: Oracle, claim: Claim, read: Sequence[Reading], faults: Sequence[str]) -> str:
    parts = [*faults, f"let through: {[part.data for part in claim.streams]}", f"we: {claim.shown()}"]
    return "\n  ".join([*parts, f"{oracle.name}: {read}"])


def shrunk(side: Side, finding: Finding, oracles: Sequence[Oracle]) -> Finding:
    """The same finding on fewer bytes: parts are left out, halves first, as long as there is still a finding."""
    best = finding
    size = len(best.stream) // 2
    while size:
        at = 0
        while at < len(best.stream):
            shorter = best.stream[:at] + best.stream[at + size :]
            found = examine(side, [(shorter, best.seed)], oracles).findings if shorter else []
            if found:
                best = found[0]
            else:
                at += size
        size //= 2
    return best


def run(side: str, seed: str, count: int, oracles: Sequence[Oracle]) -> Outcome:
    """So many streams of one side; the first finding is shrunk."""
    chosen = SIDES[side]()
    outcome = examine(chosen, chosen.streams(seed, count), oracles)
    outcome.findings[:1] = [shrunk(chosen, finding, oracles) for finding in outcome.findings[:1]]
    return outcome


def batches(seed: str, count: int, size: int) -> list[tuple[str, int]]:
    """Seeds and sizes of parts that can be run side by side."""
    return [(f"{seed}-{at // size}", min(size, count - at)) for at in range(0, count, size)]


def random_seed() -> str:
    return f"{Random().getrandbits(32):08x}"
