"""What users do with kubectl works through the proxy as it does on the API server: every kubectl, two backends.

The stand-in of the sandbox, or a real control plane where KUBEBUILDER_ASSETS names one. Where the two answer
differently the stand-in is wrong.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import statistics
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from blackbox.callers import Callers, Tokens
from blackbox.kubectls import Program
from realcluster.kubectl import Kubectl, assert_window_is_known, eventually

from kubeoidcproxy.sandbox import world
from kubeoidcproxy.sandbox.plain import Answer, call
from kubeoidcproxy.sandbox.record import SandboxRecord
from kubeoidcproxy.sandbox.tokens import new_rsa_key

POD, CONTAINER, NAMESPACE = world.POD, world.CONTAINER, world.NAMESPACE
EVENT_SECONDS = 0.2
MEGABYTES = 10 * 1024 * 1024
PROXY_USER = f"system:serviceaccount:{world.PROXY_NAMESPACE}:{world.PROXY_ACCOUNT}"


@pytest.fixture
def alice(callers: Callers) -> Kubectl:
    return callers.person("alice")


@pytest.fixture
def name() -> str:
    """A name that no other test has used."""
    return f"t-{secrets.token_hex(4)}"


@pytest.fixture
def exec_works(sandbox: SandboxRecord, program: Program) -> None:
    if sandbox.backend == "stand-in" and not program.execs_by_websocket:
        pytest.skip("this kubectl executes by SPDY, which the stand-in does not speak")


@pytest.fixture
def forward_works(sandbox: SandboxRecord, program: Program) -> None:
    if sandbox.backend == "stand-in" and not program.forwards_by_websocket:
        pytest.skip("this kubectl forwards by SPDY, which the stand-in does not speak")


@pytest.fixture
def whoami_works(sandbox: SandboxRecord, program: Program) -> None:
    if sandbox.backend != "stand-in" and program.minor < 28:
        pytest.skip("this kubectl asks authentication.k8s.io/v1beta1, which the API server no longer serves")


def configmap(name: str, **data: str) -> bytes:
    metadata = {"name": name, "namespace": NAMESPACE}
    return json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}).encode()


def deployment(name: str, **spec: Any) -> bytes:
    manifest = world.deployment(name)
    manifest["spec"].update(spec)
    return json.dumps(manifest).encode()


def refusal(kubectl: Kubectl, *arguments: str, input: bytes | None = None) -> str:
    """The text of a call that must fail."""
    done = kubectl.run(*arguments, input=input)
    assert done.returncode != 0, done.stdout
    return done.stderr.decode()


@contextmanager
def running(process: subprocess.Popen[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def read_line(process: subprocess.Popen[bytes]) -> bytes:
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line or process.stderr is None, process.stderr.read()
    return line


def ask(sandbox: SandboxRecord, path: str, token: str = "", **headers: str) -> Answer:
    """A plain GET request, for what kubectl hides."""
    if token:
        headers["Authorization"] = f"Bearer {token}"
    return call("GET", f"https://localhost:{port_of(sandbox)}{path}", ca_file=sandbox.ca_file, headers=headers)


def port_of(sandbox: SandboxRecord) -> str:
    return sandbox.proxy.address.rpartition(":")[2]


# Reading and writing.


def test_get_lists_pods_in_the_servers_own_table(alice: Kubectl) -> None:
    lines = alice.output("get", "pods", POD).splitlines()
    assert lines[0].split() == ["NAME", "READY", "STATUS", "RESTARTS", "AGE"]
    assert lines[1].split()[:3] == [POD, "1/1", "Running"]


def test_get_gives_an_object_whole(alice: Kubectl) -> None:
    pod = json.loads(alice.output("get", "pod", POD, "--output=json"))
    assert pod["metadata"]["labels"] == {"app": "shop"}
    assert pod["spec"]["containers"][0]["name"] == CONTAINER


def test_get_of_what_is_not_there_says_so(alice: Kubectl, name: str) -> None:
    text = refusal(alice, "get", "pod", name)
    assert text == f'Error from server (NotFound): pods "{name}" not found\n'


def test_watch_shows_an_event_within_200_ms(callers: Callers, alice: Kubectl, name: str) -> None:
    """From before the change is sent to the line in the client's pipe, so the time of the change is in it."""
    alice.output("create", "--filename=-", input=configmap(name))
    with running(alice.start("get", "configmap", name, "--watch", "--output=jsonpath={.data.beat}{'\\n'}")) as watching:
        read_line(watching)
        time.sleep(0.3)  # nothing tells when the watch behind the list is open
        delays = [beat(callers, name, str(number), watching) for number in range(5)]
    assert statistics.median(delays) < EVENT_SECONDS, delays


