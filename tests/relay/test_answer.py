"""An answer as it comes from upstream: what is in front of its body, where it ends, what is none."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubeoidcproxy.http1.malformed import Malformed
from kubeoidcproxy.relay.answer import MAX_HEAD, MAX_INTERIM, Answer, Found, Switched

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
HINTS = b"HTTP/1.1 103 Early Hints\r\nConnection: x\r\nLink: </a>\r\n\r\n"
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"


def found(answer: Answer, data: bytes) -> Found:
    got = answer.received(data)
    assert isinstance(got, Found)
    return got


def test_a_head_is_found_when_its_last_byte_comes() -> None:
    answer = Answer(b"GET", b"")
    assert found(answer, OK[:-1]) == Found()
    assert not answer.begun
    got = found(answer, OK[-1:] + b"o")
    assert got.head is not None
    assert (got.head.status, got.head.raw, got.rest, answer.begun, answer.body.done) == (200, OK, b"o", True, False)
    assert answer.continued(b"k") == b"k"
    assert answer.body.done
    assert answer.reusable


@pytest.mark.parametrize(
    ("method", "raw", "reusable"),
    [
        (b"HEAD", OK, True),
        (b"HEAD", CHUNKED, True),
        (b"GET", b"HTTP/1.1 204 No Content\r\n\r\n", True),
        (b"GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n", True),
        (b"GET", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", True),
        (b"GET", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: x, Close\r\n\r\n", False),
    ],
)
def test_an_answer_without_a_body_is_done_with_its_head(method: bytes, raw: bytes, reusable: bool) -> None:
    answer = Answer(method, b"")
    found(answer, raw)
    assert (answer.body.done, answer.reusable) == (True, reusable)
    with pytest.raises(Malformed):
        answer.continued(b"x")


def test_a_body_until_close_is_never_done_and_its_connection_never_used_again() -> None:
    answer = Answer(b"GET", b"")
    assert found(answer, b"HTTP/1.1 200 OK\r\n\r\nabc").rest == b"abc"
    assert answer.continued(b"0\r\n\r\n") == b"0\r\n\r\n"
    assert (answer.body.done, answer.reusable) == (False, False)


def test_interim_answers_come_first_without_what_is_about_the_connection() -> None:
    answer = Answer(b"POST", b"")
    got = found(answer, CONTINUE + HINTS + OK[:5])
    assert (got.interim, got.head) == (CONTINUE + b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", None)
    assert found(answer, OK[5:] + b"ok").rest == b"ok"


def test_interim_answers_are_counted_over_all_that_comes() -> None:
    answer = Answer(b"GET", b"")
    for _ in range(MAX_INTERIM):
        found(answer, CONTINUE)
    with pytest.raises(Malformed):
        answer.received(CONTINUE)


def test_a_switch_is_one_only_if_it_was_asked_for() -> None:
    """CVE-2018-1002105: raw bytes only behind a 101 that names the protocol."""
    assert Answer(b"GET", b"websocket").received(CONTINUE + SWITCH + b"x") == Switched(CONTINUE + SWITCH, b"x")
    for asked, raw in [
        (b"", SWITCH),
        (b"SPDY/3.1", SWITCH),
        (b"websocket", SWITCH.replace(b"Connection: Upgrade\r\n", b"")),
        (b"websocket", SWITCH.replace(b"Upgrade: websocket\r\n", b"")),
        (b"websocket", SWITCH.replace(b"Upgrade: w", b"Upgrade: h2c\r\nUpgrade: w")),
    ]:
        with pytest.raises(Malformed):
            Answer(b"GET", asked).received(raw)


def test_any_other_answer_to_an_upgrade_is_read_as_an_answer_and_ends_the_connection() -> None:
    """P11."""
    answer = Answer(b"GET", b"websocket")
    assert found(answer, OK + b"ok").rest == b"ok"
    assert (answer.body.done, answer.reusable) == (True, False)


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.0 200 OK\r\n\r\n",
        b"HTTP/1.1 099 x\r\n\r\n",
        b"\r\n" + OK,
        b"HTTP/1.1 200 OK\r\nX : 1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: 02\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        OK + b"ok!",
        CHUNKED + b"2;a=b\r\nok\r\n0\r\n\r\n",
        CHUNKED + b"0\r\n\r\n" + OK,
    ],
)
def test_an_answer_that_can_be_read_in_two_ways_is_malformed(raw: bytes) -> None:
    assert verdict(b"GET", b"", raw, []) == "malformed"


@pytest.mark.parametrize("raw", [b"HTTP/1.1 200 OK\n", b"HTTP/1.1 200\x00", b"HTTP/1.1 200 OK\r\nX: a\rb"])
def test_what_can_never_become_a_head_is_refused_at_once(raw: bytes) -> None:
    """Not only when the time for an answer is up."""
    with pytest.raises(Malformed):
        Answer(b"GET", b"").received(raw)


def test_a_head_has_a_largest_size() -> None:
    """Law 8."""
    line = b"HTTP/1.1 200 OK\r\nX: "
    found(Answer(b"GET", b""), line + b"a" * (MAX_HEAD - len(line)) + b"\r\n\r\n")
    for raw in (line + b"a" * MAX_HEAD, line + b"a" * MAX_HEAD + b"\r\n\r\n"):
        with pytest.raises(Malformed):
            Answer(b"GET", b"").received(raw)


def verdict(method: bytes, upgrade: bytes, stream: bytes, cuts: list[int]) -> object:
    """All that comes of a stream: what goes to the client, and where it has come to; or that it is malformed."""
    answer = Answer(method, upgrade)
    interim, head, rest = b"", b"", b""
    edges = sorted({0, len(stream), *(min(cut, len(stream)) for cut in cuts)})
    switched = False
    try:
        for start, stop in itertools.pairwise(edges):
            piece = stream[start:stop]
            if switched:
                rest += piece
            elif answer.begun:
                rest += answer.continued(piece)
            else:
                got = answer.received(piece)
                switched = isinstance(got, Switched)
                if isinstance(got, Switched):
                    head, rest = interim + got.head, got.rest
                else:
                    interim += got.interim
                    head, rest = (b"", b"") if got.head is None else (interim + got.head.raw, got.rest)
    except Malformed:
        return "malformed"
    return head or interim, rest, switched, answer.begun, answer.body.done, answer.reusable


PARTS = [
    CONTINUE, HINTS, SWITCH, OK, OK + b"ok", CHUNKED, CHUNKED + b"1\r\na\r\n0\r\n\r\n", b"0\r\nX: 1\r\n\r\n",
    b"\r\n", b"HTTP/1.1 204 No Content\r\n\r\n", b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", b"HTTP/1.1 200",
    b"ok", b"\r", b"\n",
]  # fmt: skip
streams = st.lists(st.sampled_from(PARTS), max_size=5).map(b"".join)
methods = st.sampled_from([b"GET", b"HEAD", b"POST"])
upgrades = st.sampled_from([b"", b"websocket"])


@given(methods, upgrades, streams | st.binary(max_size=80), st.lists(st.integers(0, 300), max_size=12))
def test_any_cutting_of_the_same_bytes_leads_to_the_same(
    method: bytes, upgrade: bytes, stream: bytes, cuts: list[int]
) -> None:
    whole = verdict(method, upgrade, stream, [])
    assert verdict(method, upgrade, stream, cuts) == whole
    assert verdict(method, upgrade, stream, list(range(len(stream)))) == whole
