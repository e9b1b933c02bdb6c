"""Refused server names, kept quiet.

The one way to make pyOpenSSL send the alert ``unrecognized_name`` is an exception in the SNI callback, and pyOpenSSL
gives that exception to :data:`sys.excepthook` (``Context.set_tlsext_servername_callback``). Whoever scans us with
made-up names would fill stderr with tracebacks; so our own exception class, and only that, is filtered there.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import TracebackType

_Hook = Callable[[type[BaseException], BaseException, TracebackType | None], object]


class UnrecognizedName(Exception):
    """No certificate of ours covers the server name that a client asked for."""


class _QuietHook:
    """Everything but :class:`UnrecognizedName` goes on to the hook that was there before.

    Each one keeps its own predecessor. With one shared "previous" a hook laid over ours, and then ours laid over that
    one again, would call each other for ever.
    """

    def __init__(self, below: _Hook) -> None:
        self.below = below

    def __call__(self, kind: type[BaseException], value: BaseException, traceback: TracebackType | None) -> None:
        if not issubclass(kind, UnrecognizedName):
            self.below(kind, value, traceback)


def silence() -> None:
    """Filter from now on. Harmless when repeated."""
    if not isinstance(sys.excepthook, _QuietHook):
        sys.excepthook = _QuietHook(sys.excepthook)


def unsilence() -> None:
    """Take the filter away, unless somebody has laid a hook over it: then it stays, since it lets all else pass."""
    if isinstance(sys.excepthook, _QuietHook):
        sys.excepthook = sys.excepthook.below
