"""What a message is called that we do not understand in exactly one way."""

from __future__ import annotations


class Malformed(Exception):
    """These bytes are no message that may go on.

    :param text: what is wrong, without any byte of the message in it.
    :param status: the code that a client should get for it (RFC 9110 section 15.5); ignored for upstream messages.
    """

    def __init__(self, text: str, status: int = 400) -> None:
        super().__init__(text)
        self.text = text
        self.status = status
