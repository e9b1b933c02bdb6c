"""The real control plane is a usable cluster: what every kubectl does against the API server itself, without a proxy.

When a test of the proxy fails on a real cluster and these pass, it is the proxy.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from realcluster.kubectl import Kubectl, assert_window_is_known, eventually, installed_kubectls

from kubeoidcproxy.sandbox.controlplane.cluster import Cluster
from kubeoidcproxy.sandbox.controlplane.control_plane import ControlPlane, assets_from_environment
from kubeoidcproxy.sandbox.controlplane.processes import ControlPlaneError
from kubeoidcproxy.sandbox.controlplane.rest import ApiClient, ApiError

pytestmark = pytest.mark.real

if not os.environ.get("KUBEBUILDER_ASSETS"):
    pytest.skip("KUBEBUILDER_ASSETS is unset; tests/realcluster/build.sh builds what it names", allow_module_level=True)

NAMESPACE = "team"
POD = "web"


def namespace(name: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def pod(name: str, **metadata: object) -> dict[str, Any]:
    containers = [{"name": "main", "image": "none"}]
    metadata = {"name": name, "namespace": NAMESPACE, **metadata}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": containers}}


READER: list[dict[str, Any]] = [
    {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "reader", "namespace": NAMESPACE}},
    {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": {"name": "reader", "namespace": NAMESPACE},
        "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]}],
    },
    {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "reader", "namespace": NAMESPACE},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader"},
        "subjects": [{"kind": "ServiceAccount", "name": "reader", "namespace": NAMESPACE}],
    },
]


def assets() -> Path:
    folder = assets_from_environment(os.environ)
    assert folder is not None
    return folder


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    directory = tmp_path_factory.mktemp("plane")
    with ControlPlane.start(assets=assets(), directory=directory, clusters=["dev", "prod"]) as plane:
        yield plane


@pytest.fixture(scope="module")
def dev(plane: ControlPlane) -> Cluster:
    """The cluster ``dev`` with a running pod and a ServiceAccount that may read pods."""
    dev = plane.clusters["dev"]
    dev.apply([pod(POD), *READER, namespace(NAMESPACE)])
    dev.wait_until_running(NAMESPACE, POD)
    return dev


@pytest.fixture(params=installed_kubectls(os.environ), ids=lambda path: path.name)
def kubectl(request: pytest.FixtureRequest, dev: Cluster, tmp_path: Path) -> Kubectl:
    return Kubectl(request.param, dev.admin_kubeconfig, tmp_path, [f"--namespace={NAMESPACE}"])


def test_exec_passes_stdin_to_its_end(kubectl: Kubectl) -> None:
    assert kubectl.output("exec", "-i", POD, "--", "cat", input=b"one\ntwo\n") == "one\ntwo\n"


def test_exec_keeps_stdout_and_stderr_apart_and_tells_the_exit_code(kubectl: Kubectl) -> None:
    done = kubectl.run("exec", POD, "--", "sh", "-c", "echo out; echo err >&2; exit 3")
    assert (done.returncode, done.stdout) == (3, b"out\n")
    assert done.stderr.startswith(b"err\n")


def test_exec_ends_with_its_process_though_stdin_is_open(kubectl: Kubectl) -> None:
    process = kubectl.start("exec", "-i", POD, "--", "head", "-n1")
    assert process.stdin is not None
    process.stdin.write(b"first\n")
    assert process.stdout is not None
    assert process.stdout.read() == b"first\n"
    assert process.wait(10) == 0


def test_exec_delivers_much_output_whole(kubectl: Kubectl) -> None:
    done = kubectl.run("exec", POD, "--", "head", "-c", "20000000", "/dev/zero")
    assert len(done.stdout) == 20_000_000


def test_exec_on_a_terminal_knows_the_window_and_its_changes(kubectl: Kubectl) -> None:
    assert_window_is_known(kubectl, POD)


def test_a_terminal_hangs_up_on_its_process_when_the_client_is_gone(kubectl: Kubectl, dev: Cluster) -> None:
    script = "trap 'touch hung-up; exit' HUP; echo ready; while :; do sleep 0.1; done"
    mark = dev.pod_directory(NAMESPACE, POD) / "hung-up"
    mark.unlink(missing_ok=True)
    terminal = kubectl.on_terminal("exec", "-it", POD, "--", "sh", "-c", script, rows=40, columns=100)
    terminal.read_until("ready")
    terminal.process.kill()
    terminal.finish()
    eventually(mark.exists)


def test_logs_shows_a_new_line_as_it_is_written(kubectl: Kubectl) -> None:
    assert kubectl.output("logs", POD).startswith(f"container main of pod {NAMESPACE}/{POD} started\n")
    following = kubectl.start("logs", "-f", "--tail=0", POD)
    assert following.stdout is not None
    writing = threading.Event()

    def write_until_seen() -> None:
        while not writing.wait(0.3):
            kubectl.output("exec", POD, "--", "sh", "-c", "echo fresh >> main.log")

    writer = threading.Thread(target=write_until_seen)
    writer.start()
    try:
        assert following.stdout.read(6) == b"fresh\n"
    finally:
        writing.set()
        writer.join()
        following.kill()
        following.communicate()
    assert kubectl.output("logs", "--tail=1", POD) == "fresh\n"


@pytest.mark.parametrize("where", ["relative", "absolute"])
def test_cp_both_ways_changes_nothing(kubectl: Kubectl, tmp_path: Path, where: str) -> None:
    sent, back = tmp_path / "sent", tmp_path / "back"
    sent.write_bytes(os.urandom(3_000_000))
    inside = "copy" if where == "relative" else str(tmp_path / "inside")
    kubectl.output("cp", str(sent), f"{POD}:{inside}")
    kubectl.output("cp", f"{POD}:{inside}", str(back))
    assert back.read_bytes() == sent.read_bytes()


def test_attach_shows_the_log(kubectl: Kubectl) -> None:
    process = kubectl.start("attach", POD)
    assert process.stdout is not None
    assert process.stdout.read(14) == b"container main"
    process.kill()
    process.communicate()


def test_attach_with_stdin_echoes(kubectl: Kubectl) -> None:
    assert kubectl.output("attach", "-i", POD, input=b"hello\n") == "hello\n"


def test_port_forward_carries_bytes_both_ways(kubectl: Kubectl) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=answer_once, args=[listener]).start()
        forward = kubectl.start("port-forward", POD, f":{listener.getsockname()[1]}")
        assert forward.stdout is not None
        line = forward.stdout.readline().decode()  # Forwarding from 127.0.0.1:45678 -> 8080
        port = int(line.split(" -> ")[0].rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
            connection.sendall(b"ping")
            assert connection.recv(100) == b"echo ping"
        forward.kill()
        forward.communicate()


def answer_once(listener: socket.socket) -> None:
    connection, _ = listener.accept()
    with connection:
        connection.sendall(b"echo " + connection.recv(100))


def test_a_deleted_pod_takes_its_streams_along(kubectl: Kubectl, dev: Cluster) -> None:
    name = f"gone-{kubectl.program.name.replace('.', '-')}"
    dev.apply([pod(name)])
    dev.wait_until_running(NAMESPACE, name)
    process = kubectl.start("exec", "-i", name, "--", "sh", "-c", "echo up; sleep 600")
    assert process.stdout is not None
    assert process.stdout.read(3) == b"up\n"
    kubectl.output("delete", "pod", name)
    assert process.wait(10) == 137
    assert not dev.pod_directory(NAMESPACE, name).exists()


def test_a_service_account_may_do_what_its_role_says(kubectl: Kubectl, dev: Cluster) -> None:
    token = dev.service_account_token(NAMESPACE, "reader", 600)
    as_reader = [
        *kubectl.options,
        f"--server={dev.server}",
        f"--certificate-authority={dev.ca_file}",
        f"--token={token}",
    ]
    reader = Kubectl(kubectl.program, Path(os.devnull), kubectl.home, as_reader)
    assert reader.output("get", "pod", POD, "-o", "name") == f"pod/{POD}\n"
    refused = reader.run("delete", "pod", POD)
    assert f'User "system:serviceaccount:{NAMESPACE}:reader" cannot delete resource "pods"' in refused.stderr.decode()


def test_the_audit_log_names_the_user(dev: Cluster) -> None:
    pair = dev.client_certificate("alice", ["ops"])
    with pytest.raises(ApiError) as refused:
        ApiClient(dev.server, dev.ca_file, pair).get("/api/v1/namespaces/audited/pods")
    assert refused.value.status == 403

    def events() -> list[dict[str, Any]]:
        lines = dev.audit_log.read_text().splitlines()
        return [event for event in map(json.loads, lines) if event["requestURI"] == "/api/v1/namespaces/audited/pods"]

    eventually(events)
    assert events()[0]["user"]["username"] == "alice"
    assert events()[0]["user"]["groups"] == ["ops", "system:authenticated"]


def test_apply_again_changes_what_is_there(dev: Cluster) -> None:
    dev.apply([pod("changing", labels={"step": "one"})])
    dev.apply([pod("changing", labels={"step": "two"})])
    path = f"/api/v1/namespaces/{NAMESPACE}/pods/changing"
    assert dev.api.get(path)["metadata"]["labels"] == {"step": "two"}


def test_clusters_share_nothing(plane: ControlPlane, dev: Cluster) -> None:
    prod = plane.clusters["prod"]
    assert not prod.api.exists(f"/api/v1/namespaces/{NAMESPACE}")
    token = dev.service_account_token(NAMESPACE, "reader")
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": token}}
    assert "authenticated" not in prod.api.create("/apis/authentication.k8s.io/v1/tokenreviews", review)["status"]


def test_nobody_gets_in_without_a_credential(dev: Cluster) -> None:
    context = ssl.create_default_context(cafile=str(dev.ca_file))
    connection = http.client.HTTPSConnection(dev.server.removeprefix("https://"), context=context)
    connection.request("GET", "/version")
    assert connection.getresponse().status == 401
    connection.close()


def test_a_short_token_is_refused_in_the_words_of_the_api_server(dev: Cluster) -> None:
    with pytest.raises(ApiError, match="may not specify a duration less than 10 minutes") as refused:
        dev.service_account_token(NAMESPACE, "reader", 60)
    assert refused.value.status == 422


def test_api_server_and_etcd_alone_make_a_cluster_without_running_pods(tmp_path: Path) -> None:
    """The folder that Kubernetes' setup-envtest downloads holds no more than these."""
    few = tmp_path / "assets"
    few.mkdir()
    for program in ("kube-apiserver", "etcd"):
        (few / program).symlink_to(assets() / program)
    with ControlPlane.start(assets=few, directory=tmp_path / "plane", clusters=["dev"]) as plane:
        dev = plane.clusters["dev"]
        dev.apply([pod(POD), namespace(NAMESPACE)])
        assert dev.api.get(f"/api/v1/namespaces/{NAMESPACE}/pods/{POD}")["status"]["phase"] == "Pending"
        with pytest.raises(ControlPlaneError, match="no kubelet stand-in"):
            dev.wait_until_running(NAMESPACE, POD)


