"""Keys kept fresh: the scenarios of ``oidc_faults.json`` against a Clock and a scripted issuer."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import pytest
from auth.jwt_gen import jwk
from auth.scripted import DISCOVERY, ISSUER, JWKS, ScriptedIssuer
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from kubeoidcproxy.auth.fetching import Answer
from kubeoidcproxy.auth.keys import PublishedKeys
from kubeoidcproxy.auth.waiting import MOST_HELD
from kubeoidcproxy.errors import Rejection

FAULTS = {
    case["id"]: case
    for case in json.loads((Path(__file__).parent.parent / "data" / "oidc_faults.json").read_text())["cases"]
}
# Where each scenario is tested; the test names it in its docstring.
TESTED_IN = {
    "test_keys.py": "O01 O03 O05 O06 O07 O08 O09 O11 O12 O15 O18 O19 O24 O30 O31 O33 O35 O36 O37 O39 O40 O53 O54 O60 "
    "O62 O64",
    "test_fetching.py": "O04 O20 O23",
    "test_authenticator.py": "O34 O51 O52",
}
NOT_TESTED = {
    "O10": "the configuration refuses such an issuer (tests/config)",
    "O63": "keys.cacheDirectory is not served yet",
    "O66": "egress.proxyURL is not served yet",
}


def fired(deferred: Deferred[None]) -> bool:
    return bool(deferred.called)


def renewal(source: PublishedKeys, kid: str | None) -> Deferred[None]:
    return Deferred.fromCoroutine(source.renewed(kid))


def rejection(deferred: Deferred[None]) -> Rejection:
    caught: list[BaseException] = []
    deferred.addErrback(lambda failure: caught.append(failure.value))
    (error,) = caught
    assert isinstance(error, Rejection)
    return error


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def issuer() -> ScriptedIssuer:
    return ScriptedIssuer()


def started(issuer: ScriptedIssuer, clock: Clock, **options: float) -> PublishedKeys:
    source = issuer.source(clock, **options)
    source.start()
    return source


def test_every_scenario_has_a_test_or_a_reason() -> None:
    tested = {name for names in TESTED_IN.values() for name in names.split()}
    assert tested | set(NOT_TESTED) == set(FAULTS)
    here = Path(__file__).parent
    for file, names in TESTED_IN.items():
        text = (here / file).read_text()
        assert all(f'"""{name}' in text or f" {name}" in text for name in names.split())


@pytest.mark.parametrize(
    "failure",
    [
        "connection refused",
        Answer(500),
        Answer(503),
        Answer(404),
        Answer(200, {}, b"<html>login</html>"),
        Answer(200, {}, b"[]"),
        Answer(200, {}, b"[" * 1000000),
        Answer(302, {"location": "https://idp.example.test/other"}),
        Answer(302, {"location": "http://evil.example/"}),
    ],
)
def test_retries_until_the_issuer_answers(issuer: ScriptedIssuer, clock: Clock, failure: Answer | str) -> None:
    """O01 O05 O07 O08 O09 O18 O19: not ready, asked again after 10 s, doubling to 60 s, then ready without restart."""
    issuer.failure = failure
    source = started(issuer, clock)
    asked_at = [0.0]
    while len(asked_at) < 6:
        clock.advance(1)
        if len(issuer.asked) > len(asked_at):
            asked_at.append(clock.seconds())
    assert [b - a for a, b in pairwise(asked_at)] == [10, 20, 40, 60, 60]
    assert source.keys() is None
    ready, text = source.state()
    assert not ready
    assert text.startswith("no keys yet; the last fetch failed: ")
    if isinstance(failure, Answer) and failure.status != 200:
        assert DISCOVERY in text
    issuer.failure = None
    clock.advance(60)
    assert source.state() == (True, "2 keys, fetched 0 s ago")


