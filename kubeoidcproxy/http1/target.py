"""Which request targets go on (policy P3). They go on byte for byte; this only says yes or no.

kube-apiserver decodes a path before it authorises it, and servers disagree about ``//``, dot segments and encoded
slashes. So in the part that names an API object none of them passes; the tail behind ``.../proxy/`` belongs to
somebody else's server and is left alone.
"""

from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes

from kubeoidcproxy.http1.grammar import ORIGIN_FORM
from kubeoidcproxy.http1.malformed import Malformed

_PROXY_TAIL = re.compile(rb"(/api/v1/(?:namespaces/[^/%]+/(?:pods|services)|nodes)/[^/]+/proxy/).*")

# Nothing of this can be in a path: an empty segment, or a segment that a decoder could take for a dot segment.
_SUSPICIOUS = re.compile(rb"//|/\.|%")

_DOT_SEGMENT = re.compile(rb"/\.{1,2}(?:[/;]|\Z)")


def judge_target(target: bytes) -> None:
    """The whole target in origin-form.

    :raises Malformed: 400.
    """
    if not ORIGIN_FORM.fullmatch(target):
        raise Malformed("malformed request target")


def judge_path(target: bytes) -> None:
    """The path of a target that names an API object, with the cluster's prefix already taken off.

    :raises Malformed: 400.
    """
    path = target.partition(b"?")[0]
    if not _SUSPICIOUS.search(path):
        return
    match = _PROXY_TAIL.fullmatch(path)
    if match:
        path = match[1]
    decoded = unquote_to_bytes(path)
    if b"//" in path or _DOT_SEGMENT.search(decoded):
        raise Malformed("path with an empty or dot segment")
    if decoded.count(b"/") != path.count(b"/") or b"\\" in decoded:
        raise Malformed("path with an encoded slash or backslash")
    _judge_text(decoded)


def _judge_text(decoded: bytes) -> None:
    """Decoded, it is UTF-8 (no overlong form) without control characters."""
    try:
        text = decoded.decode("utf-8")
    except UnicodeDecodeError:
        raise Malformed("path is not UTF-8") from None
    if any(ord(character) < 0x20 or 0x7F <= ord(character) < 0xA0 for character in text):
        raise Malformed("path with a control character")
