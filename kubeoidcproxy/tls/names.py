"""DNS names of TLS: the name a client asks for, the pattern a certificate carries."""

from __future__ import annotations

import re

# RFC 1035 §2.3.4: 63 octets a label, 253 characters in all. "_" is no host name, but Go and OpenSSL let it pass.
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_HOST_NAME = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})*")


def normalise(name: str | bytes) -> str:
    """Lower case without the root's dot; "" for what is not ASCII (an IDN travels as A-labels, RFC 6066 §3)."""
    try:
        text = name.decode("ascii") if isinstance(name, bytes) else name.encode("ascii").decode("ascii")
    except UnicodeError:
        return ""
    return text.lower().removesuffix(".")


def patterns_for(name: str | bytes) -> tuple[str, ...]:
    """The certificate patterns that cover a name, the better one first: itself, and a wildcard for its first label.

    A wildcard stands for one whole label (RFC 9525 §6.3). A text that is no host name is covered by nothing.
    """
    host = normalise(name)
    if not _HOST_NAME.fullmatch(host):
        return ()
    parent = host.partition(".")[2]
    return (host, f"*.{parent}") if parent else (host,)


def matches(pattern: str, name: str | bytes) -> bool:
    """Whether a certificate's (or a cluster's) pattern covers a name."""
    return normalise(pattern) in patterns_for(name)
