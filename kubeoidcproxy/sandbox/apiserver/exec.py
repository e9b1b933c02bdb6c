"""exec and attach: a child process whose streams are channels of a WebSocket (``v4`` and ``v5.channel.k8s.io``)."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessExitedAlready
from twisted.internet.interfaces import IPushProducer, IReactorProcess
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure
from zope.interface import implementer

from kubeoidcproxy.sandbox.apiserver.call import Call
from kubeoidcproxy.sandbox.apiserver.pods import PodLife
from kubeoidcproxy.sandbox.apiserver.transport import Child, Reading
from kubeoidcproxy.sandbox.apiserver.websocket import WebSocket, chosen_protocol, open_websocket

PROTOCOLS = ("v5.channel.k8s.io", "v4.channel.k8s.io")
STDIN, STDOUT, STDERR, ERROR, RESIZE = range(5)  # what is said of the terminal's size is not listened to
CLOSE = 255  # v5: the byte after it names the channel that the client has closed
NOT_EXECUTABLE = 126
_SIGNALLED = 128  # a shell's exit code for a process ended by a signal is above it


@dataclass(frozen=True, slots=True)
class Command:
    """What is to run, where and with which streams."""

    arguments: list[str]
    folder: Path
    stdin: bool
    terminal: bool
    environment: Mapping[str, str]


def exit_status(code: int) -> dict[str, Any]:
    """The Status of the error channel, as the kubelet's ``remotecommand.ServeExec`` writes it."""
    if code == 0:
        return {"metadata": {}, "status": "Success"}
    return {
        "metadata": {},
        "status": "Failure",
        "message": f"command terminated with non-zero exit code: exit status {code}",
        "reason": "NonZeroExitCode",
        "details": {"causes": [{"reason": "ExitCode", "message": str(code)}]},
    }


async def run_command(call: Call, reactor: IReactorProcess, command: Command, pod_life: PodLife) -> None:
    """Take the connection over and stay until the process has ended; it ends with its client and with its pod."""
    protocol = chosen_protocol(call.request, PROTOCOLS)
    process = ContainerProcess(command)
    process.socket = open_websocket(call, protocol, process)
    process.start(reactor)
    with pod_life.at_end(process.stop):
        await process.ended


@implementer(IPushProducer)
class ContainerProcess(ProcessProtocol):
    """Stands between a child process and the channels; for the client it is the producer of the output."""

    socket: WebSocket

    def __init__(self, command: Command) -> None:
        self._command = command
        self._channel = STDIN
        self._early: list[tuple[int, bytes]] = []
        self.ended: Deferred[None] = Deferred()

    def start(self, reactor: IReactorProcess) -> None:
        self._send(STDOUT, b"")  # tells the client that the streams are there, as the API server's own proxy does
        executable = shutil.which(self._command.arguments[0], path=self._command.environment["PATH"])
        if executable is None:
            self._conclude(NOT_EXECUTABLE)
            return
        reactor.spawnProcess(
            self,
            executable.encode(),
            self._command.arguments,
            env=self._command.environment,
            path=str(self._command.folder),
            usePTY=self._command.terminal,
        )

    def stop(self) -> None:
        """Kill the process: its client or its pod is gone."""
        if self.transport is None or self.ended.called:
            return
        with contextlib.suppress(ProcessExitedAlready):
            self._child().signalProcess("KILL")

    def connectionMade(self) -> None:
        self.socket.transport.registerProducer(self, True)
        if self._command.stdin:
            self._child().registerProducer(Reading(self.socket.transport), True)
        else:
            self._close_stdin()
        for channel, data in self._early:
            self._channel_received(channel, data)

    def outReceived(self, data: bytes) -> None:
        self._send(STDOUT, data)

    def errReceived(self, data: bytes) -> None:
        self._send(STDERR, data)

    def processEnded(self, reason: Failure) -> None:
        code, signal = getattr(reason.value, "exitCode", None), getattr(reason.value, "signal", None)
        self.socket.transport.unregisterProducer()
        self._conclude(_SIGNALLED + signal if signal else code or 0)

    def message_arrived(self, data: bytes, *, first: bool) -> None:
        if first and data:
            self._channel, data = data[0], data[1:]
        self._channel_received(self._channel, data)

    def closed(self) -> None:
        self.stop()

    def pauseProducing(self) -> None:
        self._child().pauseProducing()

    def resumeProducing(self) -> None:
        self._child().resumeProducing()

    def stopProducing(self) -> None:
        self.stop()

    def _channel_received(self, channel: int, data: bytes) -> None:
        if self.transport is None:
            self._early.append((channel, data))
        elif channel == STDIN and self._command.stdin and data:
            self._child().write(data)
        elif channel == CLOSE and data[:1] == bytes([STDIN]):
            self._close_stdin()

    def _close_stdin(self) -> None:
        if self._command.terminal:
            self._child().write(b"\x04")  # a terminal has no end of input but this character
        else:  # with a paused producer Twisted would never come to the end of the output, and never resume it
            self._child().unregisterProducer()
            self.socket.transport.resumeProducing()
            self._child().closeStdin()

    def _send(self, channel: int, data: bytes) -> None:
        self.socket.send(bytes([channel]) + data)

    def _conclude(self, code: int) -> None:
        self._send(ERROR, json.dumps(exit_status(code)).encode())
        self.socket.close()
        self.ended.callback(None)

    def _child(self) -> Child:
        return cast(Child, self.transport)