def test_silence_ends_after_ten_seconds(issuer: ScriptedIssuer, clock: Clock) -> None:
    """O03: the whole fetch has a deadline, and the one that hangs is dropped before the next begins."""
    issuer.silent = True
    source = started(issuer, clock)
    clock.advance(9.9)
    assert not fired(issuer.unanswered[0])
    clock.advance(0.2)
    assert fired(issuer.unanswered[0])
    assert source.state() == (False, "no keys yet; the last fetch failed: timed out")
    clock.advance(10)
    assert len(issuer.asked) == 2


def test_retry_after_is_obeyed(issuer: ScriptedIssuer, clock: Clock) -> None:
    """O06: no fetch before the time the issuer asked for, not even for a token."""
    issuer.failure = Answer(429, {"retry-after": "30"})
    source = started(issuer, clock)
    renewal(source, "other1")
    clock.advance(29.9)
    assert len(issuer.asked) == 1
    clock.advance(0.2)
    assert len(issuer.asked) == 2


def test_retry_after_is_obeyed_for_unknown_kids(issuer: ScriptedIssuer, clock: Clock) -> None:
    """O06: an issuer that asked for peace has it from strangers' tokens, too, when the 30 s of their own are over."""
    source = started(issuer, clock, min_refresh_interval=1.0)
    issuer.failure = Answer(429, {"retry-after": "300"})
    clock.advance(600)
    asked = len(issuer.asked)
    for _ in range(299):
        renewal(source, "bogus")
        clock.advance(1)
    assert len(issuer.asked) == asked
    clock.advance(1)
    assert len(issuer.asked) > asked


@pytest.mark.parametrize("other", ["https://idp.example.test/realms/other", ISSUER + "/"])
def test_another_issuers_document(issuer: ScriptedIssuer, clock: Clock, other: str) -> None:
    """O11 O12: a document that names another issuer is refused, a slash being enough of a difference."""
    issuer.issuer = other
    ready, text = started(issuer, clock).state()
    assert not ready
    assert f'expected "{ISSUER}" got "{other}"' in text
    assert issuer.key_fetches == 0


def test_keys_on_another_host(issuer: ScriptedIssuer, clock: Clock) -> None:
    """O15 O24: keys may lie on any https host; nothing else in the document is read."""
    assert started(issuer, clock).state()[0]
    assert issuer.asked == [DISCOVERY, JWKS]


@pytest.mark.parametrize(
    "uri", ["http://keys.example.test/jwks", "https://169.254.169.254/jwks", "ftp://x", "", None, 5]
)
def test_keys_where_nobody_looks(issuer: ScriptedIssuer, clock: Clock, uri: str) -> None:
    """O15: no plain http, and no address of the machine's own neighbourhood."""
    issuer.jwks_uri = uri
    assert not started(issuer, clock).state()[0]
    assert issuer.asked == [DISCOVERY]


def test_refreshed_in_the_background(issuer: ScriptedIssuer, clock: Clock) -> None:
    """O30: a key published ahead of its use is there when it is used."""
    changes: list[None] = []
    source = issuer.source(clock, lambda: changes.append(None))
    source.start()
    issuer.publish("rsa1", "ec256", "other1")
    clock.advance(600)
    keys = source.keys()
    assert keys is not None
    assert keys.knows("other1")
    assert len(changes) == 2
    issuer.publish("other1")
    clock.advance(600)
    keys = source.keys()
    assert keys is not None
    assert not keys.knows("rsa1")


def test_unknown_kid_is_fetched_once(issuer: ScriptedIssuer, clock: Clock) -> None:
    """O31: a kid that appears at once causes one fetch, shared; the next unknown one may cause one after 30 s."""
    source = started(issuer, clock)
    issuer.publish("rsa1", "other1")
    issuer.silent = True
    waiting = [renewal(source, "other1") for _ in range(10)]
    assert issuer.key_fetches == 2
    issuer.speak()
    assert all(map(fired, waiting))
    keys = source.keys()
    assert keys is not None
    assert keys.knows("other1")
    for second in range(29):
        renewal(source, f"bogus{second}")
        clock.advance(1)
    assert issuer.key_fetches == 2
    clock.advance(1)
    renewal(source, "bogus")
    assert issuer.key_fetches == 3


