"""Refusals: the one exception that becomes an answer to a client."""

from __future__ import annotations

# metav1.StatusReason by HTTP code, as k8s.io/apimachinery api/errors NewGenericServerResponse gives them.
# A code that is not here has no reason of its own there ("" below 500, InternalError from 500 up).
STATUS_REASONS = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    405: "MethodNotAllowed",
    413: "RequestEntityTooLarge",
    429: "TooManyRequests",
    500: "InternalError",
    503: "ServiceUnavailable",
    504: "Timeout",
}

# Policy: these answers end the connection, because what follows on it cannot be trusted to be a request.
CLOSING_CODES = frozenset({400, 405, 408, 414, 417, 421, 431, 505})


class Rejection(Exception):
    """A request is refused: what the client is told, and what only the log learns.

    :param status: HTTP status code of the answer.
    :param message: for the client; kubectl prints it. Never holds a token, a key or an upstream address.
    :param detail: for the log and the audit trail; the true reason, with no secret in it. Defaults to the message.
    :param retry_after: seconds for a ``Retry-After`` header, or None.
    :param close: the connection ends after the answer; defaults to what policy says of the code.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        detail: str = "",
        retry_after: int | None = None,
        close: bool | None = None,
    ) -> None:
        super().__init__(status, detail or message)
        self.status = status
        self.message = message
        self.detail = detail or message
        self.retry_after = retry_after
        self.close = status in CLOSING_CODES if close is None else close

    @property
    def reason(self) -> str:
        """``reason`` of the ``v1.Status``: kube's own for the code."""
        return STATUS_REASONS.get(self.status, "InternalError" if self.status >= 500 else "")