def beat(callers: Callers, name: str, number: str, watching: subprocess.Popen[bytes]) -> float:
    """Change the ConfigMap and wait until kubectl shows it; seconds."""
    token = callers.tokens.of_pipeline()
    url = f"https://{callers.sandbox.proxy.address}/dev/api/v1/namespaces/{NAMESPACE}/configmaps/{name}"
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/merge-patch+json"}
    start = time.monotonic()
    body = json.dumps({"data": {"beat": number}}).encode()
    answer = call("PATCH", url, ca_file=callers.sandbox.ca_file, headers=headers, body=body)
    assert answer.status == 200
    assert read_line(watching).decode().strip() == number
    return time.monotonic() - start


def test_apply_creates_then_changes_then_leaves_alone(alice: Kubectl, name: str) -> None:
    def apply(manifest: bytes) -> str:
        return alice.output("apply", "--filename=-", input=manifest)

    assert apply(deployment(name)) == f"deployment.apps/{name} created\n"
    assert apply(deployment(name, replicas=3)) == f"deployment.apps/{name} configured\n"
    assert apply(deployment(name, replicas=3)) == f"deployment.apps/{name} unchanged\n"
    assert alice.output("get", "deployment", name, "--output=jsonpath={.spec.replicas}") == "3"


def test_server_side_apply_keeps_what_others_have_set(alice: Kubectl, name: str) -> None:
    def apply(manifest: bytes) -> str:
        return alice.output("apply", "--server-side", "--filename=-", input=manifest)

    assert apply(configmap(name, ours="1")) == f"configmap/{name} serverside-applied\n"
    alice.output("patch", "configmap", name, "--type=merge", '--patch={"data": {"theirs": "2"}}')
    assert apply(configmap(name, ours="3")) == f"configmap/{name} serverside-applied\n"
    data = json.loads(alice.output("get", "configmap", name, "--output=jsonpath={.data}"))
    assert data == {"ours": "3", "theirs": "2"}


@pytest.mark.parametrize(
    ("kind", "patch"),
    [
        ("merge", {"spec": {"replicas": 5}}),
        ("strategic", {"spec": {"replicas": 5, "template": {"spec": {"containers": [{"name": "main", "tty": True}]}}}}),
        ("json", [{"op": "replace", "path": "/spec/replicas", "value": 5}]),
    ],
)
def test_patch_changes_a_part(alice: Kubectl, name: str, kind: str, patch: object) -> None:
    alice.output("create", "--filename=-", input=deployment(name))
    output = alice.output("patch", "deployment", name, f"--type={kind}", f"--patch={json.dumps(patch)}")
    assert output == f"deployment.apps/{name} patched\n"
    path = "jsonpath={.spec.replicas} {.spec.template.spec.containers[0].image}"
    assert alice.output("get", "deployment", name, f"--output={path}") == "5 shop.sandbox.test/web:2"


def test_delete_removes(alice: Kubectl, name: str) -> None:
    alice.output("create", "--filename=-", input=configmap(name))
    assert alice.output("delete", "configmap", name) == f'configmap "{name}" deleted\n'
    assert "NotFound" in refusal(alice, "get", "configmap", name)


# Streams.


def log_file(sandbox: SandboxRecord) -> Path:
    return sandbox.clusters["dev"].pods / NAMESPACE / POD / f"{CONTAINER}.log"


def test_logs_follow_a_line_as_it_is_written(alice: Kubectl, sandbox: SandboxRecord, name: str) -> None:
    with (
        running(alice.start("logs", "--follow", "--tail=0", POD)) as following,
        repeatedly(lambda: append(log_file(sandbox), f"{name}\n")),
    ):
        assert read_line(following).decode() == f"{name}\n"
    assert alice.output("logs", "--tail=1", POD) == f"{name}\n"


