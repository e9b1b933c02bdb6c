"""A client's own impersonation headers: nobody may, and what kube would not understand is malformed (policy P7)."""

from __future__ import annotations

import pytest

from kubeoidcproxy.errors import Rejection
from kubeoidcproxy.impersonation.inbound import refuse_inbound


def refusal(*fields: tuple[bytes, bytes]) -> Rejection:
    with pytest.raises(Rejection) as caught:
        refuse_inbound([(name, value, b"") for name, value in fields], "alice")
    return caught.value


def test_every_other_request_passes() -> None:
    refuse_inbound([(b"x-impersonate-user", b"bob", b""), (b"accept", b"impersonate-user", b"")], "alice")


def test_kubectl_as_is_forbidden_in_kubes_words() -> None:
    rejection = refusal((b"impersonate-user", b"bob"), (b"impersonate-group", b"dev"), (b"impersonate-extra-x", b"1"))
    assert rejection.status == 403
    assert rejection.message.startswith('users "bob" is forbidden: User "alice" cannot impersonate resource "users"')


@pytest.mark.parametrize(
    "fields",
    [
        [(b"impersonate-foo", b"1")],
        [(b"impersonate.user", b"bob")],
        [(b"impersonateuser", b"bob")],
        [(b"impersonate-user", b"bob"), (b"impersonate-later", b"1")],
        [(b"impersonate-group", b"dev")],
        [(b"impersonate-uid", b"1")],
        [(b"impersonate-user", b"")],
        [(b"impersonate-user", b"\xff")],
        [(b"impersonate-user", b"bob"), (b"impersonate-group", b"\xff")],
    ],
)
def test_what_kube_would_not_understand_is_400(fields: list[tuple[bytes, bytes]]) -> None:
    assert refusal(*fields).status == 400
