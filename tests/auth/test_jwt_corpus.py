"""Every token of ``jwt_cases.json`` gets the verdict that policy demands."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from auth.jwt_gen import build, load

from kubeoidcproxy.auth.jwks import parse_jwks
from kubeoidcproxy.auth.keyset import KeySet, UnusableKeys
from kubeoidcproxy.auth.mapping import ClaimMapping, groups_claim, required_claim, username_claim
from kubeoidcproxy.auth.verification import NeedsKeys, Trust, examine, prove
from kubeoidcproxy.errors import Rejection
from kubeoidcproxy.identity import Caller

CASES = {case["id"]: case for case in load()}

# Why a case is not run here. Nothing is left out silently: test_no_case_is_left_out holds the list against the corpus.
SKIPPED = {
    "JH41": "no configuration key demands azp",
    "JI64": "extra claims need CEL",
}
SCENARIOS = {name for name, case in CASES.items() if case.get("scenario")}  # test_cache.py and test_authenticator.py


def trust_for(case: dict[str, Any]) -> Trust:
    config = {**case["_defaults"]["config"], **case.get("config", {})}
    required = config.get("required_claims", {})
    return Trust(
        config["issuer"],
        (config["audience"],),
        ClaimMapping(
            username_claim(config["username_claim"], config["username_prefix"]),
            groups_claim(config["groups_claim"], config["groups_prefix"]),
            claim_checks=tuple(required_claim(name, value) for name, value in required.items()),
        ),
        tuple(sorted(config["algs"])),
    )


def keys_of(jwks: dict[str, Any]) -> KeySet:
    try:
        return parse_jwks(json.dumps(jwks).encode())
    except UnusableKeys:
        return KeySet(())


def verdict(case: dict[str, Any]) -> Caller | NeedsKeys | Rejection:
    now = time.time()
    token, jwks = build(case, now)
    trust = trust_for(case)
    try:
        claimed = examine(token.encode("utf-8", "surrogatepass"), {trust.issuer: trust}, now)
        return prove(claimed, keys_of(jwks), b"fingerprint")
    except Rejection as rejection:
        return rejection


@pytest.mark.parametrize("name", [name for name in CASES if name not in SCENARIOS])
def test_verdict(name: str) -> None:
    """The corpus says accept or reject, with which status, and as whom."""
    if name in SKIPPED:
        pytest.skip(SKIPPED[name])
    case = CASES[name]
    outcome = verdict(case)
    if case["expect"] == "accept":
        assert isinstance(outcome, Caller), outcome
        assert outcome.user.username == case.get("user", "oidc:alice")
        assert list(outcome.user.groups) == case.get("groups", ["oidc:dev"])
    elif isinstance(outcome, Caller):
        assert case.get("alt", "").startswith("accept"), outcome
    else:
        expected = case.get("status", [401])
        status = 401 if isinstance(outcome, NeedsKeys) else outcome.status
        assert status in expected
        assert "\n" not in outcome.detail
        assert isinstance(outcome, NeedsKeys) or status == 403 or "Unauthorized" in outcome.message


def test_no_case_is_left_out() -> None:
    """What is not run is named, and only while the corpus has it."""
    assert set(SKIPPED) <= set(CASES)
    assert len(SCENARIOS) + len(SKIPPED) < len(CASES) / 10


def test_only_an_unknown_kid_asks_for_keys() -> None:
    """No case causes a fetch but those whose issuer, audience and times are good and whose kid is not published."""
    asking = {name for name in CASES if name not in SCENARIOS and isinstance(verdict(CASES[name]), NeedsKeys)}
    assert {CASES[name]["cat"] for name in asking} <= {"header", "jwks-content"}
