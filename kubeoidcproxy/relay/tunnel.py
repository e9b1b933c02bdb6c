"""After a 101 there is no HTTP any more: bytes pass, both ways, and are only counted.

Back-pressure needs nothing here: either connection is the producer of the other's transport for as long as an exchange
joins them (:mod:`.protocol`). Neither TLS nor kube-apiserver's own upgrade proxy knows half-close, so the end of one
side, once delivered, is the end of both.
"""

from __future__ import annotations

from collections.abc import Callable

from kubeoidcproxy.exchange import Exchange


class Tunnel:
    """Two writers joined.

    :param exchange: where bytes are counted.
    """

    __slots__ = ("_exchange", "_write_client", "_write_upstream")

    def __init__(
        self, exchange: Exchange, write_client: Callable[[bytes], None], write_upstream: Callable[[bytes], None]
    ) -> None:
        self._exchange = exchange
        self._write_client = write_client
        self._write_upstream = write_upstream

    def client_sent(self, data: bytes) -> None:
        """From the client to the API server."""
        self._exchange.bytes_in += len(data)
        self._write_upstream(data)

    def upstream_sent(self, data: bytes) -> None:
        """From the API server to the client."""
        self._exchange.bytes_out += len(data)
        self._write_client(data)
