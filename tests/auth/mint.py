# ruff: noqa
"""Builds the tokens of tokens.json: mint.token(case, values, keys) -> str. Needs `cryptography`."""

import base64
import hashlib
import hmac
import json
import pathlib
import re

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, utils

HERE = pathlib.Path(__file__).resolve().parent.parent / "data" / "oracle"
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_TEMPLATE = re.compile(rb"\$\{(issuer2|issuer|now)([+-][0-9]+)?(\.[0-9]+)?\}")
_BYTE = re.compile(rb"\$\{x:([0-9a-f]{2})\}")
_REPEAT = re.compile(rb"\$\{rep:(.):([0-9]+)\}")


def expand(text, values):
    """Fills ${now+N}, ${issuer}, ${issuer2}, ${x:ff}, ${rep:c:n}; returns bytes."""

    def fill(m):
        name = m[1].decode()
        if name != "now":
            return values[name].encode()
        return str(values["now"] + int(m[2] or 0)).encode() + (m[3] or b"")

    data = text.encode("utf-8", "surrogatepass")
    data = _BYTE.sub(lambda m: bytes([int(m[1], 16)]), data)
    data = _REPEAT.sub(lambda m: m[1] * int(m[2]), data)
    return _TEMPLATE.sub(fill, data)


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def respell(text):
    """Another base64url text of the same bytes (the spare bits of the last character are set)."""
    assert len(text) % 4
    return text[:-1] + ALPHABET[ALPHABET.index(text[-1]) + 1]


def private_key(name, keys):
    return serialization.load_pem_private_key(keys["private_keys"][name].encode(), None)


def sign(spec, data, keys):
    alg, mod, sig = spec["alg"], spec.get("mod"), b""
    name = {"384": "SHA384", "512": "SHA512"}.get(alg[-3:], "SHA1" if alg == "RS1" else "SHA256")
    digest = getattr(hashes, name)()
    if alg == "none":
        pass
    elif alg[:2] == "HS":
        secret = keys["secrets"].get(spec["key"])
        if secret is None:
            secret = (
                private_key(spec["key"], keys)
                .public_key()
                .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
                .decode()
            )
        sig = hmac.new(secret.encode(), data, getattr(hashlib, name.lower())).digest()
    elif alg[:2] == "RS":
        sig = private_key(spec["key"], keys).sign(data, padding.PKCS1v15(), digest)
    elif alg[:2] == "PS":
        salt = spec.get("pss_salt", digest.digest_size)
        sig = private_key(spec["key"], keys).sign(data, padding.PSS(padding.MGF1(digest), salt), digest)
    elif alg[:2] == "ES":
        key = private_key(spec["key"], keys)
        der = key.sign(data, ec.ECDSA(digest))
        if mod == "der":
            return der
        r, s = utils.decode_dss_signature(der)
        order = {"secp256r1": 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551}.get(key.curve.name)
        if mod == "high_s":
            s = max(s, order - s)
        elif mod == "low_s":
            s = min(s, order - s)
        elif mod == "swap_rs":
            r, s = s, r
        size = {"pad48": 48, "pad66": 66}.get(mod, (key.curve.key_size + 7) // 8)
        sig = r.to_bytes(size, "big") + s.to_bytes(size, "big")
    elif alg == "EdDSA":
        key = private_key(spec["key"], keys)
        assert isinstance(key, ed25519.Ed25519PrivateKey)
        sig = key.sign(data)
    else:
        raise ValueError(alg)
    return {
        "flip_first": lambda: bytes([sig[0] ^ 1]) + sig[1:],
        "flip_last": lambda: sig[:-1] + bytes([sig[-1] ^ 1]),
        "truncate": lambda: sig[:-1],
        "extend": lambda: sig + b"\0",
        "prepend_zero": lambda: b"\0" + sig,
        "empty": lambda: b"",
        "zeros": lambda: bytes(len(sig)),
    }.get(mod, lambda: sig)()


def token(case, values, keys):
    """case: an entry of `cases`, or a signed entry of a case's `pages`."""
    header, claims = expand(case["header"], values), expand(case["claims"], values)
    h, p = b64(header), b64(claims)
    signed = "%s.%s" % (
        b64(expand(case["signed_header"], values)) if case.get("signed_header") else h,
        b64(expand(case["signed_claims"], values)) if case.get("signed_claims") else p,
    )
    s = b64(sign(case["sign"], signed.encode(), keys))
    wire = case.get("wire") or "{h}.{p}.{s}"
    for mark, value in (("{h}", h), ("{p}", p), ("{s}", s), ("{p+}", base64.b64encode(claims).decode())):
        wire = wire.replace(mark, value)
    for mark, value in (("{h~}", h), ("{p~}", p), ("{s~}", s)):
        if mark in wire:
            wire = wire.replace(mark, respell(value))
    return wire


def load(folder=HERE):
    """-> (cases, configs, values, keys)"""
    doc = json.loads((folder / "tokens.json").read_text("utf-8"))
    return doc["cases"], doc["configs"], doc["values"], json.loads((folder / "keys.json").read_text("utf-8"))


if __name__ == "__main__":
    cases, configs, values, keys = load()
    for case in cases:
        print(case["id"], token(case, values, keys)[:60])
