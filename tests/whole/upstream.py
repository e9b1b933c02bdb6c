"""An API server's place: a TLS server that keeps every byte it gets and answers as it is told.

It shares no code with the proxy. One thread a connection; what a connection was sent is only ever read under its lock,
so that :meth:`RecordingUpstream.settle` can tell when everything that had arrived is recorded.
"""

from __future__ import annotations

import re
import select
import socket
import ssl
import struct
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import h11
from certificates import Authority

PATIENCE = 20.0  # seconds that a busy machine may take for what takes milliseconds
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

CLOSED, CUT, RESET = "closed", "cut", "reset"  # with a close_notify, by FIN alone, by RST


class PeerLeft(Exception):
    """The connection ended."""


@dataclass
class Request:
    """One request as it arrived.

    :param head: the raw bytes, its empty line included.
    :param body: as framed on the wire, chunk lines included; only as long as the connection records.
    """

    head: bytes
    body: bytes = b""
    complete: bool = False

    @property
    def method(self) -> str:
        return self.head.split(b" ", 1)[0].decode("latin-1")

    @property
    def target(self) -> str:
        return self.head.split(b" ", 2)[1].decode("latin-1")

    @property
    def lines(self) -> list[bytes]:
        """The field lines, in order."""
        return self.head[:-4].split(b"\r\n")[1:]

    def values(self, name: str) -> list[str]:
        wanted = name.lower().encode()
        pairs = (line.partition(b":") for line in self.lines)
        return [value.strip().decode("latin-1") for found, _, value in pairs if found.lower() == wanted]


Reply = Callable[["UpstreamConnection", Request], None]


