"""Tokens and verdicts of kube-apiserver's own code: the same user, and where it refuses, the same reason in our log."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml
from auth import mint

from kubeoidcproxy.auth.jwks import parse_jwks
from kubeoidcproxy.auth.keyset import KeySet, UnusableKeys
from kubeoidcproxy.auth.trust import trust_of_issuer
from kubeoidcproxy.auth.verification import NeedsKeys, Trust, examine, prove
from kubeoidcproxy.config.kube_decode import configuration
from kubeoidcproxy.errors import Rejection
from kubeoidcproxy.identity import Caller

ALL, CONFIGS, VALUES, KEYS = mint.load()
CASES = {case["id"]: case for case in ALL}
NEEDS_CEL = {name for name, case in CASES.items() if re.search("xpression", CONFIGS[case["config"]])}

# Reasons whose words are those of Go's JSON, base64 and HTTP readers, or name a year that Python cannot.
GOS_WORDS = re.compile(
    "malformed jwt|invalid number|out of range|Number|distributed claim|fetching keys|_claim|Expiry: 292277026596"
)
OURS = re.compile("malformed jwt|in another case")


def trusts_for(case: dict[str, Any]) -> dict[str, Trust]:
    text = mint.expand(CONFIGS[case["config"]], VALUES).decode()
    trusts = [trust_of_issuer(jwt, credential_id=True) for jwt in configuration(yaml.safe_load(text)).jwt]
    return {trust.issuer: trust for trust in trusts}


def keys_for(case: dict[str, Any]) -> KeySet:
    try:
        return parse_jwks(KEYS["jwks"][case["jwks"]].encode())
    except UnusableKeys:
        return KeySet(())


def outcome_of(case: dict[str, Any]) -> Caller | str:
    try:
        token = mint.token(case, VALUES, KEYS).encode()
        claimed = examine(token, trusts_for(case), VALUES["now"])
        outcome = prove(claimed, keys_for(case), b"fingerprint")
    except Rejection as rejection:
        return rejection.detail
    return outcome.detail if isinstance(outcome, NeedsKeys) else outcome


@pytest.mark.parametrize("name", [name for name in CASES if name not in NEEDS_CEL])
def test_verdict(name: str) -> None:
    """What kube authenticates is authenticated as the same user, unless the corpus names a stricter rule of ours."""
    case = CASES[name]
    outcome = outcome_of(case)
    if case["verdict"] == "authenticated":
        if isinstance(outcome, str):
            assert case.get("stricter"), outcome
            return
        user = case["user"]
        assert (outcome.user.username, outcome.user.uid) == (user["name"], user["uid"])
        assert list(outcome.user.groups) == [group for group in user["groups"] if group != "system:authenticated"]
        assert {key: list(values) for key, values in outcome.user.extra} == user["extra"]
    elif not isinstance(outcome, str):
        assert case.get("laxer"), outcome
    elif case["verdict"] == "error" and not GOS_WORDS.search(case["error"]) and not OURS.search(outcome):
        assert any(outcome.startswith(text) for text in case.get("error_any_of", [case["error"]])), outcome


def test_most_cases_need_no_cel() -> None:
    """The corpus is used: what waits for CEL is less than half of it."""
    assert len(NEEDS_CEL) < len(CASES) * 0.55
