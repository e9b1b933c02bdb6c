"""One cluster as requests meet it: who is welcome, where it is, with which credential, over which connections."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from kubeoidcproxy.errors import Rejection
from kubeoidcproxy.identity import Caller
from kubeoidcproxy.interfaces import Upstreams


class Credential(Protocol):
    """How the proxy itself is known to the API server."""

    def authorization(self) -> bytes | None:
        """The value of ``Authorization`` now; None where the connection's client certificate is the credential.

        :raises Rejection: 503, there is none to be had.
        """


@dataclass(frozen=True, slots=True, eq=False)
class Cluster:
    """A snapshot of one cluster. Immutable; a reload makes another.

    :param host: the API server's ``Host``.
    :param base_path: what its URL has in front of every target (b"" almost always).
    :param issuers: those whose tokens are welcome, or None for all.
    :param audiences: one of these must be in the token, or None for whatever the issuer accepts.
    :param response_timeout: seconds.
    """

    name: str
    host: bytes
    base_path: bytes
    issuers: frozenset[str] | None
    audiences: frozenset[str] | None
    response_timeout: float
    credential: Credential
    pool: Upstreams

    def welcome(self, caller: Caller) -> None:
        """The cluster's own conditions.

        :raises Rejection: 401 (policy "verdicts").
        """
        if self.issuers is not None and caller.issuer not in self.issuers:
            raise Rejection(401, "Unauthorized: issuer not accepted by this cluster")
        if self.audiences is not None and self.audiences.isdisjoint(caller.audiences):
            raise Rejection(401, "Unauthorized: audience not accepted by this cluster")

    def authorization(self) -> bytes | None:
        """The credential of this moment."""
        return self.credential.authorization()
