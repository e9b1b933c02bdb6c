"""One request and its answer, as the relay fills it in and as logs, audit and metrics read it."""

from __future__ import annotations

from kubeoidcproxy.identity import Caller, UserInfo
from kubeoidcproxy.requestinfo import is_long_running, request_info

ALLOW = "allow"  # sent on to the API server
DENY = "deny"  # refused here


class Exchange:
    """The record of one request. Mutable: the relay writes each field once, as soon as it is known.

    ``answered`` observers see it when the head of the answer is known, ``ended`` observers when its last byte is gone
    or it was cut. It holds no token and no body. A record that ends without ``status`` was aborted before an answer.
    """

    __slots__ = (
        "audit_id",  # str: ours; also the request id in refusals and the Audit-ID header upstream
        "bytes_in",  # int: request body bytes read from the client
        "bytes_out",  # int: response bytes (heads included) given to the client
        "caller",  # Caller | None: None while, and where, nobody was authenticated
        "cluster",  # str: name of the cluster, "" while unknown
        "decision",  # str: ALLOW | DENY, "" while undecided
        "detail",  # str: why it was refused or how it broke; "" otherwise
        "ended_at",  # float: monotonic seconds, 0.0 while it lives
        "forwarded_for",  # tuple[str, ...]: the X-Forwarded-For values as received
        "method",  # str: as sent ("" if the head could not be read so far)
        "outbound",  # UserInfo | None: whom the caller acts as, where that is not itself (kubectl --as)
        "received_at",  # float: wall clock seconds since the epoch, at the end of the request head
        "source",  # str: address of the client, without port
        "started_at",  # float: monotonic seconds, at the end of the request head
        "status",  # int: code of the answer, 0 while there is none
        "target",  # str: as sent (latin-1), cluster prefix included
        "upgraded",  # bool: a 101 turned it into a tunnel
        "upstream_target",  # str: the target without the cluster's prefix
        "user_agent",  # str
    )

    audit_id: str
    bytes_in: int
    bytes_out: int
    caller: Caller | None
    cluster: str
    decision: str
    detail: str
    ended_at: float
    forwarded_for: tuple[str, ...]
    method: str
    outbound: UserInfo | None
    received_at: float
    source: str
    started_at: float
    status: int
    target: str
    upgraded: bool
    upstream_target: str
    user_agent: str

    def __init__(self, audit_id: str, source: str, received_at: float, started_at: float) -> None:
        self.audit_id = audit_id
        self.source = source
        self.received_at = received_at
        self.started_at = started_at
        self.bytes_in = self.bytes_out = self.status = 0
        self.caller = self.outbound = None
        self.cluster = self.decision = self.detail = ""
        self.method = self.target = self.upstream_target = self.user_agent = ""
        self.forwarded_for = ()
        self.ended_at = 0.0
        self.upgraded = False

    @property
    def long_running(self) -> bool:
        """Whether it is a watch, a log, an exec or the like: without a time limit on its answer."""
        return is_long_running(request_info(self.method, self.upstream_target))


def plain_address(host: str) -> str:
    """An IPv4 client of a socket for both families is an IPv4 client."""
    return host.removeprefix("::ffff:")
