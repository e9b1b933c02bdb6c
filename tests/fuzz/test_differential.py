"""Others read what we let through as we do (law 4): a short run, the whole corpus, and proof that it is not blind."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable

import pytest
from fuzz import answers, oracles, well_formed
from fuzz.differential import Answers, Finding, Oracle, Outcome, Requests, Side, examine, run

from kubeoidcproxy.http1 import body, framing, grammar
from kubeoidcproxy.http1 import request as heads
from kubeoidcproxy.relay import connection, rewrite

STREAMS = 3000
SEED = "suite"


@pytest.fixture(scope="module")
def go(tmp_path_factory: pytest.TempPathFactory) -> Oracle:
    if not oracles.go_is_here():
        pytest.skip("no go command: net/http is not compared with")
    return oracles.Go(oracles.build(tmp_path_factory.mktemp("go")))


@pytest.fixture(scope="module")
def llhttp() -> Oracle:
    if oracles.httptools is None:
        pytest.skip("httptools is not installed: llhttp is not compared with")
    return oracles.Llhttp()


@pytest.fixture(params=["go", "llhttp"])
def oracle(request: pytest.FixtureRequest) -> Oracle:
    found: Oracle = request.getfixturevalue(request.param)
    return found


def told(findings: list[Finding]) -> str:
    return "\n\n".join(f"{each.seed}: {each.stream!r}\n  {each.text}" for each in findings[:5])


@pytest.mark.parametrize("side", ["requests", "answers"])
def test_others_read_what_we_let_through_as_we_do(side: str, oracle: Oracle) -> None:
    """No stream has another number of messages, framing, body, trailer or identity to them than to us."""
    outcome = run(side, SEED, STREAMS, [oracle])
    assert not outcome.findings, told(outcome.findings)
    assert outcome.tally["streams let through, at least in part"] > STREAMS / 3  # or nothing was looked at
    assert outcome.tally[f"messages read by {oracle.name}"] > STREAMS / 3


def deliveries(streams: dict[str, bytes], asked: str = "") -> list[tuple[bytes, str]]:
    """Each stream of a corpus, delivered in some ways."""
    return [(stream, f"{asked}/{name}/{turn}") for name, stream in streams.items() for turn in range(6)]


def test_the_corpus_of_requests_is_read_as_we_read_it(oracle: Oracle) -> None:
    outcome = examine(Requests(), deliveries(well_formed.corpus()), [oracle])
    assert not outcome.findings, told(outcome.findings)


@pytest.mark.parametrize("asked", list(answers.REQUESTS))
def test_the_corpus_of_answers_is_read_as_we_read_it(asked: str, oracle: Oracle) -> None:
    outcome = examine(Answers(), deliveries(answers.corpus(), asked), [oracle])
    assert not outcome.findings, told(outcome.findings)


Weakness = Callable[[pytest.MonkeyPatch], None]


def a_bare_line_feed_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    lax = grammar.FIELD_BLOCK.pattern.replace(rb"[\t\x20-", rb"[\t\n\x20-")
    monkeypatch.setattr(heads, "FIELD_BLOCK", re.compile(lax))
    monkeypatch.setattr(rewrite, "assert_safe", lambda finished, additions: None)


def a_header_of_ours_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rewrite, "OUR_PREFIXES", (b"impersonate", b"x-forwarded-"))


def a_length_beside_chunks_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    declared, name = framing._declared, b"content-length"
    monkeypatch.setattr(framing, "_declared", lambda index: declared({name: index[name]} if name in index else index))


def odd_chunk_sizes_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body, "CHUNK_SIZE", re.compile(rb"[ +-]?(?:0x)?([0-9A-Fa-f]{1,16})[^\r\n]*\r\n"))


def trailers_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "request_scanner", body.response_scanner)


def any_end_of_a_chunk_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    def skip(self: body.Chunks, data: bytes, at: int) -> int:
        stop = min(len(data), at + self._left)
        self._left -= stop - at
        return stop

    monkeypatch.setattr(body.Chunks, "_skip_chunk", skip)


def fields_of_the_request_before_are_taken_for_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    parse = heads.parse_request

    def parse_carelessly(head: bytes, last: heads.FieldBlock | None = None) -> heads.RequestHead:
        read = parse(head)
        return read if last is None else dataclasses.replace(read, block=last)

    monkeypatch.setattr(connection, "parse_request", parse_carelessly)


@pytest.mark.parametrize(
    "weakness",
    [
        fields_of_the_request_before_are_taken_for_the_same,
        a_bare_line_feed_passes,
        a_header_of_ours_passes,
        a_length_beside_chunks_wins,
        odd_chunk_sizes_pass,
        trailers_pass,
        any_end_of_a_chunk_passes,
    ],
)
def test_a_weakness_would_be_found(weakness: Weakness, go: Oracle, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each check that is taken out of our parser shows as a finding: the comparison is not blind."""
    weakness(monkeypatch)
    side: Side = Requests()
    outcome: Outcome = examine(side, side.streams(SEED, STREAMS), [go])
    assert outcome.findings


def test_a_finding_is_shown_on_the_shortest_stream(go: Oracle, monkeypatch: pytest.MonkeyPatch) -> None:
    a_header_of_ours_passes(monkeypatch)
    (finding, *_) = run("requests", SEED, STREAMS, [go]).findings
    assert len(finding.stream) < 150
    assert b"x-remote" in finding.stream.lower()
    assert "identity" in finding.text


def test_a_seed_names_its_streams() -> None:
    for side in (Requests(), Answers()):
        assert list(side.streams("a", 50)) == list(side.streams("a", 50))
        assert list(side.streams("a", 50)) != list(side.streams("b", 50))
