"""The whole of it, without the network: whatever the bytes, a caller, a rejection, or a wish for keys."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from auth.jwt_gen import b64, jwk
from auth.scripted import ISSUER, NOW, TRUST, token
from hypothesis import given, settings
from hypothesis import strategies as st

from kubeoidcproxy.auth.jwks import parse_jwks
from kubeoidcproxy.auth.keyset import KeySet
from kubeoidcproxy.auth.mapping import CREDENTIAL_ID, ClaimMapping, groups_claim, username_claim
from kubeoidcproxy.auth.names import AllowedNames
from kubeoidcproxy.auth.verification import NeedsKeys, Trust, examine, prove
from kubeoidcproxy.errors import Rejection
from kubeoidcproxy.identity import Caller

TRUSTS = {ISSUER: TRUST}
KEYS = parse_jwks(json.dumps({"keys": [jwk("rsa1"), jwk("ec256")]}).encode())
GOOD = token()


def verified(bearer: bytes, trusts: dict[str, Trust] = TRUSTS, keys: KeySet = KEYS) -> Caller | NeedsKeys:
    return prove(examine(bearer, trusts, NOW), keys, b"fingerprint")


def refusal(bearer: bytes, **options: Any) -> Rejection:
    with pytest.raises(Rejection) as caught:
        verified(bearer, **options)
    return caught.value


def test_a_caller() -> None:
    caller = verified(token(claims={"jti": "j"}))
    assert isinstance(caller, Caller)
    assert (caller.user.username, caller.user.extra) == ("oidc:alice", ())
    assert (caller.issuer, caller.fingerprint, caller.expires_at) == (ISSUER, b"fingerprint", NOW + 300)


def test_two_issuers_never_share_keys() -> None:
    """A token is verified with the keys of the issuer it names, whoever else's would fit (law 5)."""
    other = parse_jwks(json.dumps({"keys": [jwk("other1", kid="rsa1")]}).encode())
    assert refusal(GOOD, keys=other).message == "Unauthorized: invalid signature"


@pytest.mark.parametrize(
    ("bearer", "reason"),
    [
        (b"A" * 40000, "token is too large"),
        (b"a.b.c", "malformed token"),
        (b"", "malformed token"),
        (token(claims={"iss": None}), "the token names no issuer"),
        (token(claims={"iss": "https://evil.example"}), "the token's issuer is not known"),
        (token(claims={"aud": "x"}), "token is for another audience"),
        (token(claims={"exp": NOW - 1}), "token is expired"),
        (token(claims={"nbf": NOW + 61}), "token is not valid yet"),
        (token(key="ec384", alg="ES384"), "unsupported signature algorithm"),
        (token(sigpost=["flip", 0]), "invalid signature"),
        (token(claims={"preferred_username": ""}), "the user name in the token is empty"),
        (token(claims={"preferred_username": None}), "the token's claims do not fit the configuration"),
    ],
)
def test_the_client_learns_the_class(bearer: bytes, reason: str) -> None:
    """Short, with the word that kubectl's users know, and nothing of the token in it."""
    rejection = refusal(bearer)
    assert rejection.status == 401
    assert rejection.message == f"Unauthorized: {reason}"


def test_cheap_before_expensive() -> None:
    """Of several faults the one that costs least to find is told: the rest was not looked at."""
    faults: list[dict[str, Any]] = [
        {"preferred_username": ""},
        {"exp": 1},
        {"aud": "x"},
        {"iss": "https://evil.example"},
    ]
    told = []
    for number in range(len(faults)):
        claims = {name: value for fault in faults[: number + 1] for name, value in fault.items()}
        told.append(refusal(token(claims=claims, sigpost=["flip", 0])).message)
    reasons = ["invalid signature", "token is expired", "token is for another audience"]
    assert told == [f"Unauthorized: {reason}" for reason in [*reasons, "the token's issuer is not known"]]


def test_needs_keys() -> None:
    """Only a token that would else be good, for a kid that is not known or, without one, for no key at hand."""
    assert verified(token(key="other1")) == NeedsKeys(ISSUER, "other1", outcome_detail("other1"))
    unnamed = verified(token(key="other1", header={"kid": None}))
    assert isinstance(unnamed, NeedsKeys)
    assert unnamed.kid is None
    assert isinstance(verified(token(header={"kid": None})), Caller)


