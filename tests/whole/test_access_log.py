"""One line a request, exactly as policy row "access log" has it, whatever became of the request."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import count
from typing import Any

import pytest
from whole.client import Answer, Client, closing
from whole.daemon import FRONT, A, ProxiedClusters, people
from whole.upstream import CLOSED, answer, answer_with, never_answer, switch_and_echo

LOCAL_TIME = r"\[\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d{4}\]"

_numbers = count(1)


def new_target() -> str:
    """A target that no other request has."""
    return f"/api/v1/namespaces/default/pods/n{next(_numbers)}"


def head(target: str, *fields: str, method: str = "GET", token: str = "", host: str = A) -> bytes:
    credentials = [f"Authorization: Bearer {token}"] if token else []
    lines = [f"{method} {target} HTTP/1.1", f"Host: {host}", *credentials, *fields, "", ""]
    return "\r\n".join(lines).encode("latin-1")


def ask(clusters: ProxiedClusters, raw: bytes, server_name: str | None = A) -> Answer:
    with closing(clusters.connect(server_name)) as client:
        return client.request(raw)


def lines_of(clusters: ProxiedClusters, target: str) -> list[str]:
    """All lines about this target, when everything before now is written."""
    clusters.daemon.stdout.wait_for(re.escape(target))
    last = new_target()
    ask(clusters, head(last))
    clusters.daemon.stdout.wait_for(re.escape(last) + r"\b")
    return [line for line in clusters.daemon.stdout.lines if re.search(re.escape(target) + r"(?!\d)", line)]


def the_line(clusters: ProxiedClusters, target: str) -> str:
    (line,) = lines_of(clusters, target)
    return line


@pytest.fixture(autouse=True)
def plain_answers(clusters: ProxiedClusters) -> Iterator[None]:
    yield
    for upstream in clusters.upstreams.values():
        upstream.reply = answer


def assert_success(line: str, target: str, inbound: str, source: str = "127.0.0.1 / ") -> None:
    origin = re.escape(f"src:[{source}] URI:{target} inbound:[{inbound}]")
    assert re.fullmatch(f"{LOCAL_TIME} AuSuccess {origin}", line), line


def assert_failure(line: str, target: str, source: str = "127.0.0.1 / ") -> None:
    origin = re.escape(f"src:[{source}] URI:{target} ")
    assert re.fullmatch(f"{LOCAL_TIME} AuFail {origin}\\S.*", line), line


def test_a_request_that_succeeds(clusters: ProxiedClusters) -> None:
    """200: AuSuccess with user and groups as the token has them."""
    target = new_target()
    assert ask(clusters, head(target, token=people().token("alice", groups=["dev", "ops"]))).status == 200
    assert_success(the_line(clusters, target), target, "alice / dev|ops / ")


def test_a_user_without_groups(clusters: ProxiedClusters) -> None:
    """Nothing stands between the separators of what is not there."""
    target = new_target()
    assert ask(clusters, head(target, token=people().token("alice"))).status == 200
    assert_success(the_line(clusters, target), target, "alice /  / ")


def test_the_api_servers_own_refusal_is_a_success_of_authentication(clusters: ProxiedClusters) -> None:
    """403 by the API server: somebody was authenticated."""
    clusters.upstreams["a"].reply = answer_with(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")
    target = new_target()
    assert ask(clusters, head(target, token=people().token("alice"))).status == 403
    assert_success(the_line(clusters, target), target, "alice /  / ")


def test_a_refusal_of_somebody_known_is_a_success_of_authentication(clusters: ProxiedClusters) -> None:
    """403 for --as, and 404 for a cluster that is not there: the caller was authenticated."""
    impersonating, unknown = new_target(), f"/nowhere{new_target()}"
    token = people().token("alice")
    assert ask(clusters, head(impersonating, "Impersonate-User: bob", token=token)).status == 403
    assert ask(clusters, head(unknown, token=token, host=FRONT), FRONT).status == 404
    assert_success(the_line(clusters, impersonating), impersonating, "alice /  / ")
    assert_success(the_line(clusters, unknown), unknown, "alice /  / ")


def test_the_cluster_prefix_is_part_of_the_target(clusters: ProxiedClusters) -> None:
    """URI is the target as sent, the cluster's prefix included."""
    target = f"/c{new_target()}?limit=5"
    assert ask(clusters, head(target, token=people().token("alice"), host=FRONT), FRONT).status == 200
    assert_success(the_line(clusters, target), target, "alice /  / ")


def test_callers_that_nobody_knows(clusters: ProxiedClusters) -> None:
    """401 without a token and with a bad one: AuFail with a reason, and nothing of the token."""
    token = people().token("alice", lifetime=-60)
    for credential in ("", token, "nonsense"):
        target = new_target()
        assert ask(clusters, head(target, token=credential)).status == 401
        line = the_line(clusters, target)
        assert_failure(line, target)
        assert not credential or credential not in line


