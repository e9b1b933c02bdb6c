"""The RBAC authoriser: kube's ``plugin/pkg/auth/authorizer/rbac`` over the roles and bindings in the store."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from kubeoidcproxy.sandbox.apiserver import status
from kubeoidcproxy.sandbox.apiserver.kinds import RBAC
from kubeoidcproxy.sandbox.apiserver.request import RequestInfo
from kubeoidcproxy.sandbox.apiserver.resources import resource
from kubeoidcproxy.sandbox.apiserver.store import Store
from kubeoidcproxy.sandbox.apiserver.users import MASTERS, User, service_account_name

Rule = Mapping[str, Any]

_EVERY_RESOURCE = {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}
_EVERY_PATH = {"nonResourceURLs": ["*"], "verbs": ["*"]}
_FORBIDDEN_TEXT = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})  # the sanitizer of responsewriters/errors.go


@dataclass(frozen=True, slots=True)
class Decision:
    """Allowed or not, and what the API server would give as its reason."""

    allowed: bool
    reason: str = ""


class Rbac:
    """Decides from the objects in the store as they are now."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def authorize(self, user: User, info: RequestInfo) -> Decision:
        """``RBACAuthorizer.Authorize`` behind the privileged group, which may everything."""
        if MASTERS in user.groups:
            return Decision(True)
        missing: list[str] = []
        for description, rules in self._grants(user, info.namespace, missing):
            if any(rule_allows(rule, info) for rule in rules):
                return Decision(True, f"RBAC: allowed by {description}")
        return Decision(False, _missing_roles(missing))

    def rules_for(self, user: User, namespace: str) -> list[Rule]:
        """Everything granted in a namespace, for SelfSubjectRulesReview."""
        if MASTERS in user.groups:
            return [_EVERY_RESOURCE, _EVERY_PATH]
        return [rule for _, rules in self._grants(user, namespace, []) for rule in rules]

    def _grants(self, user: User, namespace: str, missing: list[str]) -> Iterator[tuple[str, list[Rule]]]:
        bindings = self._store.all(resource(RBAC, "clusterrolebindings"))
        if namespace:
            bindings = bindings + self._store.all(resource(RBAC, "rolebindings"), namespace)
        for binding in bindings:
            own_namespace = binding["metadata"].get("namespace", "")
            subject = _matching_subject(binding, user, own_namespace)
            if subject is None:
                continue
            role = binding["roleRef"]
            rules = self._role_rules(role, own_namespace)
            if rules is None:
                missing.append(f'{role["kind"].lower()}.{RBAC} "{role["name"]}" not found')
                continue
            yield _describe(binding, own_namespace, role, subject), rules

    def _role_rules(self, role: Mapping[str, str], namespace: str) -> list[Rule] | None:
        scope = namespace if role["kind"] == "Role" else ""
        plural = "roles" if role["kind"] == "Role" else "clusterroles"
        found = self._store.find(resource(RBAC, plural), scope, role["name"])
        return None if found is None else found.get("rules") or []


def rule_allows(rule: Rule, info: RequestInfo) -> bool:
    """``RuleAllows`` of the rbac package."""
    if not _covers(rule.get("verbs"), info.verb):
        return False
    if not info.resource:
        return any(_path_matches(pattern, info.path) for pattern in rule.get("nonResourceURLs") or ())
    names = rule.get("resourceNames") or ()
    return (
        _covers(rule.get("apiGroups"), info.group)
        and _resource_matches(rule.get("resources") or (), info)
        and (not names or info.name in names)
    )


def forbidden(user: User, info: RequestInfo, reason: str = "") -> status.ApiError:
    """The 403 that names who may not do what (``forbiddenMessage``)."""
    text = forbidden_message(user, info).translate(_FORBIDDEN_TEXT)
    return status.forbidden(info.resource, info.group, info.name, f"{text}: {reason}" if reason else text)


def forbidden_message(user: User, info: RequestInfo) -> str:
    if not info.resource:
        return f'User "{user.name}" cannot {info.verb} path "{info.path}"'
    resource = f"{info.resource}/{info.subresource}" if info.subresource else info.resource
    where = f'in the namespace "{info.namespace}"' if info.namespace else "at the cluster scope"
    return f'User "{user.name}" cannot {info.verb} resource "{resource}" in API group "{info.group}" {where}'


def _covers(granted: Any, wanted: str) -> bool:
    return bool(granted) and ("*" in granted or wanted in granted)


def _resource_matches(granted: Any, info: RequestInfo) -> bool:
    combined = f"{info.resource}/{info.subresource}" if info.subresource else info.resource
    any_with_subresource = f"*/{info.subresource}" if info.subresource else None
    return "*" in granted or combined in granted or any_with_subresource in granted


def _path_matches(pattern: str, path: str) -> bool:
    return pattern in ("*", path) or (pattern.endswith("*") and path.startswith(pattern.rstrip("*")))


def _matching_subject(binding: Mapping[str, Any], user: User, namespace: str) -> Mapping[str, str] | None:
    return next((s for s in binding.get("subjects") or () if _is_subject(s, user, namespace)), None)


def _is_subject(subject: Mapping[str, str], user: User, namespace: str) -> bool:
    if subject["kind"] == "Group":
        return subject["name"] in user.groups
    if subject["kind"] == "ServiceAccount":
        return user.name == service_account_name(subject.get("namespace") or namespace, subject["name"])
    return subject["kind"] == "User" and user.name == subject["name"]


def _describe(binding: Mapping[str, Any], namespace: str, role: Mapping[str, str], subject: Mapping[str, str]) -> str:
    name = binding["metadata"]["name"]
    bound = f'RoleBinding "{name}/{namespace}"' if namespace else f'ClusterRoleBinding "{name}"'
    who = subject["name"]
    if subject["kind"] == "ServiceAccount":
        who = f"{who}/{subject.get('namespace') or namespace}"
    return f'{bound} of {role["kind"]} "{role["name"]}" to {subject["kind"]} "{who}"'


def _missing_roles(missing: list[str]) -> str:
    if not missing:
        return ""
    return f"RBAC: {missing[0]}" if len(missing) == 1 else f"RBAC: [{', '.join(missing)}]"
