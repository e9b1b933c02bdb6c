"""The front door, with a scripted issuer and a Clock for wall and monotonic time alike."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from auth.jwt_gen import RING, b64, jwk
from auth.scripted import ACCEPTED, ISSUER, NOW, ORIGIN, TRUST, ScriptedIssuer, token
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import LogEvent, globalLogPublisher

from kubeoidcproxy.auth.authenticator import OIDCAuthenticator
from kubeoidcproxy.auth.sources import source_opener
from kubeoidcproxy.auth.trust import AcceptedIssuer, KeptIn
from kubeoidcproxy.auth.verification import Trust
from kubeoidcproxy.errors import Rejection
from kubeoidcproxy.identity import Caller
from kubeoidcproxy.interfaces import Authenticator


class Room:
    """An authenticator over one scripted issuer, and the time."""

    def __init__(self, **options: Any) -> None:
        self.clock = Clock()
        self.clock.advance(NOW)
        self.issuer = ScriptedIssuer()
        options = {"wall": self.clock.seconds, "monotonic": self.clock.seconds, **options}
        self.authenticator = OIDCAuthenticator([ACCEPTED], self.issuer.opener(self.clock), **options)

    def ask(self, bearer: bytes) -> Caller | Rejection | None:
        """The outcome, None while it is open."""
        return outcome(self.authenticator.authenticate(bearer))


def outcome(deferred: Deferred[Caller]) -> Caller | Rejection | None:
    results: list[Any] = []
    deferred.addCallbacks(results.append, lambda failure: results.append(failure.value))
    return results[0] if results else None


def refusal(result: Caller | Rejection | None, status: int) -> Rejection:
    assert isinstance(result, Rejection), result
    assert result.status == status
    return result


@pytest.fixture
def room() -> Room:
    room = Room()
    room.authenticator.start()
    return room


def test_a_good_token(room: Room) -> None:
    """The caller is who the claims say, and is known again without a Deferred."""
    contract: Authenticator = room.authenticator
    bearer = token(claims={"jti": "j1", "aud": ["kube", "other"]})
    assert contract.recall(bearer) is None
    caller = room.ask(bearer)
    assert isinstance(caller, Caller)
    assert (caller.user.username, caller.user.groups) == ("oidc:alice", ("oidc:dev",))
    assert (caller.issuer, caller.audiences, caller.subject) == (ISSUER, ("kube", "other"), "u-123")
    assert (caller.token_id, caller.expires_at) == ("j1", NOW + 300)
    assert len(caller.fingerprint) == 32
    assert contract.recall(bearer) is caller


def test_before_the_issuer_is_known() -> None:
    """503 with Retry-After, not 401: kubectl would start a login that cannot help."""
    room = Room()
    room.issuer.failure = "connection refused"
    room.authenticator.start()
    assert refusal(room.ask(token()), 503).retry_after == 10
    assert room.authenticator.issuers()[0][:2] == (ISSUER, False)
    room.issuer.failure = None
    room.clock.advance(10)
    assert isinstance(room.ask(token(NOW + 10)), Caller)
    assert room.authenticator.issuers()[0].ready


def test_requests_wait_for_the_first_fetch() -> None:
    """Keys that are on their way are waited for, 5 s at most."""
    room = Room()
    room.issuer.silent = True
    room.authenticator.start()
    early, late = room.authenticator.authenticate(token()), room.authenticator.authenticate(token())
    early.addErrback(lambda _: None)
    early.cancel()
    room.issuer.speak()
    assert isinstance(outcome(late), Caller)


def test_a_new_kid(room: Room) -> None:
    """Held until the keys are there; then as any other."""
    room.issuer.publish("other1")
    assert isinstance(room.ask(token(key="other1")), Caller)
    refusal(room.ask(token()), 401)


def test_a_kid_that_nobody_publishes(room: Room) -> None:
    """One fetch, and 401; no second fetch within half a minute."""
    for _ in range(50):
        assert "Unauthorized" in refusal(room.ask(token(key="evil")), 401).message
    assert room.issuer.key_fetches == 2


def test_a_new_kid_while_the_issuer_is_down(room: Room) -> None:
    """503: whether the key is good, nobody can say now. Tokens of known keys go on."""
    room.issuer.failure = "connection refused"
    refusal(room.ask(token(key="evil")), 503)
    assert isinstance(room.ask(token()), Caller)


def test_a_key_replaced_under_its_name(room: Room) -> None:
    """O34: a bad signature of a known kid fetches nothing; the next refresh brings the key."""
    room.issuer.publish(jwk("other1", kid="rsa1"))
    bearer = token(NOW, key="other1", header={"kid": "rsa1"}, claims={"exp": NOW + 9000})
    refusal(room.ask(bearer), 401)
    assert room.issuer.key_fetches == 1
    room.clock.advance(600)
    assert isinstance(room.ask(bearer), Caller)


@pytest.mark.parametrize(
    "claims",
    [{"iss": "https://evil.example"}, {"aud": "x"}, {"exp": NOW - 1}, {"nbf": NOW + 3600}, {"iss": ISSUER + "/"}],
)
def test_not_for_us(room: Room, claims: dict[str, Any]) -> None:
    """O51: whatever kid it has, a token with a wrong issuer, audience or time fetches nothing."""
    refusal(room.ask(token(key="evil", claims=claims)), 401)
    assert room.issuer.key_fetches == 1


def test_flood_of_bad_signatures(room: Room) -> None:
    """O52: known kid, bad signature: no fetch."""
    for _ in range(20):
        refusal(room.ask(token(sigpost=["flip", -1])), 401)
    assert room.issuer.key_fetches == 1


def test_too_large(room: Room) -> None:
    """401 before anything is read."""
    assert "too large" in refusal(room.ask(b"A" * 32769), 401).message


def test_a_withdrawn_key(room: Room) -> None:
    """JK03: callers by a key that is withdrawn die with it."""
    bearer = token(claims={"exp": NOW + 9000})
    room.authenticator.replace([ACCEPTED], token_cache_ttl=3600)
    room.ask(bearer)
    room.issuer.publish("ec256")
    room.clock.advance(599)
    assert room.authenticator.recall(bearer)
    room.clock.advance(1)
    assert room.authenticator.recall(bearer) is None
    refusal(room.ask(bearer), 401)


def test_another_token_is_another_entry(room: Room) -> None:
    """JK04 JK05: with another signature, or another header, nothing is recalled."""
    good = token()
    room.ask(good)
    header, payload, signature = good.split(b".")
    other = base64.urlsafe_b64encode(b"0" * 256).rstrip(b"=")
    for bad in (
        b".".join((header, payload, other)),
        b".".join((b64(b'{"alg":"none"}').encode(), payload, signature)),
        good + b"A",
        good[:-1],
    ):
        assert room.authenticator.recall(bad) is None
        refusal(room.ask(bad), 401)


def test_replace_keeps_the_keys_of_an_issuer(room: Room) -> None:
    """A reload with other rules fetches nothing anew, and verifies everybody anew."""
    bearer = token()
    room.ask(bearer)
    stricter = AcceptedIssuer(Trust(ISSUER, ("other",), TRUST.mapping, TRUST.algorithms), ORIGIN)
    room.authenticator.replace([stricter])
    assert room.authenticator.recall(bearer) is None
    refusal(room.ask(bearer), 401)
    assert room.issuer.key_fetches == 1


def test_replace_removes_and_adds(room: Room) -> None:
    """An issuer that is gone is unknown and its fetches have ended; one that is new is fetched at once."""
    bearer = token()
    room.authenticator.replace([])
    refusal(room.ask(bearer), 401)
    assert not [call for call in room.clock.getDelayedCalls() if call.active()]
    assert room.authenticator.issuers() == ()
    room.authenticator.replace([ACCEPTED])
    assert isinstance(room.ask(bearer), Caller)


def test_replace_while_a_token_waits() -> None:
    """A token that waits for keys is judged by the rules that hold when they come."""
    room = Room()
    room.issuer.silent = True
    room.authenticator.start()
    waiting = room.authenticator.authenticate(token())
    room.authenticator.replace([])
    refusal(outcome(waiting), 401)


def test_refresh_on_demand(room: Room) -> None:
    """O33: keys are fetched now, and everybody is verified anew."""
    bearer = token()
    room.ask(bearer)
    room.issuer.publish("ec256")
    room.authenticator.refresh()
    assert room.authenticator.recall(bearer) is None
    refusal(room.ask(bearer), 401)


def test_no_cache() -> None:
    """With a TTL of 0 every request is verified."""
    room = Room(token_cache_ttl=0)
    room.authenticator.start()
    bearer = token()
    assert isinstance(room.ask(bearer), Caller)
    assert room.authenticator.recall(bearer) is None


def test_the_log_has_the_reason_and_no_token(room: Room) -> None:
    """Law 10; and what a stranger wrote cannot make a line of its own."""
    events: list[LogEvent] = []
    globalLogPublisher.addObserver(events.append)
    bearer = token(claims={"aud": "x\n2026 [root] all is well \x1b[2J"})
    try:
        message = refusal(room.ask(bearer), 401).message
    finally:
        globalLogPublisher.removeObserver(events.append)
    (event,) = (event for event in events if event.get("status") == 401)
    assert r'expected audience "kube" got ["x\n2026 [root] all is well \x1b[2J"]' in event["detail"]
    assert not any(part in str(event) + message for part in bearer.decode().split("."))
    assert "\n" not in event["detail"]


@pytest_twisted.ensureDeferred
async def test_keys_from_a_file(tmp_path: Path) -> None:
    """A pipeline's own key: read at start and when the file has changed; the kid says nothing; maxTokenAge holds."""
    file = tmp_path / "pipeline.pem"
    write_public_key(file, "rsa1")
    clock = Clock()
    clock.advance(NOW)
    trust = Trust(ISSUER, ("kube",), TRUST.mapping, ("RS256",), max_age=600)
    accepted = AcceptedIssuer(trust, KeptIn(ISSUER, file, "public keys"))
    authenticator = OIDCAuthenticator([accepted], source_opener(clock), wall=clock.seconds, monotonic=clock.seconds)
    authenticator.start()
    good = token(header={"kid": "whatever"})
    assert isinstance(outcome(authenticator.authenticate(good)), Caller)
    assert authenticator.key_files() == (file,)
    refusal(outcome(authenticator.authenticate(token(claims={"exp": NOW + 601}))), 401)
    write_public_key(file, "other1")
    await authenticator.reload_key_files()
    assert authenticator.recall(good) is None
    refusal(outcome(authenticator.authenticate(good)), 401)
    assert isinstance(outcome(authenticator.authenticate(token(key="other1"))), Caller)


def test_a_missing_file_is_no_keys(tmp_path: Path) -> None:
    """503, as for an issuer that cannot be reached."""
    accepted = AcceptedIssuer(TRUST, KeptIn(ISSUER, tmp_path / "none.pem", "public keys"))
    authenticator = OIDCAuthenticator([accepted], source_opener(Clock()), wall=lambda: NOW)
    authenticator.start()
    refusal(outcome(authenticator.authenticate(token())), 503)
    assert not authenticator.issuers()[0].ready


def write_public_key(file: Path, name: str) -> None:
    file.write_bytes(RING[name].public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
