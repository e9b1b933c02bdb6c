"""Tokens that strayed into a URI or a message (policy: what looks like a JWT in a URI is masked)."""

from __future__ import annotations

import re

# The base64url of '{"' or '{ ' and at least one more part. Names of objects are lowercase, so none is hit; nor is a
# `continue` token of a list, which is base64url JSON, too, but in one part. A dot may come percent-encoded.
_JWT = re.compile(r"ey[AJ][\w-]*(?:(?:\.|%2[Ee])[\w-]+)(?:(?:\.|%2[Ee])[\w-]*)*", re.ASCII)

# Neither "<" nor ">" can stand in a target that is let through (policy P3): it is plain that nobody sent this.
MASK = "<jwt>"


def masked(text: str) -> str:
    """The text, with everything in it that looks like a JWT replaced."""
    if "eyJ" in text or "eyA" in text:
        return _JWT.sub(MASK, text)
    return text
