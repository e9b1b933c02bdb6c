"""The keys of one issuer: which of them may verify a token of a given ``kid`` and algorithm (law 5)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from kubeoidcproxy.auth.jws import PublicKey, VerificationKey, verification_key

MAX_KEYS = 64  # of one issuer; real ones publish two to five
_MAX_TRIES = 8  # for a token without kid: bounds what one bad token costs to about 0.3 ms

# Below 2048 bits RSA is no longer safe (NIST SP 800-131A); above 8192 a verify takes milliseconds.
_RSA_BITS = range(2048, 8193)
_LARGEST_EXPONENT = 2**31 - 1  # as in Go's crypto/rsa; exponents are 65537 in practice
_RSA_ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
_CURVE_ALGORITHMS = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}


class UnusableKeys(ValueError):
    """No key to be had from what was given; the text says why and holds no key material."""


@dataclass(frozen=True, slots=True)
class PublishedKey:
    """One key of an issuer.

    :param thumbprint: SHA-256 of its SubjectPublicKeyInfo.
    :param verifiers: the key, prepared for each algorithm that it may be used with.
    """

    kid: str | None
    algorithms: tuple[str, ...]
    thumbprint: bytes
    verifiers: Mapping[str, VerificationKey] = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class KeySet:
    """All keys of one issuer at one time. Equal sets verify the same tokens.

    :param binds_kid: False for keys that have no names of their own (PEM files): a token's ``kid`` then says nothing.
    :param left_out: why keys that were given are not among these.
    """

    keys: tuple[PublishedKey, ...]
    binds_kid: bool = True
    left_out: tuple[str, ...] = field(default=(), compare=False)

    def knows(self, kid: str | None) -> bool:
        """Whether a token with this ``kid`` can be judged with these keys: a fresh set would not help it."""
        return not self.binds_kid or any(key.kid == kid for key in self.keys if kid is not None)

    def candidates(self, kid: str | None, alg: str) -> tuple[VerificationKey, ...]:
        """The keys to try, in order. A name that stands for two different keys of one algorithm stands for none."""
        by_name = self.binds_kid and kid is not None
        fitting = {
            key.thumbprint: key.verifiers[alg]
            for key in self.keys
            if alg in key.verifiers and (key.kid == kid or not by_name)
        }
        if by_name and len(fitting) > 1:
            return ()
        return tuple(fitting.values())[:_MAX_TRIES]


def published_key(public_key: PublicKey, kid: str | None = None, alg: str | None = None) -> PublishedKey:
    """Admit a key, for all algorithms that fit it or for the one that it names; UnusableKeys where it is not fit."""
    fitting = algorithms_for(public_key)
    if alg is not None and alg not in fitting:
        raise UnusableKeys("its alg does not fit its type")
    chosen = fitting if alg is None else (alg,)
    spki = public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    verifiers = {name: verification_key(public_key, name) for name in chosen}
    return PublishedKey(kid, chosen, hashlib.sha256(spki).digest(), verifiers)


def algorithms_for(public_key: PublicKey) -> tuple[str, ...]:
    """The algorithms that a key's own type allows; UnusableKeys where that is none."""
    if isinstance(public_key, rsa.RSAPublicKey):
        numbers = public_key.public_numbers()
        check_rsa(numbers.n, numbers.e)
        return _RSA_ALGORITHMS
    if isinstance(public_key, ec.EllipticCurvePublicKey) and public_key.curve.name in _CURVE_ALGORITHMS:
        return (_CURVE_ALGORITHMS[public_key.curve.name],)
    raise UnusableKeys("its type is not supported")


def check_rsa(modulus: int, exponent: int) -> None:
    """Raise UnusableKeys for RSA numbers that are too weak, or too expensive to compute with."""
    if modulus.bit_length() not in _RSA_BITS:
        raise UnusableKeys(f"RSA key of {modulus.bit_length()} bits, 2048 to 8192 are accepted")
    if not 3 <= exponent <= _LARGEST_EXPONENT or exponent % 2 == 0:
        raise UnusableKeys("RSA exponent is even, below 3 or too large")