def append(file: Path, text: str) -> None:
    with file.open("a") as log:
        log.write(text)


@contextmanager
def repeatedly(action: Callable[[], None]) -> Iterator[None]:
    """For what happens unseen if it happens before the other side looks, and nothing tells when it does."""
    over = threading.Event()

    def act() -> None:
        while not over.wait(0.05):
            action()

    actor = threading.Thread(target=act)
    actor.start()
    try:
        yield
    finally:
        over.set()
        actor.join()


@pytest.mark.usefixtures("exec_works")
def test_exec_passes_stdin_to_its_end(alice: Kubectl) -> None:
    assert alice.output("exec", "--stdin", POD, "--", "cat", input=b"one\ntwo\n") == "one\ntwo\n"


@pytest.mark.usefixtures("exec_works")
def test_exec_tells_the_exit_code_and_keeps_the_outputs_apart(alice: Kubectl) -> None:
    done = alice.run("exec", POD, "--", "sh", "-c", "echo out; echo err >&2; exit 3")
    assert (done.returncode, done.stdout) == (3, b"out\n")
    assert done.stderr.startswith(b"err\n")


@pytest.mark.usefixtures("exec_works")
def test_exec_delivers_much_output_whole(alice: Kubectl) -> None:
    done = alice.run("exec", POD, "--", "head", "-c", str(MEGABYTES), "/dev/zero")
    assert len(done.stdout) == MEGABYTES


def test_spdy_is_refused_readably_by_the_stand_in(alice: Kubectl, sandbox: SandboxRecord, program: Program) -> None:
    if sandbox.backend != "stand-in" or program.execs_by_websocket:
        pytest.skip("this kubectl on this backend needs no SPDY, or gets it")
    assert "WebSocket" in refusal(alice, "exec", POD, "--", "true")


@pytest.mark.real
def test_exec_on_a_terminal_knows_the_window(alice: Kubectl) -> None:
    assert_window_is_known(alice, POD)


@pytest.mark.real
def test_cp_both_ways_changes_nothing(alice: Kubectl, tmp_path: Path, name: str) -> None:
    sent, back = tmp_path / "sent", tmp_path / "back"
    sent.write_bytes(os.urandom(3_000_000))
    alice.output("cp", str(sent), f"{POD}:{name}")
    alice.output("cp", f"{POD}:{name}", str(back))
    assert back.read_bytes() == sent.read_bytes()


@pytest.mark.real
def test_attach_shows_the_log(alice: Kubectl) -> None:
    with running(alice.start("attach", POD)) as attached:
        assert read_line(attached).startswith(b"container main")


@pytest.mark.real
def test_attach_with_stdin_echoes(alice: Kubectl) -> None:
    assert alice.output("attach", "--stdin", POD, input=b"hello\n") == "hello\n"


@pytest.mark.usefixtures("forward_works")
def test_port_forward_carries_10_megabytes_each_way(alice: Kubectl) -> None:
    sent, answered = os.urandom(MEGABYTES), os.urandom(MEGABYTES)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        received = bytearray()
        server = threading.Thread(target=exchange_as_server, args=[listener, answered, received])
        server.start()
        with running(alice.start("port-forward", POD, f":{listener.getsockname()[1]}")) as forwarding:
            line = read_line(forwarding).decode()  # Forwarding from 127.0.0.1:45678 -> 8080
            port = int(line.split(" -> ")[0].rpartition(":")[2])
            with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
                came = exchange(connection, sent, len(answered))
            server.join(20)
    assert came == answered
    assert received == sent


def exchange_as_server(listener: socket.socket, payload: bytes, received: bytearray) -> None:
    listener.settimeout(20)
    connection, _ = listener.accept()
    with connection:
        received += exchange(connection, payload, MEGABYTES)


def exchange(connection: socket.socket, payload: bytes, length: int) -> bytes:
    """Send and receive at the same time."""
    sender = threading.Thread(target=connection.sendall, args=[payload])
    sender.start()
    received = bytearray()
    while len(received) < length and (piece := connection.recv(65536)):
        received += piece
    sender.join(20)
    return bytes(received)


