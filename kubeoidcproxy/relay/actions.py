"""What the machine of a connection asks its shell to do. Values, so that a test compares lists of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from kubeoidcproxy.exchange import Exchange
from kubeoidcproxy.http1.request import RequestHead


@dataclass(frozen=True, slots=True)
class Decide:
    """Who is it, may they, which cluster: then tell ``admitted`` or ``refused``."""

    exchange: Exchange
    head: RequestHead


@dataclass(frozen=True, slots=True)
class OpenUpstream:
    """Get an upstream connection, then tell ``upstream_opened`` or ``upstream_failed``.

    :param fresh: only a new connection will do.
    """

    fresh: bool = False


@dataclass(frozen=True, slots=True)
class SendUpstream:
    """Write to the upstream connection."""

    data: bytes


@dataclass(frozen=True, slots=True)
class SendClient:
    """Write to the client."""

    data: bytes


@dataclass(frozen=True, slots=True)
class ReleaseUpstream:
    """The upstream connection ended its exchange cleanly: somebody else may use it."""


@dataclass(frozen=True, slots=True)
class AbortUpstream:
    """Reset the upstream connection, or stop waiting for one: it must never see a complete request."""


@dataclass(frozen=True, slots=True)
class StartTunnel:
    """From now on bytes pass untouched, both ways."""


@dataclass(frozen=True, slots=True)
class CloseUpstream:
    """The tunnel's client is gone: deliver what was written, then close."""


@dataclass(frozen=True, slots=True)
class HoldClient:
    """Read no more from the client."""


@dataclass(frozen=True, slots=True)
class ReadClient:
    """Read from the client again."""


@dataclass(frozen=True, slots=True)
class CloseClient:
    """Deliver what was written, then close."""


@dataclass(frozen=True, slots=True)
class AbortClient:
    """Reset: the client must not take what it has for a whole answer."""


@dataclass(frozen=True, slots=True)
class Answered:
    """The head of the answer is known."""

    exchange: Exchange


@dataclass(frozen=True, slots=True)
class Ended:
    """The exchange is over: its one terminal record."""

    exchange: Exchange


Action: TypeAlias = (
    Decide
    | OpenUpstream
    | SendUpstream
    | SendClient
    | ReleaseUpstream
    | AbortUpstream
    | StartTunnel
    | CloseUpstream
    | HoldClient
    | ReadClient
    | CloseClient
    | AbortClient
    | Answered
    | Ended
)