def test_a_reserved_name_is_a_failure(clusters: ProxiedClusters) -> None:
    """403 for a system: name out of a token: AuFail."""
    target = new_target()
    assert ask(clusters, head(target, token=people().token("alice", groups=["system:masters"]))).status == 403
    assert_failure(the_line(clusters, target), target)


def test_a_malformed_request_leaves_a_line_with_what_was_read(clusters: ProxiedClusters) -> None:
    """400, 405 and 505: AuFail with the target, also where a token was shown that nobody looked at."""
    token = people().token("alice")
    for raw, status in (
        (head("TARGET", "Bad Name: x", token=token), 400),
        (head("TARGET", "Content-Length: 1", "Content-Length: 2", token=token), 400),
        (head("TARGET", token=token, method="TRACE"), 405),
        (head("TARGET", token=token).replace(b"HTTP/1.1", b"HTTP/1.0"), 505),
    ):
        target = new_target()
        assert ask(clusters, raw.replace(b"TARGET", target.encode())).status == status
        assert_failure(the_line(clusters, target), target)


def test_what_is_no_http_at_all_leaves_a_line(clusters: ProxiedClusters) -> None:
    """Garbage leaves one AuFail line, too (law 11)."""
    since = clusters.daemon.stdout.size
    with closing(clusters.connect()) as client:
        client.send(b"\x16\x03\x01garbage\r\n\r\n")
        assert client.answer().status == 400
    clusters.daemon.stdout.wait_for(r"AuFail src:\[127.0.0.1 / \] URI:", since=since)


def test_an_upgrade_is_written_at_the_101(clusters: ProxiedClusters) -> None:
    """An upgrade has its one line while the tunnel is open, and no other when it ends."""
    clusters.upstreams["a"].reply = switch_and_echo("websocket")
    target = f"{new_target()}/exec?command=id"
    fields = ("Connection: Upgrade", "Upgrade: websocket")
    with closing(clusters.connect()) as client:
        assert client.request(head(target, *fields, token=people().token("alice"))).status == 101
        assert_success(the_line(clusters, target), target, "alice /  / ")
        client.send(b"through the tunnel")
        client.hear(b"through the tunnel")
    assert len(lines_of(clusters, target)) == 1


def test_a_client_that_leaves_before_its_answer(clusters: ProxiedClusters) -> None:
    """An exchange that the client aborts leaves one line."""
    upstream = clusters.upstreams["a"]
    upstream.begin()
    upstream.reply = never_answer
    target = new_target()
    client: Client = clusters.connect()
    client.send(head(target, token=people().token("alice")))
    upstream.wait(lambda: bool(upstream.complete()), "the request")
    client.reset()
    assert_success(the_line(clusters, target), target, "alice /  / ")


def test_a_client_that_leaves_in_the_middle_of_its_answer(clusters: ProxiedClusters) -> None:
    """A line that was written with the head of the answer is not written again when the client leaves."""
    upstream = clusters.upstreams["a"]
    upstream.begin()
    left = threading.Event()

    def half(connection: Any, request: Any) -> None:
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
        connection.await_end()
        left.set()

    upstream.reply = half
    target = new_target()
    client: Client = clusters.connect()
    client.send(head(target, token=people().token("alice")))
    client.hear(b"half")
    client.reset()
    assert left.wait(20)
    assert_success(the_line(clusters, target), target, "alice /  / ")


def test_forwarded_for_is_written_as_received(clusters: ProxiedClusters) -> None:
    """X-Forwarded-For of the client is shown behind its address, without that address; it goes nowhere else."""
    target = new_target()
    fields = ("X-Forwarded-For: 1.2.3.4, 127.0.0.1", "X-Forwarded-For: 5.6.7.8")
    assert ask(clusters, head(target, *fields, token=people().token("alice"))).status == 200
    assert_success(the_line(clusters, target), target, "alice /  / ", source="127.0.0.1 / 1.2.3.4, 5.6.7.8")


def test_nobody_forges_a_field_or_a_line(clusters: ProxiedClusters) -> None:
    """What could be taken for another field or line is escaped: in names, in X-Forwarded-For."""
    target = new_target()
    token = people().token("eve / admins / ] x:[", groups=["a|b", "c / d"])
    assert ask(clusters, head(target, "X-Forwarded-For: ] URI:/forged", token=token)).status == 200
    line = the_line(clusters, target)
    inbound = r"eve \x2f admins \x2f \x5d x:\x5b / a\x7cb|c \x2f d / "
    assert_success(line, target, inbound, source=r"127.0.0.1 / \x5d URI:/forged")


def test_a_token_in_a_target_is_masked(clusters: ProxiedClusters) -> None:
    """What looks like a JWT in a URI is not written down."""
    stray = people().token("stray")
    target = new_target()
    assert ask(clusters, head(f"{target}?token={stray}", token=people().token("alice"))).status == 200
    line = the_line(clusters, target)
    assert stray not in line
    assert stray.rpartition(".")[2] not in line
    assert re.search(r"AuSuccess src:\[127.0.0.1 / \] URI:\S+ inbound:\[alice /  / \]$", line)


