"""Who may connect."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from kubeoidcproxy.limits import RESERVED, ConnectionLimits, Turnstile, most_clients


def test_no_limit_lets_everybody_in() -> None:
    turnstile = Turnstile(ConnectionLimits())
    assert all(turnstile.enter("10.0.0.1") for _ in range(1000))
    assert (turnstile.inside, turnstile.refused) == (1000, 0)


def test_one_address_cannot_take_all() -> None:
    turnstile = Turnstile(ConnectionLimits(total=3, per_address=2))
    assert [turnstile.enter("10.0.0.1") for _ in range(3)] == [True, True, False]
    assert [turnstile.enter("10.0.0.2") for _ in range(2)] == [True, False]
    turnstile.leave("10.0.0.1")
    assert turnstile.enter("10.0.0.2")
    assert turnstile.refused == 2


def test_limits_may_change_while_people_are_in() -> None:
    turnstile = Turnstile(ConnectionLimits())
    for _ in range(5):
        turnstile.enter("10.0.0.1")
    turnstile.limits = ConnectionLimits(total=5)
    assert not turnstile.enter("10.0.0.2")
    turnstile.leave("10.0.0.1")
    assert turnstile.enter("10.0.0.2")


def test_every_client_may_need_two_descriptors() -> None:
    assert most_clients(1024, idle_upstream=0) == (1024 - RESERVED) // 2
    assert most_clients(1024, idle_upstream=100) == (1024 - RESERVED - 100) // 2


def test_one_client_is_served_however_few_descriptors_there_are() -> None:
    assert most_clients(64, idle_upstream=0) == 1


@given(st.lists(st.tuples(st.booleans(), st.sampled_from(["a", "b", "c"])), max_size=60))
def test_the_count_is_right_whatever_happens(steps: list[tuple[bool, str]]) -> None:
    turnstile = Turnstile(ConnectionLimits(total=4, per_address=2))
    inside: list[str] = []
    for enters, address in steps:
        if enters:
            allowed = len(inside) < 4 and inside.count(address) < 2
            assert turnstile.enter(address) == allowed
            if allowed:
                inside.append(address)
        elif address in inside:
            inside.remove(address)
            turnstile.leave(address)
        assert turnstile.inside == len(inside)
