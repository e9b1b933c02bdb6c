"""Tell systemd how far we are: ``sd_notify(3)`` in a few lines.

Never raises and never waits: that nobody listens is no reason to fail, and a supervisor whose socket is full is told
the next time. Each function says whether the message went out.
"""

from __future__ import annotations

import os
import socket
import time


def ready() -> bool:
    """All is bound; or a reload is over, whatever came of it."""
    return _notify("READY=1")


def reloading() -> bool:
    """A reload begins. systemd (253 and later) ignores it without the time."""
    return _notify("RELOADING=1", f"MONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")


def stopping() -> bool:
    """We are draining."""
    return _notify("STOPPING=1")


def status(text: str) -> bool:
    """One line for ``systemctl status``."""
    return _notify(f"STATUS={' '.join(text.splitlines())}")


def _notify(*assignments: str) -> bool:
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return False
    if address.startswith("@"):  # a name in the abstract namespace of Linux
        address = "\0" + address[1:]
    message = "\n".join(assignments).encode("utf-8", "replace")
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sender:
            sender.sendto(message, address)
    except (OSError, ValueError):  # ValueError: a NUL in the path
        return False
    return True