def test_a_failing_start_quotes_the_log_and_leaves_nothing_running(tmp_path: Path) -> None:
    with pytest.raises(
        ControlPlaneError, match=r"dev/kube-apiserver has ended with status 1(?s:.*)unknown flag: --nonsense"
    ):
        ControlPlane.start(assets=assets(), directory=tmp_path, clusters=["dev"], api_server_flags=["--nonsense"])
    with socket.socket(socket.AF_UNIX) as connection, pytest.raises(ConnectionRefusedError):
        connection.connect(str(tmp_path / "etcd.sock"))


ABANDONED = """
import sys, pathlib
from kubeoidcproxy.sandbox.controlplane.control_plane import ControlPlane
assets, directory = map(pathlib.Path, sys.argv[1:])
plane = ControlPlane.start(assets=assets, directory=directory, clusters=["dev"])
print(plane.clusters["dev"].server, flush=True)
input()
"""


def test_it_dies_with_the_process_that_started_it(tmp_path: Path) -> None:
    owner = subprocess.Popen(
        [sys.executable, "-c", ABANDONED, str(assets()), str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert owner.stdout is not None
    port = int(owner.stdout.readline().decode().rpartition(":")[2])
    socket.create_connection(("127.0.0.1", port)).close()
    owner.send_signal(signal.SIGKILL)
    owner.communicate()

    def refuses() -> bool:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            return True
        return False

    eventually(refuses)