def test_operator_forces_a_refresh(issuer: ScriptedIssuer, clock: Clock) -> None:
    """O33: fetched now, and the timer starts anew."""
    source = started(issuer, clock)
    issuer.publish("other1")
    source.refresh()
    assert source.state() == (True, "1 keys, fetched 0 s ago")
    assert len([call for call in clock.getDelayedCalls() if call.active()]) == 1


@pytest.mark.parametrize("body", [b'{"keys":[]}', b"{}", b"<html>", b'{"keys":[{"kty":"oct","k":"AA"}]}', b""])
def test_a_bad_set_never_replaces_a_good_one(issuer: ScriptedIssuer, clock: Clock, body: bytes) -> None:
    """O35: an empty or unreadable set leaves the old one in force, and says so."""
    source = started(issuer, clock)
    good = source.keys()
    issuer.body = body
    clock.advance(600)
    assert source.keys() is good
    assert source.failing
    assert "the last fetch failed" in source.state()[1]


def test_one_broken_key(issuer: ScriptedIssuer, clock: Clock) -> None:
    """O36: a broken key is left out, the good ones are used."""
    issuer.publish({"kty": "RSA", "n": "!", "e": "AQAB"}, "rsa1", {"kty": "FUTURE"})
    keys = started(issuer, clock).keys()
    assert keys is not None
    assert [key.kid for key in keys.keys] == ["rsa1"]
    assert len(keys.left_out) == 2


def test_keys_without_alg_and_use(issuer: ScriptedIssuer, clock: Clock) -> None:
    """O37: the key's type says enough."""
    issuer.publish(jwk("rsa1", alg=None, use=None))
    keys = started(issuer, clock).keys()
    assert keys is not None
    assert "PS512" in keys.keys[0].algorithms


@pytest.mark.parametrize(
    ("headers", "pause"),
    [
        ({"cache-control": "public, max-age=31536000"}, 600),
        ({"cache-control": "max-age=1"}, 60),
        ({"cache-control": "max-age=300", "age": "100"}, 200),
        ({"cache-control": "no-store"}, 60),
        ({}, 600),
    ],
)
def test_cache_control_is_clamped(issuer: ScriptedIssuer, clock: Clock, headers: dict[str, str], pause: int) -> None:
    """O39 O40: between one and ten minutes, whatever the issuer says."""
    issuer.headers = headers
    started(issuer, clock)
    clock.advance(pause - 1)
    assert issuer.key_fetches == 1
    clock.advance(1)
    assert issuer.key_fetches == 2


def test_not_modified(issuer: ScriptedIssuer, clock: Clock) -> None:
    """O40: a conditional GET; 304 keeps the keys and makes them young again."""
    issuer.headers = {"etag": '"1"'}
    source = started(issuer, clock)
    good = source.keys()
    clock.advance(600)
    assert issuer.conditions[-1]["If-None-Match"] == '"1"'
    assert source.keys() is good
    assert source.state() == (True, "2 keys, fetched 0 s ago")


def test_not_modified_says_nothing_of_keys_that_were_refused(issuer: ScriptedIssuer, clock: Clock) -> None:
    """O40 O62: new keys that could not be confirmed are read again, whatever their tag."""
    issuer.headers = {"etag": '"1"'}
    source = started(issuer, clock)
    issuer.headers = {"etag": '"2"'}
    issuer.publish("other1")
    issuer.issuer = "https://idp.example.test/realms/other"
    clock.advance(600)
    assert source.failing
    issuer.issuer = ISSUER
    clock.advance(10)
    keys = source.keys()
    assert keys is not None
    assert keys.knows("other1")