def outcome_detail(kid: str) -> str:
    text = "oidc: verify token: failed to verify signature: failed to verify id token signature"
    return f'{text} (no key for kid "{kid}")'


def test_a_reserved_name() -> None:
    """403: the token is good. With a prefix it is another name; and an issuer may be allowed to give it."""
    bearer = token(claims={"groups": ["system:masters"]})
    mapping = ClaimMapping(username_claim("sub", ""), groups_claim("groups", ""))
    assert refusal(bearer, trusts={ISSUER: Trust(ISSUER, ("kube",), mapping, ("RS256",))}).status == 403
    assert isinstance(verified(bearer), Caller)
    allowed = AllowedNames(groups=frozenset({"system:masters"}))
    caller = verified(bearer, {ISSUER: Trust(ISSUER, ("kube",), mapping, ("RS256",), allowed_names=allowed)})
    assert isinstance(caller, Caller)
    assert caller.user.groups == ("system:masters",)


def test_credential_id_on_demand() -> None:
    trust = Trust(ISSUER, ("kube",), TRUST.mapping, ("RS256",), credential_id=True)
    caller = verified(token(claims={"jti": "j"}), {ISSUER: trust})
    assert isinstance(caller, Caller)
    assert caller.user.extra == ((CREDENTIAL_ID, ("JTI=j",)),)


def test_google() -> None:
    """The one issuer whose tokens may name it without a scheme."""
    url = "https://accounts.google.com"
    google = {url: Trust(url, ("kube",), TRUST.mapping, ("RS256",))}
    caller = verified(token(claims={"iss": "accounts.google.com"}), google)
    assert isinstance(caller, Caller)
    assert caller.issuer == url


@given(st.binary(max_size=200))
@settings(max_examples=300, deadline=None)
def test_arbitrary_bytes(data: bytes) -> None:
    with pytest.raises(Rejection):
        verified(data)


@given(st.integers(0, len(GOOD) - 1), st.integers(0, 255), st.sampled_from(["replace", "insert", "delete", "cut"]))
@settings(max_examples=500, deadline=None)
def test_mutated_tokens(position: int, byte: int, operation: str) -> None:
    """No change of one byte is accepted, and none is worse than a rejection."""
    tails = {"replace": position + 1, "insert": position, "delete": position + 1, "cut": len(GOOD)}
    middle = bytes([byte]) if operation in ("replace", "insert") else b""
    mutated = GOOD[:position] + middle + GOOD[tails[operation] :]
    if mutated == GOOD:
        return
    with contextlib.suppress(Rejection):
        assert isinstance(verified(mutated), NeedsKeys)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
NAMES = ["iss", "aud", "exp", "nbf", "iat", "sub", "jti", "preferred_username", "groups", "_claim_names", "nonce"]


@given(
    st.dictionaries(st.sampled_from(["alg", "kid", "typ", "crit", "jwk"]), JSON),
    st.dictionaries(st.sampled_from(NAMES), JSON),
)
@settings(max_examples=500, deadline=None)
def test_any_header_and_claims(header: dict[str, Any], claims: dict[str, Any]) -> None:
    """Values of every kind at every place."""
    good = {"iss": ISSUER, "aud": "kube", "exp": NOW + 10, "preferred_username": "a"}
    parts = [{"alg": "RS256", "kid": "rsa1", **header}, {**good, **claims}]
    bearer = ".".join([*(b64(json.dumps(part).encode()) for part in parts), "AAAA"]).encode()
    with contextlib.suppress(Rejection):
        assert isinstance(verified(bearer), NeedsKeys)


@given(st.dictionaries(st.sampled_from(NAMES), JSON))
@settings(max_examples=300, deadline=None)
def test_any_signed_claims(claims: dict[str, Any]) -> None:
    """The issuer itself may sign nonsense; it then names nobody, or somebody whose name can be sent."""
    with contextlib.suppress(Rejection):
        caller = verified(token(claims={"iss": ISSUER, **claims}))
        assert isinstance(caller, Caller)
        assert caller.user.username.isprintable() or caller.user.username.encode("utf-8")