# The same as JSON.


@pytest.fixture(scope="module")
def json_clusters(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProxiedClusters]:
    running = ProxiedClusters(tmp_path_factory.mktemp("json"), access_log="json")
    try:
        yield running.start()
    finally:
        running.stop()


def record(clusters: ProxiedClusters, target: str) -> dict[str, Any]:
    return json.loads(the_line(clusters, target))


def nearly_now(text: str) -> bool:
    return abs((datetime.now(UTC) - datetime.fromisoformat(text)).total_seconds()) < 60


def test_a_json_line_of_an_allowed_request(json_clusters: ProxiedClusters) -> None:
    """Every field of the contract and no other; auditID is what the API server got as Audit-ID."""
    upstream = json_clusters.upstreams["a"]
    upstream.begin()
    name = new_target().rpartition("/")[2]
    target = f"/apis/apps/v1/namespaces/team/deployments/{name}/scale?dryRun=All"
    raw = head(target, "Content-Length: 2", method="PATCH", token=people().token("alice", groups=["dev", "ops"]))
    assert ask(json_clusters, raw + b"{}").status == 200
    seen = record(json_clusters, target)
    assert nearly_now(seen.pop("time"))
    assert seen == {
        "decision": "allow",
        "status": 200,
        "method": "PATCH",
        "verb": "patch",
        "uri": target,
        "cluster": "a",
        "user": "alice",
        "groups": ["dev", "ops"],
        "issuer": people().name,
        "namespace": "team",
        "resource": "deployments",
        "subresource": "scale",
        "name": name,
        "source": "127.0.0.1",
        "auditID": upstream.requests()[0].values("Audit-ID")[0],
    }


def test_a_json_line_by_path_prefix(json_clusters: ProxiedClusters) -> None:
    """uri is as sent; cluster, verb and object are those of the target without the prefix."""
    target = f"/c{new_target().replace('/pods/', '-')}/pods?watch=1"
    assert ask(json_clusters, head(target, token=people().token("alice"), host=FRONT), FRONT).status == 200
    seen = record(json_clusters, target)
    assert (seen["uri"], seen["cluster"], seen["verb"], seen["resource"]) == (target, "c", "watch", "pods")


@pytest.mark.parametrize(
    ("subject", "fields", "status", "user"),
    [
        (None, (), 401, ""),
        ("system:admin", (), 403, ""),
        ("alice", ("Impersonate-User: bob",), 403, "alice"),
        ("alice", ("Bad Name: x",), 400, ""),
        ("alice", ("Host: twice",), 400, ""),
    ],
)
def test_a_json_line_of_a_denied_request(
    json_clusters: ProxiedClusters, subject: str | None, fields: tuple[str, ...], status: int, user: str
) -> None:
    """decision deny, the status of the refusal, and the id that the refusal's message ends in."""
    target = new_target()
    token = "" if subject is None else people().token(subject)
    answered = ask(json_clusters, head(target, *fields, token=token))
    assert answered.status == status
    seen = record(json_clusters, target)
    assert (seen["decision"], seen["status"], seen["user"], seen["uri"]) == ("deny", status, user, target)
    assert json.loads(answered.body)["message"].endswith(f"{seen['auditID']})")
    assert nearly_now(seen["time"])


def test_a_json_line_of_an_upgrade_and_of_a_client_that_left(json_clusters: ProxiedClusters) -> None:
    """101 for an upgrade; allow with status 0 where the client left before its answer."""
    upstream = json_clusters.upstreams["a"]
    upstream.begin()
    upstream.reply = switch_and_echo("websocket")
    upgraded, left = f"{new_target()}/exec", new_target()
    token = people().token("alice")
    with closing(json_clusters.connect()) as client:
        raw = head(upgraded, "Connection: Upgrade", "Upgrade: websocket", token=token)
        assert client.request(raw).status == 101
    upstream.begin()
    upstream.reply = never_answer
    client = json_clusters.connect()
    client.send(head(left, token=token))
    upstream.wait(lambda: bool(upstream.complete()), "the request")
    client.reset()
    seen = record(json_clusters, upgraded)
    assert (seen["decision"], seen["status"], seen["subresource"]) == ("allow", 101, "exec")
    seen = record(json_clusters, left)
    assert (seen["decision"], seen["status"], seen["user"]) == ("allow", 0, "alice")


def test_a_json_line_of_a_connection_that_ended_in_a_head(json_clusters: ProxiedClusters) -> None:
    """A client that closes between requests, or in the middle of a head, made no request: no line."""
    since = json_clusters.daemon.stdout.size
    target = new_target()
    client = json_clusters.connect()
    client.send(f"GET {target} HTTP/1.1\r\n".encode())
    client.close()
    last = new_target()
    ask(json_clusters, head(last))
    json_clusters.daemon.stdout.wait_for(re.escape(last), since=since)
    assert json_clusters.daemon.stdout.find(re.escape(target) + r"(?!\d)") is None
    assert client.ended in ("", CLOSED)
