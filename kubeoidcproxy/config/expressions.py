"""The seam through which CEL expressions are checked: whoever has CEL passes an ``ExpressionCheck``.

``config`` imports no CEL library, so that a daemon without expressions starts without one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum


class ExpressionUse(Enum):
    """Where an expression stands: decides which variable it sees and of what type it must be."""

    CLAIM_MAPPING = "claims to username, groups, uid or extra"
    CLAIM_RULE = "claims to exactly bool"
    USER_RULE = "user to exactly bool"


@dataclass(frozen=True, slots=True)
class ExpressionVerdict:
    """:param error: kube's words behind the quoted expression, such as ``must evaluate to bool`` or ``compilation
        failed: ...``; None where the expression may stand there.
    :param uses_email: ``claims.email`` is selected somewhere in it; ``uses_email_verified`` likewise.
    """

    error: str | None = None
    uses_email: bool = False
    uses_email_verified: bool = False


ExpressionCheck = Callable[[str, ExpressionUse], ExpressionVerdict]
