"""A client of the stand-in without sockets: one request a connection, in memory, answered before ``ask`` returns."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h11
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport

from kubeoidcproxy.sandbox.apiserver.protocol import HttpConnection
from kubeoidcproxy.sandbox.apiserver.server import ApiServer
from kubeoidcproxy.sandbox.apiserver.users import User

RBAC = "rbac.authorization.k8s.io"
TABLE = ("Accept", "application/json;as=Table;v=v1;g=meta.k8s.io,application/json")
USERS = {
    "admin": User("admin", groups=("system:masters",)),
    "proxy": User("proxy", "p"),
    "eve": User("eve", "e"),
}
START = 1_800_000_000


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def message(self) -> str:
        text: str = self.json["message"]
        return text


class Conversation:
    """A server and whoever asks it."""

    def __init__(self, folder: Path, manifests: Iterable[Mapping[str, Any]] = ()) -> None:
        self.clock = Clock()
        self.clock.advance(START)
        self.audit_log = folder / "audit.log"
        self.server = ApiServer(self.clock, "test", USERS, manifests, folder / "pods", self.audit_log)

    def ask(
        self, method: str, target: str, *headers: tuple[str, str], body: Any = None, token: str | None = "admin"
    ) -> Answer:
        connection, transport = self.connect()
        connection.dataReceived(request_bytes(method, target, *headers, body=body, token=token))
        return read_answer(transport.value(), method)

    def connect(self) -> tuple[HttpConnection, StringTransport]:
        connection, transport = self.server.factory.buildProtocol(None), StringTransport()
        connection.makeConnection(transport)  # type: ignore[no-untyped-call]
        return connection, transport

    def audit_events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.audit_log.read_text().splitlines()]


def request_bytes(
    method: str, target: str, *headers: tuple[str, str], body: Any = None, token: str | None = "admin"
) -> bytes:
    """A request as a client writes it."""
    payload = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"{method} {target} HTTP/1.1", "Host: sandbox", *(f"{name}: {value}" for name, value in headers)]
    if token is not None:
        lines.append(f"Authorization: Bearer {token}")
    if body is not None:
        lines.append(f"Content-Length: {len(payload)}")
    return "\r\n".join([*lines, "", ""]).encode() + payload


def read_answer(data: bytes, method: str = "GET") -> Answer:
    """Parse what the server wrote."""
    client = h11.Connection(h11.CLIENT)
    client.send(h11.Request(method=method, target="/", headers=[("Host", "sandbox")]))
    client.send(h11.EndOfMessage())
    client.receive_data(data)
    head = client.next_event()
    assert isinstance(head, h11.Response), head
    body = b""
    while isinstance(event := client.next_event(), h11.Data):
        body += event.data
    assert isinstance(event, h11.EndOfMessage), event
    return Answer(head.status_code, {name.decode(): value.decode() for name, value in head.headers}, body)


def manifest(kind: str, name: str, api_version: str = "v1", namespace: str = "", **fields: Any) -> dict[str, Any]:
    metadata = {"name": name} | ({"namespace": namespace} if namespace else {})
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **fields}


def pod(name: str = "web", namespace: str = "shop") -> dict[str, Any]:
    return manifest("Pod", name, namespace=namespace, spec={"containers": [{"name": "main", "image": "busybox"}]})


SHOP = (manifest("Namespace", "shop"), pod())
