"""RFC 9112 section 6.3: how long is the body behind a head? Whatever could be read in two ways is malformed (P10)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from kubeoidcproxy.http1.grammar import CONTENT_LENGTH
from kubeoidcproxy.http1.malformed import Malformed


@dataclass(frozen=True, slots=True)
class NoBody:
    """The message ends with its head."""


@dataclass(frozen=True, slots=True)
class Length:
    """So many bytes follow, at least one."""

    size: int


@dataclass(frozen=True, slots=True)
class Chunked:
    """Chunks follow, as RFC 9112 section 7.1 has them."""


@dataclass(frozen=True, slots=True)
class UntilClose:
    """The body ends with the connection (responses only)."""


Framing: TypeAlias = NoBody | Length | Chunked | UntilClose

NO_BODY = NoBody()
CHUNKED = Chunked()
UNTIL_CLOSE = UntilClose()


def request_framing(index: Mapping[bytes, Sequence[bytes]]) -> Framing:
    """Framing of a request: steps 3 to 7 of section 6.3, with every repair that the RFC permits left out.

    :raises Malformed: 400.
    """
    return _declared(index) or NO_BODY  # step 7: no length declared, no body


def response_framing(index: Mapping[bytes, Sequence[bytes]], status: int, method: bytes) -> Framing:
    """Framing of the final response with this status to a request with this method.

    :raises Malformed: the length is declared twice or not understood.
    """
    declared = _declared(index)
    if method == b"HEAD" or status in (204, 304):  # step 1: no body, whatever the fields say of one
        return NO_BODY
    return declared or UNTIL_CLOSE  # step 8


def judge_interim(index: Mapping[bytes, Sequence[bytes]]) -> None:
    """An interim response, or a switch: no body, and no field that could be taken to announce one (sections 6.1, 6.3).

    :raises Malformed: it declares a body.
    """
    if (_declared(index) or NO_BODY) is not NO_BODY:
        raise Malformed("interim response with a body")


def _declared(index: Mapping[bytes, Sequence[bytes]]) -> Framing | None:
    lengths = index.get(b"content-length")
    codings = index.get(b"transfer-encoding")
    if codings is None:
        return None if lengths is None else _length(lengths)
    if lengths is not None:  # step 3: "ought to be handled as an error"
        raise Malformed("both Content-Length and Transfer-Encoding")
    if len(codings) != 1 or codings[0].lower() != b"chunked":  # step 4, narrowed to the one coding we pass on
        raise Malformed("Transfer-Encoding is not exactly chunked")
    return CHUNKED


def _length(values: Sequence[bytes]) -> Framing:
    if len(values) != 1 or not CONTENT_LENGTH.fullmatch(values[0]):  # step 5, without "identical values collapse"
        raise Malformed("invalid Content-Length")
    size = int(values[0])
    return Length(size) if size else NO_BODY
