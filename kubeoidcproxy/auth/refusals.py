"""How this room refuses: the client learns the class of the fault, the log learns the fault itself."""

from __future__ import annotations

from kubeoidcproxy.errors import Rejection

RETRY_AFTER = 10  # seconds; the pause after which a failed fetch of keys is tried again
_LONGEST_QUOTE = 200  # a claim may be as long as a token; a log line should not
_LONGEST_DETAIL = 1000


def unauthorized(reason: str, detail: str = "") -> Rejection:
    """401. The word in front is what kubectl's users know; kubectl prints the message as it is."""
    return Rejection(401, f"Unauthorized: {reason}", detail=shown(detail or reason))


def forbidden(reason: str, detail: str) -> Rejection:
    """403: the token is good, the identity in it is not allowed."""
    return Rejection(403, f"Forbidden: {reason}", detail=shown(detail))


def keys_unavailable(detail: str) -> Rejection:
    """503, not 401: a 401 would make kubectl start a login that cannot succeed either."""
    message = "the keys of the token's issuer are not available, try again"
    return Rejection(503, message, detail=shown(detail), retry_after=RETRY_AFTER)


def quoted(text: str) -> str:
    """Text of a stranger between quotes, as Go's ``%q``: on one line, with nothing in it that a terminal obeys."""
    cut = text if len(text) <= _LONGEST_QUOTE else text[:_LONGEST_QUOTE] + "..."
    return '"' + "".join(_escaped(char) if char in '"\\' or not char.isprintable() else char for char in cut) + '"'


def shown(text: str) -> str:
    """The text with control characters, odd blanks and surrogates escaped, and not too long."""
    cut = text[:_LONGEST_DETAIL]
    return cut if cut.isprintable() else "".join(char if char.isprintable() else _escaped(char) for char in cut)


def _escaped(char: str) -> str:
    return f"\\{char}" if char == '"' else char.encode("unicode_escape").decode("ascii")
