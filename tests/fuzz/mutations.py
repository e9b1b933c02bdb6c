"""Byte streams of clients, well-formed and spoilt: the same ones for the same seed.

The operators are aimed, as those of HTTP Garden and http-request-smuggler are: a stream with one wrong byte in a good
place says more than noise, of which the first byte is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from random import Random

from fuzz.spellings import BLANKS, FALSE_ENDS, FRAMING, HOPS, IDENTITY, METHODS, NOMINATIONS, SPECIAL, TARGETS, VERSIONS
from fuzz.well_formed import BODIES, HOST, NESTED, TOKENS, chunked, corpus, requests

Operator = Callable[[Random, bytes], bytes]

# Bytes.


def flip_a_bit(rng: Random, stream: bytes) -> bytes:
    at = _anywhere(rng, stream)
    return stream[:at] + bytes([stream[at] ^ (1 << rng.randrange(8))]) + stream[at + 1 :]


def put_any_byte(rng: Random, stream: bytes) -> bytes:
    at = _anywhere(rng, stream)
    return stream[:at] + bytes([rng.randrange(256)]) + stream[at + 1 :]


def insert_special(rng: Random, stream: bytes) -> bytes:
    at = _somewhere(rng, stream)
    return stream[:at] + rng.choice(SPECIAL) * rng.choice((1, 1, 1, 2)) + stream[at:]


def replace_by_special(rng: Random, stream: bytes) -> bytes:
    at = _somewhere(rng, stream)
    return stream[:at] + rng.choice(SPECIAL) + stream[at + 1 :]


def delete_bytes(rng: Random, stream: bytes) -> bytes:
    at = _somewhere(rng, stream)
    return stream[:at] + stream[at + rng.choice((1, 1, 1, 2, 2, 4, 16)) :]


def double_bytes(rng: Random, stream: bytes) -> bytes:
    at = _somewhere(rng, stream)
    size = rng.choice((1, 1, 2, 4, 40))
    return stream[: at + size] + stream[at:]


def truncate(rng: Random, stream: bytes) -> bytes:
    return stream[: _somewhere(rng, stream)]


def extend(rng: Random, stream: bytes) -> bytes:
    return stream + rng.choice([b"\r\n", b"x", b"0\r\n\r\n", NESTED, b"\r\n" + NESTED, b"\n" + NESTED, *SPECIAL])


def _anywhere(rng: Random, stream: bytes) -> int:
    return rng.randrange(len(stream))


_STRUCTURE = re.compile(rb"\r\n|: ?|[ ,;]|(?<=\r\n)[0-9a-fA-F]+(?=\r\n)")


def _somewhere(rng: Random, stream: bytes) -> int:
    """A place where something begins or ends, more often than not."""
    if rng.random() < 0.7:
        places = [place for match in _STRUCTURE.finditer(stream, 0, 5000) for place in (match.start(), match.end())]
        if places:
            return min(rng.choice(places), len(stream) - 1)
    return _anywhere(rng, stream)


# Lines.


def _with_line(operate: Callable[[Random, list[bytes], int], None]) -> Operator:
    """An operator on the lines of a stream, and one of them."""

    def operator(rng: Random, stream: bytes) -> bytes:
        lines = stream.split(b"\r\n")
        operate(rng, lines, rng.randrange(len(lines)))
        return b"\r\n".join(lines)

    return operator


def _double_line(rng: Random, lines: list[bytes], at: int) -> None:
    lines.insert(rng.choice((at, at, rng.randrange(len(lines)))), lines[at])


def _swap_lines(rng: Random, lines: list[bytes], at: int) -> None:
    other = rng.randrange(len(lines))
    lines[at], lines[other] = lines[other], lines[at]


def _drop_line(rng: Random, lines: list[bytes], at: int) -> None:
    del lines[at]


def _join_lines(rng: Random, lines: list[bytes], at: int) -> None:
    """Another line end than CRLF, or none, or a fold."""
    ends = (b"\n", b"\r", b"\r\r\n", b"\n\r\n", b"\r\n ", b"\r\n\t", b"\n ", b"", b"\0\r\n", b" \r\n", b"\r\n\r\n")
    lines[at : at + 2] = [rng.choice(ends).join(lines[at : at + 2])]


def _recase_name(rng: Random, lines: list[bytes], at: int) -> None:
    name, colon, value = lines[at].partition(b":")
    recased = rng.choice((name.upper(), name.lower(), name.swapcase(), name.replace(b"-", b"_"), name.title()))
    lines[at] = recased + colon + value


def _respace_name(rng: Random, lines: list[bytes], at: int) -> None:
    name, _, value = lines[at].partition(b":")
    blank = rng.choice([b" ", b"\t", b"\v", b"\0", b"\xa0", b"\x85", b"\r", b"\n", b"\r\n", b".", b"_", b"\xad"])
    variants = (name + blank + b":", blank + name + b":", name + b":" + blank, name + b"::", b":" + name + b":", name)
    lines[at] = rng.choice(variants) + value.strip()


def _revalue(rng: Random, lines: list[bytes], at: int) -> None:
    """Blanks and controls around a value, a list, a quoted text."""
    name, colon, value = lines[at].partition(b":")
    value = value.strip()
    special = rng.choice(SPECIAL)
    variants = (
        special + value, value + special, b" \t " + value + b"\t ", value + b", " + value, value + b",",
        b"," + value, b'"' + value + b'"', b"'" + value + b"'", value + b";a=b", value.upper(), value[::-1], b"",
        value * 2,
    )  # fmt: skip
    lines[at] = name + colon + rng.choice((b"", b" ")) + rng.choice(variants)


def _insert_field(rng: Random, lines: list[bytes], at: int) -> None:
    """In a head, more often than not: behind a line that looks like a field."""
    behind = [place for place, line in enumerate(lines, 1) if b": " in line] if rng.random() < 0.8 else []
    field = rng.choice(rng.choice((FRAMING, FRAMING, IDENTITY, IDENTITY, NOMINATIONS, HOPS)))
    lines.insert(rng.choice(behind or [at]), field)


def _hide_field(rng: Random, lines: list[bytes], at: int) -> None:
    """A field within another line, behind something that could be taken for a line end."""
    lines[at] += rng.choice(FALSE_ENDS) + rng.choice(rng.choice((IDENTITY, FRAMING)))


# The request line.

_REQUEST_LINE = re.compile(rb"^([A-Z]+) ([^ \r\n]+) HTTP/1\.1\r\n", re.MULTILINE)


def respell_the_request_line(rng: Random, stream: bytes) -> bytes:
    found = list(_REQUEST_LINE.finditer(stream))
    if not found:
        return insert_special(rng, stream)
    match = rng.choice(found)
    method, target, version, blank = match[1], match[2], b"HTTP/1.1", b" "
    part = rng.randrange(4)
    if part == 0:
        method = rng.choice(METHODS)
    elif part == 1:
        target = rng.choice(TARGETS).replace(b"{target}", target)
    elif part == 2:
        version = rng.choice(VERSIONS)
    else:
        blank = rng.choice(BLANKS)
    return stream[: match.start()] + method + blank + target + blank + version + b"\r\n" + stream[match.end() :]


# The body.

_CHUNK = re.compile(rb"(?<=\r\n)([0-9a-fA-F]{1,16})\r\n")
_FRAMED = re.compile(rb"(?i)(content-length|transfer-encoding):([^\r\n]*)")
_LENGTH = re.compile(rb"(?i)(content-length: ?)([0-9]+)")


def respell_a_chunk_size(rng: Random, stream: bytes) -> bytes:
    found = list(_CHUNK.finditer(stream))
    if not found:
        return append_a_chunked_request(rng, stream)
    match = rng.choice(found)
    size = match[1]
    spelt = rng.choice([
        b"0x" + size, b"+" + size, b"-" + size, b" " + size, size + b" ", size + b"\t", b"0" * 16 + size,
        b"0" * 15 + size, size + b";", size + b";a=b", size + b';a="b\r\nc"', size + b";a\nb", size + b"\x00",
        size + b"_0", size + b"g", b"", b"%x" % (int(size, 16) + 1), b"%x" % max(0, int(size, 16) - 1), b"f" * 16,
        b"7" + b"f" * 15, b"8" + b"0" * 15, b"1" + b"0" * 16, b"0", b"00", size + b",", size + b"\x0b",
        b"\r\n" + size, b"\n" + size, size.upper(), b"\xb2", b"0" * 4096 + size, b"100000000" + size, size + b".0",
        size + b"h", b"0\r\n\r\n" + size, b"0" * 18,
    ])  # fmt: skip
    end = rng.choices((b"\r\n", b"\n", b"\r", b"\r\r\n", b"\n\r", b"\rX", b"\r\n ", b""), (80, 4, 4, 3, 3, 2, 2, 2))[0]
    return stream[: match.start()] + spelt + end + stream[match.end() :]


def end_a_chunk_otherwise(rng: Random, stream: bytes) -> bytes:
    """Other bytes than CRLF behind the data of a chunk, or behind the last one."""
    found = [m for m in _CHUNK.finditer(stream) if m.start() > 2]
    if not found:
        return append_a_chunked_request(rng, stream)
    at = rng.choice(found).start() - 2
    end = rng.choice((b"\n", b"\r", b"", b"\r\r\n", b"\r\n\r\n", b"\n\r", b"XX", b"X\r\n", b"\0\0", b"\r\n\n", b"\rX"))
    return stream[:at] + end + stream[at + 2 :]


def add_trailers(rng: Random, stream: bytes) -> bytes:
    at = stream.find(b"\r\n0\r\n\r\n")
    if at < 0:
        return append_a_chunked_request(rng, stream)
    fields = b"".join(rng.choice(IDENTITY + FRAMING + [b"X-Sum: 1"]) + b"\r\n" for _ in range(rng.choice((1, 1, 2))))
    return stream[: at + 5] + fields + stream[at + 5 :]


def append_a_chunked_request(rng: Random, stream: bytes) -> bytes:
    head = (
        f"POST /api HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Bearer {TOKENS[0]}\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    return stream + head.encode() + chunked(rng, rng.choice(BODIES))


def respell_the_framing(rng: Random, stream: bytes) -> bytes:
    """One field that frames a message, otherwise: another value, blanks around it, another case, another name."""
    found = list(_FRAMED.finditer(stream))
    if not found:
        return append_a_chunked_request(rng, stream)
    match = rng.choice(found)
    name, value = match[1], match[2].strip()
    blanks = (b"", b" ", b"\t", b"  ", b" \t ", b"\x0b", b"\x0c", b"\xa0", b"\0", b"\r", b"\n", b"\r\n ")
    spelt = name + b":" + rng.choice(blanks) + value + rng.choice(blanks)
    line = rng.choice((spelt, spelt, name.swapcase() + b": " + value.swapcase(), rng.choice(FRAMING)))
    return stream[: match.start()] + line + stream[match.end() :]


def miscount_the_body(rng: Random, stream: bytes) -> bytes:
    found = list(_LENGTH.finditer(stream))
    if not found:
        return append_a_chunked_request(rng, stream)
    match = rng.choice(found)
    size = max(0, int(match[2]) + rng.choice((-300, -44, -5, -2, -1, 1, 2, 5, 44, 300)))
    return stream[: match.start(2)] + b"%d" % size + stream[match.end(2) :]


def put_a_request_into_a_body(rng: Random, stream: bytes) -> bytes:
    at = stream.find(b"\r\n\r\n") + 4
    return stream[:at] + rng.choice((NESTED, NESTED[:-2], b"0\r\n\r\n" + NESTED, b"\r\n" + NESTED)) + stream[at:]


def _spliced(others: Sequence[bytes]) -> Operator:
    def splice(rng: Random, stream: bytes) -> bytes:
        """The beginning of this stream, the end of another."""
        other = rng.choice(others) if rng.random() < 0.5 else requests(rng)
        return stream[: _somewhere(rng, stream)] + other[_somewhere(rng, other) :]

    return splice


OPERATORS: dict[Operator, int] = {
    flip_a_bit: 6,
    put_any_byte: 6,
    insert_special: 12,
    replace_by_special: 8,
    delete_bytes: 6,
    double_bytes: 4,
    truncate: 3,
    extend: 3,
    _with_line(_double_line): 5,
    _with_line(_swap_lines): 3,
    _with_line(_drop_line): 3,
    _with_line(_join_lines): 5,
    _with_line(_recase_name): 4,
    _with_line(_respace_name): 5,
    _with_line(_revalue): 8,
    _with_line(_insert_field): 20,
    _with_line(_hide_field): 6,
    respell_the_request_line: 6,
    respell_the_framing: 10,
    respell_a_chunk_size: 12,
    end_a_chunk_otherwise: 5,
    add_trailers: 4,
    append_a_chunked_request: 2,
    miscount_the_body: 6,
    put_a_request_into_a_body: 3,
}


def streams(seed: str, count: int) -> Iterator[bytes]:
    """So many streams; the same ones for the same seed."""
    rng = Random(seed)
    known = list(corpus().values())
    short = [stream for stream in known if len(stream) < 2000]
    operators = {**OPERATORS, _spliced(short): 6}
    for _ in range(count):
        stream = requests(rng) if rng.random() < 0.75 else rng.choice(short if rng.random() < 0.98 else known)
        yield mutated(rng, stream, operators)


def mutated(rng: Random, stream: bytes, operators: dict[Operator, int]) -> bytes:
    times = rng.choices((0, 1, 2, 3, 5), (3, 55, 25, 12, 5))[0]
    for operate in rng.choices(list(operators), list(operators.values()), k=times):
        stream = operate(rng, stream) or b"\r\n"
    return stream
