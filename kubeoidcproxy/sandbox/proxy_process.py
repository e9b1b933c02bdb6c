"""The proxy as a child process: started as under systemd, watched until it answers, asked to leave at the end."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessExitedAlready
from twisted.internet.protocol import ProcessProtocol
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.python.failure import Failure

from kubeoidcproxy.sandbox.environment import child_environment, twistd
from kubeoidcproxy.sandbox.plain import call
from kubeoidcproxy.sandbox.trouble import SandboxError

START_SECONDS = 30.0
"""It takes one; on a machine that is busy with other tests, several."""
STOP_SECONDS = 10.0
"""It drains for two (configuration.DRAIN_TIMEOUT)."""
POLL_SECONDS = 0.05
TAIL_LINES = 15

_LISTENING = re.compile(r"(?<!admin )listening on (127\.0\.0\.1:\d+)$", re.MULTILINE)
_ADMIN_LISTENING = re.compile(r"admin listening on (127\.0\.0\.1:\d+)$", re.MULTILINE)

Reactor = Any  # IReactorProcess and IReactorTime in one; zope interfaces do not intersect


class ProxyProcess(ProcessProtocol):
    """One run of ``twistd -n kubeoidcproxy``, its output in a file.

    :ivar address: where it listens, and ``admin`` likewise; known when it is :meth:`ready`.
    """

    def __init__(self, reactor: Reactor, log: Path) -> None:
        self.address = ""
        self.admin = ""
        self.pid = 0
        self._running = False
        self._waiting: list[Deferred[None]] = []
        self._reactor = reactor
        self._log = log

    def start(self, configuration: Path) -> None:
        """Start it, in the folder of its configuration.

        :raises SandboxError: there is no twistd.
        """
        command = [*twistd(), "-n", "--pidfile=", "kubeoidcproxy", "--config", str(configuration)]
        descriptor = os.open(self._log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            process = self._reactor.spawnProcess(
                self,
                command[0],
                command,
                env=child_environment(os.environ),
                path=str(configuration.parent),
                childFDs={0: "w", 1: descriptor, 2: descriptor},
            )
        finally:
            os.close(descriptor)
        self.pid, self._running = process.pid, True

    async def ready(self) -> None:
        """Wait until it listens and knows keys of an issuer.

        :raises SandboxError: it has ended, or is not ready in time; its log is quoted.
        """
        deadline = self._reactor.seconds() + START_SECONDS
        while not await self._is_ready():
            if not self._running:
                raise SandboxError(f"the proxy has ended at once{self.log_tail()}")
            if self._reactor.seconds() > deadline:
                raise SandboxError(f"the proxy is not ready after {START_SECONDS:g} s{self.log_tail()}")
            await deferLater(self._reactor, POLL_SECONDS)

    async def ended(self) -> None:
        """Wait for its end, whatever brings it about."""
        if self._running:
            waiter: Deferred[None] = Deferred()
            self._waiting.append(waiter)
            await waiter

    async def stop(self) -> None:
        """Have it drain and leave; kill it if it does not."""
        killing = self._reactor.callLater(STOP_SECONDS, self._signal, "KILL")
        self._signal("TERM")
        await self.ended()
        if killing.active():
            killing.cancel()

    def log_tail(self) -> str:
        lines = self._log.read_text(errors="replace").splitlines()[-TAIL_LINES:]
        return "\n".join([f"; the end of {self._log}:", *lines])

    def processEnded(self, reason: Failure) -> None:
        """Implement IProcessProtocol."""
        self._running = False
        for waiter in self._waiting:
            if not waiter.called:  # cancelled: who waited has left
                waiter.callback(None)

    async def _is_ready(self) -> bool:
        log = self._log.read_text(errors="replace")
        listening, admin = _LISTENING.search(log), _ADMIN_LISTENING.search(log)
        if listening is None or admin is None:
            return False
        self.address, self.admin = listening[1], admin[1]
        return await deferToThread(_answers_ok, f"http://{self.admin}/readyz")

    def _signal(self, name: str) -> None:
        try:
            if self.transport is not None:
                self.transport.signalProcess(name)
        except ProcessExitedAlready:
            return


def _answers_ok(url: str) -> bool:
    try:
        return call("GET", url).status == 200
    except OSError:
        return False
