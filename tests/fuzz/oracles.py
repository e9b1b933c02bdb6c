"""How others read a byte stream: Go's net/http, which is kube-apiserver's and kubectl's own parser, and llhttp.

Both give the same values, so that either can be laid beside what we believe.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import struct
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

try:
    import httptools
except ImportError:
    httptools = None

SOURCES = Path(__file__).parent / "go"


@dataclass(frozen=True)
class Message:
    """One complete request or final answer, as somebody reads it.

    :param identity: fields under names that only the proxy may say, by name, in lower case.
    :param until_close: an answer whose body has no end but the connection's.
    """

    framing: str  # "none", "length" or "chunked"
    body_size: int
    body_digest: str
    method: str = ""
    target: str = ""
    host: str = ""
    status: int = 0
    interim: int = 0
    identity: tuple[tuple[str, str], ...] = ()
    trailers: tuple[str, ...] = ()
    until_close: bool = False


@dataclass(frozen=True)
class Reading:
    """All complete messages in a stream, how many bytes are behind them, and why they are no message."""

    messages: list[Message]
    left: int
    error: str


@dataclass(frozen=True)
class Stream:
    """Bytes for an oracle.

    :param answered: the methods of the requests that these bytes answer; None if they are requests.
    """

    data: bytes
    answered: tuple[str, ...] | None = None


def digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def by_name(fields: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """Ordered by name; those of one name stay in their order."""
    return tuple(sorted(fields, key=lambda item: item[0]))


# Go.


def go_is_here() -> bool:
    return shutil.which("go") is not None


def build(folder: Path) -> Path:
    """The Go program, built; nothing is fetched for it."""
    program = folder / "httpreader"
    alone = {**os.environ, "GOFLAGS": "", "GOWORK": "off", "GOPROXY": "off", "GOTOOLCHAIN": "local", "CGO_ENABLED": "0"}
    subprocess.run(["go", "build", "-buildvcs=false", "-o", program, "."], cwd=SOURCES, env=alone, check=True)
    return program


class Go:
    """net/http of the Go that is installed."""

    name = "Go net/http"

    def __init__(self, program: Path) -> None:
        self._program = program

    def read(self, streams: Sequence[Stream]) -> list[Reading]:
        """All streams in one process."""
        asked = b"".join(map(_packed, streams))
        done = subprocess.run([self._program], input=asked, capture_output=True, check=True, timeout=600)
        readings = [_reading(json.loads(line)) for line in done.stdout.splitlines()]
        assert len(readings) == len(streams)
        return readings


def _packed(stream: Stream) -> bytes:
    kind = b"q" if stream.answered is None else b"a"
    methods = ",".join(stream.answered or ()).encode()
    return kind + struct.pack(">H", len(methods)) + methods + struct.pack(">I", len(stream.data)) + stream.data


def _reading(line: dict[str, Any]) -> Reading:
    return Reading([_message(each) for each in line["messages"]], line["left"], line["error"])


def _message(said: dict[str, Any]) -> Message:
    chunked = said["transfer_encoding"] == ["chunked"]
    return Message(
        framing="chunked" if chunked else "length" if said["content_length"] > 0 else "none",
        body_size=said["body_len"],
        body_digest=said["body_sha256"],
        method=said.get("method", ""),
        target=said.get("uri", ""),
        host=said.get("host", ""),
        status=said.get("status", 0),
        interim=said.get("interim", 0),
        identity=by_name((name.lower(), value) for name, value in said["header"]),
        trailers=tuple(said["trailer"]),
        until_close=said.get("until_close", False),
    )


# llhttp.

# As in go/main.go.
OUR_NAMES = ("authorization", "proxy-authorization", "forwarded", "x-real-ip", "audit-id")
OUR_BEGINNINGS = ("impersonate", "x-remote-", "x-forwarded-")


class Llhttp:
    """llhttp, the parser of Node.js, as httptools binds it."""

    name = "llhttp"

    def read(self, streams: Sequence[Stream]) -> list[Reading]:
        return [_Listener(stream).reading() for stream in streams]


@dataclass
class _Listener:
    """What httptools calls back."""

    stream: Stream
    messages: list[Message] = field(default_factory=list)
    interim: int = 0
    begun: bool = False
    in_trailers: bool = False
    chunked: bool = False
    until_close: bool = False
    target: bytes = b""
    fields: list[tuple[bytes, bytes]] = field(default_factory=list)
    trailers: list[str] = field(default_factory=list)
    body: bytearray = field(default_factory=bytearray)

    def reading(self) -> Reading:
        is_request = self.stream.answered is None
        self.parser = (httptools.HttpRequestParser if is_request else httptools.HttpResponseParser)(self)
        error, left = "", 0
        try:
            self.parser.feed_data(self.stream.data)
        except httptools.HttpParserUpgrade as upgrade:
            left = len(self.stream.data) - int(upgrade.args[0])
        except httptools.HttpParserError as refused:
            error = f"{type(refused).__name__}: {refused}"
        if not error and self.begun and not self._ends_with_the_stream():
            error = "ends within a message"
        return Reading(self.messages, left, error)

    def _ends_with_the_stream(self) -> bool:
        """The body of an answer without a length: httptools has no call that tells llhttp of the end."""
        endless = self.in_trailers and not self.chunked and not self._field(b"content-length")
        if self.stream.answered is None or not endless:
            return False
        self.until_close = True
        self.on_message_complete()
        return True

    def on_message_begin(self) -> None:
        self.begun = True
        self.in_trailers = self.chunked = False
        self.target = b""
        self.fields, self.trailers, self.body = [], [], bytearray()

    def on_url(self, url: bytes) -> None:
        self.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.in_trailers:
            self.trailers.append(name.decode("latin-1"))
        else:
            self.fields.append((name, value))
            if name.lower() == b"transfer-encoding":
                self.chunked = True

    def on_headers_complete(self) -> None:
        self.in_trailers = True

    def on_body(self, data: bytes) -> None:
        self.body += data

    def on_message_complete(self) -> None:
        self.begun = False
        status = 0 if self.stream.answered is None else self.parser.get_status_code()
        if 100 <= status < 200 and status != 101:
            self.interim += 1
            return
        length = self._field(b"content-length").strip() not in ("", "0")
        self.messages.append(
            Message(
                framing="chunked" if self.chunked else "length" if length else "none",
                body_size=len(self.body),
                body_digest=digest(self.body),
                method=self.parser.get_method().decode() if self.stream.answered is None else "",
                target=self.target.decode("latin-1"),
                host=self._field(b"host"),
                status=status,
                interim=self.interim,
                identity=self._identity(),
                trailers=tuple(self.trailers),
                until_close=self.until_close,
            )
        )
        self.interim = 0

    def _field(self, wanted: bytes) -> str:
        return ", ".join(value.decode("latin-1") for name, value in self.fields if name.lower() == wanted)

    def _identity(self) -> tuple[tuple[str, str], ...]:
        named = ((name.lower().decode("latin-1"), value.decode("latin-1")) for name, value in self.fields)
        return by_name((name, value) for name, value in named if _is_ours(name, value))


def _is_ours(name: str, value: str) -> bool:
    if name == "sec-websocket-protocol":
        return "base64url.bearer.authorization.k8s.io." in value
    return name in OUR_NAMES or name.startswith(OUR_BEGINNINGS)
