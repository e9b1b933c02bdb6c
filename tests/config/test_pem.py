from __future__ import annotations

import base64

from kubeoidcproxy.config.pem import Block, blocks

BODY = base64.b64encode(b"hello").decode()


def test_blocks_and_their_lines() -> None:
    text = (
        f"comment\n-----BEGIN A-----\n{BODY}\n-----END A-----\n\n-----BEGIN B C-----\r\n{BODY}\r\n-----END B C-----\r\n"
    )
    assert list(blocks(text)) == [Block("A", b"hello", 2), Block("B C", b"hello", 6)]


def test_what_is_no_block_is_passed_over() -> None:
    for text in (
        "",
        f"-----BEGIN A-----\n{BODY}\n",
        f"-----BEGIN A-----\n{BODY}\n-----END B-----\n",
        f" -----BEGIN A-----\n{BODY}\n-----END A-----\n",
        "-----BEGIN A-----\n*\n-----END A-----\n",
    ):
        assert list(blocks(text)) == []


def test_a_block_with_headers_is_none_of_ours() -> None:
    """Go's x509 skips them, too: an encrypted key carries such headers."""
    assert list(blocks(f"-----BEGIN A-----\nProc-Type: 4,ENCRYPTED\n\n{BODY}\n-----END A-----\n")) == []
