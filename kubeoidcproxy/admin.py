"""``/livez``, ``/readyz`` and ``/metrics`` on a plain listener of their own, in the style of the API server's.

Ready means: a caller can be served. So it takes the keys of one issuer, and that we are not draining. A cluster whose
API server is away is told in ``?verbose`` and changes nothing: the others are served, and a load balancer that took us
out for it would take them away, too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from http import HTTPStatus

from twisted.web.http import Request
from twisted.web.resource import Resource
from twisted.web.server import Site

# How long a scraper may keep a connection without a request.
IDLE_SECONDS = 60


class Subject(Enum):
    """What a check is about."""

    ISSUER = "issuer"
    CLUSTER = "cluster"


@dataclass(frozen=True, slots=True)
class Check:
    """How one issuer or cluster is.

    :param name: the issuer's URL, the cluster's name.
    :param problem: "" where it is well; holds no secret and no upstream address. For an issuer: its keys were never
        known. That it fails later is no problem here.
    """

    subject: Subject
    name: str
    problem: str = ""

    def __str__(self) -> str:
        label = f"{self.subject.value} {self.name}"
        line = f"[-]{label}: {self.problem}" if self.problem else f"[+]{label} ok"
        return line if line.isprintable() else ascii(line)[1:-1]


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer of a page."""

    code: HTTPStatus
    text: str
    content_type: str = "text/plain; charset=utf-8"


_NOTHING = Answer(HTTPStatus.NOT_FOUND, "404 page not found\n")
_WRONG_METHOD = Answer(HTTPStatus.METHOD_NOT_ALLOWED, "405 method not allowed\n")


class AdminSite(Site):
    """Twisted's own line for each request would drown the log in those of probes and scrapers."""

    noisy = False

    def log(self, request: Request) -> None:
        """Say nothing."""


def admin_site(
    *,
    checks: Callable[[], Sequence[Check]],
    draining: Callable[[], bool],
    exposition: Callable[[str], tuple[bytes, str]],
) -> AdminSite:
    """:param exposition: ``Accept`` to the page for Prometheus and its content type."""

    def metrics(request: Request) -> Answer:
        page, content_type = exposition(request.getHeader("accept") or "")
        return Answer(HTTPStatus.OK, page.decode(), content_type)

    root = Page(lambda request: _NOTHING)
    root.putChild(b"livez", Page(_livez))
    root.putChild(b"readyz", Page(lambda request: _readyz(checks(), draining(), verbose=_verbose(request))))
    root.putChild(b"metrics", Page(metrics))
    return AdminSite(root, timeout=IDLE_SECONDS)  # type: ignore[no-untyped-call]


def _livez(request: Request) -> Answer:
    """We answer, so the reactor turns."""
    return Answer(HTTPStatus.OK, "livez check passed\n" if _verbose(request) else "ok")


def _readyz(checks: Sequence[Check], draining: bool, *, verbose: bool) -> Answer:
    """What fails is always told in full, as kube does."""
    ready = not draining and any(c.subject is Subject.ISSUER and not c.problem for c in checks)
    if ready and not verbose:
        return Answer(HTTPStatus.OK, "ok")
    shutdown = "[-]shutdown: draining" if draining else "[+]shutdown ok"
    lines = [*map(str, checks), shutdown, f"readyz check {'passed' if ready else 'failed'}", ""]
    return Answer(HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE, "\n".join(lines))


def _verbose(request: Request) -> bool:
    """Twisted's ``args`` leave out what has no ``=``."""
    return any(pair.partition(b"=")[0] == b"verbose" for pair in request.uri.partition(b"?")[2].split(b"&"))


class Page(Resource):
    """What a function answers, to GET and HEAD only. Below it, and at the root, is nothing."""

    def __init__(self, answer: Callable[[Request], Answer]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._answer = answer

    def getChild(self, path: bytes, request: Request) -> Resource:
        """Implement IResource.getChild."""
        return Page(lambda request: _NOTHING)

    def render(self, request: Request) -> bytes:
        """Implement IResource.render."""
        answer = self._answer(request) if request.method in (b"GET", b"HEAD") else _WRONG_METHOD
        if answer is _WRONG_METHOD:
            request.setHeader(b"allow", b"GET, HEAD")
        request.setResponseCode(answer.code)
        request.setHeader(b"content-type", answer.content_type.encode())
        request.setHeader(b"cache-control", b"no-cache, private")
        request.setHeader(b"x-content-type-options", b"nosniff")
        return answer.text.encode()
