"""Bodies end where RFC 9112 says, whatever the packets look like."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubeoidcproxy.http1.body import Chunks, Counted, Scanner, request_scanner
from kubeoidcproxy.http1.framing import NO_BODY, UNTIL_CLOSE, Length
from kubeoidcproxy.http1.malformed import Malformed

GOOD = [
    b"0\r\n\r\n",
    b"3\r\nabc\r\n0\r\n\r\n",
    b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
    b"00A\r\n0123456789\r\n0a\r\n\r\n\r\nxxxxxx\r\n000\r\n\r\n",
    b"2\r\n\r\n\r\n0\r\n\r\n",
]

BAD = [
    b"0x3\r\nabc\r\n",
    b"+3\r\nabc\r\n",
    b"3 \r\nabc\r\n",
    b"3;a=b\r\nabc\r\n",
    b"10000000000000003\r\nabc\r\n",
    b"3\rabc\r\n",
    b"5\rXABCD\r\n",
    b"2;\nxx\r\n",
    b"3\nabc\r\n",
    b"3\r\nabc\n0\r\n\r\n",
    b"3\r\nabcd\r\n",
    b"3\r\nabc\rX",
    b"0\n\n",
    b"0\r\n\n",
    b"0\r\nX-T: 1\r\n\r\n",
    b"0" * 4000 + b"3\r\n",
    b"\r\n3\r\nabc\r\n",
    b"\xb2\r\nab\r\n",
    b"1_0\r\n",
]


def feed(scanner: Scanner, data: bytes, cuts: list[int]) -> int:
    """Tell a scanner of data cut into pieces; how many bytes it took."""
    taken, edges = 0, [0, *sorted(cuts), len(data)]
    for start, stop in itertools.pairwise(edges):
        piece = data[start:stop]
        n = scanner.scan(piece) if not scanner.done else 0
        taken += n
        assert n == len(piece) or scanner.done
    return taken


@pytest.mark.parametrize("body", GOOD)
@pytest.mark.parametrize("step", [1, 2, 3, 1000])
def test_a_chunked_body_ends_after_its_last_line(body: bytes, step: int) -> None:
    scanner = Chunks()
    assert feed(scanner, body + b"GET /next", list(range(0, len(body) + 9, step))) == len(body)
    assert scanner.done


@pytest.mark.parametrize("body", BAD)
@pytest.mark.parametrize("step", [1, 2, 1000])
def test_a_chunked_body_that_can_be_read_in_two_ways_is_malformed(body: bytes, step: int) -> None:
    scanner = Chunks()
    with pytest.raises(Malformed):
        feed(scanner, body, list(range(0, len(body), step)))


def test_trailers_of_a_response_pass_and_are_bounded() -> None:
    scanner = Chunks(trailers=True)
    body = b"1\r\na\r\n0\r\nGrpc-Status: 0\r\n\r\n"
    assert feed(scanner, body, [5, 12]) == len(body)
    assert scanner.done
    with pytest.raises(Malformed):
        Chunks(trailers=True).scan(b"0\r\n" + b"A: 1\r\n" * 3000)
    with pytest.raises(Malformed):
        Chunks(trailers=True).scan(b"0\r\nA 1\r\n\r\n")


@given(st.integers(1, 5000), st.lists(st.integers(0, 5000), max_size=8))
def test_a_counted_body_ends_after_its_length(size: int, cuts: list[int]) -> None:
    data = b"x" * (size + 7)
    scanner = Counted(size)
    assert feed(scanner, data, [min(cut, len(data)) for cut in cuts]) == size
    assert scanner.done


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=6), st.lists(st.integers(0, 400), max_size=10))
def test_any_cutting_of_any_chunks_finds_the_same_end(chunks: list[bytes], cuts: list[int]) -> None:
    body = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
    scanner = Chunks()
    assert feed(scanner, body + b"rest", [min(cut, len(body)) for cut in cuts]) == len(body)
    assert scanner.done


@given(st.binary(max_size=60), st.lists(st.integers(0, 60), max_size=10))
def test_any_cutting_of_any_bytes_has_the_same_verdict(data: bytes, cuts: list[int]) -> None:
    def verdict(edges: list[int]) -> object:
        scanner = Chunks()
        try:
            return feed(scanner, data, edges), scanner.done
        except Malformed:
            return "malformed"

    assert verdict([min(cut, len(data)) for cut in cuts]) == verdict([]) == verdict(list(range(len(data))))


def test_scanners_fit_the_framing() -> None:
    assert request_scanner(NO_BODY).done
    assert request_scanner(Length(3)).scan(b"abcd") == 3
    with pytest.raises(AssertionError):
        request_scanner(UNTIL_CLOSE)
