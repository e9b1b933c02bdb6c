"""``Impersonate-*`` headers, parsed and authorised as kube-apiserver's ``filters/impersonation.go`` does it.

A request whose ``Impersonate-User`` is empty is not impersonated: it runs as its caller. That is kube's own behaviour,
and the reason why a proxy must never forward an empty name.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import unquote

from kubeoidcproxy.sandbox.apiserver import rbac, status
from kubeoidcproxy.sandbox.apiserver.kinds import AUTHENTICATION
from kubeoidcproxy.sandbox.apiserver.request import Request, RequestInfo
from kubeoidcproxy.sandbox.apiserver.users import (
    ANONYMOUS,
    AUTHENTICATED,
    UNAUTHENTICATED,
    User,
    service_account_groups,
    split_service_account,
)

_EXTRA_PREFIX = "impersonate-extra-"
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
Authorize = Callable[[User, RequestInfo], rbac.Decision]


@dataclass(frozen=True, slots=True)
class _Reference:
    """A Go ``ObjectReference``, as one thing that the caller wants to be."""

    kind: str
    name: str
    namespace: str = ""
    api_version: str = ""
    field_path: str = ""

    def __str__(self) -> str:
        """Go's ``%v`` of the struct: Kind Namespace Name UID APIVersion ResourceVersion FieldPath."""
        return f"{{{self.kind} {self.namespace} {self.name}  {self.api_version}  {self.field_path}}}"

    def attributes(self) -> RequestInfo:
        """What must be allowed for it, with the verb ``impersonate``."""
        resource, group = _RESOURCES[self.kind]
        return RequestInfo(
            "impersonate",
            group=group,
            version="v1" if group else "",
            namespace=self.namespace,
            resource=resource,
            subresource=self.field_path,
            name=self.name,
        )


_RESOURCES = {
    "User": ("users", ""),
    "Group": ("groups", ""),
    "ServiceAccount": ("serviceaccounts", ""),
    "UserExtra": ("userextras", AUTHENTICATION),
    "UID": ("uids", AUTHENTICATION),
}


def impersonated_user(request: Request, caller: User, authorize: Authorize) -> User | None:
    """The user to act as, None where nobody is impersonated; 400 or 403 as an exception."""
    references = _references(request)
    for reference in references:
        info = reference.attributes()
        decision = authorize(caller, info)
        if not decision.allowed:
            raise rbac.forbidden(caller, info, decision.reason)
    return _user(request, references) if references else None


def _references(request: Request) -> list[_Reference]:
    name = request.header("impersonate-user")
    found = [_name_reference(name)] if name else []
    found += [_Reference("Group", group) for group in request.header_values("impersonate-group")]
    for key, value in _extras(request):
        found.append(_Reference("UserExtra", value, api_version=f"{AUTHENTICATION}/v1", field_path=key))
    if uid := request.header("impersonate-uid"):
        found.append(_Reference("UID", uid, api_version=f"{AUTHENTICATION}/v1"))
    if found and not name:
        listed = " ".join(str(reference) for reference in found)
        raise status.bad_request(f"requested [{listed}] without impersonating a user")
    return found


def _name_reference(name: str) -> _Reference:
    account = split_service_account(name)
    return _Reference("ServiceAccount", account[1], namespace=account[0]) if account else _Reference("User", name)


def _extras(request: Request) -> list[tuple[str, str]]:
    return [(_key(name), value) for name, value in request.headers if name.startswith(_EXTRA_PREFIX)]


def _key(header: str) -> str:
    """Decoded after lower-casing, so ``%53`` is the only way to a capital; a bad escape is taken literally."""
    key = header.removeprefix(_EXTRA_PREFIX)
    return key if _BAD_ESCAPE.search(key) else unquote(key, errors="surrogateescape")


def _user(request: Request, references: list[_Reference]) -> User:
    extra: dict[str, tuple[str, ...]] = {}
    for key, value in _extras(request):
        extra[key] = (*extra.get(key, ()), value)
    groups = tuple(reference.name for reference in references if reference.kind == "Group")
    account = next((reference for reference in references if reference.kind == "ServiceAccount"), None)
    if account and not groups:
        groups = service_account_groups(account.namespace)
    name = request.header("impersonate-user")
    return User(name, request.header("impersonate-uid"), _with_system_group(name, groups), extra)


def _with_system_group(name: str, groups: tuple[str, ...]) -> tuple[str, ...]:
    if name == ANONYMOUS:
        return groups if UNAUTHENTICATED in groups else (*groups, UNAUTHENTICATED)
    if AUTHENTICATED in groups or UNAUTHENTICATED in groups:
        return groups
    return (*groups, AUTHENTICATED)
