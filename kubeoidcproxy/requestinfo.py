"""Method and request target to what Kubernetes takes the request for: verb, resource, namespace, name.

A transcription of ``k8s.io/apiserver/pkg/endpoints/request/requestinfo.go`` (v1.35) with what it stands on: Go's
``net/url``, the decoding of ``ListOptions``, ``fields.ParseSelector`` and ``labels.Parse``. Authorisation, audit and
time limits read this decoded copy; upstream goes the target as it was sent (policy P3).

Two things differ, both towards less: a NUL in a label selector makes it invalid here, where kube's lexer sometimes
skips it; bytes that are not UTF-8 become U+FFFD.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

_VERBS = {"POST": "create", "GET": "get", "HEAD": "get", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_VERBS_IN_PATH = frozenset({"proxy", "watch"})
_NAMESPACE_SUBRESOURCES = frozenset({"status", "finalize"})
_VERBS_WITH_SELECTORS = frozenset({"list", "watch", "deletecollection"})

# kube-apiserver's own choice: kubernetes/pkg/controlplane/apiserver/config.go, LongRunningFunc.
_LONG_RUNNING_VERBS = frozenset({"watch", "proxy"})
_LONG_RUNNING_SUBRESOURCES = frozenset({"attach", "exec", "proxy", "log", "portforward"})

# The same few targets come again and again (discovery, lists, polls) and several rooms ask about each request; a bound
# on the length of a target that is kept bounds the memory that strangers can fill.
_KEPT_LENGTH = 512
_KEPT_TARGETS = 2048

# Go's net/url reads none of more parameters than this (GODEBUG urlmaxqueryparams).
_MAX_PARAMETERS = 10_000

_INT64_MAX = 2**63 - 1
_INTEGER = re.compile(r"[+-]?[0-9]{1,4000}")
_ESCAPE = re.compile(rb"%([0-9A-Fa-f]{2})")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")

# fields/selector.go: splitTerms keeps an escaped comma in its term; splitTerm cuts at the first operator.
_TERM = re.compile(r"((?:[^\\,]|\\.|\\\Z)*)(?:,|\Z)", re.DOTALL)
_OPERATOR = re.compile(r"!=|==|=")
_ESCAPED_VALUE = re.compile(r"(?:[^\\,=]|\\[\\,=])*", re.DOTALL)
_ESCAPED_CHARACTER = re.compile(r"\\(.)", re.DOTALL)

# labels/selector.go: its lexer and parser accept a regular language; this is it.
# Possessive, because a target of 16 KiB must not cost the square of its length.
_BLANK = r"[ \t\r\n]*+"
_WORD = r"[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?(?![^ \t\r\n=!(),<>])"
_LABEL = r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?"
_KEY = rf"(?:(?=[^/]{{1,253}}/){_LABEL}(?:\.{_LABEL})*/)?{_WORD}"
_SET = rf"\({_BLANK}(?:{_WORD}{_BLANK})?+(?:,{_BLANK}(?:{_WORD}{_BLANK})?+)*+\)"
_REQUIREMENT = (
    rf"(?:!{_BLANK}{_KEY}|{_KEY}"
    rf"(?:{_BLANK}(?:==?|!=){_BLANK}(?:{_WORD})?+|{_BLANK}[<>]{_BLANK}[0-9]+(?![^ \t\r\n=!(),<>])"
    rf"|[ \t\r\n]++(?:not)?in{_BLANK}{_SET})?+)"
)
_LABEL_SELECTOR = re.compile(rf"{_BLANK}(?:{_REQUIREMENT}{_BLANK}(?:,{_BLANK}{_REQUIREMENT}{_BLANK})*+)?")
_LABEL_NUMBER = re.compile(rf"[<>]{_BLANK}([0-9]+)")


@dataclass(frozen=True, slots=True)
class RequestInfo:
    """What ``RequestInfo`` is in kube. ``verb`` is the lowercase HTTP method where it is no resource request."""

    verb: str
    path: str
    is_resource_request: bool = False
    api_prefix: str = ""
    api_group: str = ""
    api_version: str = ""
    namespace: str = ""
    resource: str = ""
    subresource: str = ""
    name: str = ""
    parts: tuple[str, ...] = ()
    field_selector: str = ""
    label_selector: str = ""


def request_info(method: str, target: str) -> RequestInfo:
    """Never fails: what kube refuses to read is described as far as kube had come when it gave up.

    :param method: as sent.
    :param target: origin-form as sent (latin-1), without the prefix of the cluster.
    """
    if len(target) <= _KEPT_LENGTH:
        return _remembered(method, target)
    return _read(method, target)


def is_long_running(info: RequestInfo) -> bool:
    """No time limit on the answer, and audited when it starts, too."""
    if info.is_resource_request:
        return info.verb in _LONG_RUNNING_VERBS or info.subresource in _LONG_RUNNING_SUBRESOURCES
    return info.verb in _LONG_RUNNING_VERBS or info.path.startswith("/debug/pprof/")


def _read(method: str, target: str) -> RequestInfo:
    raw_path, _, query = target.partition("?")
    if target[:1] != "/" or _CONTROL.search(target) or _BAD_ESCAPE.search(raw_path):  # url.ParseRequestURI fails
        return RequestInfo(method.lower(), raw_path)
    path = _unescaped(raw_path)
    segments = path.strip("/").split("/")
    if len(segments) >= 3 and segments[0] == "api":
        return _resource_request(method, path, query, "api", "", segments[1], segments[2:])
    if len(segments) >= 4 and segments[0] == "apis":
        return _resource_request(method, path, query, "apis", segments[1], segments[2], segments[3:])
    prefix = "apis" if len(segments) >= 3 and segments[0] == "apis" else ""
    return RequestInfo(method.lower(), path, api_prefix=prefix)


_remembered = lru_cache(maxsize=_KEPT_TARGETS)(_read)


def _resource_request(
    method: str, path: str, query: str, prefix: str, group: str, version: str, parts: list[str]
) -> RequestInfo:
    verb, verb_in_path = _VERBS.get(method, ""), parts[0] in _VERBS_IN_PATH
    if verb_in_path:
        if len(parts) < 2:  # "unable to determine kind and namespace from url": kube answers 500
            return RequestInfo(method.lower(), path, True, prefix, group, version)
        verb, parts = parts[0], parts[1:]
    namespace, parts = _namespaced(parts)
    name = parts[1] if len(parts) >= 2 else ""
    subresource = parts[2] if len(parts) >= 3 and verb != "proxy" else ""
    parameters = {} if name else _parameters(query)
    if verb == "get" and not name:
        verb, name = _list_or_watch(parameters)
    elif verb == "delete" and not name:
        verb = "deletecollection"
    fields = labels = ""
    if verb in _VERBS_WITH_SELECTORS and not verb_in_path:
        fields, labels = parameters.get("fieldSelector", ""), parameters.get("labelSelector", "")
    whole = (namespace, parts[0], subresource, name, tuple(parts), fields, labels)
    return RequestInfo(verb, path, True, prefix, group, version, *whole)


def _namespaced(parts: list[str]) -> tuple[str, list[str]]:
    if parts[0] != "namespaces" or len(parts) < 2:
        return "", parts
    if len(parts) > 2 and parts[2] not in _NAMESPACE_SUBRESOURCES:
        return parts[1], parts[2:]
    return parts[1], parts


def _list_or_watch(parameters: dict[str, str]) -> tuple[str, str]:
    """Verb and name of a GET without a name: ``watch`` or ``list``; a name out of ``metadata.name=`` if all decodes."""
    watch = parameters.get("watch")
    if not _integers_decode(parameters) or not _label_selector_parses(parameters.get("labelSelector", "")):
        name = None
    else:
        name = _required_name(parameters.get("fieldSelector", ""))
    if name is None:  # a decoding error: kube forgets the name, and compares by ToLower instead of EqualFold
        off = watch is None or watch.lower() in ("false", "0")
    else:
        off = watch is None or watch == "0" or watch.casefold() == "false"
    return "list" if off else "watch", name or ""


def _required_name(selector: str) -> str | None:
    """The name that a field selector demands, "" where it demands none, None where it does not parse."""
    names = []
    for term in sorted(filter(None, _TERM.findall(selector))):
        operator = _OPERATOR.search(term)
        if operator is None or not _ESCAPED_VALUE.fullmatch(value := term[operator.end() :]):
            return None
        if term[: operator.start()] == "metadata.name" and operator[0] != "!=":
            names.append(_ESCAPED_CHARACTER.sub(r"\1", value))
    if not names or names[0] in (".", "..") or "/" in names[0] or "%" in names[0]:  # IsValidPathSegmentName
        return ""
    return names[0]


def _integers_decode(parameters: dict[str, str]) -> bool:
    return all(_is_int64(parameters.get(key, "0")) for key in ("timeoutSeconds", "limit"))


def _is_int64(text: str) -> bool:
    return _INTEGER.fullmatch(text) is not None and -_INT64_MAX - 1 <= int(text) <= _INT64_MAX


def _label_selector_parses(selector: str) -> bool:
    if not _LABEL_SELECTOR.fullmatch(selector):
        return False
    return all(len(digits) <= 63 and int(digits) <= _INT64_MAX for digits in _LABEL_NUMBER.findall(selector))


def _parameters(query: str) -> dict[str, str]:
    """The first value of each parameter, as ``url.ParseQuery`` reads them; what it cannot read it leaves out."""
    values: dict[str, str] = {}
    if query.count("&") >= _MAX_PARAMETERS:
        return values
    for pair in query.split("&"):
        if pair and ";" not in pair and not _BAD_ESCAPE.search(pair):
            key, _, value = pair.replace("+", " ").partition("=")
            values.setdefault(_unescaped(key), _unescaped(value))
    return values


def _unescaped(text: str) -> str:
    if "%" not in text and text.isascii():
        return text
    raw = text.encode("latin-1", "replace")
    return _ESCAPE.sub(lambda escape: bytes.fromhex(escape[1].decode()), raw).decode("utf-8", "replace")
