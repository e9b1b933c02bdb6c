"""The sink of the access log.

Twisted's logger costs 18 us a line, and a write to a pipe that nobody reads blocks for ever; so lines go into a queue
of their own (:mod:`kubeoidcproxy.lines`).
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.logger import Logger

from kubeoidcproxy.audit.accesslog import json_line, text_line
from kubeoidcproxy.exchange import Exchange
from kubeoidcproxy.lines import QUEUE_LIMIT, LineQueue

RENDERINGS: dict[str, Callable[[Exchange], str]] = {"text": text_line, "json": json_line}


class AccessLog:
    """Implement :class:`~kubeoidcproxy.interfaces.ExchangeObserver`: exactly one line for each request (law 11).

    A request that was answered has its line from then on. One that ended without an answer (``status`` 0) has one, too:
    text by whether somebody was authenticated, JSON with the decision as far as it had come.

    :param path: of a file, or ``-`` for file descriptor 1 itself.
    :param render: one of :data:`RENDERINGS`.
    """

    _log = Logger()

    def __init__(self, path: str, render: Callable[[Exchange], str], *, queue_limit: int = QUEUE_LIMIT) -> None:
        self._render = render
        self._lines = LineQueue(path, self._complain, limit=queue_limit)
        self.start = self._lines.start
        self.reopen = self._lines.reopen
        self.close = self._lines.close

    @property
    def dropped(self) -> int:
        """Lines that were lost, because too many waited or because they could not be written."""
        return self._lines.dropped

    def answered(self, exchange: Exchange) -> None:
        """The head of the answer is known: this is when the line is written."""
        self._lines.append(self._render(exchange))

    def ended(self, exchange: Exchange) -> None:
        """Only what ended without an answer has no line yet."""
        if not exchange.status:
            self._lines.append(self._render(exchange))

    def _complain(self, trouble: str) -> None:
        self._log.error("access log {trouble}", trouble=trouble)
