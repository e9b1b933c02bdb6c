"""base64url without padding (RFC 7515 section 2), one spelling for one value.

Python's decoder skips foreign characters and ignores the spare bits of the last one, so many texts would decode to the
same bytes: a token could be respelled at will, past a cache or a revocation by its hash.
"""

from __future__ import annotations

import base64
import re

_ALPHABET = re.compile(rb"[A-Za-z0-9_-]*")
# The last character may only carry bits that belong to a byte: by the length modulo four.
_LAST = {2: frozenset(b"AQgw"), 3: frozenset(b"AEIMQUYcgkosw048")}
_PADDING = {0: b"", 2: b"==", 3: b"="}


def decode(text: bytes) -> bytes:
    """The bytes of a canonical text; ValueError for any other."""
    rest = len(text) % 4
    if rest == 1 or not _ALPHABET.fullmatch(text):
        raise ValueError("illegal base64url data")
    if rest and text[-1] not in _LAST[rest]:
        raise ValueError("base64url data is not canonical")
    return base64.urlsafe_b64decode(text + _PADDING[rest])