class UpstreamConnection:
    """One connection of the proxy to us. The methods are for the reply that is running on it."""

    def __init__(self, upstream: RecordingUpstream, tcp: socket.socket) -> None:
        self.received = bytearray()  # all that was sent to us
        self.requests: list[Request] = []  # those whose head is here
        self.ended = ""  # CLOSED, CUT or RESET
        self.recording = True  # False: bodies are counted, not kept
        self.lock = threading.RLock()
        self._upstream = upstream
        self._tcp = tcp
        self._tls: ssl.SSLSocket | None = None
        self._buffer = bytearray()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        self._thread.start()

    # For replies.

    def send(self, data: bytes) -> None:
        with self.lock:
            try:
                assert self._tls is not None
                self._tls.sendall(data)
            except OSError as error:
                self._note_end(error)
                raise PeerLeft from None

    def read_body(self, request: Request) -> None:
        """Read the request to its end."""
        if not request.complete:
            length = request.values("Content-Length")
            if request.values("Transfer-Encoding"):
                self._read_chunks(request)
            elif length:
                self._take(int(length[0]), request)
            with self._upstream.changed:
                request.complete = True
                self._upstream.changed.notify_all()

    def read_some(self) -> bytes:
        """Whatever comes next (a tunnel's bytes, or a body's when the reply counts them itself).

        :raises PeerLeft: nothing comes any more.
        """
        if not self._buffer:
            self._fill()
        data = bytes(self._buffer)
        self._buffer.clear()
        return data

    def swallow(self, size: int) -> None:
        """Read so many bytes of a body and keep none of them."""
        taken = min(size, len(self._buffer))
        del self._buffer[:taken]
        room = memoryview(bytearray(256 * 1024))
        assert self._tls is not None
        while (left := size - taken) > 0:
            with self.lock:
                try:
                    got = self._tls.recv_into(room, min(left, len(room)))
                except OSError as error:
                    self._note_end(error)
                    raise PeerLeft from None
            if not got:
                self._note_end(None)
                raise PeerLeft
            taken += got

    def holds_more(self) -> bool:
        """Whether more than the requests so far has arrived."""
        return bool(self._buffer) or (self._tls is not None and (bool(self._tls.pending()) or _readable(self._tls)))

    def await_end(self) -> None:
        """Read until the proxy ends the connection."""
        with suppress(PeerLeft):
            while True:
                self.read_some()

    def close(self) -> None:
        """End it politely."""
        with self.lock, suppress(OSError, ValueError):
            assert self._tls is not None
            self._tls.setblocking(False)
            self._tls.unwrap()
        self._end(CLOSED)

    def cut(self) -> None:
        """End it without a close_notify."""
        self._end(CUT)

    def reset(self) -> None:
        """End it with a TCP reset."""
        self._tcp_linger_none()
        self._end(RESET)

    # For the upstream.

    def is_settled(self) -> bool:
        """Everything that has arrived so far is recorded."""
        if not self.lock.acquire(timeout=0.1):
            return False
        try:
            if self.ended:
                return True
            return self._tls is not None and not self._tls.pending() and not _readable(self._tls)
        finally:
            self.lock.release()

    def stop(self) -> None:
        with suppress(OSError):
            (self._tls or self._tcp).shutdown(socket.SHUT_RDWR)
        self._thread.join(PATIENCE)

    # Inside.

    def _run(self) -> None:
        try:
            with self.lock:
                self._tcp.settimeout(PATIENCE)
                tls = self._upstream.context.wrap_socket(
                    self._tcp, server_side=True, suppress_ragged_eofs=False, do_handshake_on_connect=True
                )
                tls.settimeout(None)
                self._tls = tls
            self._serve()
        except PeerLeft:
            pass
        except OSError as error:
            self._note_end(error)
        finally:
            self._end(CLOSED)

    def _serve(self) -> None:
        while True:
            request = Request(self._read_head())
            with self._upstream.changed:
                self.requests.append(request)
                self._upstream.changed.notify_all()
            self._upstream.reply(self, request)
            self.read_body(request)

    def _read_head(self) -> bytes:
        while (end := self._buffer.find(b"\r\n\r\n")) < 0:
            self._fill()
        head = bytes(self._buffer[: end + 4])
        del self._buffer[: end + 4]
        return head

    def _read_chunks(self, request: Request) -> None:
        while True:
            while (end := self._buffer.find(b"\r\n")) < 0:
                self._fill()
            line = bytes(self._buffer[:end])
            assert re.fullmatch(rb"[0-9A-Fa-f]+", line), f"chunk size {line!r}"
            size = int(line, 16)
            self._take(end + 2 + size + 2, request)
            if not size:
                return

    def _take(self, size: int, request: Request) -> None:
        while size:
            if not self._buffer:
                self._fill()
            taken = bytes(self._buffer[:size])
            del self._buffer[:size]
            size -= len(taken)
            if self.recording:
                request.body += taken

    def _fill(self) -> None:
        """Wait for bytes, without the lock; read and record them, with it."""
        tls = self._tls
        if tls is None or self.ended:
            raise PeerLeft
        if not tls.pending():
            _await_readable(tls)
        with self.lock:
            try:
                data = tls.recv(256 * 1024)
            except (OSError, ValueError) as error:
                self._note_end(error)
                raise PeerLeft from None
            if not data:
                self._note_end(None)
                raise PeerLeft
            self._buffer += data
            if self.recording:
                with self._upstream.changed:
                    self.received += data
                    self._upstream.changed.notify_all()

    def _note_end(self, error: Exception | None) -> None:
        with self._upstream.changed:
            if not self.ended:
                self.ended = CLOSED if error is None else how_it_broke(self._tls or self._tcp)
                self._upstream.changed.notify_all()

    def _tcp_linger_none(self) -> None:
        with suppress(OSError):
            (self._tls or self._tcp).setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def _end(self, kind: str) -> None:
        with self._upstream.changed:
            self.ended = self.ended or kind
            self._upstream.changed.notify_all()
        with suppress(OSError):
            (self._tls or self._tcp).close()


