"""The two ways into TLS. Whoever needs a TLS connection imports this module; what is underneath may change.

Both give the inner protocol a transport that provides ``ITransport`` (with ``getPeer``, ``loseConnection`` and
``abortConnection``), ``IConsumer`` and ``IPushProducer``. What holds on it:

- ``connectionMade`` comes when the handshake is over and, upstream, the certificate's name is verified; until then
  there is no inner protocol, so nothing can be written.
- A streaming producer registered on it is paused while more bytes wait to be sent than a buffer holds (64 KiB).
- After ``pauseProducing`` nothing arrives (over Twisted's TLS, 64 KiB may). A paused transport hears of no end.
- ``loseConnection`` sends what was written and a close_notify, then waits at most 5 s for the peer's. The end of the
  peer's stream is ``ConnectionDone`` with a close_notify, ``ConnectionLost`` without one. ``abortConnection`` resets.

Two implementations pass the same tests: our own transport, OpenSSL on the socket (:mod:`.transport`), which serves;
and Twisted's TLS (:mod:`.twisted_ends`), which costs half as much again and is what ours is measured by.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IProtocol, IProtocolFactory, IReactorTime

from kubeoidcproxy.tls import accepting, connecting, twisted_ends
from kubeoidcproxy.tls.client import ClientTLS
from kubeoidcproxy.tls.server import ServerContexts

IMPLEMENTATION: Literal["socket", "twisted"] = "socket"


def server_factory(
    contexts: ServerContexts,
    build: Callable[[str | None], IProtocol],
    *,
    handshake_timeout: float,
    clock: IReactorTime,
) -> IProtocolFactory:
    """A factory for TCP ports that speaks TLS on what they accept. (Ours takes the sockets over from their transports.)

    :param build: makes the inner protocol, given the server name that the client asked for (lower case, without a
        trailing dot), or None if it named none. Called once the handshake is over.
    :param handshake_timeout: seconds for the whole handshake, from the first byte of TCP on, however fast it trickles.
    """
    new_factory = accepting.server_factory if IMPLEMENTATION == "socket" else twisted_ends.server_factory
    return new_factory(contexts, build, handshake_timeout=handshake_timeout, clock=clock)


def connect(
    reactor: connecting.IConnectingReactor,
    host: str,
    port: int,
    tls: ClientTLS,
    build: Callable[[], IProtocol],
    *,
    timeout: float,
    keep_alive: float = 0,
) -> Deferred[IProtocol]:
    """A verified connection to an API server.

    Fails with an :class:`~kubeoidcproxy.tls.errors.UpstreamConnectError`; cancelled, it leaves no socket behind.

    :param build: makes the inner protocol, once the server is verified.
    :param timeout: seconds for name look-up, TCP and handshake together.
    :param keep_alive: seconds of silence after which TCP probes the API server; 0 = never.
    """
    dial = connecting.dial if IMPLEMENTATION == "socket" else twisted_ends.dial
    return connecting.connect(reactor, host, port, tls, build, timeout=timeout, keep_alive=keep_alive, dial=dial)
