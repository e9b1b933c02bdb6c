"""Who may connect: counted before anything is read, so that a flood of silent or slow connections leaves others served.

Pure: the listening side asks ``enter`` for every accepted connection and tells ``leave`` when it is gone.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

# Descriptors that no client may take: listening sockets, logs, keys being fetched, credential plugins, admin requests;
# and the connections of one turn of the reactor, for accepting can only be paused between two turns.
RESERVED = 160


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """How many connections there may be; 0 = no limit.

    :param total: ``limits.maxConnections``.
    :param per_address: ``limits.maxConnectionsPerAddress``.
    """

    total: int = 0
    per_address: int = 0


class Turnstile:
    """Counts connections by address.

    :param limits: may be exchanged while running (reload); whoever is in stays in.
    """

    def __init__(self, limits: ConnectionLimits) -> None:
        self.limits = limits
        self.refused = 0  # connections that were turned away
        self._inside: Counter[str] = Counter()
        self._total = 0

    @property
    def inside(self) -> int:
        """Connections that are in."""
        return self._total

    def enter(self, address: str) -> bool:
        """Whether one more from this address may come in; it is, then."""
        limits = self.limits
        if limits.total and self._total >= limits.total:
            self.refused += 1
            return False
        if limits.per_address and self._inside[address] >= limits.per_address:
            self.refused += 1
            return False
        self._total += 1
        self._inside[address] += 1
        return True

    def leave(self, address: str) -> None:
        """One that was let in is gone."""
        self._total -= 1
        self._inside[address] -= 1
        if not self._inside[address]:
            del self._inside[address]


def most_clients(descriptors: int, idle_upstream: int) -> int:
    """How many clients there may be before descriptors run out: each may need one for itself and one upstream.

    :param descriptors: that the process may have open.
    :param idle_upstream: of these, connections to API servers that no client uses.
    """
    return max(1, (descriptors - RESERVED - idle_upstream) // 2)
