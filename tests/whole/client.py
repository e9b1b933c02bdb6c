"""A client that says any bytes over TLS, and hears everything, also how the connection ends."""

from __future__ import annotations

import re
import select
import socket
import ssl
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from whole.upstream import CLOSED, PATIENCE, how_it_broke


@dataclass(frozen=True)
class Answer:
    """One final answer. :param raw: all of it, the interim ones before it included."""

    status: int
    head: bytes
    body: bytes
    raw: bytes

    def values(self, name: str) -> list[str]:
        pairs = (line.partition(b":") for line in self.head.split(b"\r\n")[1:])
        return [value.strip().decode("latin-1") for found, _, value in pairs if found.lower() == name.lower().encode()]


def context(authority_pem: str, *, alpn: tuple[str, ...] = ("http/1.1",)) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname = False
    made.load_verify_locations(cadata=authority_pem)
    if alpn:
        made.set_alpn_protocols(list(alpn))
    return made


class Client:
    """One TLS connection. Sending never waits for the other side to read: what is unsent goes out while we listen."""

    def __init__(self, address: tuple[str, int], tls: ssl.SSLContext, server_name: str | None) -> None:
        tcp = socket.create_connection(address, timeout=PATIENCE)
        tcp.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            self.tls = tls.wrap_socket(tcp, server_hostname=server_name, suppress_ragged_eofs=False)
        except BaseException:
            tcp.close()
            raise
        self.tls.setblocking(False)
        self.patience = PATIENCE  # seconds of listening for anything
        self.received = bytearray()
        self.ended = ""  # how the other side ended it: CLOSED, CUT or RESET
        self._unsent = bytearray()
        self._read = 0  # bytes of received that answers were made of

    def send(self, data: bytes) -> None:
        """Queue, and send what can be sent at once."""
        self._unsent += data
        self._write()

    def flush(self) -> None:
        """Until all that was queued is sent."""
        self.listen(lambda: not self._unsent, "room to send")

    def request(self, raw: bytes) -> Answer:
        """Send one request and hear its answer."""
        self.send(raw)
        return self.answer(head_only=raw.startswith(b"HEAD"))

    def answer(self, *, head_only: bool = False) -> Answer:
        """The next final answer.

        :raises AssertionError: it does not come, or not whole.
        """
        start = self._read
        while True:
            head = self._take_until(b"\r\n\r\n")
            status = int(head.split(b" ", 2)[1])
            if status >= 200 or status == 101:
                break
        body = b"" if head_only or status in (101, 204, 304) else self._body(head)
        return Answer(status, head, body, bytes(self.received[start : self._read]))

    def answers_until_end(self, *, head_only: bool = False) -> list[Answer]:
        """Everything up to the end of the connection; an answer that breaks off is none."""
        self.end()
        answers = []
        while self._read < len(self.received):
            try:
                answers.append(self.answer(head_only=head_only and not answers))
            except (AssertionError, ValueError):
                break
        return answers

    def end(self) -> str:
        """Listen until the other side ends the connection; how it did."""
        self.listen(lambda: bool(self.ended), "the end of the connection")
        return self.ended

    def listen(self, until: Callable[[], bool], what: str = "more bytes") -> None:
        """Hear and send until the condition holds."""
        deadline = time.monotonic() + self.patience
        while not until():
            left = deadline - time.monotonic()
            if left <= 0 or self.ended:
                raise AssertionError(f"waited in vain for {what}; {self.ended or 'silence'} after {self._tail()!r}")
            readable, writable, _ = select.select([self.tls], [self.tls] if self._unsent else [], [], left)
            if writable:
                self._write()
            if readable:
                self._hear()

    def hear(self, expected: bytes) -> None:
        """Listen until these bytes came behind the last answer."""
        self.listen(lambda: expected in self.received[self._read :], repr(expected[:80]))

    def heard_within(self, seconds: float) -> bool:
        """Listen for so long at most; whether anything came, be it the end."""
        before = len(self.received)
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0 and not self.ended and len(self.received) == before:
            if select.select([self.tls], [], [], left)[0]:
                self._hear()
        return bool(self.ended) or len(self.received) > before

    def end_input(self) -> None:
        """Half-close: we say no more, but listen."""
        twin = socket.socket(fileno=socket.dup(self.tls.fileno()))  # SSLSocket.shutdown would end TLS as a whole
        with twin, suppress(OSError):
            twin.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Leave with a TCP reset."""
        self.tls.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.tls.close()

    def close(self) -> None:
        """Leave politely."""
        with suppress(OSError, ValueError):
            self.tls.unwrap()
        self.tls.close()

    def _body(self, head: bytes) -> bytes:
        if re.search(rb"(?i)\r\ntransfer-encoding: *chunked\r\n", head):
            return b"".join(self._chunks())
        length = re.search(rb"(?i)\r\ncontent-length: *(\d+)\r\n", head)
        if length:
            return self._take(int(length[1]))
        self.listen(lambda: bool(self.ended), "the end of a body")
        return self._take(len(self.received) - self._read)

    def _chunks(self) -> Iterator[bytes]:
        while size := int(self._take_until(b"\r\n"), 16):
            yield self._take(size)
            assert self._take(2) == b"\r\n"
        while self._take_until(b"\r\n") != b"\r\n":
            pass

    def _take_until(self, mark: bytes) -> bytes:
        self.listen(lambda: self.received.find(mark, self._read) >= 0, f"{mark!r}")
        return self._take(self.received.find(mark, self._read) + len(mark) - self._read)

    def _take(self, size: int) -> bytes:
        self.listen(lambda: len(self.received) >= self._read + size, f"{size} bytes")
        self._read += size
        return bytes(self.received[self._read - size : self._read])

    def _write(self) -> None:
        try:
            while self._unsent:
                del self._unsent[: self.tls.send(self._unsent[: 256 * 1024])]
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            pass
        except OSError:
            self._unsent.clear()  # they hear no more; what they said may still be read

    def _hear(self) -> None:
        try:
            while data := self.tls.recv(256 * 1024):
                self.received += data
            self.ended = CLOSED
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            pass
        except OSError:
            self.ended = how_it_broke(self.tls)

    def _tail(self) -> bytes:
        return bytes(self.received[max(self._read, len(self.received) - 300) :])


@contextmanager
def closing(client: Client) -> Iterator[Client]:
    """The client, closed at the end."""
    try:
        yield client
    finally:
        client.close()
