"""exec, attach and port-forward: who may, and how they must be asked for."""

from __future__ import annotations

from pathlib import Path

import pytest
from sandbox.apiserver.conversation import RBAC, SHOP, Conversation, manifest, read_answer, request_bytes

from kubeoidcproxy.sandbox.apiserver.exec import exit_status

POD = "/api/v1/namespaces/shop/pods/web"
EXEC = f"{POD}/exec?command=ls&stdout=1"
WEBSOCKET = (
    ("Connection", "Upgrade"),
    ("Upgrade", "websocket"),
    ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ("Sec-WebSocket-Version", "13"),
)
SPDY = (("Connection", "Upgrade"), ("Upgrade", "SPDY/3.1"))


@pytest.fixture
def conversation(tmp_path: Path) -> Conversation:
    rules = [{"apiGroups": [""], "resources": ["pods/exec"], "verbs": ["get"]}]
    role_ref, subjects = {"kind": "ClusterRole", "name": "half"}, [{"kind": "User", "name": "eve"}]
    role = manifest("ClusterRole", "half", f"{RBAC}/v1", rules=rules)
    binding = manifest("ClusterRoleBinding", "half", f"{RBAC}/v1", roleRef=role_ref, subjects=subjects)
    return Conversation(tmp_path, [*SHOP, role, binding])


def test_a_websocket_needs_the_right_to_create_too(conversation: Conversation) -> None:
    """AuthorizePodWebsocketUpgradeCreatePermission; kubectl tries SPDY next and shows that answer."""
    answer = conversation.ask("GET", EXEC, *WEBSOCKET, token="eve")
    assert (answer.status, answer.message) == (403, 'pods "web" is forbidden: ')
    spdy = conversation.ask("POST", EXEC, *SPDY, token="eve")
    assert spdy.message == (
        'pods "web" is forbidden: User "eve" cannot create resource "pods/exec" in API group "" in the namespace "shop"'
    )


def test_spdy_is_told_which_kubectl_is_needed(conversation: Conversation) -> None:
    answer = conversation.ask("POST", EXEC, *SPDY)
    assert answer.status == 400
    assert "use kubectl 1.30 or later" in answer.message


@pytest.mark.parametrize(
    ("target", "code", "message"),
    [
        (EXEC, 400, "Upgrade request required"),
        (f"{POD}/portforward", 400, "Upgrade request required"),
        (f"{POD}/exec?container=zz", 400, "container zz is not valid for pod web"),
        (EXEC.replace("web", "none"), 404, 'pods "none" not found'),
    ],
)
def test_refused(conversation: Conversation, target: str, code: int, message: str) -> None:
    answer = conversation.ask("GET", target)
    assert (answer.status, answer.message) == (code, message)


def test_an_unknown_sub_protocol(conversation: Conversation) -> None:
    answer = conversation.ask("GET", EXEC, *WEBSOCKET, ("Sec-WebSocket-Protocol", "nonsense"))
    assert (answer.status, answer.body) == (403, b"403 Forbidden\n")


def test_a_refused_upgrade_leaves_the_connection_usable(conversation: Conversation) -> None:
    connection, transport = conversation.connect()
    connection.dataReceived(request_bytes("GET", EXEC, *WEBSOCKET, token="eve"))
    transport.clear()
    connection.dataReceived(request_bytes("GET", "/version"))
    assert read_answer(transport.value()).status == 200


def test_a_port_forward_switches_protocols(conversation: Conversation) -> None:
    connection, transport = conversation.connect()
    protocol = ("Sec-WebSocket-Protocol", "SPDY/3.1+portforward.k8s.io")
    connection.dataReceived(request_bytes("GET", f"{POD}/portforward", *WEBSOCKET, protocol))
    head = transport.value().lower()
    assert head.startswith(b"http/1.1 101 ")
    assert b"sec-websocket-protocol: spdy/3.1+portforward.k8s.io" in head
    connection.connectionLost()
    stages = [event["stage"] for event in conversation.audit_events()]
    assert stages == ["ResponseStarted", "ResponseComplete"]


def test_exit_status() -> None:
    assert exit_status(0) == {"metadata": {}, "status": "Success"}
    assert exit_status(3) == {
        "metadata": {},
        "status": "Failure",
        "message": "command terminated with non-zero exit code: exit status 3",
        "reason": "NonZeroExitCode",
        "details": {"causes": [{"reason": "ExitCode", "message": "3"}]},
    }
