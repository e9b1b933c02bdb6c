"""Callers of tokens that were verified a moment ago.

Only good results are kept, as in kube-apiserver (``token/cache``, failure TTL 0): a stranger cannot fill it. Unlike
kube's it is bounded, and a token never outlives its ``exp``.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections import OrderedDict
from collections.abc import Callable

from kubeoidcproxy.identity import Caller

CAPACITY = 4096  # callers within one TTL; about 2 KB each with their header blocks


class TokenCache:
    """Least recently used callers, by a keyed hash of their whole token.

    The key is random and of this process: nothing that is kept here, or printed from here, can be compared with the
    hash of a token known elsewhere.

    :param ttl: seconds that a caller is remembered at most; 0: never.
    :param monotonic: for the TTL, that a clock set back does not prolong.
    :param wall: for ``exp``, seconds since the epoch.
    """

    def __init__(
        self,
        *,
        ttl: float,
        capacity: int = CAPACITY,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._ttl = ttl
        self._capacity = capacity
        self._monotonic = monotonic
        self._wall = wall
        # One block of secret in front: a copy of this state hashes a token at half the price of HMAC, and nobody
        # outside ever sees a digest that could be extended.
        self._keyed = hashlib.sha256(os.urandom(64))
        self._callers: OrderedDict[bytes, tuple[Caller, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._callers)

    def fingerprint(self, token: bytes) -> bytes:
        """The keyed hash of a token."""
        digest = self._keyed.copy()
        digest.update(token)
        return digest.digest()

    def recall(self, token: bytes) -> Caller | None:
        """The caller of a token that is remembered and has not expired, else None. On the path of every request."""
        if not self._callers:
            return None
        digest = self._keyed.copy()
        digest.update(token)
        key = digest.digest()
        entry = self._callers.get(key)
        if entry is None:
            return None
        caller, forget_at = entry
        if forget_at <= self._monotonic() or caller.expires_at < self._wall():
            del self._callers[key]
            return None
        self._callers.move_to_end(key)
        return caller

    def remember(self, caller: Caller) -> None:
        """Keep a caller under its fingerprint for the TTL, or until its token expires if that is sooner."""
        lifetime = min(self._ttl, caller.expires_at - self._wall())
        if lifetime <= 0:
            return
        self._callers[caller.fingerprint] = (caller, self._monotonic() + lifetime)
        if len(self._callers) > self._capacity:
            self._callers.popitem(last=False)

    def flush(self) -> None:
        """Forget everybody: keys, rules or revocations have changed."""
        self._callers.clear()

    def set_ttl(self, ttl: float) -> None:
        """Change the TTL, for a reload; forgets everybody."""
        self._ttl = ttl
        self.flush()
