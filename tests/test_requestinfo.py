"""What Kubernetes takes a request for. The tables are those of kube's own requestinfo_test.go (v1.35), and more."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubeoidcproxy.requestinfo import RequestInfo, is_long_running, request_info

# method, target, verb, group, version, namespace, resource, subresource, name, parts (TestGetAPIRequestInfo)
RESOURCES = [
    ("GET", "/api/v1/namespaces", "list", "", "v1", "", "namespaces", "", "", "namespaces"),
    ("GET", "/api/v1/namespaces/other", "get", "", "v1", "other", "namespaces", "", "other", "namespaces/other"),
    ("GET", "/api/v1/namespaces/other/pods", "list", "", "v1", "other", "pods", "", "", "pods"),
    ("GET", "/api/v1/namespaces/other/pods/foo", "get", "", "v1", "other", "pods", "", "foo", "pods/foo"),
    ("HEAD", "/api/v1/namespaces/other/pods/foo", "get", "", "v1", "other", "pods", "", "foo", "pods/foo"),
    ("GET", "/api/v1/pods", "list", "", "v1", "", "pods", "", "", "pods"),
    ("HEAD", "/api/v1/pods", "list", "", "v1", "", "pods", "", "", "pods"),
    ("GET", "/api/v1/proxy/namespaces/other/pods/foo", "proxy", "", "v1", "other", "pods", "", "foo", "pods/foo"),
    ("GET", "/api/v1/proxy/namespaces/o/pods/foo/a/b", "proxy", "", "v1", "o", "pods", "", "foo", "pods/foo/a/b"),
    ("GET", "/api/v1/watch/pods", "watch", "", "v1", "", "pods", "", "", "pods"),
    ("GET", "/api/v1/pods?watch=true", "watch", "", "v1", "", "pods", "", "", "pods"),
    ("GET", "/api/v1/pods?watch=false", "list", "", "v1", "", "pods", "", "", "pods"),
    ("GET", "/api/v1/watch/namespaces/other/pods", "watch", "", "v1", "other", "pods", "", "", "pods"),
    ("GET", "/api/v1/namespaces/other/pods?watch=1", "watch", "", "v1", "other", "pods", "", "", "pods"),
    ("GET", "/api/v1/namespaces/other/pods?watch=0", "list", "", "v1", "other", "pods", "", "", "pods"),
    ("GET", "/api/v1/namespaces/o/pods/foo/status", "get", "", "v1", "o", "pods", "status", "foo", "pods/foo/status"),
    ("GET", "/api/v1/namespaces/o/pods/p/proxy/s", "get", "", "v1", "o", "pods", "proxy", "p", "pods/p/proxy/s"),
    (
        "PUT",
        "/api/v1/namespaces/o/finalize",
        "update",
        "",
        "v1",
        "o",
        "namespaces",
        "finalize",
        "o",
        "namespaces/o/finalize",
    ),
    ("PUT", "/api/v1/namespaces/o/status", "update", "", "v1", "o", "namespaces", "status", "o", "namespaces/o/status"),
    ("PATCH", "/api/v1/namespaces/other/pods/foo", "patch", "", "v1", "other", "pods", "", "foo", "pods/foo"),
    ("DELETE", "/api/v1/namespaces/other/pods/foo", "delete", "", "v1", "other", "pods", "", "foo", "pods/foo"),
    ("POST", "/api/v1/namespaces/other/pods", "create", "", "v1", "other", "pods", "", "", "pods"),
    ("DELETE", "/api/v1/nodes", "deletecollection", "", "v1", "", "nodes", "", "", "nodes"),
    ("DELETE", "/api/v1/namespaces", "deletecollection", "", "v1", "", "namespaces", "", "", "namespaces"),
    ("DELETE", "/api/v1/namespaces/other/pods", "deletecollection", "", "v1", "other", "pods", "", "", "pods"),
    ("DELETE", "/apis/x/v1/namespaces/other/pods", "deletecollection", "x", "v1", "other", "pods", "", "", "pods"),
    ("POST", "/apis/x/v1/namespaces/other/pods", "create", "x", "v1", "other", "pods", "", "", "pods"),
    ("POST", "/apis/x/v1beta3/namespaces/other/pods", "create", "x", "v1beta3", "other", "pods", "", "", "pods"),
    # not in kube's table
    ("get", "/api/v1/pods", "", "", "v1", "", "pods", "", "", "pods"),
    ("OPTIONS", "/api/v1/pods", "", "", "v1", "", "pods", "", "", "pods"),
    ("DELETE", "/api/v1/pods?watch=1", "deletecollection", "", "v1", "", "pods", "", "", "pods"),
    ("GET", "/api/v1/namespaces/a%2Fb/pods", "get", "", "v1", "a", "b", "", "pods", "b/pods"),
    ("GET", "/api/v1/pods/a+b%20c/log/", "get", "", "v1", "", "pods", "log", "a+b c", "pods/a+b c/log"),
    ("GET", "/api/v1/nodes/n%C3%BC", "get", "", "v1", "", "nodes", "", "n\u00fc", "nodes/n\u00fc"),
    ("GET", "/api/v1/pods//exec", "list", "", "v1", "", "pods", "exec", "", "pods//exec"),
    ("GET", "/api/v1//pods", "get", "", "v1", "", "", "", "pods", "/pods"),
    ("GET", "///api/v1/pods///", "list", "", "v1", "", "pods", "", "", "pods"),
]


@pytest.mark.parametrize("row", RESOURCES, ids=lambda row: f"{row[0]} {row[1]}")
def test_a_path_of_the_api_names_a_resource(row: tuple[str, ...]) -> None:
    """Verb, group, version, namespace, resource, subresource, name and parts are as in kube."""
    method, target, *expected = row
    info = request_info(method, target)
    assert info.is_resource_request
    assert info.api_prefix == ("apis" if "/apis/" in target else "api")
    found = [info.verb, info.api_group, info.api_version, info.namespace, info.resource, info.subresource, info.name]
    assert [*found, "/".join(info.parts)] == expected


@pytest.mark.parametrize(
    "target",
    [
        *("/", "", "/api", "/api/version", "/api/version/", "/apis/group/version/", "/badprefix/version/resource"),
        *("/apis/version/resource", "/not-api/version/resource", "/apis/extensions/v1beta1", "*", "api/v1/pods"),
        *("/API/v1/pods", "/api/v1/po%zzds", "/api/v1/po%0ds/\x7f", "/version"),
    ],
)
def test_everything_else_is_no_resource(target: str) -> None:
    """Non-resource requests have the HTTP method, lowercase, for a verb (TestGetNonAPIRequestInfo and errorCases)."""
    info = request_info("GET", target)
    assert not info.is_resource_request
    assert (info.verb, info.resource, info.parts) == ("get", "", ())


def test_the_path_is_decoded() -> None:
    """`+` is a plus in a path, and the query is no part of it."""
    assert request_info("GET", "/a%2Fb+c%C3%BC?x").path == "/a/b+c\u00fc"


@pytest.mark.parametrize("verb", ["watch", "proxy"])
def test_a_verb_in_the_path_without_a_resource(verb: str) -> None:
    """Kube answers 500 to these; what it knew when it gave up is a request for no resource at all."""
    info = request_info("GET", f"/api/v1/{verb}")
    assert info == RequestInfo("get", f"/api/v1/{verb}", True, "api", "", "v1")


RESOURCE = "/apis/group/version/resource"

# method, target, name, verb, field selector, label selector (TestSelectorParsing)
SELECTORS = [
    ("GET", RESOURCE, "", "list", "", ""),
    ("GET", f"{RESOURCE}?fieldSelector=metadata.name=name1", "name1", "list", "metadata.name=name1", ""),
    ("GET", f"{RESOURCE}?watch=true&fieldSelector=metadata.name=name1", "name1", "watch", "metadata.name=name1", ""),
    ("GET", f"{RESOURCE}?fieldSelector=foo=bar&labelSelector=baz=qux", "", "list", "foo=bar", "baz=qux"),
    ("GET", f"{RESOURCE}?fieldSelector=metadata.name=name1,foo", "", "list", "metadata.name=name1,foo", ""),
    ("GET", f"{RESOURCE}?fieldSelector=metadata.name=n,foo&watch=true", "", "watch", "metadata.name=n,foo", ""),
    ("GET", f"{RESOURCE}?fieldSelector=metadata.name=n,foo&watch=false", "", "list", "metadata.name=n,foo", ""),
    ("DELETE", f"{RESOURCE}?fieldSelector=foo=bar&labelSelector=a=b", "", "deletecollection", "foo=bar", "a=b"),
    ("DELETE", f"{RESOURCE}?fieldSelector=metadata.name=x", "", "deletecollection", "metadata.name=x", ""),
    (
        "GET",
        f"{RESOURCE}?fieldSelector=metadata.name=foo&fieldSelector=metadata.name=bar&labelSelector=a=b&labelSelector=c",
        *("foo", "list", "metadata.name=foo", "a=b"),
    ),
    ("GET", f"{RESOURCE}/name?fieldSelector=foo=bar&labelSelector=foo=bar", "name", "get", "", ""),
    ("GET", "/apis/g/v/watch/things?fieldSelector=metadata.name=foo&labelSelector=a=b", "", "watch", "", ""),
    ("GET", "/apis/g/v/watch/things/name?fieldSelector=metadata.name=foo&labelSelector=a=b", "name", "watch", "", ""),
]


@pytest.mark.parametrize("row", SELECTORS, ids=lambda row: f"{row[0]} {row[1]}")
def test_selectors(row: tuple[str, ...]) -> None:
    """A name that a field selector demands counts as the name of a list or a watch; path verbs have no selectors."""
    method, target, *expected = row
    info = request_info(method, target)
    assert [info.name, info.verb, info.field_selector, info.label_selector] == expected


@pytest.mark.parametrize(
    ("selector", "name"),
    [
        *(("metadata.name==x", "x"), ("metadata.name!=x", ""), ("metadata.name=", ""), ("other=x", ""), ("", "")),
        *(("metadata.name=b,metadata.name=a", "a"), ("metadata.name=b,metadata.name=", "")),
        *(("metadata.name=a%5C,b", "a,b"), ("metadata.name=a%5C%3Db", "a=b"), ("metadata.name=a%5Cb", "")),
        *(("metadata.name=a=b", ""), ("metadata.name=a%5C", ""), ("metadata.name=a%2Fb", "")),
        *(("metadata.name=.", ""), ("metadata.name=..", ""), ("metadata.name=...", "..."), ("%20metadata.name=x", "")),
        *((",metadata.name=x,,", "x"), ("metadata.name=a+b", "a b"), ("metadata.name=%zz", "")),
        *(("metadata.name=x;", ""), ("metadata.name=%25", ""), ("a=b,metadata.name=x", "x")),
    ],
)
def test_the_name_that_a_field_selector_demands(selector: str, name: str) -> None:
    """fields.ParseSelector, RequiresExactMatch and IsValidPathSegmentName."""
    assert request_info("GET", f"/api/v1/secrets?fieldSelector={selector}").name == name


@pytest.mark.parametrize(
    ("query", "verb", "name"),
    [
        *(("watch", "watch", "x"), ("watch=", "watch", "x"), ("watch=FALSE", "list", "x"), ("watch=no", "watch", "x")),
        *(("watch=fal%C5%BFe", "list", "x"), ("watch=fal%C5%BFe&limit=z", "watch", "")),
        ("watch=FALSE&limit=z", "list", ""),
        *(("limit=", "list", ""), ("limit=%2B5", "list", "x"), ("limit=9223372036854775808", "list", "")),
        *(("timeoutSeconds=1.5", "list", ""), ("timeoutSeconds=-1", "list", "x"), ("wat%63h=1", "watch", "x")),
        *(("watch=1;x", "list", "x"), ("watch=%zz&watch=1", "watch", "x"), ("&" * 10_000, "list", "")),
    ],
)
def test_the_parameters_of_a_list(query: str, verb: str, name: str) -> None:
    """Whatever of the list options does not decode costs the name, and only that."""
    info = request_info("GET", f"/api/v1/secrets?fieldSelector=metadata.name=x&{query}")
    assert (info.verb, info.name) == (verb, name)


GOOD_LABELS = [
    *("", " ", "a", "!a", "! a", "a=b", "a==b", "a!=b", "a=", "a = b", "a in (b,c)", "a in(b)", "a in ()", "a in (,)"),
    *("a notin (b,,c)", "in in (in)", "notin", "a=in", "a>5", "a<9223372036854775807", "x.y/Z_1=q.r"),
    *("a,b,!c", "a\tin\n(b)"),
    *(f"{'x' * 63}={'y' * 63}", f"a>{'1'.zfill(63)}", f"{'aaa.' * 63}a/b"),
]
BAD_LABELS = [
    *("!", "!a=b", "!!a", "a b", "a,", ",a", "a,,b", "a in b", "a in (b", "a in (b c)", "a>b", "a>", "a>-5"),
    *("a>=5", "=", "(a)", "a in (b)c"),
    *("a>9223372036854775808", "A/b", "a/b/c", "/b", "a/", "-a", "a=b-", "a=b=c", "a=!b", "\u00fc", "a..b/c"),
    *("x" * 64, f"a={'y' * 64}", f"{'aaa.' * 63}aa/b", "a> " + "1".zfill(64), "a\x00"),
]


@pytest.mark.parametrize(("labels", "name"), [*((x, "x") for x in GOOD_LABELS), *((x, "") for x in BAD_LABELS)])
def test_a_label_selector_that_does_not_parse_costs_the_name(labels: str, name: str) -> None:
    """Else a role for one object by name would be thought to cover a list that kube takes for a list of all."""
    escaped = "".join(f"%{octet:02x}" for octet in labels.encode())
    assert request_info("GET", f"/api/v1/secrets?labelSelector={escaped}&fieldSelector=metadata.name=x").name == name


@pytest.mark.parametrize(
    ("method", "target", "expected"),
    [
        ("GET", "/api/v1/pods?watch=1", True),
        ("GET", "/api/v1/watch/pods", True),
        ("GET", "/api/v1/proxy/nodes/n", True),
        *(("GET", f"/api/v1/namespaces/n/pods/p/{sub}", True) for sub in ("attach", "exec", "log", "portforward")),
        ("GET", "/api/v1/namespaces/n/services/s/proxy/x", True),
        ("POST", "/api/v1/namespaces/n/pods/p/exec", True),
        ("GET", "/debug/pprof/profile", True),
        ("GET", "/api/v1/namespaces/n/pods/p/status", False),
        ("GET", "/api/v1/namespaces/n/pods", False),
        ("GET", "/exec", False),
    ],
)
def test_long_running(method: str, target: str, expected: bool) -> None:
    """As kube-apiserver is set up: these have no time limit."""
    assert is_long_running(request_info(method, target)) is expected


def test_a_websocket_exec_is_a_get() -> None:
    """Kube's own audit says `get` of `pods/exec` for it, and `create` for SPDY's POST; ours joins it."""
    assert request_info("GET", "/api/v1/namespaces/n/pods/p/exec?command=sh").verb == "get"
    assert request_info("POST", "/api/v1/namespaces/n/pods/p/exec?command=sh").verb == "create"


PIECES = st.sampled_from(["/", "api", "apis", "v1", "watch", "namespaces", "%2F", "%", "?", "&", "=", "labelSelector"])


@given(method=st.text(max_size=8), target=st.lists(PIECES | st.text(max_size=4)).map("".join))
def test_it_never_fails(method: str, target: str) -> None:
    """Refused heads are described, too, whatever they hold."""
    info = request_info(method, target)
    assert is_long_running(info) in (True, False)
    assert info.is_resource_request or not info.parts


@pytest.mark.parametrize(
    "selector",
    ["a=" + " " * 16_000 + "~", "a in (" + "," * 16_000 + "~", "a." * 8_000 + "/", "a," * 8_000 + "~", "\\" * 16_000],
    ids=lambda selector: selector[:6],
)
def test_a_hostile_selector_costs_little(selector: str) -> None:
    """Reading is linear: the longest request line that policy P16 lets in is no way to stop the reactor."""
    started = time.process_time()
    request_info("GET", f"/api/v1/pods?labelSelector={selector}&fieldSelector={selector}")
    assert time.process_time() - started < 0.25
