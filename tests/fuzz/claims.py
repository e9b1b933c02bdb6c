"""What we say of bytes that we let through, to be held against what others read in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from fuzz.judge import UPSTREAM_HOST, Upstream
from fuzz.oracles import Message, Reading, Stream, digest


class Claim(Protocol):
    """Streams of bytes, and what they must say to everybody."""

    @property
    def streams(self) -> Sequence[Stream]:
        """What an oracle is to read."""

    def is_for(self, oracle: str) -> bool:
        """Whether this oracle can know enough to judge."""

    def faults(self, readings: Sequence[Reading]) -> list[str]:
        """Where its readings of the streams differ from what we say."""

    def shown(self) -> str:
        """What we say."""


@dataclass(frozen=True)
class RequestsClaim:
    """One upstream connection: exactly these requests are on it, each complete one as we recorded it."""

    upstream: Upstream

    @property
    def streams(self) -> Sequence[Stream]:
        return [Stream(bytes(self.upstream.sent))]

    def is_for(self, oracle: str) -> bool:
        return True

    def faults(self, readings: Sequence[Reading]) -> list[str]:
        (reading,) = readings
        requests = self.upstream.requests
        recorded = [request for request in requests if request.whole]
        if requests[: len(recorded)] != recorded:
            return ["a request went up behind one that was not complete"]
        found: list[str] = []
        for number, (ours, theirs) in enumerate(zip(recorded, reading.messages, strict=False)):
            body = ours.body
            for what, mine, its in [
                ("method", ours.method, theirs.method),
                ("target", ours.target, theirs.target),
                ("host", UPSTREAM_HOST.decode(), theirs.host),
                ("framing", ours.framing, theirs.framing),
                ("body", (len(body), digest(body)), (theirs.body_size, theirs.body_digest)),
                ("identity", ours.identity, theirs.identity),
                ("trailers", (), theirs.trailers),
            ]:
                if mine != its:
                    found.append(f"request {number}: {what}: we recorded {mine}, it reads {its}")
        if len(recorded) != len(reading.messages):
            found.append(f"we recorded {len(recorded)} complete requests, it reads {len(reading.messages)}")
        if len(recorded) == len(requests) and (reading.left or reading.error):
            found.append(f"behind the last request it finds {reading.left} bytes: {reading.error or 'no error'}")
        return found

    def shown(self) -> str:
        return "\n".join(map(str, self.upstream.requests))


@dataclass(frozen=True)
class AnswersClaim:
    """One client connection: an answer for each of its requests, ended as we ended it.

    :param methods: of the requests, in order.
    :param statuses: of the answers that were given whole, in order.
    :param said: all bytes that the client was sent.
    :param ending: "kept", "closed" or "reset".
    :param relayed: what the upstream had said, where the first answer is the upstream's and was relayed whole.
    :param tunnelled: bytes behind a 101.
    """

    methods: tuple[str, ...]
    statuses: tuple[int, ...]
    said: bytes
    ending: str
    relayed: bytes | None
    tunnelled: int = 0

    @property
    def streams(self) -> Sequence[Stream]:
        streams = [Stream(self.said, self.methods)]
        return streams if self.relayed is None else [*streams, Stream(self.relayed, self.methods[:1])]

    def is_for(self, oracle: str) -> bool:
        """llhttp is not told the method of a request: it waits for the body of an answer to a HEAD."""
        return oracle != "llhttp" or "HEAD" not in self.methods

    def faults(self, readings: Sequence[Reading]) -> list[str]:
        found = []
        given = readings[0]
        whole = [m for m in given.messages if not (m.until_close and self.ending == "reset")]
        if [m.status for m in whole] != list(self.statuses):
            found.append(f"we gave {self.statuses} whole, it reads {[m.status for m in whole]}: {given.error}")
        if self.ending != "reset" and (given.left != self.tunnelled or given.error):
            found.append(f"behind the last answer it finds {given.left} bytes: {given.error or 'no error'}")
        if self.ending == "kept" and any(m.until_close for m in whole):
            found.append("a body without an end on a connection that stays open")
        if any(m.until_close for m in whole[:-1]):
            found.append("a body without an end before the last answer")
        if len(readings) > 1 and whole:
            found += _changed(whole[0], readings[1])
        return found

    def shown(self) -> str:
        return f"{self.methods} -> {self.statuses}, {self.ending}, {self.tunnelled} bytes in the tunnel"


def _changed(given: Message, upstream: Reading) -> list[str]:
    """An answer that was relayed is the first that the upstream gave, to the same reader."""
    if not upstream.messages and "`Connection: close`" in upstream.error:
        return []  # llhttp takes the option of an interim answer for the end of all; to the client we leave it out
    if not upstream.messages:
        return [f"we relay what it does not read as an answer: {upstream.error}"]
    meant = upstream.messages[0]
    pairs = {
        "status": (meant.status, given.status),
        "interim answers": (meant.interim, given.interim),
        "framing": (meant.framing, given.framing),
        "body": ((meant.body_size, meant.body_digest), (given.body_size, given.body_digest)),
        "trailers": (meant.trailers, given.trailers),
    }
    return [f"{what} was {a}, and is {b} to the client" for what, (a, b) in pairs.items() if a != b]
