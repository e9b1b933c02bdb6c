"""``kubeoidcproxy sandbox``: the whole product on loopback, shown and then left running to try things with."""

from __future__ import annotations

import signal
import sys
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import globalLogBeginner, textFileLogObserver
from twisted.python.failure import Failure

from kubeoidcproxy.sandbox.demonstration import Demonstration
from kubeoidcproxy.sandbox.files import SandboxFiles, occupied
from kubeoidcproxy.sandbox.running import Sandbox, running_sandbox
from kubeoidcproxy.sandbox.trouble import SandboxError

Reactor = Any

INVITATION = """
# Go on with:
export KUBECONFIG={kubeconfig}
kubectl get pods                           # as alice, in dev, which is chosen by server name
kubectl --context prod-by-path get pods    # in prod, chosen by the path of the URL
kubectl auth whoami                        # what the API server takes you for
kubectl logs -f web-0
kubectl --user bob get pods                # he is in no group: Forbidden
kubectl --user carol get namespaces        # she is an administrator
kubectl --user ci get deployments          # a CI job, with its job token
kubectl --user pipeline delete deployment shop    # it may deploy, but not delete
tail -f {access_log}
"""


def main(arguments: Namespace) -> int:
    """What ``kubeoidcproxy sandbox`` does, with its arguments as :mod:`kubeoidcproxy.cli.sandbox` declares them."""
    return run_sandbox(arguments.directory, arguments.port, once=arguments.once)


def run_sandbox(directory: Path | None, port: int, *, once: bool) -> int:
    """Run a sandbox; the exit code.

    :param directory: where everything is written; None is a temporary one, which is gone at the end.
    :param port: of the proxy; 0 is any that is free.
    :param once: end after the demonstration, with 1 if it failed.
    """
    try:
        with occupied(directory) as files:
            return _run_reactor(files, port, once)
    except (SandboxError, OSError) as error:
        return _explain(error)


def _run_reactor(files: SandboxFiles, port: int, once: bool) -> int:
    """Run the reactor for as long as the sandbox runs."""
    from twisted.internet import reactor as installed  # installs one, so not before the command is to run

    reactor: Reactor = installed
    codes: list[int] = []

    def start() -> None:
        running = Deferred.fromCoroutine(_sandbox(reactor, files, port, once))
        _on_signals(reactor, running.cancel)
        running.addErrback(_code_of_failure).addCallback(codes.append).addBoth(lambda _: reactor.stop())

    with (files.directory / "sandbox.log").open("w") as log:
        globalLogBeginner.beginLoggingTo([textFileLogObserver(log)], redirectStandardIO=False)
        reactor.callWhenRunning(start)
        reactor.run()
    return codes[0]


async def _sandbox(reactor: Reactor, files: SandboxFiles, port: int, once: bool) -> int:
    _say(f"Starting issuer, API servers and proxy in {files.directory}")
    async with running_sandbox(reactor, files, port) as sandbox:
        _introduce(sandbox)
        shown = await Demonstration(reactor, files, sandbox.record, _say).run()
        if once:
            return 0 if shown else 1
        record = sandbox.record
        _say(INVITATION.format(kubeconfig=record.kubeconfig, access_log=record.proxy.access_log))
        _say("It runs until Ctrl-C.")
        return await _stay(sandbox)


def _introduce(sandbox: Sandbox) -> None:
    record = sandbox.record
    clusters = ", ".join(f"{name} {cluster.upstream}" for name, cluster in record.clusters.items())
    _say(f"  proxy         https://{record.proxy.address} (twistd, process {record.proxy.process})")
    _say(f"  issuers       {record.issuers.people} {record.issuers.ci} {record.issuers.pipeline}")
    _say(f"  API servers   {clusters} ({record.backend})")


async def _stay(sandbox: Sandbox) -> int:
    """Until somebody ends it; the proxy must not end by itself."""
    try:
        await sandbox.proxy.ended()
    except CancelledError:
        _say("Ending.")
        return 0
    raise SandboxError(f"the proxy has ended{sandbox.proxy.log_tail()}")


def _on_signals(reactor: Reactor, leave: Callable[[], None]) -> None:
    """Leave at the first Ctrl-C or SIGTERM. The reactor has installed its own by now: it would cut everything off."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: reactor.callFromThread(leave))


def _code_of_failure(failure: Failure) -> int:
    if failure.check(SandboxError, OSError):
        return _explain(failure.value)
    if failure.check(CancelledError):
        return _explain("interrupted")
    failure.printTraceback(sys.stderr)
    return 1


def _explain(error: object) -> int:
    print(f"kubeoidcproxy sandbox: {error}", file=sys.stderr)
    return 1


def _say(text: str) -> None:
    print(text, flush=True)
