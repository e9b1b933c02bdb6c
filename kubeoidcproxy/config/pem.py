"""PEM text: its blocks, and the certificates and public keys in them."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes, PublicKeyTypes

_BLOCK: Final = re.compile(
    r"^-----BEGIN (?P<label>[^\r\n]*)-----[ \t]*\r?\n(?P<body>.*?)^-----END (?P=label)-----", re.DOTALL | re.MULTILINE
)


@dataclass(frozen=True, slots=True)
class Block:
    label: str
    der: bytes
    line: int


def blocks(text: str) -> Iterator[Block]:
    """As Go's pem.Decode finds them: what is no block is passed over. A block with headers is none of ours."""
    for match in _BLOCK.finditer(text):
        body = "".join(match["body"].split())
        if ":" in body:
            continue
        try:
            der = base64.b64decode(body, validate=True)
        except binascii.Error:
            continue
        yield Block(match["label"], der, text.count("\n", 0, match.start()) + 1)


def certificate_fault(text: str) -> str | None:
    """What client-go's cert.NewPoolFromBytes says of a CA bundle; None where it is one."""
    certificates = [block for block in blocks(text) if block.label == "CERTIFICATE"]
    for block in certificates:
        try:
            certificate_key(block)
        except ValueError:
            return "x509: malformed certificate"
    return None if certificates else "data does not contain any valid RSA or ECDSA certificates"


def certificate_key(block: Block) -> CertificatePublicKeyTypes:
    """:raises ValueError:"""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.x509 import load_der_x509_certificate

    try:
        return load_der_x509_certificate(block.der).public_key()
    except UnsupportedAlgorithm as error:
        raise ValueError(str(error)) from None


def public_key(block: Block) -> PublicKeyTypes:
    """Of a "PUBLIC KEY" (SubjectPublicKeyInfo) or "RSA PUBLIC KEY" (PKCS 1) block. :raises ValueError:"""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    try:
        return load_der_public_key(block.der)
    except UnsupportedAlgorithm as error:
        raise ValueError(str(error)) from None