# Who one is, and what one may do.


@pytest.mark.usefixtures("whoami_works")
def test_whoami_shows_the_mapped_identity(alice: Kubectl) -> None:
    user = json.loads(alice.output("auth", "whoami", "--output=json"))["status"]["userInfo"]
    assert user["username"] == "oidc:alice"
    assert user["groups"] == ["oidc:devs", "system:authenticated"]
    assert user["uid"]


@pytest.mark.parametrize(
    ("user", "expected"), [("alice", "oidc:alice"), ("pipeline", "pipeline:deployer"), ("ci", world.DEPLOYERS[1])]
)
def test_kubectl_logs_in_by_itself(callers: Callers, user: str, expected: str) -> None:
    """With the kubeconfig and the exec plugin that the sandbox hands out."""
    review = json.dumps({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}).encode()
    path = "--raw=/apis/authentication.k8s.io/v1/selfsubjectreviews"
    answer = json.loads(callers.by_plugin(user).output("create", path, "--filename=-", input=review))
    assert answer["status"]["userInfo"]["username"] == expected


def test_can_i_says_what_roles_allow(callers: Callers, alice: Kubectl) -> None:
    assert alice.output("auth", "can-i", "delete", "pods") == "yes\n"
    assert alice.run("auth", "can-i", "delete", "namespaces").stdout == b"no\n"
    assert callers.person("bob").run("auth", "can-i", "get", "pods").stdout == b"no\n"


def test_rbac_forbids_in_the_api_servers_own_words(callers: Callers) -> None:
    text = refusal(callers.person("bob"), "get", "pods")
    assert text == (
        f'Error from server (Forbidden): pods is forbidden: User "oidc:bob" cannot list resource "pods"'
        f' in API group "" in the namespace "{NAMESPACE}"\n'
    )


def test_an_administrator_may_do_what_others_may_not(callers: Callers) -> None:
    names = callers.person("carol").output("get", "clusterrolebindings", "--output=name").splitlines()
    assert "clusterrolebinding.rbac.authorization.k8s.io/administrators" in names


def unauthorized(callers: Callers, token: str) -> str:
    """What kubectl says of a token that is refused.

    It prints the server's message, and not a text of its own, when it has learnt before what the server serves.
    """
    callers.pipeline().output("get", "deployments")
    return refusal(callers.bearer(token), "get", "deployments")


def test_an_expired_token_is_unauthorized(callers: Callers) -> None:
    assert "Unauthorized" in unauthorized(callers, callers.tokens.of_pipeline(issued=-120, lifetime=60))


def test_a_forged_token_is_unauthorized(callers: Callers) -> None:
    """All is right but the key."""
    issuer, now = callers.sandbox.issuers.people, int(time.time())
    claims = {"iss": issuer, "sub": "alice", "uid": "1", "aud": world.AUDIENCE, "iat": now, "exp": now + 60}
    assert "Unauthorized" in unauthorized(callers, new_rsa_key("people-rsa-1").sign(claims))


def test_as_somebody_else_is_forbidden_with_a_reason(alice: Kubectl) -> None:
    text = refusal(alice, "get", "pods", "--as=bob")
    assert text.startswith("Error from server (Forbidden): ")
    assert "mpersonat" in text


# Clusters.


@pytest.mark.parametrize("suffix", ["", "-by-path"], ids=["by-server-name", "by-path"])
def test_two_clusters_are_two(callers: Callers, name: str, suffix: str) -> None:
    dev, prod = (callers.person("alice", f"{cluster}{suffix}") for cluster in world.CLUSTERS)
    dev.output("create", "--filename=-", input=configmap(name, where="dev"))
    assert "NotFound" in refusal(prod, "get", "configmap", name)
    prod.output("create", "--filename=-", input=configmap(name, where="prod"))
    assert dev.output("get", "configmap", name, "--output=jsonpath={.data.where}") == "dev"
    assert prod.output("get", "configmap", name, "--output=jsonpath={.data.where}") == "prod"


def test_server_name_and_path_lead_to_the_same_cluster(callers: Callers, name: str) -> None:
    callers.person("alice", "dev").output("create", "--filename=-", input=configmap(name))
    by_path = callers.person("alice", "dev-by-path")
    assert by_path.output("get", "configmap", name, "--output=name") == f"configmap/{name}\n"


