"""The memory of callers."""

from __future__ import annotations

import pytest

from kubeoidcproxy.auth.cache import TokenCache
from kubeoidcproxy.identity import Caller, UserInfo


class Time:
    def __init__(self) -> None:
        self.wall = 1000.0
        self.monotonic = 5.0

    def cache(self, ttl: float = 10.0, capacity: int = 4096) -> TokenCache:
        return TokenCache(ttl=ttl, capacity=capacity, wall=lambda: self.wall, monotonic=lambda: self.monotonic)


@pytest.fixture
def time() -> Time:
    return Time()


def caller(cache: TokenCache, token: bytes = b"t", expires_at: float = 2000.0) -> Caller:
    return Caller(UserInfo("alice"), "issuer", ("kube",), "alice", "", expires_at, cache.fingerprint(token))


def test_remembers_for_the_ttl(time: Time) -> None:
    cache = time.cache()
    alice = caller(cache)
    cache.remember(alice)
    time.monotonic += 9.9
    assert cache.recall(b"t") is alice
    time.monotonic += 0.1
    assert cache.recall(b"t") is None
    assert len(cache) == 0


def test_never_past_exp(time: Time) -> None:
    """exp is read on the wall clock at every hit, also where that clock was set ahead."""
    cache = time.cache()
    cache.remember(caller(cache, expires_at=1003.0))
    time.wall = 1003.0
    assert cache.recall(b"t")
    time.wall = 1003.1
    assert cache.recall(b"t") is None
    cache.remember(caller(cache, expires_at=1003.0))
    assert len(cache) == 0


def test_a_clock_set_back_prolongs_nothing(time: Time) -> None:
    """O64: the TTL runs on the monotonic clock."""
    cache = time.cache()
    cache.remember(caller(cache, expires_at=1003.0))
    time.wall -= 600
    time.monotonic += 3.1
    assert cache.recall(b"t") is None


def test_zero_is_off(time: Time) -> None:
    cache = time.cache(ttl=0)
    cache.remember(caller(cache))
    assert cache.recall(b"t") is None


def test_the_least_recently_used_goes(time: Time) -> None:
    """JK06: bounded, whatever comes."""
    cache = time.cache(capacity=3)
    for token in (b"1", b"2", b"3"):
        cache.remember(caller(cache, token))
    cache.recall(b"1")
    cache.remember(caller(cache, b"4"))
    assert [token for token in (b"1", b"2", b"3", b"4") if cache.recall(token)] == [b"1", b"3", b"4"]


def test_flush(time: Time) -> None:
    cache = time.cache()
    cache.remember(caller(cache))
    cache.flush()
    assert cache.recall(b"t") is None


def test_a_new_ttl_forgets(time: Time) -> None:
    cache = time.cache()
    cache.remember(caller(cache))
    cache.set_ttl(1)
    assert cache.recall(b"t") is None


def test_fingerprints_are_of_the_whole_token_and_of_this_process(time: Time) -> None:
    """JK07: a digest of all bytes, under a random key."""
    cache = time.cache()
    prints = {cache.fingerprint(token) for token in (b"a" * 700, b"a" * 699 + b"b", b"b" + b"a" * 699, b"")}
    assert len(prints) == 4
    assert {len(fingerprint) for fingerprint in prints} == {32}
    assert cache.fingerprint(b"t") == cache.fingerprint(b"t") != time.cache().fingerprint(b"t")
