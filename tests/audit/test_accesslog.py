"""The access log: lines that the readers of the peers' logs can read, and that nobody can forge."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubeoidcproxy.audit.accesslog import json_line, text_line
from kubeoidcproxy.exchange import ALLOW, DENY, Exchange
from kubeoidcproxy.identity import Caller, UserInfo

WHEN = 1_700_000_000.25
JWT = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJl"


@pytest.fixture(autouse=True)
def _india() -> Iterator[None]:
    """A zone that is not UTC, with half an hour in it."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("TZ", "IST-5:30")
        time.tzset()
        yield
    time.tzset()


def caller_of(user: UserInfo) -> Caller:
    return Caller(user, "https://issuer.example.com", ("kubernetes",), "s", "j", WHEN + 60, b"fingerprint")


def exchange_of(user: UserInfo | None = None, **fields: object) -> Exchange:
    exchange = Exchange("prefix-1", "10.0.0.1", WHEN, 5.0)
    exchange.method, exchange.target = "GET", "/api/v1/pods"
    if user is not None:
        exchange.caller = caller_of(user)
    for name, value in fields.items():
        setattr(exchange, name, value)
    return exchange


ALICE = UserInfo("alice", ("dev", "ops"))
EXTRA = (("k", ("v1", "v2")), ("authentication.kubernetes.io/credential-id", ("JTI=1",)))


def test_text_of_an_authenticated_request() -> None:
    """The policy's example: local time with its offset, nothing where there are no extras and no X-Forwarded-For."""
    assert text_line(exchange_of(ALICE)) == (
        "[2023-11-15T03:43:20+0530] AuSuccess src:[10.0.0.1 / ] URI:/api/v1/pods inbound:[alice / dev|ops / ]"
    )


def test_text_with_extra() -> None:
    """Each extra ends in a space, and a `=` in a value is left alone, as in the peers' logs."""
    assert text_line(exchange_of(UserInfo("alice", (), "", EXTRA))).endswith(
        " inbound:[alice /  / k=v1|v2 authentication.kubernetes.io/credential-id=JTI=1 ]"
    )


def test_text_of_an_impersonation() -> None:
    """With `--as` the line tells both: who called, and who it was done as."""
    target = UserInfo("bob", ("g1", "g2"), "uid-1", EXTRA[:1])
    assert text_line(exchange_of(ALICE, outbound=target)).endswith(
        " inbound:[alice / dev|ops / ] outbound:[bob / g1|g2 / uid-1 / k=v1|v2 ]"
    )


def test_text_of_a_failure() -> None:
    """Without a caller there is a reason in place of the identity."""
    failed = exchange_of(status=401, decision=DENY, detail="token expired at 2023-11-14")
    assert text_line(failed) == (
        "[2023-11-15T03:43:20+0530] AuFail src:[10.0.0.1 / ] URI:/api/v1/pods token expired at 2023-11-14"
    )


@pytest.mark.parametrize(("status", "reason"), [(401, "Unauthorized"), (408, "no answer"), (0, "no answer")])
def test_text_of_a_failure_without_detail(status: int, reason: str) -> None:
    """There is always a word for the reason."""
    assert text_line(exchange_of(status=status)).endswith(f" URI:/api/v1/pods {reason}")


def test_a_refused_request_of_a_known_caller_is_no_authentication_failure() -> None:
    """AuSuccess and AuFail tell about the login; whether the request went on is in the JSON form."""
    assert " AuSuccess " in text_line(exchange_of(ALICE, status=403, decision=DENY))


@pytest.mark.parametrize(
    ("received", "shown"),
    [
        ((), ""),
        (("10.0.0.1",), ""),
        (("1.1.1.1",), "1.1.1.1"),
        (("1.1.1.1, 10.0.0.1",), "1.1.1.1"),
        (("1.1.1.1,2.2.2.2", "10.0.0.1", "3.3.3.3"), "1.1.1.1, 2.2.2.2, 3.3.3.3"),
        (("2001:db8::1",), "2001:db8::1"),
        (("x] URI:/y AuSuccess",), r"x\x5d URI:/y AuSuccess"),
    ],
)
def test_forwarded_for(received: tuple[str, ...], shown: str) -> None:
    """As received, joined, without the address itself; for failures, too."""
    assert f" src:[10.0.0.1 / {shown}] URI:" in text_line(exchange_of(ALICE, forwarded_for=received))
    assert f" src:[10.0.0.1 / {shown}] URI:" in text_line(exchange_of(forwarded_for=received))


