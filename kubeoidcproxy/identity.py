"""Who somebody is: the user that Kubernetes sees, and the token holder behind it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class UserInfo:
    """The four attributes that Kubernetes knows of a user (``authentication.k8s.io/v1 UserInfo``).

    Every text in it can be written into a header: no control characters, no blanks at the edges
    (:mod:`kubeoidcproxy.auth.mapping` refuses others). ``extra`` keeps the order of its keys.
    """

    username: str
    groups: tuple[str, ...] = ()
    uid: str = ""
    extra: tuple[tuple[str, tuple[str, ...]], ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Caller:
    """The holder of a verified token. One object per token for as long as the token is remembered.

    :param user: whom the token's claims map to.
    :param issuer: the ``iss`` that signed it, exactly.
    :param audiences: all of the token's ``aud``.
    :param subject: its ``sub`` ("" where it has none).
    :param token_id: its ``jti`` ("" where it has none).
    :param expires_at: its ``exp``, seconds since the epoch.
    :param fingerprint: keyed hash of the token: names it in the registry without holding it.
    :param memo: room for what is derived from the identity and asked for on every request (header blocks, log text).
    """

    user: UserInfo
    issuer: str
    audiences: tuple[str, ...]
    subject: str
    token_id: str
    expires_at: float
    fingerprint: bytes
    memo: dict[Any, Any] = field(default_factory=dict, repr=False)
