"""A credential in use."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.internet.threads import deferToThread
from twisted.logger import Logger

from kubeoidcproxy.clusters.kubeconfig_user import (
    ClientCertificateSpec,
    CredentialSpec,
    TokenCredentialSpec,
    TokenFileSpec,
)
from kubeoidcproxy.clusters.tokens import TokenError, read_token

log = Logger()

READ_EVERY = 5.0  # seconds; the contract promises 10 for what changes without a signal

ReadToken = Callable[[Callable[[Path], str], Path], Deferred[str]]


class Credential(Protocol):
    """What the API server knows us by."""

    @property
    def identity(self) -> bytes:
        """Names the credential, as far as connections depend on it: another one needs other connections."""

    def authorization(self) -> bytes | None:
        """The value of ``Authorization`` now; None where the connection itself is the credential. A plain call."""

    def problem(self) -> str | None:
        """What is wrong with it, for the log and ``/readyz``, though the last good one is still in use."""

    def refresh(self) -> Deferred[None]:
        """Look for a newer one, where there can be any. Never fails."""

    def stop(self) -> None:
        """It is used no more: no timer of it stays behind."""


class _Lasting:
    """A credential that stays as it is: nothing goes wrong with it, and nothing of it runs."""

    def problem(self) -> None:
        return None

    def refresh(self) -> Deferred[None]:
        return succeed(None)

    def stop(self) -> None:
        pass


class StaticToken(_Lasting):
    """A bearer token that stays."""

    identity = b"bearer"

    def __init__(self, spec: TokenCredentialSpec) -> None:
        self._authorization = _bearer(spec.token)

    def authorization(self) -> bytes:
        return self._authorization


class TokenFile:
    """A bearer token out of a file, read again every 5 s and at every :meth:`refresh`.

    Read, not looked at: token files are small, and some file systems tell changes late. The disk may be slow, so it is
    read in a thread. A file that is gone or holds no token leaves the last good token in use.
    """

    identity = b"bearer"

    def __init__(self, spec: TokenFileSpec, clock: IReactorTime, *, in_thread: ReadToken = deferToThread) -> None:
        self.path = spec.path
        self._authorization = _bearer(spec.token)
        self._problem: str | None = None
        self._in_thread = in_thread
        self._reading = False
        self._waiting: list[Deferred[None]] = []
        self._loop = LoopingCall(self.refresh)
        self._loop.clock = clock
        self._loop.start(READ_EVERY, now=False)

    def authorization(self) -> bytes:
        return self._authorization

    def problem(self) -> str | None:
        return self._problem

    def refresh(self) -> Deferred[None]:
        """Fires when a reading that began after this call is over: one under way may have seen the old file."""
        waiting: Deferred[None] = Deferred()
        self._waiting.append(waiting)
        self._read_if_wanted()
        return waiting

    def _read_if_wanted(self) -> None:
        if self._waiting and not self._reading:
            self._reading = True
            waiting, self._waiting = self._waiting, []
            Deferred.fromCoroutine(self._read(waiting))

    def stop(self) -> None:
        if self._loop.running:
            self._loop.stop()

    async def _read(self, waiting: list[Deferred[None]]) -> None:
        try:
            self._authorization = _bearer(await self._in_thread(read_token, self.path))
            self._problem = None
        except TokenError as error:
            self._note(f"{self.path}: {error}")
        finally:
            self._reading = False
            for each in waiting:
                each.callback(None)
            self._read_if_wanted()

    def _note(self, problem: str) -> None:
        if problem != self._problem:
            log.error("token file {problem}; the last good token stays in use", problem=problem)
        self._problem = problem


class ClientCertificate(_Lasting):
    """A client certificate: the connection is the credential, and no header may speak beside it."""

    def __init__(self, spec: ClientCertificateSpec) -> None:
        self.identity = b"certificate " + hashlib.sha256(spec.cert_pem.encode()).digest()

    def authorization(self) -> None:
        return None


def open_credential(spec: CredentialSpec, clock: IReactorTime) -> Credential:
    """The credential that a kubeconfig describes, to be stopped when it is used no more."""
    match spec:
        case TokenCredentialSpec():
            return StaticToken(spec)
        case TokenFileSpec():
            return TokenFile(spec, clock)
        case ClientCertificateSpec():
            return ClientCertificate(spec)


def _bearer(token: str) -> bytes:
    return b"Bearer " + token.encode("ascii")
