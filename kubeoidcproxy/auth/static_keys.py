"""PEM text to a :class:`~kubeoidcproxy.auth.keyset.KeySet`, for issuers without a discovery document.

A certificate is only the wrapping of a key here: its dates, name and signer are not looked at, for the one who put the
file there vouches for the key. Several blocks in one file, old and new, are how such an issuer rotates.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from kubeoidcproxy.auth.jws import PublicKey
from kubeoidcproxy.auth.keyset import MAX_KEYS, KeySet, UnusableKeys, published_key

_BLOCK = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----.*?-----END \1-----", re.DOTALL)


def parse_certificates(pem: bytes) -> KeySet:
    """The keys of all certificates in a PEM text; UnusableKeys if one of them cannot be used, or none is there."""
    return _key_set(pem, {b"CERTIFICATE": lambda block: x509.load_pem_x509_certificate(block).public_key()})


def parse_public_keys(pem: bytes) -> KeySet:
    """All public keys in a PEM text (SubjectPublicKeyInfo or PKCS 1); UnusableKeys as above."""
    return _key_set(pem, {b"PUBLIC KEY": load_pem_public_key, b"RSA PUBLIC KEY": load_pem_public_key})


def _key_set(pem: bytes, loaders: dict[bytes, Callable[[bytes], object]]) -> KeySet:
    """All or nothing: a file that is half written must not look like one from which a key was removed."""
    blocks = list(_BLOCK.finditer(pem))
    if len(blocks) != pem.count(b"-----BEGIN "):
        raise UnusableKeys("a PEM block has no end")
    if not blocks or len(blocks) > MAX_KEYS:
        raise UnusableKeys(f"{len(blocks)} PEM blocks, 1 to {MAX_KEYS} are accepted")
    keys = {key.thumbprint: key for key in (published_key(_load(block, loaders)) for block in blocks)}
    return KeySet(tuple(keys.values()), binds_kid=False)


def _load(block: re.Match[bytes], loaders: dict[bytes, Callable[[bytes], object]]) -> PublicKey:
    label = block[1]
    if label not in loaders:
        wanted = " or ".join(name.decode() for name in loaders)
        raise UnusableKeys(f"PEM block {label.decode()}, wanted {wanted}")
    try:
        return loaders[label](block[0])  # type: ignore[return-value]  # published_key refuses other types
    except Exception as error:  # cryptography: ValueError, UnsupportedAlgorithm, InvalidVersion
        raise UnusableKeys(f"a {label.decode()} cannot be read ({type(error).__name__})") from None
