"""Reviews: questions that are posted as objects and answered at once (who am I, may I, whose token is this)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kubeoidcproxy.sandbox.apiserver.authentication import AUDIENCE, Tokens
from kubeoidcproxy.sandbox.apiserver.rbac import Rbac
from kubeoidcproxy.sandbox.apiserver.request import RequestInfo
from kubeoidcproxy.sandbox.apiserver.status import ApiError, Cause, bad_request, invalid
from kubeoidcproxy.sandbox.apiserver.store import Object
from kubeoidcproxy.sandbox.apiserver.users import User, user_from_json

_Answer = Callable[[User, RequestInfo, dict[str, Any]], dict[str, Any]]


class Reviews:
    """One method a kind; each gives the review's ``status``."""

    def __init__(self, rbac: Rbac, tokens: Tokens) -> None:
        self._rbac = rbac
        self._tokens = tokens
        self._answers: dict[str, _Answer] = {
            "SelfSubjectReview": self._self_subject,
            "SelfSubjectAccessReview": self._self_subject_access,
            "SelfSubjectRulesReview": self._self_subject_rules,
            "SubjectAccessReview": self._subject_access,
            "LocalSubjectAccessReview": self._local_subject_access,
            "TokenReview": self._token,
        }

    def answer(self, kind: str, user: User, info: RequestInfo, review: Object) -> Object:
        """The review as it was sent, with its status."""
        spec = review.get("spec") or {}
        metadata = {**review["metadata"], "creationTimestamp": None}
        if info.namespace:
            metadata["namespace"] = info.namespace
        named: Object = {"kind": kind, "apiVersion": f"{info.group}/{info.version}", "metadata": metadata}
        if kind != "SelfSubjectReview":
            named["spec"] = {} if kind == "SelfSubjectRulesReview" else spec  # kube's own answer has it empty
        return named | {"status": self._answers[kind](user, info, spec)}

    def _self_subject(self, user: User, info: RequestInfo, spec: dict[str, Any]) -> dict[str, Any]:
        return {"userInfo": user.as_json()}

    def _self_subject_access(self, user: User, info: RequestInfo, spec: dict[str, Any]) -> dict[str, Any]:
        return self._access(user, info, spec)

    def _subject_access(self, user: User, info: RequestInfo, spec: dict[str, Any]) -> dict[str, Any]:
        asked = user_from_json(spec)
        if not asked.name and not asked.groups:
            text = 'Invalid value: "": at least one of user or group must be specified'
            raise _invalid(info, text, "spec.user")
        return self._access(asked, info, spec)

    def _local_subject_access(self, user: User, info: RequestInfo, spec: dict[str, Any]) -> dict[str, Any]:
        namespace = (spec.get("resourceAttributes") or {}).get("namespace") or ""
        if namespace != info.namespace:
            text = f'Invalid value: "{namespace}": must match metadata.namespace'
            raise _invalid(info, text, "spec.resourceAttributes.namespace")
        return self._subject_access(user, info, spec)

    def _access(self, user: User, info: RequestInfo, spec: dict[str, Any]) -> dict[str, Any]:
        decision = self._rbac.authorize(user, _asked(info, spec))
        status: dict[str, Any] = {"allowed": decision.allowed}
        return status | ({"reason": decision.reason} if decision.reason else {})

    def _self_subject_rules(self, user: User, info: RequestInfo, spec: dict[str, Any]) -> dict[str, Any]:
        namespace = spec.get("namespace") or ""
        if not namespace:
            raise bad_request("no namespace on request")
        rules = self._rbac.rules_for(user, namespace)
        resource_rules = [rule for rule in rules if rule.get("resources")]
        path_rules = [rule for rule in rules if rule.get("nonResourceURLs")]
        return {"resourceRules": resource_rules, "nonResourceRules": path_rules, "incomplete": False}

    def _token(self, user: User, info: RequestInfo, spec: dict[str, Any]) -> dict[str, Any]:
        if not spec.get("token"):
            raise bad_request("token is required for TokenReview in authentication")
        found = self._tokens.authenticate(spec["token"], spec.get("audiences") or (AUDIENCE,))
        if found is None:
            return {"user": {}, "error": "invalid bearer token"}
        return {"authenticated": True, "user": found.user.as_json(), "audiences": list(found.audiences)}


def _invalid(info: RequestInfo, message: str, field: str) -> ApiError:
    """kube leaves the kind of a review out."""
    return invalid("", info.group, "", [Cause("FieldValueInvalid", message, field)])


def _asked(info: RequestInfo, spec: dict[str, Any]) -> RequestInfo:
    resource: dict[str, str] | None = spec.get("resourceAttributes")
    path: dict[str, str] | None = spec.get("nonResourceAttributes")
    if (resource is None) == (path is None):
        text = "Invalid value: null: exactly one of nonResourceAttributes or resourceAttributes must be specified"
        raise _invalid(info, text, "spec.resourceAttributes")
    if resource is None:
        return RequestInfo((path or {}).get("verb") or "", path=(path or {}).get("path") or "")
    keys = ("verb", "group", "version", "namespace", "resource", "subresource", "name")
    return RequestInfo(**{key: resource.get(key) or "" for key in keys})
