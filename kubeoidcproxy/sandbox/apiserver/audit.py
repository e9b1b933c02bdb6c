"""The audit log, as kube-apiserver writes it: JSON lines of audit.k8s.io/v1 events at level Metadata."""

from __future__ import annotations

import ipaddress
import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kubeoidcproxy.sandbox.apiserver.rbac import Decision
from kubeoidcproxy.sandbox.apiserver.request import Request, RequestInfo, Response
from kubeoidcproxy.sandbox.apiserver.users import User

MAX_USER_AGENT = 1024  # maxUserAgentLength of audit/request.go
_STATUS_BODY = b'{"kind":"Status"'  # as json_response writes it


class AuditLog:
    """Appends events; each line is on its way to the disk when ``write`` returns."""

    def __init__(self, path: Path, now: Callable[[], datetime]) -> None:
        self._file = path.open("a", buffering=1, encoding="utf-8")
        self._now = now

    def begin(self, request: Request, info: RequestInfo) -> AuditTrail:
        """Start the trail of a request. Its ``Audit-ID`` is taken as it is, whoever sent it, as kube does."""
        return AuditTrail(self, request, info, request.header("audit-id") or str(uuid.uuid4()), self.timestamp())

    def write(self, event: dict[str, Any]) -> None:
        if not self._file.closed:  # connections that are cut at the end have still events to tell
            self._file.write(json.dumps(event, separators=(",", ":")) + "\n")

    def timestamp(self) -> str:
        return self._now().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")

    def close(self) -> None:
        self._file.close()


@dataclass(slots=True)
class AuditTrail:
    """What is known of one request so far."""

    log: AuditLog
    request: Request
    info: RequestInfo
    audit_id: str
    received: str
    user: User | None = None
    impersonated: User | None = None
    annotations: dict[str, str] = field(default_factory=dict)

    def decided(self, decision: Decision) -> None:
        """Remember the authoriser's verdict."""
        verdict = "allow" if decision.allowed else "forbid"
        self.annotations = {
            "authorization.k8s.io/decision": verdict,
            "authorization.k8s.io/reason": decision.reason,
        }

    def response_started(self, response: Response) -> None:
        """Only long-running requests have this stage, and what fails authentication has no other
        (``WithFailedAuthenticationAudit``)."""
        if self.info.long_running or self.user is None:
            self.log.write(self._event("ResponseStarted", response_status(response)))

    def response_complete(self, response: Response) -> None:
        if self.user is not None:
            self.log.write(self._event("ResponseComplete", response_status(response)))

    def _event(self, stage: str, status: dict[str, Any]) -> dict[str, Any]:
        event: dict[str, Any] = {
            "kind": "Event",
            "apiVersion": "audit.k8s.io/v1",
            "level": "Metadata",
            "auditID": self.audit_id,
            "stage": stage,
            "requestURI": self.request.target,
            "verb": self.info.verb,
            "user": self.user.as_json() if self.user else {},
        }
        if self.impersonated is not None:
            event["impersonatedUser"] = self.impersonated.as_json()
        event["sourceIPs"] = source_ips(self.request)
        if agent := _user_agent(self.request):
            event["userAgent"] = agent
        if self.info.resource:
            event["objectRef"] = _object_reference(self.request, self.info)
        event |= {"responseStatus": status, "requestReceivedTimestamp": self.received}
        event["stageTimestamp"] = self.log.timestamp()
        return event | ({"annotations": self.annotations} if self.annotations else {})


def response_status(response: Response) -> dict[str, Any]:
    """The ``responseStatus`` of an answer, with what a Status in it says."""
    status: dict[str, Any] = {"metadata": {}, "code": response.status}
    if not response.body.startswith(_STATUS_BODY):
        return status
    sent = json.loads(response.body)
    return status | {key: sent[key] for key in ("status", "message", "reason", "details") if key in sent}


def source_ips(request: Request) -> list[str]:
    """``utilnet.SourceIPs``: the first X-Forwarded-For line, X-Real-Ip, then the peer; nobody is distrusted."""
    found = [address for part in request.header("x-forwarded-for").split(",") if (address := _address(part))]
    real = _address(request.header("x-real-ip"))
    if real and real not in found:
        found.append(real)
    if request.peer and (not found or found[-1] != request.peer):
        found.append(request.peer)
    return found


def _address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text.strip()))
    except ValueError:
        return ""


def _user_agent(request: Request) -> str:
    agent = request.header("user-agent")
    return agent if len(agent) <= MAX_USER_AGENT else f"{agent[:MAX_USER_AGENT]}...TRUNCATED"


def _object_reference(request: Request, info: RequestInfo) -> dict[str, str]:
    name = info.name or (_name_in_body(request) if info.verb == "create" else "")
    fields = {"resource": info.resource, "namespace": info.namespace, "name": name}
    fields |= {"apiGroup": info.group, "apiVersion": info.version, "subresource": info.subresource}
    return {key: value for key, value in fields.items() if value}


def _name_in_body(request: Request) -> str:
    """What is created says its name only in the body (``LogRequestObject``)."""
    try:
        name = json.loads(request.body)["metadata"]["name"]
    except (ValueError, KeyError, TypeError):
        return ""
    return name if isinstance(name, str) else ""
