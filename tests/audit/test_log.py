"""The sink of the access log: one line for each request, and never a wait for it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kubeoidcproxy.audit.log import RENDERINGS, AccessLog
from kubeoidcproxy.exchange import Exchange


def rendered(exchange: Exchange) -> str:
    return exchange.audit_id


def exchange_of(name: str, status: int = 200) -> Exchange:
    exchange = Exchange(name, "10.0.0.1", 0.0, 0.0)
    exchange.status = status
    return exchange


def started(path: Path) -> AccessLog:
    log = AccessLog(str(path), rendered)
    log.start()
    return log


def test_an_answered_request_has_one_line(tmp_path: Path) -> None:
    """Written when the answer's head is known, not again at the end."""
    log = started(tmp_path / "access.log")
    for number in range(5000):
        exchange = exchange_of(f"line {number}")
        log.answered(exchange)
        log.ended(exchange)
    log.close()
    assert (tmp_path / "access.log").read_text().splitlines() == [f"line {number}" for number in range(5000)]
    assert log.dropped == 0


def test_an_aborted_request_has_one_line(tmp_path: Path) -> None:
    """It ended without an answer: `answered` never came (law 11)."""
    log = started(tmp_path / "access.log")
    log.ended(exchange_of("aborted", status=0))
    log.close()
    assert (tmp_path / "access.log").read_text() == "aborted\n"


def test_lines_go_to_the_file_that_was_open_when_they_came(tmp_path: Path) -> None:
    """Order holds across a reopen, and no line is lost or doubled."""
    path = tmp_path / "access.log"
    log = started(path)
    log.answered(exchange_of("before"))
    path.rename(tmp_path / "access.log.1")
    log.reopen()
    log.answered(exchange_of("after"))
    log.close()
    assert (tmp_path / "access.log.1").read_text() == "before\n"
    assert path.read_text() == "after\n"


def test_a_reader_that_stands_still_stops_nobody(tmp_path: Path) -> None:
    """Memory is bounded, the newest lines are dropped and counted, and closing has a time limit."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    log = AccessLog(str(fifo), rendered, queue_limit=1_000_000)
    log.start()
    for _ in range(20_000):
        log.answered(exchange_of("x" * 99))
    assert 8_000 < log.dropped < 20_000
    log.close(timeout=0.05)
    os.close(reader)  # the writing thread gets EPIPE, and ends


def test_a_line_after_the_end_counts_as_dropped(tmp_path: Path) -> None:
    """Nothing is lost silently."""
    log = started(tmp_path / "access.log")
    log.close()
    log.answered(exchange_of("late"))
    assert log.dropped == 1


def test_a_file_that_cannot_be_opened_is_told_at_the_start(tmp_path: Path) -> None:
    """A configuration error, not a surprise later."""
    with pytest.raises(OSError, match="No such file"):
        started(tmp_path / "missing" / "access.log")


def test_closing_what_never_started() -> None:
    """A start that failed elsewhere is undone everywhere."""
    AccessLog("-", rendered).close()


@pytest.mark.parametrize("name", ["text", "json"])
def test_the_formats_of_the_configuration(tmp_path: Path, name: str) -> None:
    """`audit.accessLog.format`."""
    log = AccessLog(str(tmp_path / "access.log"), RENDERINGS[name])
    log.start()
    log.answered(exchange_of("id"))
    log.close()
    assert (tmp_path / "access.log").read_text().count("\n") == 1
