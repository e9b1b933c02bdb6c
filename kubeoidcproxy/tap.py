"""``twistd kubeoidcproxy``: options in, service out.

What twistd does by itself, and why it is done otherwise here: SIGTERM ends in exit code 143, and SIGHUP kills until a
program says something else, so :mod:`.daemon` installs our own; a ``UsageError`` is printed to stdout, so problems
leave as ``SystemExit``, whose text Python prints to stderr before it exits with 1.
"""

from __future__ import annotations

import signal
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

from twisted.application.service import IService
from twisted.python import usage

import kubeoidcproxy
from kubeoidcproxy import daemonlog
from kubeoidcproxy.config.problems import ConfigError


class Options(usage.Options):
    """The command line behind ``twistd kubeoidcproxy``."""

    synopsis = "[--config FILE]"
    optParameters = [["config", "c", None, "The configuration file (see etc/kubeoidcproxy.yaml)."]]  # noqa: RUF012

    def opt_version(self) -> None:
        """Show the version of kubeoidcproxy."""
        print(f"kubeoidcproxy {kubeoidcproxy.__version__}")
        raise SystemExit(0)

    def postOptions(self) -> None:
        if self["config"] is None:
            raise SystemExit("kubeoidcproxy: --config FILE is required")
        twistd = _of_twistd(self)
        if "logger" in twistd and not twistd["logger"]:
            twistd["logger"] = daemonlog.TWISTD_LOGGER


def makeService(options: Any) -> IService:
    """The service; everything that is wrong with the configuration leaves as text on stderr and exit code 1."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until ours is in place: a reload that comes too early is no reason
    from twisted.internet import reactor

    from kubeoidcproxy.service import build

    try:
        daemon = build(Path(options["config"]), reactor, daemonised=not _of_twistd(options).get("nodaemon", True))
    except ConfigError as error:
        raise SystemExit(str(error)) from None
    daemonlog.choose(_of_twistd(options), level=daemon.log.level, form=daemon.log.format)
    return daemon


def _of_twistd(options: Any) -> MutableMapping[str, Any]:
    """The options before ours on the command line; nothing where ``twist`` or a test calls."""
    return getattr(options, "parent", None) or {}
