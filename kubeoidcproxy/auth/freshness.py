"""When to ask an issuer again: after an answer, after a failure."""

from __future__ import annotations

import re
from collections.abc import Mapping

LONGEST = 600.0  # seconds; keys that an issuer withdrew must die soon, whatever its Cache-Control says
SHORTEST = 60.0  # and an issuer that says no-store is not asked at every request either
FIRST_RETRY = 10.0  # seconds after a failure, kube's interval; doubles
LAST_RETRY = 60.0
LONGEST_RETRY_AFTER = 3600.0  # one bad header must not switch an issuer off for a year

_MAX_AGE = re.compile(r"(?:^|[,\s])max-age\s*=\s*\"?(\d{1,10})", re.IGNORECASE)
_UNCACHED = re.compile(r"(?:^|[,\s])no-(?:store|cache)\b", re.IGNORECASE)


def lifetime(headers: Mapping[str, str]) -> float:
    """Seconds that an answer is good for: Cache-Control less Age (RFC 9111 section 4.2), between 1 and 10 minutes.

    :param headers: by name in lower case.
    """
    control = headers.get("cache-control", "")
    if _UNCACHED.search(control):
        return SHORTEST
    match = _MAX_AGE.search(control)
    if match is None:
        return LONGEST
    return min(max(float(match[1]) - _seconds(headers, "age"), SHORTEST), LONGEST)


def retry_after(headers: Mapping[str, str]) -> float:
    """Seconds that a refusing server asks us to stay away, 0 where it does not say. Dates are not read."""
    return min(_seconds(headers, "retry-after"), LONGEST_RETRY_AFTER)


def backoff(failures: int, jitter: float) -> float:
    """Seconds to wait after so many failures in a row: 10, 20, 40, 60, 60, less up to a tenth.

    :param jitter: 0 to 1, so that many proxies do not come back in step.
    """
    return min(FIRST_RETRY * 2.0 ** min(failures - 1, 10), LAST_RETRY) * (1 - jitter / 10)


def _seconds(headers: Mapping[str, str], name: str) -> float:
    text = headers.get(name, "").strip()
    return float(text) if text.isascii() and text.isdigit() and len(text) <= 10 else 0.0
