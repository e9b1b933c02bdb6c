# ruff: noqa
"""Turns jwt_cases.json into (token, jwks) pairs.  Needs only `cryptography`.

    from jwt_gen import load, build
    for case in load(): token, jwks = build(case)          # token: str, jwks: dict (what the IdP would serve)
Scenario cases (case["scenario"]) return (None, None).
"""

import base64, hashlib, hmac, json, os, random, re, time, zlib
from cryptography.hazmat.primitives import hashes, serialization as ser
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

HERE = os.path.dirname(os.path.abspath(__file__))
b64 = lambda b: base64.urlsafe_b64encode(b).rstrip(b"=").decode()
i2b = lambda i, n=None: i.to_bytes(n or max(1, (i.bit_length() + 7) // 8), "big")
HASH = {"256": hashes.SHA256, "384": hashes.SHA384, "512": hashes.SHA512, "1": hashes.SHA1}
ORDER = {"P-256": 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551}
EVIL_SEED = random.Random(7)


def _prime(bits, rnd):
    while True:
        p = rnd.getrandbits(bits) | (3 << (bits - 2)) | 1
        if p % 65537 == 1 or any(p % q == 0 for q in (3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37)):
            continue
        if all(pow(rnd.randrange(2, p - 1), p - 1, p) == 1 for _ in range(12)):
            return p


class Ring(dict):
    def __missing__(self, name):
        if name in ("rsa1", "evil", "other1"):
            k = rsa.generate_private_key(65537, 2048)
        elif name == "rsa1024":
            k = rsa.generate_private_key(65537, 1024)
        elif name == "ec256":
            k = ec.generate_private_key(ec.SECP256R1())
        elif name == "ec384":
            k = ec.generate_private_key(ec.SECP384R1())
        elif name == "ec521":
            k = ec.generate_private_key(ec.SECP521R1())
        elif name == "eck1":
            k = ec.generate_private_key(ec.SECP256K1())
        elif name == "ed1":
            k = ed25519.Ed25519PrivateKey.generate()
        else:
            raise KeyError(name)
        self[name] = k
        return k


RING = Ring()
_p, _q = _prime(256, EVIL_SEED), _prime(256, EVIL_SEED)
RSA512 = (_p * _q, 65537, pow(65537, -1, (_p - 1) * (_q - 1)))


def jwk(name, **extra):
    k = RING[name]
    if isinstance(k, rsa.RSAPrivateKey):
        n = k.public_key().public_numbers()
        d = dict(kty="RSA", n=b64(i2b(n.n)), e=b64(i2b(n.e)), alg="RS256")
    elif isinstance(k, ec.EllipticCurvePrivateKey):
        n = k.public_key().public_numbers()
        size = (k.curve.key_size + 7) // 8
        crv, alg = {
            "secp256r1": ("P-256", "ES256"),
            "secp384r1": ("P-384", "ES384"),
            "secp521r1": ("P-521", "ES512"),
            "secp256k1": ("secp256k1", "ES256K"),
        }[k.curve.name]
        d = dict(kty="EC", crv=crv, x=b64(i2b(n.x, size)), y=b64(i2b(n.y, size)), alg=alg)
    else:
        d = dict(
            kty="OKP",
            crv="Ed25519",
            x=b64(k.public_key().public_bytes(ser.Encoding.Raw, ser.PublicFormat.Raw)),
            alg="EdDSA",
        )
    d.update(kid=name, use="sig")
    d.update(extra)
    return {k2: v for k2, v in d.items() if v is not None}


def secret(spec):
    if spec == "empty":
        return b""
    name, form = spec.split(".")
    pub = RING[name].public_key()
    if form.startswith("spki_pem"):
        s = pub.public_bytes(ser.Encoding.PEM, ser.PublicFormat.SubjectPublicKeyInfo)
        return s.rstrip(b"\n") if form.endswith("nonl") else s
    if form == "spki_der":
        return pub.public_bytes(ser.Encoding.DER, ser.PublicFormat.SubjectPublicKeyInfo)
    if form == "pkcs1_pem":
        return pub.public_bytes(ser.Encoding.PEM, ser.PublicFormat.PKCS1)
    if form == "jwk_json":
        return json.dumps(jwk(name)).encode()
    if form == "n":
        return i2b(pub.public_numbers().n)
    if form == "openssh":
        return pub.public_bytes(ser.Encoding.OpenSSH, ser.PublicFormat.OpenSSH)
    if form == "cert_pem":
        return cert(name)[0]
    raise KeyError(spec)


def cert(name):
    import datetime
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    k = RING[name]
    n = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime(2026, 1, 1)
    c = (
        x509.CertificateBuilder()
        .subject_name(n)
        .issuer_name(n)
        .public_key(k.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=3650))
        .sign(k, hashes.SHA256())
    )
    return c.public_bytes(ser.Encoding.PEM), c.public_bytes(ser.Encoding.DER)


def sign(data, key, alg, tweak=None):
    if key == "none":
        return b""
    if key == "rsa512" or key == "rsa_e1":
        em_t = bytes.fromhex("3031300d060960864801650304020105000420") + hashlib.sha256(data).digest()
        if key == "rsa512":
            n, _, d = RSA512
            em = b"\0\1" + b"\xff" * (64 - len(em_t) - 3) + b"\0" + em_t
            return i2b(pow(int.from_bytes(em, "big"), d, n), 64)
        return b"\0\1" + b"\xff" * (256 - len(em_t) - 3) + b"\0" + em_t
    k = RING[key]
    h = HASH[re.sub(r"\D", "", alg) or "256"]()
    if isinstance(k, rsa.RSAPrivateKey):
        if alg.startswith("PS"):
            return k.sign(data, padding.PSS(padding.MGF1(h), h.digest_size), h)
        return k.sign(data, padding.PKCS1v15(), h)
    if isinstance(k, ed25519.Ed25519PrivateKey):
        return k.sign(data)
    size = (k.curve.key_size + 7) // 8
    r, s = decode_dss_signature(k.sign(data, ec.ECDSA(h)))
    if tweak == "high_s":
        n = ORDER["P-256"]
        s = max(s, n - s)
    return i2b(r, size) + i2b(s, size)


def expand(o, now):
    if isinstance(o, dict):
        if set(o) == {"$groups"}:
            return ["g%d" % i for i in range(o["$groups"])]
        if set(o) == {"$groups40"}:
            return ["g" * 40 + str(i) for i in range(o["$groups40"])]
        return {k: expand(v, now) for k, v in o.items()}
    if isinstance(o, list):
        return [expand(v, now) for v in o]
    if isinstance(o, str):
        m = re.fullmatch(r"\{now(str|_ms)?([+-][0-9.]+)?\}", o)
        if m:
            off = float(m.group(2) or 0)
            off = int(off) if off == int(off) else off
            v = (int(now * 1000) if m.group(1) == "_ms" else int(now)) + off
            return str(v) if m.group(1) == "str" else v
        m = re.fullmatch(r"\{rep:(.):(\d+)\}", o, re.S)
        if m:
            return m.group(1) * int(m.group(2))
        m = re.fullmatch(r"\{jwk:(\w+)\}", o)
        if m:
            return jwk(m.group(1))
        m = re.fullmatch(r"\{x5c:(\w+)\}", o)
        if m:
            return base64.b64encode(cert(m.group(1))[1]).decode()
    return o


def dumps(d):
    """json.dumps, but '{json:X}' strings insert X literally"""
    holes = []

    def walk(o):
        if isinstance(o, dict):
            return {k: walk(v) for k, v in o.items()}
        if isinstance(o, list):
            return [walk(v) for v in o]
        if isinstance(o, str) and o.startswith("{json:") and o.endswith("}"):
            holes.append(o[6:-1])
            return "\x01HOLE%d\x01" % (len(holes) - 1)
        return o

    t = json.dumps(walk(d), separators=(",", ":"))
    for i, h in enumerate(holes):
        t = t.replace(json.dumps("\x01HOLE%d\x01" % i), h)
    return t


def merged(base, over, now):
    d = dict(base)
    for k, v in (over or {}).items():
        if v is None:
            d.pop(k, None)
        else:
            d[k] = v
    return expand(d, now)


def jwks_for(variant):
    base = [jwk("rsa1"), jwk("ec256"), jwk("ec384"), jwk("ec521")]
    only = {
        "default": base,
        "single_rsa": [jwk("rsa1")],
        "two_issuers": base,
        "rsa_alg_rs512": [jwk("rsa1", alg="RS512")],
        "rsa_noalg": [jwk("rsa1", alg=None)],
    }
    if variant in only:
        return {"keys": only[variant]}, "rsa1", "RS256"
    big = lambda bits: b64(i2b((1 << (bits - 1)) | random.Random(bits).getrandbits(bits - 1) | 1))
    V = {
        "rsa1024": ([jwk("rsa1024")], "rsa1024", "RS256"),
        "rsa512": (
            [dict(kty="RSA", kid="rsa512", use="sig", alg="RS256", n=b64(i2b(RSA512[0])), e="AQAB")],
            "rsa512",
            "RS256",
        ),
        "rsa16384": ([dict(kty="RSA", kid="rsa1", use="sig", alg="RS256", n=big(16384), e="AQAB")], "rsa1", "RS256"),
        "rsa_e1": ([jwk("rsa1", e="AQ", kid="rsa_e1")], "rsa_e1", "RS256"),
        "rsa_big_e": ([jwk("rsa1", e=b64(i2b(2**64 + 1)))], "rsa1", "RS256"),
        "rsa_even_e": ([jwk("rsa1", e=b64(i2b(65536)))], "rsa1", "RS256"),
        "ec_offcurve": ([jwk("ec256", x=b64(b"\1" * 32))], "ec256", "ES256"),
        "ec_wrongcrv": ([jwk("ec384", crv="P-256", alg="ES256")], "ec384", "ES256"),
        "ec_k1": ([jwk("eck1", kid="eck1")], "eck1", "ES256K"),
        "oct": (
            [dict(kty="oct", kid="oct1", k=b64(b"secret-secret-secret-secret-secret!"), alg="HS256")],
            "oct",
            "HS256",
        ),
        "use_enc": ([jwk("rsa1", use="enc")], "rsa1", "RS256"),
        "ops_sign": ([jwk("rsa1", use=None, key_ops=["sign"])], "rsa1", "RS256"),
        "with_d": ([jwk("rsa1", d=b64(i2b(RING["rsa1"].private_numbers().d)))], "rsa1", "RS256"),
        "dup_kid": ([jwk("evil", kid="rsa1"), jwk("rsa1")], "rsa1", "RS256"),
        "no_kid": ([jwk("rsa1", kid=None), jwk("evil", kid=None)], "rsa1", "RS256"),
        "int_kid": ([jwk("rsa1", kid=1)], "rsa1", "RS256"),
        "n_std_b64": (
            [jwk("rsa1", n=base64.b64encode(i2b(RING["rsa1"].public_key().public_numbers().n)).decode())],
            "rsa1",
            "RS256",
        ),
        "kty_lower": ([jwk("rsa1", kty="rsa")], "rsa1", "RS256"),
        "keys_obj": ({"0": jwk("rsa1")}, "rsa1", "RS256"),
        "many_keys": ([jwk("rsa1", kid="k%d" % i) for i in range(999)] + [jwk("rsa1")], "rsa1", "RS256"),
        "roca": ([], "rsa1", "RS256"),
    }
    keys, k, a = V[variant]
    return {"keys": keys}, k, a


def load(path=None):
    doc = json.load(open(path or os.path.join(HERE, "..", "data", "jwt_cases.json")))
    for c in doc["cases"]:
        c["_defaults"] = doc["defaults"]
        yield c


def build(c, now=None):
    if c.get("scenario"):
        return None, None
    now = now or time.time()
    D = c["_defaults"]
    jwks, vkey, valg = jwks_for(c.get("jwks", "default"))
    sg = dict(c.get("sign") or {"key": "rsa1", "alg": "RS256"})
    hover = dict(c.get("header") or {})
    if sg.get("key") == "by_variant":
        sg = {"key": vkey, "alg": valg}
        hover.setdefault("kid", "oct1" if vkey == "oct" else vkey)
        hover.setdefault("alg", valg)
        if vkey == "oct":
            sg = {"alg": "HS256", "raw_secret": b"secret-secret-secret-secret-secret!"}
    deep = lambda t: re.sub(r"\{deep:(\d+)\}", lambda m: "[" * int(m.group(1)) + "]" * int(m.group(1)), t)
    if "raw_header_hex" in c:
        hdr = bytes.fromhex(c["raw_header_hex"])
    elif "raw_header" in c:
        hdr = deep(c["raw_header"]).encode("utf-8", "surrogatepass")
    else:
        hdr = dumps(merged(D["header"], hover, now)).encode("utf-8", "surrogatepass")
    claims = merged(D["claims"], c.get("claims"), now)
    text = dumps(claims)
    if "raw_claim" in c:
        for k, v in c["raw_claim"].items():
            claims.pop(k, None)
            text = dumps(claims)[:-1] + ',"%s":%s}' % (k, v)
    if "dup_claim" in c:
        k, a, b = expand(c["dup_claim"], now)
        claims.pop(k, None)
        text = '{"%s":%s,' % (k, json.dumps(a)) + dumps(claims)[1:-1] + ',"%s":%s}' % (k, json.dumps(b))
    if "raw_claims" in c:
        t = c["raw_claims"]
        if "{jws:inner}" in t:
            t = t.replace("{jws:inner}", build({"_defaults": D}, now)[0])
        text = deep(t.replace("{CLAIMS}", dumps(claims)))
    body = text.encode(c.get("encoding", "utf-8"), "surrogatepass")
    if "raw_claims_bytes_insert" in c:
        body = body[:-1] + b',"z":"' + bytes.fromhex(c["raw_claims_bytes_insert"]) + b'"}'
    si = (b64(hdr) + "." + b64(body)).encode()
    if "raw_secret" in sg or "secret" in sg:
        sec = sg.get("raw_secret") or secret(sg["secret"]) if "raw_secret" in sg or sg["secret"] != "empty" else b""
        sig = hmac.new(sec, si, {"256": "sha256", "384": "sha384", "512": "sha512"}[sg["alg"][2:]]).digest()
    else:
        sig = sign(si, sg["key"], sg.get("alg", "RS256"), sg.get("tweak"))
    p = c.get("sigpost")
    if p:
        op, n = p[0], ORDER["P-256"]
        val = lambda v: {"n": n, "n-1": n - 1}.get(v, v)
        if op == "flip":
            a = bytearray(sig)
            a[p[1]] ^= 1
            sig = bytes(a)
        elif op == "trunc":
            sig = sig[: -p[1]]
        elif op == "prepend_zero":
            sig = b"\0" + sig
        elif op == "append_byte":
            sig += b"\0"
        elif op == "empty":
            sig = b""
        elif op == "zeros":
            sig = b"\0" * len(sig)
        elif op == "ones":
            sig = b"\xff" * len(sig)
        elif op == "double":
            sig += sig
        elif op == "der":
            sig = encode_dss_signature(int.from_bytes(sig[:32], "big"), int.from_bytes(sig[32:], "big"))
        elif op == "rs":
            sig = i2b(val(p[1]), 32) + i2b(val(p[2]), 32)
    tok = si.decode() + "." + b64(sig)
    A64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    for op in c.get("post", []):
        parts = tok.split(".")
        a = expand(op[1:], now)
        o = op[0]
        if o == "set":
            tok = a[0]
        elif o == "drop_part":
            tok = ".".join(parts[: a[0]])
        elif o == "append":
            tok += a[0]
        elif o == "prepend":
            tok = a[0] + tok
        elif o == "pad":
            parts[a[0]] += "=" * (-len(parts[a[0]]) % 4 or 2)
            tok = ".".join(parts)
        elif o == "std_b64":
            tok = tok.replace("-", "+").replace("_", "/") + ("" if ("-" in tok or "_" in tok) else "+")
        elif o == "insert":
            s = parts[a[0]]
            parts[a[0]] = s[:4] + a[1] + s[4:]
            tok = ".".join(parts)
        elif o == "unused_bits":
            s = parts[a[0]]
            if len(s) % 4 == 0:  # no unused bits: lengthen the payload by one space until there are some
                return build(
                    {
                        **c,
                        "_pad": c.get("_pad", 0) + 1,
                        "claims": {**(c.get("claims") or {}), "z": " " * (c.get("_pad", 0) + 1)},
                    },
                    now,
                )
            parts[a[0]] = (
                s[:-1] + A64[A64.index(s[-1]) | 1]
                if A64[A64.index(s[-1]) | 1] != s[-1]
                else s[:-1] + A64[A64.index(s[-1]) ^ 1]
            )
            tok = ".".join(parts)
        elif o == "replace":
            tok = tok.replace(a[0], a[1])
        elif o == "wrap":
            tok = a[0] + tok + a[0]
        elif o == "json_flat":
            tok = json.dumps({"protected": parts[0], "payload": parts[1], "signature": parts[2]})
        elif o == "json_general":
            tok = json.dumps({"payload": parts[1], "signatures": [{"protected": parts[0], "signature": parts[2]}]})
        elif o == "jwe_bomb":
            h = b64(b'{"alg":"dir","enc":"A128GCM","zip":"DEF","kid":"rsa1"}')
            tok = ".".join([h, "", b64(b"0" * 12), b64(zlib.compress(b"0" * 10_000_000)[2:-4]), b64(b"0" * 16)])
        elif o == "jwe_pbes2":
            h = b64(
                json.dumps({"alg": "PBES2-HS256+A128KW", "enc": "A128GCM", "p2c": 2**31, "p2s": b64(b"salt")}).encode()
            )
            tok = ".".join([h, b64(b"0" * 24), b64(b"0" * 12), b64(b"x"), b64(b"0" * 16)])
        elif o == "swap_payload":
            other = build({"_defaults": D, "claims": {"preferred_username": "admin"}}, now)[0].split(".")
            tok = ".".join([parts[0], other[1], parts[2]])
    return tok, jwks


if __name__ == "__main__":
    n = 0
    for case in load():
        t, j = build(case)
        n += t is not None
    print(n, "tokens built")
