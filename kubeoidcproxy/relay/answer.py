"""The answer of one exchange, as it comes from upstream: interim heads, the final head, its body."""

from __future__ import annotations

from dataclasses import dataclass

from kubeoidcproxy.http1.body import Endless, Nothing, Scanner, response_scanner
from kubeoidcproxy.http1.framing import judge_interim, response_framing
from kubeoidcproxy.http1.grammar import FORBIDDEN_IN_HEAD
from kubeoidcproxy.http1.malformed import Malformed
from kubeoidcproxy.http1.request import END_OF_HEAD
from kubeoidcproxy.http1.response import ResponseHead, parse_response

MAX_HEAD = 64 * 1024  # kube-apiserver's heads have some hundred bytes; "proxy" may relay cookies
MAX_INTERIM = 16  # a flood of 1xx never ends by itself


@dataclass(frozen=True, slots=True)
class Found:
    """What was found in front of the body.

    :param interim: raw 1xx heads.
    :param head: the final head, None if it is not complete yet.
    :param whole: the final head and the bytes of the body behind it, as they came.
    """

    interim: bytes = b""
    head: ResponseHead | None = None
    whole: bytes = b""

    @property
    def rest(self) -> bytes:
        """What came of the body."""
        return b"" if self.head is None else self.whole[len(self.head.raw) :]

    def relayed(self, extra: bytes) -> bytes:
        """The head as it goes to the client, with ``extra`` lines, and what came of the body."""
        if self.head is None:
            return b""
        head = self.head.relayed(extra)
        return self.whole if head is self.head.raw else head + self.rest


@dataclass(frozen=True, slots=True)
class Switched:
    """A 101 that names the protocol asked for, and the first bytes of that protocol."""

    head: bytes
    rest: bytes


class Answer:
    """Reads one answer.

    :param method: of the request.
    :param upgrade: the protocol that the client asked for, or b"".
    """

    def __init__(self, method: bytes, upgrade: bytes) -> None:
        self.begun = False  # the final head was read
        self.reusable = False  # by what the head says, the connection may serve another exchange
        self.body: Scanner = Nothing()
        self._method = method
        self._upgrade = upgrade
        self._buffer = b""
        self._interim = 0

    def received(self, data: bytes) -> Found | Switched:
        """Bytes, as long as the final head is not read.

        :raises Malformed: no response that may go on.
        """
        self._buffer += data
        interim = b""
        while (end := self._buffer.find(END_OF_HEAD)) >= 0:
            if end > MAX_HEAD:
                break
            head = parse_response(self._buffer[: end + 4])
            if head.status >= 200:
                whole, self._buffer = self._buffer, b""
                self._begin(head, whole)
                return Found(interim, head, whole)
            rest, self._buffer = self._buffer[end + 4 :], b""
            judge_interim(head.index)
            if head.status == 101:
                self._judge_switch(head)
                return Switched(interim + head.raw, rest)
            self._interim += 1
            if self._interim > MAX_INTERIM:
                raise Malformed("too many interim responses")
            interim += head.relayed()
            self._buffer = rest
        if len(self._buffer) > MAX_HEAD:
            raise Malformed("response head too large")
        new = max(0, len(self._buffer) - len(data) - 1)
        if FORBIDDEN_IN_HEAD.search(self._buffer, new):  # it can never become a head: say so now, not when time is up
            raise Malformed("malformed response head")
        return Found(interim)

    def continued(self, data: bytes) -> bytes:
        """Bytes of the body.

        :raises Malformed: the body is broken, or followed by bytes that nobody asked for.
        """
        if self.body.scan(data) != len(data):
            raise Malformed("bytes beyond the end of the response")
        return data

    def _begin(self, head: ResponseHead, whole: bytes) -> None:
        framing = response_framing(head.index, head.status, self._method)
        self.body = response_scanner(framing)
        self.reusable = not (self._upgrade or head.closes or isinstance(self.body, Endless))
        if len(whole) > len(head.raw):
            self.continued(whole[len(head.raw) :])
        self.begun = True

    def _judge_switch(self, head: ResponseHead) -> None:
        """RFC 9110 section 15.2.2; Kubernetes CVE-2018-1002105 is what comes of a switch that did not happen."""
        named = [value.lower() for value in head.values(b"upgrade")]
        if not self._upgrade or named != [self._upgrade.lower()] or b"upgrade" not in head.options:
            raise Malformed("101 for an upgrade that was not asked for")