# Pipelines.


def test_a_pipeline_deploys_and_may_not_read_secrets(callers: Callers, name: str) -> None:
    pipeline = callers.pipeline()
    assert pipeline.output("apply", "--filename=-", input=deployment(name)) == f"deployment.apps/{name} created\n"
    assert refusal(pipeline, "get", "secrets") == (
        'Error from server (Forbidden): secrets is forbidden: User "pipeline:deployer" cannot list resource "secrets"'
        f' in API group "" in the namespace "{NAMESPACE}"\n'
    )


def test_a_ci_job_deploys(callers: Callers, name: str) -> None:
    assert callers.job().output("apply", "--filename=-", input=deployment(name)) == f"deployment.apps/{name} created\n"


def test_a_job_token_for_another_audience_is_unauthorized(callers: Callers) -> None:
    assert "Unauthorized" in unauthorized(callers, callers.tokens.of_job("https://elsewhere.example.com"))


# What is written down.


def lines_about(log: Path, text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text().splitlines() if text in line]


def test_the_audit_log_names_the_person_and_joins_our_access_log(
    alice: Kubectl, sandbox: SandboxRecord, name: str
) -> None:
    refusal(alice, "get", "configmap", name)
    ours = eventually(lambda: lines_about(sandbox.proxy.access_log, f"/configmaps/{name}"))[0]
    events = eventually(lambda: lines_about(sandbox.clusters["dev"].audit_log, ours["auditID"]))
    assert (ours["user"], ours["decision"], ours["status"]) == ("oidc:alice", "allow", 404)
    assert (ours["verb"], ours["resource"], ours["name"]) == ("get", "configmaps", name)
    assert events[-1]["user"]["username"] == PROXY_USER
    assert events[-1]["impersonatedUser"]["username"] == "oidc:alice"
    assert events[-1]["impersonatedUser"]["groups"] == ["oidc:devs", "system:authenticated"]


@pytest.mark.usefixtures("exec_works")
def test_the_audit_log_joins_a_stream_too(alice: Kubectl, sandbox: SandboxRecord, name: str) -> None:
    """The answer to an upgrade carries no Audit-Id, but the API server has written down the one it was given."""
    alice.output("exec", POD, "--", "echo", name)
    ours = eventually(lambda: lines_about(sandbox.proxy.access_log, f"command={name}"))[0]
    events = eventually(lambda: lines_about(sandbox.clusters["dev"].audit_log, ours["auditID"]))
    assert (ours["resource"], ours["subresource"], ours["status"]) == ("pods", "exec", 101)
    assert events[-1]["objectRef"]["subresource"] == "exec"
    assert events[-1]["impersonatedUser"]["username"] == "oidc:alice"


def test_an_audit_id_of_the_client_is_ignored(sandbox: SandboxRecord, name: str) -> None:
    path = f"/api/v1/namespaces/{NAMESPACE}/configmaps/{name}"
    token = Tokens(sandbox).of_person("alice")
    answer = ask(sandbox, f"/dev{path}", token, **{"Audit-ID": f"forged-{name}"})
    assert answer.status == 404
    events = eventually(lambda: lines_about(sandbox.clusters["dev"].audit_log, path))
    ours = eventually(lambda: lines_about(sandbox.proxy.access_log, path))[0]
    assert {event["auditID"] for event in events} == {ours["auditID"]}
    assert f"forged-{name}" not in ours["auditID"]


def test_an_unknown_cluster_is_not_found_for_those_who_may_know(sandbox: SandboxRecord) -> None:
    answer = ask(sandbox, "/nowhere/api/v1/pods", Tokens(sandbox).of_person("alice"))
    assert (answer.status, json.loads(answer.body)["reason"]) == (404, "NotFound")


@pytest.mark.parametrize("path", ["/dev/api/v1/pods", "/nowhere/api/v1/pods"])
def test_without_a_token_one_is_unauthorized(sandbox: SandboxRecord, path: str) -> None:
    answer = ask(sandbox, path)
    assert (answer.status, json.loads(answer.body)["reason"]) == (401, "Unauthorized")
