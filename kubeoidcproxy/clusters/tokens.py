"""Bearer tokens: what may stand in an ``Authorization`` header, and what a token file holds."""

from __future__ import annotations

import re
from pathlib import Path

# More than RFC 6750's b64token, because API servers take any text; but nothing that could end a header or split it.
_TOKEN = re.compile(r"[!-~]+")

# An API server reads 1 MiB of head at the most; no token comes near this.
_MAX_TOKEN = 64 * 1024


class TokenError(Exception):
    """No usable token. The message does not quote it."""


def checked(token: str) -> str:
    """The token, if it can be sent."""
    if not token:
        raise TokenError("the token is empty")
    if len(token) > _MAX_TOKEN:
        raise TokenError("the token is longer than 64 KiB")
    if not _TOKEN.fullmatch(token):
        raise TokenError("the token holds other characters than visible ASCII")
    return token


def read_token(path: Path) -> str:
    """The token in a file, without the white space around it (client-go, transport/token_source.go). Blocks."""
    try:
        with path.open("rb") as file:
            raw = file.read(_MAX_TOKEN + 1024)
    except OSError as error:
        raise TokenError(f"cannot be read: {error.strerror}") from None
    return checked(raw.decode("latin-1").strip(" \t\r\n"))
