"""The daemon's own messages, as text or as JSON lines, for twisted.logger.

A message is a constant, and what varies stands in keys: ``log.info("cluster added", cluster="prod")``. Keys that the
message does not quote follow it: text as ``cluster=prod``, JSON as members. Twisted's own JSON observer writes
``{"unpersistable": true}`` and flattened copies, which is no use to whoever collects logs.

Nothing is written of an object but what is plain data in it: a ``repr`` may show what must not be seen (law 10). And
what looks like a JWT is masked, wherever it came from.
"""

from __future__ import annotations

import atexit
import json
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from string import Formatter
from typing import Any

from twisted.logger import (
    FilteringLogObserver,
    ILogObserver,
    LogEvent,
    LogLevel,
    LogLevelFilterPredicate,
    formatEvent,
)
from twisted.python.failure import Failure
from twisted.python.logfile import LogFile
from zope.interface import implementer

from kubeoidcproxy.audit.masking import masked
from kubeoidcproxy.lines import LineQueue

# For twistd's ``logger`` option, which takes the name of a function without arguments and nothing else.
TWISTD_LOGGER = f"{__name__}.twistd_logger"
_chosen: dict[str, Any] = {}

Write = Callable[[str], object]

# What twisted.logger and, before it, twisted.python.log put into every event beside the log_ keys.
_OF_THE_LIBRARY = frozenset(
    {"isError", "message", "time", "system", "format", "failure", "why", "logLevel", "debug", "printed", "eventSource"}
)
_PLAIN_WORD = re.compile(r"[^\s\"'=\\]+")
_OF_JSON = frozenset({"time", "level", "logger", "message", "traceback"})


def observer(write: Write, *, level: str, form: str) -> ILogObserver:
    """What writes events from ``level`` on, each with one call of ``write``.

    :param level: debug, info, warn, error or critical.
    :param form: text or json.
    """
    lines = _Lines(write, {"text": text_line, "json": json_line}[form])
    return FilteringLogObserver(lines, [LogLevelFilterPredicate(LogLevel.levelWithName(level))])


def choose(options: Mapping[str, Any], *, level: str, form: str) -> None:
    """For ``makeService``: what :func:`twistd_logger` is to make.

    :param options: of twistd: ``logfile``, ``nodaemon``.
    """
    _chosen.update(options=options, level=level, form=form)


def twistd_logger() -> ILogObserver:
    """What :data:`TWISTD_LOGGER` names: twistd calls it when the service is made and before anything is logged."""
    return twistd_observer(**_chosen)


def twistd_observer(options: Mapping[str, Any], *, level: str, form: str) -> ILogObserver:
    """Ours, writing where twistd's own would (``UnixAppLogger``)."""
    name = options.get("logfile") or ("-" if options.get("nodaemon") else "twistd.log")
    if name != "-":
        return observer(_file_writer(name), level=level, form=form)
    if not options.get("nodaemon"):
        raise SystemExit("a daemon cannot log to standard output")
    return observer(_stdout_writer(), level=level, form=form)


def _stdout_writer() -> Write:
    """By a thread: standard output may be a pipe that nobody reads (law 7)."""
    lines = LineQueue("-", complain=lambda trouble: None)
    lines.start()
    atexit.register(lines.close)
    return lambda line: lines.append(line.removesuffix("\n"))


def _file_writer(name: str) -> Write:
    """By ourselves: twistd has not forked yet, and a thread would not survive that."""
    file = LogFile.fromFullPath(name, defaultMode=0o640)

    def write(line: str) -> None:
        file.write(line)
        file.flush()

    return write


def text_line(event: LogEvent) -> str:
    """``TIME [LOGGER#LEVEL] MESSAGE KEY=VALUE``; further lines, of a traceback too, begin with a tab."""
    parts = [_message(event), *(f"{key}={_shown(value)}" for key, value in _unquoted(event))]
    text = " ".join(filter(None, parts))
    if traceback := _traceback(event):
        text += f"\n{traceback}"
    when = _when(event).astimezone().strftime("%Y-%m-%dT%H:%M:%S%z")
    return masked(f"{when} [{_logger(event)}#{_level(event)}] {_on_own_lines(text)}\n")


def json_line(event: LogEvent) -> str:
    """``time``, ``level``, ``logger``, ``message``, the keys of the event, and ``traceback`` where there is one."""
    when = _when(event).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    members = {"time": when, "level": _level(event), "logger": _logger(event), "message": _message(event)}
    members |= {f"{key}_" if key in _OF_JSON else key: value for key, value in _keys(event)}
    if traceback := _traceback(event):
        members["traceback"] = traceback
    return masked(json.dumps(members, allow_nan=False) + "\n")


@implementer(ILogObserver)
class _Lines:
    """Implement ILogObserver. What it raises, Twisted's publisher catches and tells."""

    def __init__(self, write: Write, render: Callable[[LogEvent], str]) -> None:
        self._write = write
        self._render = render

    def __call__(self, event: LogEvent) -> None:
        self._write(self._render(event))


def _when(event: LogEvent) -> datetime:
    return datetime.fromtimestamp(event.get("log_time", 0.0), UTC)


def _level(event: LogEvent) -> str:
    level = event.get("log_level")
    return "info" if level is None else str(level.name)


def _logger(event: LogEvent) -> str:
    return str(event.get("log_namespace", "-"))


def _message(event: LogEvent) -> str:
    failure = _failure(event)
    return failure.getErrorMessage() if failure and event.get("log_format") is None else formatEvent(event)


def _traceback(event: LogEvent) -> str:
    failure = _failure(event)
    return failure.getTraceback().rstrip() if failure else ""


def _failure(event: LogEvent) -> Failure | None:
    failure = event.get("log_failure", event.get("failure"))
    return failure if isinstance(failure, Failure) else None


def _keys(event: LogEvent) -> Iterator[tuple[str, Any]]:
    for key, value in event.items():
        if not key.startswith("log_") and key not in _OF_THE_LIBRARY:
            yield key, _plain(value)


def _unquoted(event: LogEvent) -> Iterator[tuple[str, Any]]:
    """The keys that the message does not show already."""
    shown = {re.split(r"[.\[(]", name)[0] for _, name, _, _ in _fields(event.get("log_format")) if name}
    return ((key, value) for key, value in _keys(event) if key not in shown)


def _fields(template: object) -> list[tuple[Any, ...]]:
    try:
        return list(Formatter().parse(template)) if isinstance(template, str) else []
    except ValueError:
        return []


def _plain(value: object) -> Any:
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, float):
        return value if abs(value) < float("inf") else str(value)
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, BaseException):
        return f"{type(value).__name__}: {value}"
    return f"<{type(value).__name__}>"


def _shown(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if _PLAIN_WORD.fullmatch(text) and text.isprintable() else json.dumps(text)


def _on_own_lines(text: str) -> str:
    """A line end in a message cannot begin a line that looks like another message."""
    lines = ("".join(c if c.isprintable() or c == "\t" else ascii(c)[1:-1] for c in line) for line in text.split("\n"))
    return "\n\t".join(lines)
