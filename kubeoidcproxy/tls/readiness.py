"""Readiness of many sockets in one event of the reactor.

The reactor wraps every event of every descriptor in a log context, which costs as much as an SSL_read. An epoll
descriptor can itself be waited for (epoll(7)), so our sockets share one: the reactor hears of it once, and whatever is
ready by then is served in one go. Only public interfaces of the reactor are used.
"""

from __future__ import annotations

import select
from typing import Any
from weakref import WeakKeyDictionary

from twisted.internet.error import ConnectionLost
from twisted.internet.interfaces import IReactorFDSet, IReadDescriptor
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

AT_ONCE = 64  # sockets that are served before the reactor's other business

_IN, _OUT, _LOST = select.EPOLLIN, select.EPOLLOUT, select.EPOLLERR | select.EPOLLHUP


@implementer(IReadDescriptor)
class SharedEpoll:
    """Stands in for the reactor where a transport asks to hear of its socket (``IReactorFDSet``), or for a timer."""

    _log = Logger()

    def __init__(self, reactor: Any) -> None:
        self._epoll = select.epoll()
        self._wanted: dict[int, int] = {}
        self._descriptors: dict[int, Any] = {}
        self.callLater = reactor.callLater
        self.fileno = self._epoll.fileno
        reactor.addReader(self)

    def addReader(self, descriptor: Any) -> None:
        """Tell ``doRead`` when there is something to read."""
        self._want(descriptor, _IN)

    def addWriter(self, descriptor: Any) -> None:
        """Tell ``doWrite`` when there is room."""
        self._want(descriptor, _OUT)

    def removeReader(self, descriptor: Any) -> None:
        """Tell ``doRead`` no more."""
        self._want_no_more(descriptor, _IN)

    def removeWriter(self, descriptor: Any) -> None:
        """Tell ``doWrite`` no more."""
        self._want_no_more(descriptor, _OUT)

    # What the reactor says.

    def doRead(self) -> None:
        """Some of the sockets are ready."""
        for number, event in self._epoll.poll(0, AT_ONCE):
            descriptor = self._descriptors.get(number)
            if descriptor is None:  # one that was served before it has ended this one
                continue
            try:
                self._serve(number, descriptor, event)
            except Exception:
                self._log.failure("serving a socket")
                descriptor.connectionLost(Failure(ConnectionLost()))

    def connectionLost(self, reason: Failure) -> None:
        """The reactor has lost our epoll descriptor: it is going away."""
        self._epoll.close()

    def logPrefix(self) -> str:
        """For whoever asks whose log this is."""
        return "TLS"

    # The rest.

    def _serve(self, number: int, descriptor: Any, event: int) -> None:
        if event & _OUT:
            descriptor.doWrite()
        unchanged = self._descriptors.get(number) is descriptor
        if not unchanged:
            return
        # EPOLLERR and EPOLLHUP come unasked: a read finds out what they are about, but not one that nobody wants.
        if self._wanted[number] & _IN:
            if event & ~_OUT:
                descriptor.doRead()
        elif event & _LOST:
            descriptor.connectionLost(Failure(ConnectionLost()))

    def _want(self, descriptor: Any, what: int) -> None:
        number = descriptor.fileno()
        before = self._wanted.get(number, 0)
        if before & what:
            return
        self._wanted[number] = before | what
        if before:
            self._epoll.modify(number, before | what)
        else:
            self._descriptors[number] = descriptor
            self._epoll.register(number, what)

    def _want_no_more(self, descriptor: Any, what: int) -> None:
        number = descriptor.fileno()
        before = self._wanted.get(number, 0)
        if not before & what:
            return
        after = before & ~what
        if after:
            self._wanted[number] = after
            self._epoll.modify(number, after)
        else:  # to stay registered would mean to hear of EPOLLHUP for ever
            del self._wanted[number], self._descriptors[number]
            self._epoll.unregister(number)


_SHARED: WeakKeyDictionary[Any, SharedEpoll] = WeakKeyDictionary()


def shared_readiness(reactor: Any) -> Any:
    """The one for this reactor; the reactor itself where it watches no descriptors (it is a test's)."""
    if not IReactorFDSet.providedBy(reactor):
        return reactor
    shared = _SHARED.get(reactor)
    if shared is None:
        shared = _SHARED[reactor] = SharedEpoll(reactor)
    return shared
