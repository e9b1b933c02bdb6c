"""Real kubectl, every version at hand, against the stand-in in a process of its own."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sandbox.apiserver.kubectls import FOLDERS, Kubectl, found_kubectls, running_server

KUBECTLS = found_kubectls()
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not KUBECTLS, reason=f"no kubectl on PATH nor in the folders of ${FOLDERS}"),
]
MEGABYTES_10 = 10_000_000
MANIFESTS = """
apiVersion: v1
kind: Pod
metadata: {name: web}
spec: {containers: [{name: main, image: busybox}]}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {a: "1"}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: api}
spec:
  selector: {matchLabels: {app: api}}
  template:
    metadata: {labels: {app: api}}
    spec: {containers: [{name: main, image: one}, {name: side, image: two}]}
"""


@pytest.fixture(scope="module")
def kubeconfig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with running_server(tmp_path_factory.mktemp("apiserver")) as path:
        yield path


@pytest.fixture(params=KUBECTLS, ids=lambda kubectl: f"1.{kubectl.version[1]}")
def kubectl(request: pytest.FixtureRequest, kubeconfig: Path) -> Kubectl:
    found: Kubectl = request.param
    return replace(found, kubeconfig=kubeconfig)


@pytest.fixture
def namespace(kubectl: Kubectl) -> Iterator[str]:
    """A namespace with a pod, a config map and a deployment."""
    name = f"t{time.monotonic_ns()}"
    kubectl.ok("create", "namespace", name)
    kubectl.ok("apply", "-n", name, "-f", "-", stdin=MANIFESTS.encode())
    yield name
    kubectl.ok("delete", "namespace", name, "--wait=false")


def needs(kubectl: Kubectl, minor: int, what: str) -> None:
    if kubectl.version < (1, minor):
        pytest.skip(f"{what} goes by WebSocket from kubectl 1.{minor} on")


def test_get(kubectl: Kubectl, namespace: str) -> None:
    lines = kubectl.ok("get", "pods", "-n", namespace).splitlines()
    assert lines[0].split() == ["NAME", "READY", "STATUS", "RESTARTS", "AGE"]
    assert lines[1].split()[:4] == ["web", "1/1", "Running", "0"]
    assert "deployment.apps/api" in kubectl.ok("get", "all", "-n", namespace)
    assert json.loads(kubectl.ok("get", "cm", "settings", "-n", namespace, "-o", "json"))["data"] == {"a": "1"}
    missing = kubectl.run("get", "pod", "none", "-n", namespace)
    assert missing.stderr.decode().strip() == 'Error from server (NotFound): pods "none" not found'


def test_apply_again(kubectl: Kubectl, namespace: str) -> None:
    """Three-way patches: containers by name, keys that were dropped."""
    changed = MANIFESTS.replace("image: one", "image: other").replace('a: "1"', 'b: "2"')
    said = kubectl.ok("apply", "-n", namespace, "-f", "-", stdin=changed.encode())
    assert said.splitlines() == [
        "pod/web unchanged",
        "configmap/settings configured",
        "deployment.apps/api configured",
    ]
    images = "jsonpath={.spec.template.spec.containers[*].image}"
    assert kubectl.ok("get", "deployment", "api", "-n", namespace, "-o", images) == "other two"
    assert json.loads(kubectl.ok("get", "cm", "settings", "-n", namespace, "-o", "json"))["data"] == {"b": "2"}


def test_apply_on_the_server_side(kubectl: Kubectl, namespace: str) -> None:
    said = kubectl.ok(
        "apply", "--server-side", "-n", namespace, "-f", "-", "--force-conflicts", stdin=MANIFESTS.encode()
    )
    assert said.count("serverside-applied") == 3


def test_a_mistyped_manifest_is_refused(kubectl: Kubectl, namespace: str) -> None:
    wrong = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: wrong}\ndada: {a: b}\n"
    done = kubectl.run("create", "-n", namespace, "-f", "-", stdin=wrong.encode())
    assert b'unknown field "dada"' in done.stderr


def test_patch_label_and_delete(kubectl: Kubectl, namespace: str) -> None:
    kubectl.ok("patch", "cm", "settings", "-n", namespace, "-p", '{"data":{"c":"3"}}')
    kubectl.ok("label", "pod", "web", "-n", namespace, "tier=front")
    assert "web" in kubectl.ok("get", "pods", "-n", namespace, "-l", "tier=front")
    assert kubectl.ok("delete", "pod", "web", "-n", namespace).startswith('pod "web" deleted')
    assert "web" not in kubectl.ok("get", "pods", "-n", namespace)


def test_typed_creates(kubectl: Kubectl, namespace: str) -> None:
    """These go as protobuf from 1.32 on."""
    for arguments in (
        ["configmap", "made", "--from-literal=k=v"],
        ["serviceaccount", "ci"],
        ["deployment", "made", "--image=x", "--replicas=2"],
        ["role", "reader", "--verb=get,list", "--resource=pods"],
        ["rolebinding", "reader", "--role=reader", "--user=eve"],
    ):
        kubectl.ok("create", *arguments, "-n", namespace)
    assert kubectl.ok("get", "cm", "made", "-n", namespace, "-o", "jsonpath={.data.k}") == "v"
    assert "web" in kubectl.ok("get", "pods", "-n", namespace, "--context=eve")
    assert len(kubectl.ok("create", "token", "ci", "-n", namespace).strip()) > 30


def test_watch(kubectl: Kubectl, namespace: str) -> None:
    process = kubectl.start("get", "pods", "-n", namespace, "-w", "--no-headers")
    assert process.stdout is not None
    try:
        assert process.stdout.readline().startswith(b"web ")
        kubectl.ok("run", "later", "--image=x", "-n", namespace)
        assert process.stdout.readline().startswith(b"later ")
    finally:
        end(process)


def test_wait(kubectl: Kubectl, namespace: str) -> None:
    kubectl.ok("wait", "pod/web", "-n", namespace, "--for=condition=Ready", "--timeout=10s")


def test_who_am_i_and_what_may_i(kubectl: Kubectl, namespace: str) -> None:
    said = kubectl.ok("auth", "whoami", "-o", "json", "--as=alice", "--as-group=dev", "--as-uid=7")
    user = json.loads(said)["status"]["userInfo"]
    assert user == {"username": "alice", "uid": "7", "groups": ["dev", "system:authenticated"]}
    assert kubectl.ok("auth", "can-i", "delete", "pods", "-n", namespace).strip() == "yes"
    refused = kubectl.run("auth", "can-i", "delete", "pods", "-n", namespace, "--context=eve")
    assert (refused.returncode, refused.stdout.strip()) == (1, b"no")
    assert "selfsubjectreviews" in kubectl.ok("auth", "can-i", "--list", "--context=eve")


def test_forbidden(kubectl: Kubectl, namespace: str) -> None:
    done = kubectl.run("get", "pods", "-n", namespace, "--context=eve")
    assert done.stderr.decode().strip() == (
        'Error from server (Forbidden): pods is forbidden: User "eve" cannot list resource "pods" in API group "" '
        f'in the namespace "{namespace}"'
    )


def test_logs(kubectl: Kubectl, namespace: str) -> None:
    process = kubectl.start("logs", "-f", "web", "-n", namespace)
    assert process.stdout is not None
    try:
        first = f"container main of pod {namespace}/web started\n".encode()
        assert process.stdout.readline() == first
        if kubectl.version >= (1, 30):
            kubectl.ok("exec", "web", "-n", namespace, "--", "sh", "-c", "echo live >> main.log")
            assert process.stdout.readline() == b"live\n"
            assert kubectl.ok("logs", "web", "-n", namespace, "--tail=1") == "live\n"
    finally:
        end(process)


def test_exec(kubectl: Kubectl, namespace: str) -> None:
    needs(kubectl, 30, "exec")
    done = kubectl.run("exec", "web", "-n", namespace, "--", "sh", "-c", "echo out; echo err >&2; exit 3")
    assert (done.returncode, done.stdout) == (3, b"out\n")
    assert done.stderr.splitlines() == [b"err", b"command terminated with exit code 3"]
    missing = kubectl.run("exec", "web", "-n", namespace, "--", "no-such-command")
    assert missing.returncode == 126


def test_exec_with_stdin(kubectl: Kubectl, namespace: str) -> None:
    """The end of the input reaches the process (v5), both ways at once and more than any buffer holds."""
    needs(kubectl, 30, "exec")
    data = os.urandom(MEGABYTES_10)
    done = kubectl.run("exec", "-i", "web", "-n", namespace, "--", "sh", "-c", "cat; exit 7", stdin=data)
    assert (done.returncode, done.stdout == data) == (7, True)


def test_attach(kubectl: Kubectl, namespace: str) -> None:
    needs(kubectl, 30, "attach")
    assert kubectl.run("attach", "-i", "web", "-n", namespace, stdin=b"echo\n").stdout == b"echo\n"


def test_old_kubectl_is_told_what_it_needs(kubectl: Kubectl, namespace: str) -> None:
    if kubectl.version >= (1, 30):
        pytest.skip("this one speaks WebSocket")
    done = kubectl.run("exec", "web", "-n", namespace, "--", "true")
    assert b"use kubectl 1.30 or later" in done.stderr


def test_port_forward(kubectl: Kubectl, namespace: str) -> None:
    """Three connections at once, 10 MB each way through each, with half-close."""
    needs(kubectl, 31, "port-forward")
    with socket.create_server(("127.0.0.1", 0)) as echo:
        threading.Thread(target=serve_echo, args=(echo,), daemon=True).start()
        process = kubectl.start("port-forward", "pod/web", "-n", namespace, f":{echo.getsockname()[1]}")
        try:
            port = forwarded_port(process)
            results: list[bool] = []
            clients = [threading.Thread(target=lambda: results.append(comes_back(port))) for _ in range(3)]
            for client in clients:
                client.start()
            for client in clients:
                client.join(30)
            assert results == [True, True, True]
        finally:
            end(process)


def test_port_forward_to_nothing(kubectl: Kubectl, namespace: str) -> None:
    needs(kubectl, 31, "port-forward")
    with socket.create_server(("127.0.0.1", 0)) as unused:
        closed_port = unused.getsockname()[1]
    process = kubectl.start("port-forward", "pod/web", "-n", namespace, f":{closed_port}")
    with socket.create_connection(("127.0.0.1", forwarded_port(process))) as client:
        client.settimeout(10)
        assert client.recv(1) == b""
    _, stderr = process.communicate(timeout=10)
    assert f"dial tcp 127.0.0.1:{closed_port}: connect: connection refused".encode() in stderr


def serve_echo(server: socket.socket) -> None:
    while True:
        try:
            connection, _ = server.accept()
        except OSError:
            return
        threading.Thread(target=echo_one, args=(connection,), daemon=True).start()


def echo_one(connection: socket.socket) -> None:
    with connection:
        while data := connection.recv(65536):
            connection.sendall(data)


def forwarded_port(process: subprocess.Popen[bytes]) -> int:
    assert process.stdout is not None
    match = re.match(rb"Forwarding from 127\.0\.0\.1:(\d+) ->", process.stdout.readline())
    assert match
    return int(match[1])


def comes_back(port: int) -> bool:
    sent = os.urandom(MEGABYTES_10)
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.settimeout(30)
        sender = threading.Thread(target=send_and_end, args=(connection, sent))
        sender.start()
        received = bytearray()
        while data := connection.recv(65536):
            received += data
        sender.join(30)
    return received == sent


def send_and_end(connection: socket.socket, data: bytes) -> None:
    connection.sendall(data)
    connection.shutdown(socket.SHUT_WR)


def end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.communicate()
