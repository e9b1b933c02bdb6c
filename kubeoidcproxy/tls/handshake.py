"""The first act of a :class:`~kubeoidcproxy.tls.transport.TLSTransport`, while it has no protocol yet."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from OpenSSL import SSL
from twisted.internet.error import ConnectionLost
from twisted.python.failure import Failure

if TYPE_CHECKING:
    from kubeoidcproxy.tls.transport import TLSTransport


class Handshake:
    """Whoever drives it is told once of its end.

    :param done: the peer is who it has to be; the transport waits for a protocol.
    :param failed: the connection is gone.
    """

    def __init__(
        self,
        connection: SSL.Connection,
        transport: TLSTransport,
        done: Callable[[], None],
        failed: Callable[[Failure], None],
    ) -> None:
        self._connection = connection
        self._transport = transport
        self._done = done
        self.failed = failed

    def step(self) -> None:
        """The socket has bytes, or room for some."""
        try:
            self._connection.do_handshake()
        except SSL.WantReadError:
            self._transport.stopWriting()
        except SSL.WantWriteError:
            self._transport.startWriting()
        except SSL.SysCallError:
            self._transport.connectionLost(Failure(ConnectionLost()))
        except Exception as problem:  # SSL.Error, or what one of our callbacks raised
            self._transport.connectionLost(Failure(problem.with_traceback(None)))
        else:
            self._transport.stopWriting()
            self._done()
