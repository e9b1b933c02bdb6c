"""Which texts Go's ``url.Parse`` takes, and what it says of the others (go/src/net/url/url.go).

Python's own parser is laxer and stricter elsewhere; the file must load here exactly where kube-apiserver loads it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from kubeoidcproxy.config.kube_errors import quoted

_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_BAD_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2}).{0,2}", re.DOTALL)
_PORT: Final = re.compile(r"(:[0-9]*)?", re.ASCII)
# shouldEscape(c, encodeHost) is false for these; others than ASCII pass as well.
_NOT_IN_HOST: Final = re.compile(r"[^A-Za-z0-9\-_.~!$&'()*+,;=:\[\]<>\"%\x80-\U0010ffff]")
# In a host a %-triplet may stand for a byte beyond ASCII only (or for the percent sign of a zone).
_HOST_ESCAPE: Final = re.compile(r"%(?!25)[0-7][0-9A-Fa-f]")
_USERINFO: Final = re.compile(r"[A-Za-z0-9\-._:~!$&'()*+,;=%@]*")


class URLError(Exception):
    """The text of Go's *url.Error."""


@dataclass(frozen=True, slots=True)
class GoURL:
    """What of a parsed URL the validation asks for."""

    scheme: str
    has_userinfo: bool
    query: str
    fragment: str


def parse(text: str) -> GoURL:
    """:raises URLError:"""
    body, _, fragment = text.partition("#")
    try:
        url = _parse(body, fragment)
    except ValueError as error:
        raise URLError(f"parse {quoted(body)}: {error}") from None
    if broken := _BAD_ESCAPE.search(fragment):
        raise URLError(f"parse {quoted(text)}: invalid URL escape {quoted(broken[0])}")
    return url


def _parse(body: str, fragment: str) -> GoURL:
    if _CONTROL.search(body):
        raise ValueError("net/url: invalid control character in URL")
    if body.startswith(":"):
        raise ValueError("missing protocol scheme")
    match = _SCHEME.match(body)
    scheme = match[0][:-1].lower() if match else ""
    rest, _, query = body[match.end() if match else 0 :].partition("?")
    has_userinfo = _check_hierarchy(rest, scheme)
    return GoURL(scheme, has_userinfo, query, fragment)


def _check_hierarchy(rest: str, scheme: str) -> bool:
    """Authority and path. Is there a userinfo?"""
    if not rest.startswith("/"):
        if not scheme and ":" in rest.partition("/")[0]:
            raise ValueError("first path segment in URL cannot contain colon")
        if scheme:
            return False  # an opaque URL, as in "mailto:x"
    if not rest.startswith("//") or (not scheme and rest.startswith("///")):
        _check_escapes(rest)
        return False
    authority, slash, path = rest[2:].partition("/")
    userinfo, at, host = authority.rpartition("@")
    _check_host(host)
    if at and not _USERINFO.fullmatch(userinfo):
        raise ValueError("net/url: invalid userinfo")
    _check_escapes(userinfo)
    _check_escapes(slash + path)
    return bool(at)


def _check_host(host: str) -> None:
    if host.startswith("["):
        closing = host.rfind("]")
        if closing < 0:
            raise ValueError("missing ']' in host")
        _check_port(host[closing + 1 :])
    elif ":" in host:
        _check_port(host[host.rindex(":") :])
    _check_escapes(host)
    if escape := _HOST_ESCAPE.search(host):
        raise ValueError(f"invalid URL escape {quoted(escape[0])}")
    if character := _NOT_IN_HOST.search(host):
        raise ValueError(f"invalid character {quoted(character[0])} in host name")


def _check_port(text: str) -> None:
    if not _PORT.fullmatch(text):
        raise ValueError(f"invalid port {quoted(text)} after host")


def _check_escapes(text: str) -> None:
    if broken := _BAD_ESCAPE.search(text):
        raise ValueError(f"invalid URL escape {quoted(broken[0])}")