class RecordingUpstream:
    """Listens on loopback.

    :param reply: what is done with a request whose head is here; returns when the connection may take the next one.
    """

    def __init__(self, authority: Authority, name: str = "127.0.0.1", port: int = 0) -> None:
        self.authority = authority
        self.reply: Reply = answer
        self.changed = threading.Condition()
        self.connections: list[UpstreamConnection] = []
        self.context = _context(authority, name)
        self._listener = socket.create_server(("127.0.0.1", port), backlog=128)
        self.port: int = self._listener.getsockname()[1]
        self._marks: dict[UpstreamConnection, tuple[int, int]] = {}
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def begin(self) -> None:
        """From here on :meth:`requests` and :meth:`received` tell what is new; answers are plain again."""
        self.settle()
        self.reply = answer
        self._marks = {c: (len(c.received), len(c.requests)) for c in self.connections}

    def settle(self) -> None:
        """Wait until everything that was sent to us so far is recorded."""
        self.wait(lambda: not _readable(self._listener) and all(c.is_settled() for c in list(self.connections)))

    def wait(self, condition: Callable[[], bool], what: str = "the upstream") -> None:
        """Until the condition holds."""
        deadline = time.monotonic() + PATIENCE
        with self.changed:
            while not condition():
                left = deadline - time.monotonic()
                if left <= 0:
                    raise AssertionError(f"waited in vain for {what}")
                self.changed.wait(min(left, 0.05))

    def used(self) -> list[UpstreamConnection]:
        """Connections on which anything came since :meth:`begin`."""
        return [c for c in self.connections if len(c.received) > self._mark(c)[0]]

    def requests(self) -> list[Request]:
        """Requests since :meth:`begin`, complete or not."""
        return [request for c in self.connections for request in c.requests[self._mark(c)[1] :]]

    def complete(self) -> list[Request]:
        return [request for request in self.requests() if request.complete]

    def received(self, connection: UpstreamConnection) -> bytes:
        """Bytes since :meth:`begin` on one connection."""
        return bytes(connection.received[self._mark(connection)[0] :])

    def stop(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in list(self.connections):
            connection.stop()

    def _mark(self, connection: UpstreamConnection) -> tuple[int, int]:
        return self._marks.get(connection, (0, 0))

    def _accept(self) -> None:
        while True:
            try:
                tcp, _ = self._listener.accept()
            except OSError:
                return
            tcp.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection = UpstreamConnection(self, tcp)
            with self.changed:
                self.connections.append(connection)
                self.changed.notify_all()
            connection.start()


def answer(connection: UpstreamConnection, request: Request) -> None:
    """The plain reply: 200, two bytes."""
    if request.values("Expect"):
        connection.send(b"HTTP/1.1 100 Continue\r\n\r\n")
    connection.read_body(request)
    connection.send(OK.removesuffix(b"ok") if request.method == "HEAD" else OK)


def answer_with(raw: bytes) -> Reply:
    """A reply of these bytes."""

    def reply(connection: UpstreamConnection, request: Request) -> None:
        connection.read_body(request)
        connection.send(raw)

    return reply


def never_answer(connection: UpstreamConnection, request: Request) -> None:
    connection.read_body(request)
    connection.await_end()


def begin_and_stop(connection: UpstreamConnection, request: Request) -> None:
    """The beginning of a body, and never its end."""
    connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nbegin\r\n")
    connection.await_end()


def ask_and_stop(connection: UpstreamConnection, request: Request) -> None:
    """Asks for the request's body, and says nothing to it."""
    connection.send(b"HTTP/1.1 100 Continue\r\n\r\n")
    connection.await_end()


def switch_and_echo(protocol: str) -> Reply:
    """A 101, and then everything comes back."""
    head = f"HTTP/1.1 101 Switching Protocols\r\nUpgrade: {protocol}\r\nConnection: Upgrade\r\n\r\n".encode()

    def reply(connection: UpstreamConnection, request: Request) -> None:
        connection.read_body(request)
        connection.send(head)
        while True:
            connection.send(connection.read_some())

    return reply


def read_by_h11(stream: bytes) -> tuple[int, str]:
    """How many complete requests another parser finds in what a connection was sent, and what it cannot read."""
    parser = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 22)
    complete = 0
    try:
        parser.receive_data(stream)
        while True:
            event = parser.next_event()
            if event is h11.NEED_DATA or event is h11.PAUSED:
                return complete, ""
            if isinstance(event, h11.EndOfMessage):
                complete += 1
                if parser.their_state is h11.MIGHT_SWITCH_PROTOCOL:
                    return complete, ""
                parser.send(h11.Response(status_code=200, headers=[("Content-Length", "0")]))
                parser.send(h11.EndOfMessage())
                parser.start_next_cycle()
    except h11.ProtocolError as error:
        return complete, str(error)


def _context(authority: Authority, name: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory() as folder:
        context.load_cert_chain(*authority.issue(name).write(Path(folder)))
    return context


def _readable(sock: socket.socket) -> bool:
    try:
        return bool(select.select([sock], [], [], 0)[0])
    except (OSError, ValueError):
        return False


def _await_readable(sock: socket.socket) -> None:
    with suppress(OSError, ValueError):
        select.select([sock], [], [])


def how_it_broke(sock: socket.socket) -> str:
    """RESET or CUT. Python's ssl says EOF of both, the kernel knows: CLOSE_WAIT comes of a FIN, CLOSE of a RST."""
    try:
        state = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]
    except OSError:
        return RESET
    return CUT if state == _TCP_CLOSE_WAIT else RESET


_TCP_CLOSE_WAIT = 8  # linux/tcp_states.h
