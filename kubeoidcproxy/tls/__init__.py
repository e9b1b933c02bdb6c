"""TLS on both sides of the proxy: which certificate we show, whom we trust, and when a connection may be used.

============================ =========================================================================================
:mod:`.seam`                 the two ways in for the rest of the house: ``server_factory`` and ``connect``
:mod:`.errors`               why an upstream connection was not made: the four outcomes that policy tells apart
:mod:`.names`                DNS names and certificate patterns, normalised and compared; pure
:mod:`.certificates`         a certificate chain and its key, read and judged before anything uses it
:mod:`.contexts`             what both sides share: versions, ciphers, no renegotiation, small buffers
:mod:`.server`               our certificates by SNI; replaced as a whole at a reload; ALPN ``http/1.1``
:mod:`.client`               one upstream: its CA, the name it must prove, our client certificate
:mod:`.unrecognized`         keeps refused server names out of stderr
:mod:`.accepting`            behind the seam, server side: a handshake in bounded time, then a protocol
:mod:`.connecting`           behind the seam, client side: look-up, TCP, handshake, then a protocol
:mod:`.handshake`            its first act, until the peer is known
:mod:`.transport`            TLS on the socket itself, as one Twisted transport
:mod:`.sockets`              TCP sockets: taken over from Twisted, set up, described, closed
:mod:`.readiness`            one event of the reactor for all of those sockets
:mod:`.twisted_ends`         the other implementation of the seam, beside accepting and connecting
:mod:`.twisted_tls`          its transport: Twisted's TLS over memory BIOs
============================ =========================================================================================

The rule of the room: a protocol is built only when its peer is known. On the server side that is after the handshake,
so that it learns the server name at birth; upstream it is after the certificate's name was verified, so that nothing
can be written to a stranger. pyOpenSSL itself verifies no name.
"""