def test_first_requests_share_the_first_fetch(issuer: ScriptedIssuer, clock: Clock) -> None:
    """O53: a thousand requests at start wait for one fetch."""
    issuer.silent = True
    source = started(issuer, clock)
    waiting = [renewal(source, "rsa1") for _ in range(MOST_HELD)]
    issuer.speak()
    assert all(map(fired, waiting))
    assert issuer.asked == [DISCOVERY, JWKS]


def test_nobody_waits_longer_than_five_seconds(issuer: ScriptedIssuer, clock: Clock) -> None:
    """O54: 503 after 5 s in all, and at once for the one too many."""
    issuer.silent = True
    source = started(issuer, clock)
    waiting = [renewal(source, "rsa1") for _ in range(MOST_HELD)]
    assert rejection(renewal(source, "rsa1")).status == 503
    clock.advance(4.9)
    assert not any(map(fired, waiting))
    clock.advance(0.2)
    assert {rejection(deferred).status for deferred in waiting} == {503}


def test_outage(issuer: ScriptedIssuer, clock: Clock) -> None:
    """O60: keys at hand serve on until they are older than maxStale, and a new fetch makes them good again."""
    source = started(issuer, clock, max_stale=3600.0)
    issuer.failure = "connection refused"
    clock.pump([60] * 59)
    assert source.keys() is not None
    clock.pump([60] * 2)
    assert source.keys() is None
    assert source.state()[0] is False
    issuer.failure = None
    clock.advance(60)
    assert source.keys() is not None


def test_refreshed_within_a_third_of_max_stale(issuer: ScriptedIssuer, clock: Clock) -> None:
    """A short maxStale shortens the interval, so that one failure does not lock anybody out."""
    started(issuer, clock, max_stale=90.0)
    clock.advance(30)
    assert issuer.key_fetches == 2


def test_another_realms_keys(issuer: ScriptedIssuer, clock: Clock) -> None:
    """O62: keys that change are believed only while discovery still names the issuer."""
    source = started(issuer, clock)
    good = source.keys()
    issuer.publish("evil")
    issuer.issuer = "https://idp.example.test/realms/other"
    clock.advance(600)
    assert source.keys() is good
    assert "issuer did not match" in source.state()[1]


def test_keys_that_moved(issuer: ScriptedIssuer, clock: Clock) -> None:
    """A new jwks_uri is found, at the latest with the retry after the old one has failed."""
    source = started(issuer, clock)
    issuer.jwks_uri = "https://keys.example.test/new"
    clock.advance(600)
    assert source.failing
    clock.advance(10)
    assert not source.failing


def test_the_wall_clock_is_not_asked(issuer: ScriptedIssuer, clock: Clock) -> None:
    """O64: ages and intervals come from a monotonic clock of their own."""
    ages = Clock()
    source = issuer.source(clock, monotonic=ages.seconds, max_stale=60.0)
    source.start()
    clock.advance(15)
    assert source.keys() is not None
    ages.advance(61)
    assert source.keys() is None


def test_stop(issuer: ScriptedIssuer, clock: Clock) -> None:
    """Nothing is left running, and nobody is left waiting."""
    issuer.silent = True
    source = started(issuer, clock)
    waiter = renewal(source, "rsa1")
    source.stop()
    assert fired(waiter)
    assert not [call for call in clock.getDelayedCalls() if call.active()]
    source.refresh()
    assert len(issuer.asked) == 1


def test_a_waiter_who_leaves(issuer: ScriptedIssuer, clock: Clock) -> None:
    """A client that goes away frees its place and leaves the fetch to the others."""
    issuer.silent = True
    source = started(issuer, clock)
    gone, stays = renewal(source, "rsa1"), renewal(source, "rsa1")
    gone.addErrback(lambda _: None)
    gone.cancel()
    issuer.speak()
    assert fired(stays)
    assert source.keys() is not None
