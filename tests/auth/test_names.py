"""Policy row "names", and law 3: which names may go upstream."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubeoidcproxy.auth.names import AllowedNames, admit
from kubeoidcproxy.errors import Rejection
from kubeoidcproxy.identity import UserInfo

NONE = AllowedNames()
BAD = ["a\r\nb", "a\0", "a\x7f", "a\x85b", "a\x9f", " a", "a ", "\ta", "a\u00a0", "\u3000a", "a\ud800", "a\n", "\x1ba"]


def status(user: UserInfo, allowed: AllowedNames = NONE) -> int:
    """0 where the user is let through."""
    try:
        admit(user, allowed)
    except Rejection as rejection:
        return rejection.status
    return 0


@pytest.mark.parametrize("name", [*BAD, "", " ", "\u00a0"])
def test_names_that_cannot_be_sent(name: str) -> None:
    """401, wherever in the user they are."""
    assert status(UserInfo(name)) == 401
    assert status(UserInfo("a", (name,))) == 401
    assert status(UserInfo("a", ("b", name))) == 401
    if name:
        assert status(UserInfo("a", uid=name)) == 401
        assert status(UserInfo("a", extra=(("k", ("v", name)),))) == 401


@pytest.mark.parametrize("name", ["alice", "Grüße", "日本", "a b", "a,b", "a😀", "repo:o/r:ref:refs/heads/main", 'a"b'])
def test_names_that_can(name: str) -> None:
    assert admit(UserInfo(name, (name,), name, (("k", (name,)),)), NONE).username == name


@pytest.mark.parametrize("name", ["system:admin", "system:anonymous", "system:serviceaccount:kube-system:x", "system:"])
def test_reserved_users(name: str) -> None:
    """403 unless the issuer may give just this name."""
    assert status(UserInfo(name)) == 403
    assert status(UserInfo(name), AllowedNames(groups=frozenset({name}))) == 403
    assert status(UserInfo(name), AllowedNames(users=frozenset({name}))) == 0


@pytest.mark.parametrize("name", ["system:masters", "system:unauthenticated", "system:nodes"])
def test_reserved_groups(name: str) -> None:
    assert status(UserInfo("a", ("b", name))) == 403
    assert status(UserInfo("a", (name,)), AllowedNames(users=frozenset({name}))) == 403
    assert status(UserInfo("a", (name,)), AllowedNames(groups=frozenset({name}))) == 0


def test_system_authenticated_is_ignored() -> None:
    """Everybody is in it; it is sent once, last, by whoever writes the headers."""
    assert admit(UserInfo("a", ("system:authenticated", "b")), NONE).groups == ("b",)
    assert status(UserInfo("system:authenticated")) == 403


@given(st.text(st.characters(codec=None, exclude_categories=()), max_size=6))
def test_what_passes_can_be_a_header(name: str) -> None:
    """No name that passes can end a header line, or be another after the blanks are trimmed."""
    if status(UserInfo(name, (name,))) == 0:
        sent = name.encode("utf-8")
        assert sent
        assert sent == sent.strip(b" \t")
        assert not any(byte < 0x20 or byte == 0x7F for byte in sent)
