"""The daemon's own messages."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from twisted.logger import ILogObserver, Logger, LogLevel, LogPublisher
from twisted.python.failure import Failure
from twisted.python.log import LogPublisher as LegacyPublisher
from twisted.python.reflect import namedAny

from kubeoidcproxy import daemonlog

JWT = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJl"


class Log:
    """A logger of its own, and what was written."""

    def __init__(self, form: str = "text", level: str = "info") -> None:
        self.lines: list[str] = []
        self.publisher = LogPublisher(daemonlog.observer(self.lines.append, level=level, form=form))
        self.logger = Logger(namespace="kubeoidcproxy.test", observer=self.publisher)

    @property
    def text(self) -> str:
        """The last message, without its time."""
        return self.lines[-1].partition(" ")[2]

    @property
    def members(self) -> dict[str, Any]:
        """The members of the last message."""
        read: dict[str, Any] = json.loads(self.lines[-1])
        return read


class Secretive:
    """Something whose repr shows what it should not."""

    def __repr__(self) -> str:
        return "password"


def failure() -> Failure:
    try:
        raise ValueError("too\nbad")
    except ValueError:
        return Failure()


def test_text() -> None:
    """Time with its offset, origin, level, message, and the keys that the message does not quote."""
    log = Log()
    log.logger.info("keys of {issuer} refreshed", issuer="https://i", count=2, note="a b", ok=True, names=["x"])
    assert log.text == (
        '[kubeoidcproxy.test#info] keys of https://i refreshed count=2 note="a b" ok=true names="[\\"x\\"]"\n'
    )
    assert len(log.lines[0].partition(" ")[0]) == len("2006-01-02T15:04:05-0700")


def test_json() -> None:
    """One object a line: UTC, the message as read, every key as a member."""
    log = Log("json")
    log.logger.warn("keys of {issuer} refreshed", issuer="https://i", count=2, names=("x", 1.5, None))
    members = log.members
    assert members.pop("time").endswith("Z")
    assert members == {
        **{"level": "warn", "logger": "kubeoidcproxy.test", "message": "keys of https://i refreshed"},
        **{"issuer": "https://i", "count": 2, "names": ["x", 1.5, None]},
    }
    assert log.lines[0].count("\n") == 1


@pytest.mark.parametrize(
    ("level", "written"),
    [("debug", 5), ("info", 4), ("warn", 3), ("error", 2), ("critical", 1)],
)
def test_the_level(level: str, written: int) -> None:
    """`log.level` of the configuration."""
    log = Log(level=level)
    for emit in (log.logger.debug, log.logger.info, log.logger.warn, log.logger.error, log.logger.critical):
        emit("x")
    assert len(log.lines) == written


def test_a_traceback_is_one_field() -> None:
    """In JSON a member, so that a collector keeps it whole."""
    log = Log("json")
    log.logger.failure("a request failed", failure(), cluster="prod")
    members = log.members
    assert (members["level"], members["message"], members["cluster"]) == ("critical", "a request failed", "prod")
    assert members["traceback"].startswith("Traceback (most recent call last):")
    assert "ValueError: too\nbad" in members["traceback"]


def test_a_traceback_in_text() -> None:
    """Further lines begin with a tab, so that none can be taken for a message."""
    log = Log()
    log.logger.failure("a request failed", failure())
    first, *others = log.text.splitlines()
    assert first == "[kubeoidcproxy.test#critical] a request failed"
    assert "\tbad" in others
    assert all(line.startswith("\t") for line in others)


@pytest.mark.parametrize("form", ["text", "json"])
def test_nobody_forges_a_line(form: str) -> None:
    """Whatever stands in a message or a key, no line begins where it wants."""
    log = Log(form)
    log.logger.info("{a}", a="x\n2024-01-01 y\r\x1b[0m\u2028\ud800", b="x\ny")
    line = log.lines[0]
    assert all(part.startswith("\t") for part in line.splitlines()[1:])
    assert line.replace("\n", "").replace("\t", "").isprintable()


@pytest.mark.parametrize("form", ["text", "json"])
def test_no_object_shows_itself(form: str) -> None:
    """Only plain data is written, and nothing that looks like a token."""
    log = Log(form)
    log.logger.info(f"bad token {JWT}", thing=Secretive(), nested={"a": [Secretive()]}, error=ValueError("x"))
    line = log.lines[0]
    assert "password" not in line
    assert JWT not in line
    assert "<jwt>" in line
    assert "<Secretive>" in line
    assert "ValueError: x" in line


def test_members_of_ours_are_not_overwritten() -> None:
    """A key that is called like one of them gets another name."""
    log = Log("json")
    log.logger.info("x", logger="high", traceback="none", infinite=float("inf"))
    members = log.members
    assert (members["logger"], members["logger_"], members["traceback_"]) == ("kubeoidcproxy.test", "high", "none")
    assert members["infinite"] == "inf"


@pytest.mark.parametrize("form", ["text", "json"])
def test_messages_of_old_code(form: str) -> None:
    """twisted.python.log, and a format that does not parse, come out as text without the library's own keys."""
    log = Log(form)
    LegacyPublisher(observerPublisher=log.publisher, publishPublisher=log.publisher).msg("hello", isError=0)
    assert "hello" in log.lines[-1]
    assert "isError" not in log.lines[-1]
    log.logger.info("{")
    assert len(log.lines) == 2


def test_a_failure_without_a_message() -> None:
    """`log.err` of old code."""
    log = Log("json")
    publisher = LegacyPublisher(observerPublisher=log.publisher, publishPublisher=log.publisher)
    publisher.msg(failure=failure(), why="it broke", isError=1)
    assert "too\nbad" in log.members["traceback"]


def written(capfd: pytest.CaptureFixture[str]) -> str:
    """What a thread has written to file descriptor 1, as soon as it is a line."""
    out, deadline = "", time.monotonic() + 5
    while not out.endswith("\n") and time.monotonic() < deadline:
        out += capfd.readouterr().out
    return out


def test_twistd_writes_where_it_always_did(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """To --logfile, else with -n to standard output."""
    path = tmp_path / "daemon.log"
    event = {"log_format": "hello", "log_time": 0.0, "log_level": LogLevel.info, "log_namespace": "x"}
    daemonlog.twistd_observer({"logfile": str(path), "nodaemon": True}, level="info", form="text")(event)
    assert path.read_text().endswith(" [x#info] hello\n")
    assert path.stat().st_mode & 0o777 == 0o640
    daemonlog.twistd_observer({"logfile": None, "nodaemon": True}, level="info", form="json")(event)
    assert json.loads(written(capfd))["message"] == "hello"


def test_twistd_finds_it_by_name(capfd: pytest.CaptureFixture[str]) -> None:
    """Its `logger` option is a name; what the configuration says of the log comes later."""
    daemonlog.choose({"nodaemon": True}, level="warn", form="json")
    made = namedAny(daemonlog.TWISTD_LOGGER)()
    assert ILogObserver.providedBy(made)
    for level in (LogLevel.info, LogLevel.warn):
        made({"log_format": "hello", "log_time": 0.0, "log_level": level, "log_namespace": "x"})
    assert json.loads(written(capfd))["level"] == "warn"


def test_a_daemon_has_no_standard_output() -> None:
    """As twistd itself refuses it."""
    with pytest.raises(SystemExit):
        daemonlog.twistd_observer({"logfile": "-", "nodaemon": False}, level="info", form="text")
