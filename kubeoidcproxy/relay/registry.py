"""Every open exchange: to list them, and to cut those whose cluster, issuer, user or token is no longer welcome."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from kubeoidcproxy.exchange import Exchange

Cut = Callable[[str], None]


class Registry:
    """Open exchanges with the function that ends each. Looking one up is rare and may take a walk; keeping is cheap."""

    def __init__(self) -> None:
        self._open: dict[Exchange, Cut] = {}

    def __len__(self) -> int:
        return len(self._open)

    def __iter__(self) -> Iterator[Exchange]:
        return iter(tuple(self._open))

    def add(self, exchange: Exchange, cut: Cut) -> None:
        """It has a caller and is on its way upstream."""
        self._open[exchange] = cut

    def remove(self, exchange: Exchange) -> None:
        """It ended. Harmless for one that was never added."""
        self._open.pop(exchange, None)

    def cut(
        self,
        detail: str,
        *,
        cluster: str | None = None,
        issuer: str | None = None,
        username: str | None = None,
        fingerprint: bytes | None = None,
    ) -> int:
        """End every exchange that fits all that is given; how many there were.

        :param detail: why, for the audit trail.
        """

        def fits(exchange: Exchange) -> bool:
            caller = exchange.caller
            return (
                (cluster is None or exchange.cluster == cluster)
                and (issuer is None or (caller is not None and caller.issuer == issuer))
                and (username is None or (caller is not None and caller.user.username == username))
                and (fingerprint is None or (caller is not None and caller.fingerprint == fingerprint))
            )

        return self.cut_where(detail, fits)

    def cut_where(self, detail: str, unwelcome: Callable[[Exchange], bool]) -> int:
        """End every exchange that the predicate names; how many there were."""
        victims = [(exchange, cut) for exchange, cut in self._open.items() if unwelcome(exchange)]
        for _, cut in victims:
            cut(detail)
        return len(victims)
