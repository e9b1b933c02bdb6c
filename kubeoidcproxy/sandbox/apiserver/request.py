"""Requests and responses as values, and ``RequestInfo``: what a method and path mean in Kubernetes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote

from kubeoidcproxy.sandbox.apiserver.selectors import name_in_field_selector
from kubeoidcproxy.sandbox.apiserver.users import User

LONG_RUNNING_SUBRESOURCES = frozenset({"attach", "exec", "log", "portforward"})
_VERBS = {"POST": "create", "GET": "get", "HEAD": "get", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_NAMESPACE_SUBRESOURCES = frozenset({"status", "finalize"})  # namespaceSubresources of requestinfo.go


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request, its body read to the end. Header names are in lower case, values in the order sent."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    peer: str = ""
    certificate_user: User | None = None
    query: Mapping[str, list[str]] = field(init=False)

    def __post_init__(self) -> None:
        _, _, query = self.target.partition("?")
        object.__setattr__(self, "query", parse_qs(query, keep_blank_values=True))

    @property
    def path(self) -> str:
        return unquote(self.target.partition("?")[0])

    def header(self, name: str) -> str:
        """The first value of a header, as Go's ``Header.Get``; empty where there is none."""
        return next((value for key, value in self.headers if key == name), "")

    def header_values(self, name: str) -> tuple[str, ...]:
        return tuple(value for key, value in self.headers if key == name)

    def parameter(self, name: str) -> str:
        return self.query.get(name, [""])[0]

    def parameter_is_true(self, name: str) -> bool:
        """Go's ``Convert_Slice_string_To_bool``: present and neither ``false`` nor ``0``."""
        return name in self.query and self.parameter(name).lower() not in ("false", "0")


@dataclass(frozen=True, slots=True)
class Response:
    """A whole answer."""

    status: int
    body: bytes = b""
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()


def json_response(value: Any, status: int = 200) -> Response:
    """Compact JSON with a newline, as kube writes it."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    # Header bytes that are no UTF-8 come as surrogates; Go writes U+FFFD for them.
    body = text.encode("utf-8", "surrogateescape").decode("utf-8", "replace").encode()
    return Response(status, body + b"\n")


@dataclass(frozen=True, slots=True)
class RequestInfo:
    """What is asked for: the attributes that authorisation, routing and audit look at. ``resource`` is empty for a
    path that is no resource, such as ``/version``."""

    verb: str
    path: str = ""
    group: str = ""
    version: str = ""
    namespace: str = ""
    resource: str = ""
    subresource: str = ""
    name: str = ""

    @property
    def long_running(self) -> bool:
        """``BasicLongRunningRequestCheck`` with kube-apiserver's sets."""
        return self.verb == "watch" or self.subresource in LONG_RUNNING_SUBRESOURCES


def request_info(request: Request) -> RequestInfo:
    """Follow ``RequestInfoFactory.NewRequestInfo``."""
    parts = [part for part in request.path.split("/") if part]
    group_and_rest = _split_group(parts)
    if group_and_rest is None:
        return RequestInfo(request.method.lower(), path=request.path)
    group, version, rest = group_and_rest
    namespace, resource, name, subresource = _split_resource(rest)
    verb = _VERBS.get(request.method, "")
    if not name and verb in ("get", "delete"):
        verb, name = _collection_verb(verb, request)
    return RequestInfo(verb, request.path, group, version, namespace, resource, subresource, name)


def _split_group(parts: list[str]) -> tuple[str, str, list[str]] | None:
    if len(parts) >= 3 and parts[0] == "api":
        return "", parts[1], parts[2:]
    if len(parts) >= 4 and parts[0] == "apis":
        return parts[1], parts[2], parts[3:]
    return None


def _split_resource(rest: list[str]) -> tuple[str, str, str, str]:
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 1:
        namespace = rest[1]
        if len(rest) > 2 and rest[2] not in _NAMESPACE_SUBRESOURCES:
            rest = rest[2:]
    padded = [*rest, "", ""]
    return namespace, padded[0], padded[1], padded[2]


def _collection_verb(verb: str, request: Request) -> tuple[str, str]:
    name = name_in_field_selector(request.parameter("fieldSelector"))
    if verb == "delete":
        return "deletecollection", name
    return ("watch" if request.parameter_is_true("watch") else "list"), name