def test_an_ipv6_source() -> None:
    """The peers print `[`, for they cut at the first colon."""
    assert " src:[2001:db8::1 / ] " in text_line(exchange_of(ALICE, source="2001:db8::1"))


@pytest.mark.parametrize(
    ("username", "shown"),
    [
        *(
            ("oidc:alice@example.com", ...),
            ("https://issuer.example.com#alice", ...),
            ("repo:o/r:ref:refs/heads/m", ...),
        ),
        *(("CN=Jane Doe,O=x", ...), ("Zo\u00eb \u0141", ...), ("a/ b", ...), ("a|b", ...), ("100%", ...)),
        ("alice / cluster-admin", r"alice \x2f cluster-admin"),
        ("alice] outbound:[root", r"alice\x5d outbound:\x5broot"),
        ("a\nb\r\x1b[0m\x7f\x85", r"a\x0ab\x0d\x1b\x5b0m\x7f\x85"),
        ("a\\x0ab", r"a\x5cx0ab"),
        ("\u2028\u202e\u200b\xa0", r"\u2028\u202e\u200b\xa0"),
        ("\ud800\U000e0041", r"\ud800\U000e0041"),
    ],
)
def test_escapes_in_a_username(username: str, shown: object) -> None:
    """Ordinary names stay as they are; what could end the field, the line or fool the eye does not."""
    expected = username if shown is ... else shown
    assert text_line(exchange_of(UserInfo(username))).endswith(f" inbound:[{expected} /  / ]")


def test_escapes_in_lists() -> None:
    """Keycloak's group paths stay; a separator inside an item is written as an escape."""
    user = UserInfo("a", ("/dev/ops", "x|y", "my team"), "", (("k=1", ("a b", "c|d", "e=f")),))
    assert text_line(exchange_of(user)).endswith(r"[a / /dev/ops|x\x7cy|my team / k\x3d1=a\x20b|c\x7cd|e=f ]")


@pytest.mark.parametrize(
    ("target", "shown"),
    [
        ("/api/v1/pods?labelSelector=a%3Db&x=[1]", "/api/v1/pods?labelSelector=a%3Db&x=[1]"),
        ("/a b\r\nc\\\xe9", r"/a\x20b\x0d\x0ac\x5c\xe9"),
        (f"/api?token={JWT}&x=1", "/api?token=<jwt>&x=1"),
        ("", ""),
    ],
)
def test_the_target(target: str, shown: str) -> None:
    """As sent; what no target that is let through can hold is escaped, and a token is masked."""
    assert f" URI:{shown} inbound:" in text_line(exchange_of(ALICE, target=target))


def test_a_token_in_a_reason_is_masked() -> None:
    """Law 10, a second time."""
    assert text_line(exchange_of(detail=f"bad token {JWT}")).endswith(" bad token <jwt>")


def test_json() -> None:
    """All keys, in the order of the policy; UTC with microseconds."""
    exchange = exchange_of(ALICE, status=200, decision=ALLOW, cluster="prod")
    exchange.target = "/prod/apis/apps/v1/namespaces/n/deployments/d/scale"
    exchange.upstream_target = exchange.target.removeprefix("/prod")
    exchange.outbound = UserInfo("bob")
    assert list(json.loads(json_line(exchange)).items()) == [
        ("time", "2023-11-14T22:13:20.250000Z"),
        ("decision", "allow"),
        ("status", 200),
        ("method", "GET"),
        ("verb", "get"),
        ("uri", "/prod/apis/apps/v1/namespaces/n/deployments/d/scale"),
        ("cluster", "prod"),
        ("user", "alice"),
        ("groups", ["dev", "ops"]),
        ("issuer", "https://issuer.example.com"),
        ("namespace", "n"),
        ("resource", "deployments"),
        ("subresource", "scale"),
        ("name", "d"),
        ("source", "10.0.0.1"),
        ("auditID", "prefix-1"),
    ]


def test_json_of_what_nobody_could_read() -> None:
    """A refused head leaves what was read of it; who it was is empty, not absent."""
    line = json.loads(json_line(Exchange("prefix-2", "10.0.0.1", WHEN, 5.0)))
    assert (line["status"], line["user"], line["groups"], line["issuer"], line["method"]) == (0, "", [], "", "")


