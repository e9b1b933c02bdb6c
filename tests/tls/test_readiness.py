"""Many sockets in one event of the reactor."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest
from twisted.internet.interfaces import IReactorFDSet
from zope.interface import implementer

from kubeoidcproxy.tls.readiness import SharedEpoll, shared_readiness


@implementer(IReactorFDSet)
class Reactor:
    """Says once what is to be read."""

    def __init__(self) -> None:
        self.readers: list[Any] = []

    def addReader(self, reader: Any) -> None:
        self.readers.append(reader)

    def _not_called(self, *arguments: Any) -> Any:
        raise NotImplementedError

    addWriter = removeReader = removeWriter = removeAll = getReaders = getWriters = callLater = _not_called


class Descriptor:
    """A socket that writes down what it hears, and may do something then."""

    def __init__(self, plain: socket.socket) -> None:
        self.plain = plain
        self.fileno = plain.fileno
        self.heard: list[str] = []
        self.then: Any = None

    def doRead(self) -> None:
        self.heard.append("read")
        if self.then is not None:
            self.then()

    def doWrite(self) -> None:
        self.heard.append("write")

    def connectionLost(self, reason: Any) -> None:
        self.heard.append("lost")


@pytest.fixture
def epoll() -> SharedEpoll:
    return SharedEpoll(Reactor())


@pytest.fixture
def pairs() -> Iterator[list[tuple[Descriptor, socket.socket]]]:
    made = [socket.socketpair() for _ in range(3)]
    yield [(Descriptor(ours), theirs) for ours, theirs in made]
    for pair in made:
        for plain in pair:
            plain.close()


def test_the_reactor_hears_once_for_all(epoll: SharedEpoll, pairs: list[tuple[Descriptor, socket.socket]]) -> None:
    for descriptor, peer in pairs:
        epoll.addReader(descriptor)
        peer.send(b"x")
    epoll.doRead()
    assert [descriptor.heard for descriptor, _ in pairs] == [["read"]] * 3


def test_each_hears_only_what_it_wants(epoll: SharedEpoll, pairs: list[tuple[Descriptor, socket.socket]]) -> None:
    (reading, peer), (writing, _), (neither, other) = pairs
    epoll.addReader(reading)
    epoll.addWriter(writing)
    epoll.addReader(neither)
    epoll.addReader(neither)
    epoll.removeReader(neither)
    epoll.removeWriter(neither)
    for plain in (peer, other):
        plain.send(b"x")
    epoll.doRead()
    assert (reading.heard, writing.heard, neither.heard) == (["read"], ["write"], [])
    epoll.addWriter(reading)
    epoll.removeReader(reading)
    epoll.doRead()
    assert reading.heard == ["read", "write"]


def test_one_that_is_ended_by_another_is_not_served(
    epoll: SharedEpoll, pairs: list[tuple[Descriptor, socket.socket]]
) -> None:
    def end_all() -> None:
        for each, _ in pairs:
            epoll.removeReader(each)

    for descriptor, peer in pairs:
        epoll.addReader(descriptor)
        peer.send(b"x")
        descriptor.then = end_all
    epoll.doRead()
    assert sorted(len(descriptor.heard) for descriptor, _ in pairs) == [0, 0, 1]


def test_one_that_is_paused_by_another_is_neither_read_nor_lost(
    epoll: SharedEpoll, pairs: list[tuple[Descriptor, socket.socket]]
) -> None:
    def pause_the_others() -> None:
        for other, _ in pairs:
            if not other.heard or other.heard[-1] != "read":
                epoll.addWriter(other)
                epoll.removeReader(other)

    for descriptor, peer in pairs:
        epoll.addReader(descriptor)
        peer.send(b"x")
        descriptor.then = pause_the_others
    epoll.doRead()
    assert sorted(descriptor.heard for descriptor, _ in pairs) == [[], [], ["read"]]


def test_a_hang_up_is_read(epoll: SharedEpoll, pairs: list[tuple[Descriptor, socket.socket]]) -> None:
    descriptor, peer = pairs[0]
    epoll.addReader(descriptor)
    peer.close()
    epoll.doRead()
    assert descriptor.heard == ["read"]


def test_a_hang_up_that_nobody_would_read_is_the_end(
    epoll: SharedEpoll, pairs: list[tuple[Descriptor, socket.socket]]
) -> None:
    descriptor, peer = pairs[0]
    epoll.addWriter(descriptor)
    peer.close()
    epoll.doRead()
    assert descriptor.heard == ["write", "lost"]


def test_one_that_fails_is_lost_and_the_others_are_served(
    epoll: SharedEpoll, pairs: list[tuple[Descriptor, socket.socket]]
) -> None:
    def fail() -> None:
        raise RuntimeError

    pairs[0][0].then = fail
    for descriptor, peer in pairs:
        epoll.addReader(descriptor)
        peer.send(b"x")
    epoll.doRead()
    assert [descriptor.heard for descriptor, _ in pairs] == [["read", "lost"], ["read"], ["read"]]


def test_a_reactor_has_one_and_a_stand_in_is_its_own() -> None:
    reactor = Reactor()
    shared = shared_readiness(reactor)
    assert shared_readiness(reactor) is shared
    assert reactor.readers == [shared]
    nothing = object()
    assert shared_readiness(nothing) is nothing
