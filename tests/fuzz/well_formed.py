"""Requests as clients send them, and the streams of the corpus."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

HOST = "a.k8s.example.test"
OTHER_HOST = "b.k8s.example.test"
TOKENS = ("tok-of-alice.AbC_123-~+/==", "tok-of-bob.Def456")  # who is who: judge.py
FILLING = {
    "{HOST}": HOST,
    "{HOST_UPPER}": HOST.upper(),
    "{TOKEN}": TOKENS[0],
    "{TOKEN2}": TOKENS[1],
    "{TOKEN_B64URL}": "dG9rLW9mLWFsaWNl",
    "{USER}": "alice",
    "{USER2}": "bob",
}

CORPUS = json.loads((Path(__file__).parents[1] / "data" / "http_requests.json").read_text())["cases"]
LONGEST = 200_000  # a case of 2 MiB says nothing that one of 100 KiB does not


def filled(text: str) -> bytes:
    for name, value in FILLING.items():
        text = text.replace(name, value)
    return text.encode("latin-1")


def corpus() -> dict[str, bytes]:
    """The streams of the corpus by their ids, as far as they are short."""
    return {case["id"]: stream for case in CORPUS if len(stream := _stream(case)) <= LONGEST}


def _stream(case: dict[str, object]) -> bytes:
    match case:
        case {"raw": str(raw)}:
            return filled(raw)
        case {"frags": list(pieces)}:
            return b"".join(map(filled, pieces))
        case {"parts": list(parts)}:
            return b"".join(filled(text) * repeat for text, repeat in parts)
    raise AssertionError(f"a case of the corpus without bytes: {case}")


METHODS = {b"GET": 30, b"POST": 35, b"PUT": 10, b"PATCH": 8, b"DELETE": 8, b"HEAD": 5, b"OPTIONS": 4}  # how often
TARGETS = [
    b"/api/v1/namespaces/default/pods",
    b"/api/v1/namespaces/default/pods?watch=true&labelSelector=a%3Db",
    b"/apis/apps/v1/namespaces/x/deployments/y/scale",
    b"/version",
    b"/",
    b"/api/v1/namespaces/n/services/https:web:443/proxy/a//b/../%2F?q={}",
    b"/api/v1/nodes/worker-1/proxy/logs/%00",
]
FIELDS = [
    b"User-Agent: kubectl/v1.33.1 (linux/amd64) kubernetes/8adc0f0",
    b"Accept: application/json;as=Table;v=v1;g=meta.k8s.io,application/json",
    b"Accept-Encoding: gzip",
    b"Kubectl-Command: kubectl get",
    b"Kubectl-Session: 0b2a9bb0-0d6b-4c3a-9d3e-6f1f0f2a6f2a",
    b"Content-Type: application/json",
    b"X-Empty:",
    b"X-Blank: \t ",
    b"X-Latin: caf\xe9",
    b"Cookie: a=b; c=d",
    b"TE: trailers",
    b"Connection: keep-alive",
    b"Connection: close",
    b"Keep-Alive: timeout=5",
    b"X-Forwarded-For: 192.0.2.1",
    b"Sec-WebSocket-Protocol: v5.channel.k8s.io, base64url.bearer.authorization.k8s.io.dG9r",
    b"Upgrade: h2c",
    b"Content-Encoding: chunked",
]
BODIES = [
    b"{}",
    b'{"kind":"Pod","apiVersion":"v1","metadata":{"name":"x"}}',
    b"\r\n",
    b"0\r\n\r\n",
    b"x" * 300,
    bytes(range(256)),
]


def requests(rng: Random) -> bytes:
    """One request or some, one behind the other; as with kubectl, often with the same fields as the one before."""
    made = [request(rng)]
    for _ in range(rng.choices((0, 1, 2, 3), (50, 30, 15, 5))[0]):
        made.append(again(rng, made[-1]) if rng.random() < 0.4 else request(rng))
    return b"".join(made)


def again(rng: Random, before: bytes) -> bytes:
    """The same fields and body under another request line; now and then it is somebody else who asks."""
    fields = before.partition(b"\r\n")[2]
    if rng.random() < 0.2:
        fields = fields.replace(TOKENS[0].encode(), TOKENS[1].encode())
    return rng.choice(list(METHODS)) + b" " + rng.choice(TARGETS) + b" HTTP/1.1\r\n" + fields


def request(rng: Random) -> bytes:
    (method,) = rng.choices(list(METHODS), list(METHODS.values()))
    lines = [b"Host: " + HOST.encode(), b"Authorization: Bearer " + rng.choice(TOKENS).encode()]
    lines += rng.sample(FIELDS, rng.choice((0, 0, 1, 2, 3, 5)))
    if rng.random() < 0.01:
        lines.append(b"X-Long: " + b"l" * rng.choice((1000, 8000, 60_000, 70_000)))
    payload = b""
    kind = rng.random()
    if kind < 0.08:
        protocol = rng.choice((b"websocket", b"SPDY/3.1", b"WebSocket", b"spdy/3.1"))
        lines += (b"Connection: Upgrade", b"Upgrade: " + protocol)
        method = rng.choice((b"GET", b"POST"))
    elif kind < 0.45 and method not in (b"HEAD", b"OPTIONS"):
        payload = rng.choice([*BODIES, NESTED])
        lines.append(b"Content-Length: %d" % len(payload))
        if rng.random() < 0.1:
            lines.append(b"Expect: 100-continue")
    elif kind < 0.75 and method not in (b"HEAD", b"OPTIONS"):
        payload = chunked(rng, rng.choice([*BODIES, NESTED]))
        lines.append(b"Transfer-Encoding: chunked")
    elif kind < 0.8:
        lines.append(b"Content-Length: 0")
    rng.shuffle(lines)
    return b"\r\n".join([method + b" " + rng.choice(TARGETS) + b" HTTP/1.1", *lines, b"", payload])


def chunked(rng: Random, body: bytes) -> bytes:
    pieces = []
    while body:
        size = rng.randint(1, len(body))
        pieces.append(rng.choice((b"%x", b"%X", b"0%x", b"%016x")) % size + b"\r\n" + body[:size] + b"\r\n")
        body = body[size:]
    return b"".join(pieces) + rng.choice((b"0", b"0", b"00", b"0" * 16)) + b"\r\n\r\n"


NESTED = (
    f"GET /smuggled HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Bearer forged\r\nImpersonate-User: admin\r\n\r\n"
).encode()
