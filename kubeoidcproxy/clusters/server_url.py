"""The ``server`` of a kubeconfig: an https URL that can be put in front of every request's target."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

_HOST_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,251}[A-Za-z0-9_])?\.?")
# Within what policy P3 lets a target be: no empty segments, no dot segments, nothing encoded.
_BASE_PATH = re.compile(r"(?:/(?!\.{1,2}(?:/|\Z))[A-Za-z0-9._~!$&'()*+,;=:@-]+)*")


@dataclass(frozen=True, slots=True)
class ServerURL:
    """Where the API server is. ``authority`` is as written, which is what Go sends as ``Host``."""

    host: str
    port: int
    base_path: str
    authority: str


def parse(text: str) -> ServerURL | None:
    """``https://HOST[:PORT][/PATH]`` and nothing else."""
    # urlsplit drops control characters in silence, so nothing but visible ASCII comes near it.
    if not re.fullmatch(r"https://[!-~]+", text) or re.search(r"[@?#]", text):
        return None
    try:
        url = urlsplit(text)
        port = url.port
    except ValueError:
        return None
    host, base_path = url.hostname or "", url.path.rstrip("/")
    if not is_host(host) or port == 0 or not _BASE_PATH.fullmatch(base_path):
        return None
    return ServerURL(host, port or 443, base_path, url.netloc.removesuffix(":"))


def is_host(text: str) -> bool:
    """A DNS name, or an address without a zone."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return bool(_HOST_NAME.fullmatch(text))
    return "%" not in text
