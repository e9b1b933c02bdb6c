"""TLS on the socket itself, as one Twisted transport.

Twisted's own TLS is a protocol over a transport, with two memory BIOs between them. Here OpenSSL reads and writes the
socket, and the protocol above sees a plain transport; nothing else on the way of a request gains as much. What OpenSSL
demands of whoever does that is in SSL_read(3), SSL_write(3) and SSL_shutdown(3), and stands where it is obeyed.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from OpenSSL import SSL
from OpenSSL._util import lib
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IDelayedCall, IProtocol, ISystemHandle, ITCPTransport
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from kubeoidcproxy.tls.sockets import Address, SocketDescriptor

if TYPE_CHECKING:
    from kubeoidcproxy.tls.handshake import Handshake

# RFC 8446 §5.1: no record holds more. With a smaller buffer the rest of a record would stay with OpenSSL, unseen by
# epoll, for as long as the peer is silent.
RECORD = 16384
READ_AT_ONCE = 8 * RECORD  # then other connections have their turn

# After our close_notify the peer may still be sending; to close at once would reset the connection and take the last
# answer from it (RFC 9112 §9.6). Who has not answered by then is not going to.
CLOSE_WITHIN = 5.0
# For a peer that does not even take what was written: a slow line needs this for the last buffers.
ABORT_WITHIN = 30.0


@implementer(ITCPTransport, ISystemHandle)
class TLSTransport(SocketDescriptor):
    """A TLS connection. It begins without a protocol; a handshake brings one.

    :param connection: OpenSSL's end of it, on the socket, in accept or connect state.
    """

    protocol: IProtocol | None = None
    _handshake: Handshake | None = None
    _deadline: IDelayedCall | None = None
    _writable = False  # whether write takes anything
    _paused = False
    _read_owes_write = False
    _said_goodbye = False  # our close_notify is sent
    _heard_goodbye = False
    _late = False  # in closing
    _ending = False  # connectionLost is scheduled

    def __init__(self, connection: SSL.Connection, plain: socket.socket, peer: Address, reactor: Any) -> None:
        super().__init__(plain, peer, reactor)
        _return_after_each_message(connection)
        self._connection = connection
        self._waiting = bytearray()

    def begin(self, handshake: Handshake) -> None:
        self._handshake = handshake
        self.startReading()

    def open(self, protocol: IProtocol) -> None:
        """The handshake is over."""
        self._handshake = None
        self._writable = True
        self.protocol = protocol
        protocol.makeConnection(self)

    def getHandle(self) -> SSL.Connection:
        return self._connection

    @property
    def negotiatedProtocol(self) -> bytes | None:
        """What ALPN came to."""
        return self._connection.get_alpn_proto_negotiated() or None

    # What the reactor says.

    def doRead(self) -> None:
        if self._handshake is not None:
            self._handshake.step()
            return
        unwanted = self._paused
        if unwanted and not self._said_goodbye:
            return  # the reactor had its events before the pause
        data, end = self._receive()
        if data and not unwanted and self.protocol is not None:
            self.protocol.dataReceived(data)
        if end is not None:
            self._stream_ended(end)
        elif len(data) >= READ_AT_ONCE:
            self._read_what_epoll_does_not_see()

    def doWrite(self) -> None:
        if self._handshake is not None:
            self._handshake.step()
            return
        if self._read_owes_write:
            self._read_owes_write = False
            self.read_on()
        if self.connected and not self._ending:
            self._flush()

    def readConnectionLost(self, reason: Failure) -> None:
        self.connectionLost(reason)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self.disconnected:
            return
        if reason.check(ConnectionDone) and not self._heard_goodbye:
            reason = Failure(ConnectionLost())  # the reactor has seen a FIN, which anybody on the line can send
        super().connectionLost(reason)  # type: ignore[no-untyped-call]
        self._writable = False
        self._cancel_deadline()
        self.close(reset=reason.check(ConnectionAborted) is not None)
        handshake, self._handshake = self._handshake, None
        protocol, self.protocol = self.protocol, None
        if handshake is not None:
            handshake.failed(reason)
        elif protocol is not None:
            protocol.connectionLost(reason)

    def logPrefix(self) -> str:
        return "TLS"

    # Reading.

    def pauseProducing(self) -> None:
        self._paused = True
        if not self._said_goodbye:
            self.stopReading()

    def resumeProducing(self) -> None:
        self._paused = False
        if self.connected and not self._ending:
            self.startReading()
            self._read_what_epoll_does_not_see()

    def _receive(self) -> tuple[bytes, SSL.Error | None]:
        pieces: list[bytes] = []
        end = None
        room = READ_AT_ONCE
        try:
            while room > 0:
                piece = self._connection.recv(RECORD)
                pieces.append(piece)
                room -= len(piece)
                # To ask costs a fifth of an SSL_read that has to say no.
                if len(piece) < RECORD and not self.has_unread():
                    break
        except SSL.WantReadError:
            pass
        except SSL.WantWriteError:  # the answer to a key update (RFC 8446 §4.6.3) does not fit
            self._read_owes_write = True
            self.startWriting()
        except SSL.Error as error:
            end = error.with_traceback(None)  # which holds this frame, which holds the error
        return (pieces[0] if len(pieces) == 1 else b"".join(pieces)), end

    def _stream_ended(self, end: SSL.Error) -> None:
        if self._ending or not self.connected:
            return
        if isinstance(end, SSL.ZeroReturnError):
            self._heard_goodbye = True
            if self._waiting:
                self._part_later()
            else:
                self._part()
        else:
            self.connectionLost(Failure(ConnectionLost() if isinstance(end, SSL.SysCallError) else end))

    def _read_what_epoll_does_not_see(self) -> None:
        if self.connected and self._connection.pending():
            self.reactor.callLater(0, self.read_on)

    def read_on(self) -> None:
        """As if the socket had become readable."""
        if self.connected and not self._ending:
            self.doRead()

    # Writing.

    def write(self, data: bytes) -> None:
        if not data or not self._writable:  # SSL_write of nothing is an error
            return
        rest = data if self._waiting else self._send(data)
        if rest and self._writable:
            self._waiting += rest
            if len(self._waiting) > self.bufferSize:
                self._pause_producer()

    def writeSequence(self, iovec: Iterable[bytes]) -> None:
        self.write(b"".join(iovec))

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        super().registerProducer(producer, streaming)
        if not streaming:
            self._resume_producer()

    def unregisterProducer(self) -> None:
        self.producer = None
        if self.connected and self.disconnecting:
            self._finish()

    def _send(self, data: bytes) -> memoryview:
        """Send what there is room for, and give the rest back.

        Once SSL_write has wanted to write, the head of the rest is encrypted: it must be offered again, and nothing
        shorter (SSL_write(3); *bad length*). So to what waits bytes are only ever added.
        """
        rest = memoryview(data)
        large = len(data) > RECORD
        if large:
            self.cork(True)
        try:
            while rest:
                rest = rest[self._connection.send(rest[:RECORD]) :]
        except SSL.WantWriteError:
            self.startWriting()
        except SSL.Error:  # SSL.WantReadError, too: this would be the handshake that OP_NO_RENEGOTIATION forbids
            self._end_soon(ConnectionLost())
        if large:
            self.cork(False)
        return rest

    def _flush(self) -> None:
        try:
            while self._waiting:
                del self._waiting[: self._connection.send(self._waiting[:RECORD])]
        except SSL.WantWriteError:
            return
        except SSL.Error:
            self._end_soon(ConnectionLost())
            return
        self.stopWriting()
        if self._heard_goodbye:
            self._part()
            return
        self._resume_producer()
        if self.disconnecting and self.producer is None and not self._waiting:
            self._say_goodbye()

    def _pause_producer(self) -> None:
        if self.producer is not None and self.streamingProducer and not self.producerPaused:
            self.producerPaused = True
            self.producer.pauseProducing()

    def _resume_producer(self) -> None:
        producer = self.producer
        if producer is not None and (self.producerPaused or not self.streamingProducer):
            self.producerPaused = False
            producer.resumeProducing()
            if not self.streamingProducer and self.producer is producer:
                self.startWriting()  # it is asked for each piece

    # Closing.

    def loseConnection(self) -> None:
        if self.connected and not self.disconnecting:
            self.disconnecting = 1
            if self.producer is None:
                self._finish()

    def loseWriteConnection(self) -> None:
        """TLS has no half-close that peers would understand."""
        self.loseConnection()

    def abortConnection(self) -> None:
        self._end_soon(ConnectionAborted())

    def _finish(self) -> None:
        self._writable = False
        if self._deadline is None:
            self._deadline = self.reactor.callLater(CLOSE_WITHIN, self._stop_waiting)
        if not self._waiting:
            self._say_goodbye()

    def _say_goodbye(self) -> None:
        if self._said_goodbye or self._ending:
            return
        try:
            self._connection.shutdown()
        except SSL.WantWriteError:
            self.startWriting()
            return
        except SSL.Error:
            self._end_soon(ConnectionLost())
            return
        self._said_goodbye = True
        if self._late:
            self._end_soon(ConnectionLost())
        else:
            self.startReading()  # also when paused: before the peer's close_notify there may be data that nobody wants

    def _part(self) -> None:
        """The peer has said goodbye, and there is nothing left to tell it."""
        if not self._said_goodbye:
            with contextlib.suppress(SSL.Error):
                self._connection.shutdown()
        self.connectionLost(Failure(ConnectionDone()))

    def _part_later(self) -> None:
        """It may still be reading. Without what waits, a close_notify of ours would call a part the whole."""
        self.stopReading()
        if self._deadline is None:
            self._deadline = self.reactor.callLater(CLOSE_WITHIN, self.connectionLost, Failure(ConnectionDone()))

    def _stop_waiting(self) -> None:
        self._deadline = None
        if self._said_goodbye:
            self._end_soon(ConnectionLost())
            return
        self._late = True
        self._deadline = self.reactor.callLater(ABORT_WITHIN - CLOSE_WITHIN, self.abortConnection)

    def _cancel_deadline(self) -> None:
        if self._deadline is not None and self._deadline.active():
            self._deadline.cancel()
        self._deadline = None

    def _end_soon(self, reason: Exception) -> None:
        """Not now: a protocol that asks for the end, or writes, does not expect to hear of it inside that call."""
        if self.connected and not self._ending:
            self._ending = True
            self._writable = False
            self._waiting.clear()
            self.stopReading()
            self.stopWriting()
            self.reactor.callLater(0, self.connectionLost, Failure(reason))


def _return_after_each_message(connection: Any) -> None:
    """SSL_read is not to go on behind a message that is no data (SSL_CTX_set_mode(3), SSL_MODE_AUTO_RETRY).

    pyOpenSSL lets it, for memory BIOs. On a socket one peer that sends key updates as fast as they are read (5 MB/s)
    would keep the thread in that call for ever. pyOpenSSL has no public way to say so for a connection.
    """
    lib.SSL_clear_mode(connection._ssl, lib.SSL_MODE_AUTO_RETRY)