def test_json_masks_tokens_wherever_they_are() -> None:
    """In the URI, and in the name that was decoded out of it."""
    line = json_line(exchange_of(target=f"/api/v1/secrets/{JWT.replace('.', '%2E')}"))
    assert json.loads(line)["uri"] == "/api/v1/secrets/<jwt>"
    assert json.loads(line)["name"] == "<jwt>"


@pytest.mark.parametrize("render", [text_line, json_line])
def test_what_the_caller_is_rendered_to_is_kept(render: Callable[[Exchange], str]) -> None:
    """Once for each token: the hot path only joins."""
    exchange = exchange_of(ALICE)
    first = render(exchange)
    assert exchange.caller is not None
    (kept,) = exchange.caller.memo.values()
    assert kept in first
    assert render(exchange) == first


TEXT = st.text(max_size=12) | st.text(alphabet=" /|]=[,\\\n\r\u2028x:", max_size=12)
USER = st.builds(
    UserInfo,
    username=TEXT,
    groups=st.lists(TEXT, min_size=1, max_size=3).map(tuple),
    uid=TEXT,
    extra=st.lists(st.tuples(TEXT, st.lists(TEXT, min_size=1, max_size=3).map(tuple)), max_size=3).map(tuple),
)
LINE = re.compile(
    r"\[[^]]+\] (?P<verdict>AuSuccess|AuFail) src:\[(?P<src>[^]]*)\] URI:(?P<uri>[^ ]*) "
    r"(?:inbound:\[(?P<inbound>[^]]*)\](?: outbound:\[(?P<outbound>[^]]*)\])?|(?P<reason>.*))"
)


def unescaped(text: str) -> str:
    return re.sub(r"\\(?:x(..)|u(....)|U(.{8}))", lambda m: chr(int(m[1] or m[2] or m[3], 16)), text)


def words(text: str) -> tuple[str, ...]:
    return tuple(unescaped(word) for word in text.split("|"))


def extras(text: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    pairs = [pair.split("=", 1) for pair in text.split(" ")[:-1]]
    return tuple((unescaped(key), words(values)) for key, values in pairs)


def read_inbound(text: str) -> UserInfo:
    name, groups, extra = text.split(" / ", 2)
    return UserInfo(unescaped(name), words(groups), "", extras(extra))


def read_outbound(text: str) -> UserInfo:
    name, groups, uid, extra = text.split(" / ", 3)
    return UserInfo(unescaped(name), words(groups), unescaped(uid), extras(extra))


@given(user=USER, target=USER | st.none(), uri=TEXT, hop=TEXT.filter(lambda text: "," not in text))
def test_a_success_can_be_read_back(user: UserInfo, target: UserInfo | None, uri: str, hop: str) -> None:
    """Whatever the values hold: one line, and each field is found again by the rules of the module's docstring."""
    line = text_line(exchange_of(user, outbound=target, target=uri, forwarded_for=(hop,)))
    assert line.isprintable()
    match = LINE.fullmatch(line)
    assert match is not None
    assert match["verdict"] == "AuSuccess"
    assert unescaped(match["uri"]) == uri
    assert unescaped(match["src"]) == "10.0.0.1 / " + hop.strip(" \t")
    inbound, outbound = read_inbound(match["inbound"]), match["outbound"]
    assert inbound == UserInfo(user.username, user.groups, "", user.extra)
    assert (None if outbound is None else read_outbound(outbound)) == target


@given(detail=TEXT.filter(bool), uri=TEXT)
def test_a_failure_can_be_read_back(detail: str, uri: str) -> None:
    """No reason can be taken for an identity."""
    line = text_line(exchange_of(detail=detail, target=uri))
    assert line.isprintable()
    match = LINE.fullmatch(line)
    assert match is not None
    assert (match["verdict"], match["inbound"]) == ("AuFail", None)
    assert (unescaped(match["uri"]), unescaped(match["reason"])) == (uri, detail)


@given(user=USER | st.none(), texts=st.lists(TEXT, min_size=5, max_size=5))
def test_json_holds_anything(user: UserInfo | None, texts: list[str]) -> None:
    """One line of ASCII that json.loads reads back, lone surrogates too."""
    method, target, cluster, source, decision = texts
    exchange = exchange_of(user, method=method, target=target, cluster=cluster, source=source, decision=decision)
    line = json_line(exchange)
    assert line.isascii()
    assert line.isprintable()
    read = json.loads(line)
    assert [read["method"], read["uri"], read["cluster"], read["source"], read["decision"]] == texts
    assert (read["user"], read["groups"]) == ((user.username, list(user.groups)) if user else ("", []))
