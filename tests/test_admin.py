"""The admin listener, spoken to over a transport in memory."""

from __future__ import annotations

import pytest
from twisted.internet.address import IPv4Address
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport

from kubeoidcproxy.admin import Check, Subject, admin_site

ISSUER = Check(Subject.ISSUER, "https://issuer.example.com")
LOST_ISSUER = Check(Subject.ISSUER, "https://other.example.com", "no keys yet")
CLUSTER = Check(Subject.CLUSTER, "prod")
LOST_CLUSTER = Check(Subject.CLUSTER, "stage", "connection refused")


class Admin:
    """The site, and what it is told about the daemon."""

    def __init__(self, *checks: Check, draining: bool = False) -> None:
        self.accepted: list[str] = []
        self.site = admin_site(checks=lambda: checks, draining=lambda: draining, exposition=self.exposition)
        self.site.clock = Clock()

    def exposition(self, accept: str) -> tuple[bytes, str]:
        self.accepted.append(accept)
        return b"metric 1\n", "text/plain; version=0.0.4"

    def asked(self, target: str, method: str = "GET", header: str = "") -> tuple[int, dict[str, str], str]:
        """Code, header and body of the answer to one request."""
        protocol = self.site.buildProtocol(IPv4Address("TCP", "127.0.0.1", 1))
        transport = StringTransport()
        assert protocol is not None
        protocol.makeConnection(transport)
        protocol.dataReceived(f"{method} {target} HTTP/1.0\r\n{header}\r\n".encode())
        head, _, body = transport.value().decode().partition("\r\n\r\n")
        status, *lines = head.split("\r\n")
        return int(status.split()[1]), dict(line.lower().split(": ", 1) for line in lines), body


def test_alive() -> None:
    """Also while nobody could be served."""
    assert Admin(draining=True).asked("/livez")[::2] == (200, "ok")
    assert Admin().asked("/livez?verbose")[::2] == (200, "livez check passed\n")


@pytest.mark.parametrize(
    ("checks", "draining", "code"),
    [
        ((ISSUER, CLUSTER), False, 200),
        ((ISSUER, LOST_ISSUER, CLUSTER), False, 200),
        ((ISSUER, LOST_CLUSTER), False, 200),
        ((LOST_ISSUER, CLUSTER), False, 503),
        ((CLUSTER,), False, 503),
        ((ISSUER, CLUSTER), True, 503),
    ],
)
def test_ready(checks: tuple[Check, ...], draining: bool, code: int) -> None:
    """The keys of one issuer are enough; a cluster that is away changes nothing; draining does."""
    admin = Admin(*checks, draining=draining)
    assert admin.asked("/readyz")[0] == admin.asked("/readyz?verbose")[0] == code


def test_ready_says_ok() -> None:
    """Short for probes, in full where somebody asks."""
    admin = Admin(ISSUER, LOST_ISSUER, CLUSTER, LOST_CLUSTER)
    assert admin.asked("/readyz")[2] == "ok"
    assert admin.asked("/readyz?verbose")[2] == (
        "[+]issuer https://issuer.example.com ok\n"
        "[-]issuer https://other.example.com: no keys yet\n"
        "[+]cluster prod ok\n"
        "[-]cluster stage: connection refused\n"
        "[+]shutdown ok\n"
        "readyz check passed\n"
    )


def test_not_ready_says_why() -> None:
    """Without being asked."""
    assert Admin(LOST_ISSUER).asked("/readyz")[2].splitlines() == [
        "[-]issuer https://other.example.com: no keys yet",
        "[+]shutdown ok",
        "readyz check failed",
    ]
    assert "[-]shutdown: draining\n" in Admin(ISSUER, draining=True).asked("/readyz")[2]


def test_a_problem_stays_on_its_line() -> None:
    """Nobody writes a `[+]` line of his own."""
    assert str(Check(Subject.CLUSTER, "a", "x\n[+]b ok")) == "[-]cluster a: x\\n[+]b ok"


def test_metrics() -> None:
    """In the format that the scraper asks for."""
    admin = Admin()
    code, header, body = admin.asked("/metrics", header="Accept: application/openmetrics-text\r\n")
    assert (code, body) == (200, "metric 1\n")
    assert header["content-type"] == "text/plain; version=0.0.4"
    assert admin.accepted == ["application/openmetrics-text"]


@pytest.mark.parametrize("target", ["/", "/healthz", "/livez/", "/livez/x", "/metrics/x", "/readyzz"])
def test_nothing_else_is_there(target: str) -> None:
    """404, in plain text."""
    code, header, body = Admin().asked(target)
    assert (code, header["content-type"], body) == (404, "text/plain; charset=utf-8", "404 page not found\n")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
def test_it_is_read_only(method: str) -> None:
    """405, with what is allowed."""
    code, header, _ = Admin(ISSUER).asked("/readyz", method, "Content-Length: 0\r\n")
    assert (code, header["allow"]) == (405, "get, head")


def test_head() -> None:
    """Code and length of the body, without it."""
    code, header, body = Admin(ISSUER).asked("/readyz", "HEAD")
    assert (code, header["content-length"], body) == (200, "2", "")


def test_probes_leave_no_line(capfd: pytest.CaptureFixture[str]) -> None:
    """Neither in the log nor on standard output."""
    admin = Admin(ISSUER)
    admin.site.logFile = None
    admin.asked("/livez")
    assert capfd.readouterr() == ("", "")
