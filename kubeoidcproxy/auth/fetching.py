"""One HTTPS answer of an issuer, bounded in size.

An issuer's server is not hostile by default, but its name may be hijacked, misrouted or simply wrong: so no redirect is
followed, nothing compressed is taken (a megabyte of gzip is a gigabyte of memory), and reading stops at the limit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from treq.client import HTTPClient
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone
from twisted.web.http import PotentialDataLoss
from twisted.web.http_headers import Headers
from twisted.web.iweb import UNKNOWN_LENGTH, IResponse

from kubeoidcproxy.auth.https import discard, https_agent

MAX_BODY = 1024 * 1024  # bytes; real documents have a few thousand


class FetchFailed(Exception):
    """No answer that can be used; the text is for the log and for readiness."""


@dataclass(frozen=True, slots=True)
class Answer:
    """:param headers: by name in lower case; the last value where there are several."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = field(default=b"", repr=False)


# (url, request headers) -> Deferred[Answer]; cancelling it closes the connection.
Fetch = Callable[[str, Mapping[str, str]], "Deferred[Answer]"]


def https_fetch(reactor: Any, certificate_authority: str | None = None, max_body: int = MAX_BODY) -> Fetch:
    """A :data:`Fetch` over the network.

    :param certificate_authority: PEM that replaces the system's roots, as in AuthenticationConfiguration.
    """
    client = HTTPClient(https_agent(reactor, certificate_authority))

    async def fetch(url: str, headers: Mapping[str, str]) -> Answer:
        if not url.startswith("https://"):
            raise FetchFailed(f"{url} is not https")
        try:
            return await _get(client, reactor, url, headers, max_body)
        except (FetchFailed, CancelledError):
            raise
        except Exception as error:
            cause = _cause(error)
            if isinstance(cause, CancelledError):
                raise cause from None
            raise FetchFailed(f"{url}: {str(cause) or type(cause).__name__}") from error

    return lambda url, headers: Deferred.fromCoroutine(fetch(url, headers))


async def _get(client: HTTPClient, reactor: Any, url: str, headers: Mapping[str, str], max_body: int) -> Answer:
    fields = Headers({name: [value] for name, value in headers.items()})
    response = await client.get(url, headers=fields, allow_redirects=False, unbuffered=True, reactor=reactor)
    answered = {
        name.lower().decode(): values[-1].decode("latin-1") for name, values in response.headers.getAllRawHeaders()
    }
    return Answer(response.code, answered, await _read(response, max_body))


def _cause(error: Exception) -> BaseException:
    """Twisted wraps what happened on a connection into lists of failures; the first is what an admin can act on."""
    reasons: list[Failure] = getattr(error, "reasons", [])
    return (reasons[0].value if reasons else None) or error


def _read(response: IResponse, max_body: int) -> Deferred[bytes]:
    if response.length is not UNKNOWN_LENGTH and response.length > max_body:
        discard(response)
        raise FetchFailed(f"the answer has {response.length} bytes, {max_body} are accepted")
    reader = _BoundedBody(max_body)
    response.deliverBody(reader)
    return reader.whole


class _BoundedBody(Protocol):
    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._parts: list[bytes] = []
        self.whole: Deferred[bytes] = Deferred(lambda _: self._stop())

    def _stop(self) -> None:
        self.transport.loseConnection()  # type: ignore[union-attr]

    def dataReceived(self, data: bytes) -> None:
        self._limit -= len(data)
        if self._limit >= 0:
            self._parts.append(data)
        elif not self.whole.called:
            self._parts.clear()
            self._stop()
            self.whole.errback(FetchFailed("the answer is too long"))

    def connectionLost(self, reason: Failure = Failure(ResponseDone())) -> None:  # noqa: B008
        if self.whole.called:
            return
        # PotentialDataLoss: the end of the connection is the end of the body. What is cut off is no JSON any more.
        if reason.check(ResponseDone, PotentialDataLoss):
            self.whole.callback(b"".join(self._parts))
        else:
            self.whole.errback(FetchFailed("the answer broke off"))
