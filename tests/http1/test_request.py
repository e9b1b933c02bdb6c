"""Request heads: one grammar, no second reading (policy P1 to P12)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubeoidcproxy.http1.framing import CHUNKED, NO_BODY, Length
from kubeoidcproxy.http1.malformed import Malformed
from kubeoidcproxy.http1.request import RequestHead, judge_partial, parse_request


def head(*lines: bytes, start: bytes = b"GET /api HTTP/1.1") -> RequestHead:
    return parse_request(b"\r\n".join([start, b"Host: a", *lines]) + b"\r\n\r\n")


def status(raw: bytes) -> int:
    with pytest.raises(Malformed) as caught:
        parse_request(raw)
    return caught.value.status


def test_fields_keep_their_order_their_case_and_their_bytes() -> None:
    parsed = head(b"X-One:1", b"x-ONE:  2 \t", b"X-Text: caf\xe9")
    assert [line for _, _, line in parsed.fields] == [b"Host: a", b"X-One:1", b"x-ONE:  2 \t", b"X-Text: caf\xe9"]
    assert parsed.values(b"x-one") == [b"1", b"2 \t"]
    assert parsed.values(b"absent") == ()


@pytest.mark.parametrize(
    "line",
    [
        b": v",
        b" X: 1",
        b"X : 1",
        b"X\t: 1",
        b"X_Y: 1",
        b"X: a\x00",
        b"X: \x0bv",
        b"X\x85: 1",
        b"X",
        b"X: a\rb",
        b"X: 1\n Y: 2",
        b"X: 1\nImpersonate-Group: system:masters",
        b"X: 1\r\n folded",
        b"",
    ],
)
def test_a_field_that_somebody_could_read_otherwise_is_400(line: bytes) -> None:
    assert status(b"GET / HTTP/1.1\r\nHost: a\r\n" + line + b"\r\nA: 1\r\n\r\n") == 400


@pytest.mark.parametrize(
    ("start", "code"),
    [
        (b"GET  / HTTP/1.1", 400),
        (b"GET / HTTP/1.1 ", 400),
        (b"GET / x HTTP/1.1", 400),
        (b"get / HTTP/1.1", 400),
        (b"GET /caf\xe9 HTTP/1.1", 400),
        (b"GET /", 400),
        (b"GET / HTTP/1.0", 505),
        (b"GET / HTTP/1.10", 505),
        (b"GET / HTTP/2.0", 505),
        (b"GET / http/1.1", 400),
        (b"CONNECT a:443 HTTP/1.1", 405),
        (b"TRACE / HTTP/1.1", 405),
        (b"PROPFIND / HTTP/1.1", 405),
        (b"GET /" + b"a" * 16384 + b" HTTP/1.1", 414),
    ],
)
def test_request_lines(start: bytes, code: int) -> None:
    assert status(start + b"\r\nHost: a\r\n\r\n") == code


@pytest.mark.parametrize(
    ("lines", "framing"),
    [
        ([], NO_BODY),
        ([b"Content-Length: 0"], NO_BODY),
        ([b"Content-Length: 17"], Length(17)),
        ([b"Transfer-Encoding: Chunked"], CHUNKED),
        ([b"Content-Encoding: chunked", b"Content-Length: 5"], Length(5)),
    ],
)
def test_framing(lines: list[bytes], framing: object) -> None:
    assert head(*lines).framing == framing


@pytest.mark.parametrize(
    "lines",
    [
        [b"Content-Length: 1", b"Transfer-Encoding: chunked"],
        [b"Content-Length: 2", b"Content-Length: 2"],
        [b"Content-Length: 2, 2"],
        [b"Content-Length: 010"],
        [b"Content-Length: +1"],
        [b"Content-Length: 1_0"],
        [b"Content-Length:"],
        [b"Content-Length: \xb2"],
        [b"Content-Length: 1000000000000000000"],
        [b"Transfer-Encoding: gzip, chunked"],
        [b"Transfer-Encoding: chunked, chunked"],
        [b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"],
        [b"Transfer-Encoding: xchunked"],
        [b"Transfer-Encoding:"],
        [b"Transfer-Encoding: chunked;q=1"],
    ],
)
def test_a_length_that_can_be_read_in_two_ways_is_malformed(lines: list[bytes]) -> None:
    with pytest.raises(Malformed):
        head(*lines)


@pytest.mark.parametrize(
    "line",
    [
        b"Connection: Host",
        b"Connection: keep-alive, Impersonate-User",
        b"Connection: authorization",
        b"Connection: X-Forwarded-For",
        b"Connection: x-remote-user",
        b"Connection: Content-Length",
        b"Connection: transfer-encoding",
        b"Connection: " + b",".join(b"a%d" % n for n in range(65)),
        b"Connection: upgrade\r\nUpgrade: h3",
        b"Connection: upgrade\r\nUpgrade: websocket, SPDY/3.1",
        b"Connection: upgrade\r\nUpgrade: websocket\r\nUpgrade: websocket",
        b"Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 3",
    ],
)
def test_hops_that_reach_for_more_are_400(line: bytes) -> None:
    assert status(b"GET / HTTP/1.1\r\nHost: a\r\n" + line + b"\r\n\r\n") == 400


def test_hops() -> None:
    hops = head(b"Connection: Close, X-Own", b"Connection: keep-alive", b"Expect: 100-Continue").hops
    assert hops.close
    assert hops.expects_continue
    assert hops.nominated == {b"x-own"}
    assert head(b"Connection: Upgrade", b"Upgrade: spdy/3.1", b"Content-Length: 0").hops.upgrade == b"SPDY/3.1"
    assert head(b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c").hops.upgrade == b""
    assert head(b"Upgrade: websocket").hops.upgrade == b""
    assert status(b"GET / HTTP/1.1\r\nExpect: 100-continue\r\nExpect: 100-continue\r\n\r\n") == 417


@given(st.binary(max_size=300))
def test_no_bytes_raise_anything_but_malformed(raw: bytes) -> None:
    for candidate in (raw, b"GET / HTTP/1.1\r\n" + raw + b"\r\n\r\n"):
        try:
            parsed = parse_request(candidate)
        except Malformed:
            continue
        assert candidate.endswith(b"\r\n\r\n")
        assert candidate.count(b"\n") == candidate.count(b"\r\n") == len(parsed.fields) + 2


@given(st.binary(max_size=100))
def test_what_is_refused_early_is_refused_whole(raw: bytes) -> None:
    try:
        judge_partial(raw, 0)
    except Malformed:
        with pytest.raises(Malformed):
            parse_request(raw + b"\r\n\r\n")
