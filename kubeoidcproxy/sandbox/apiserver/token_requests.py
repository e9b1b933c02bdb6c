"""TokenRequest: short-lived tokens for ServiceAccounts."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from kubeoidcproxy.sandbox.apiserver.authentication import AUDIENCE, Tokens
from kubeoidcproxy.sandbox.apiserver.bodies import read_object
from kubeoidcproxy.sandbox.apiserver.defaults import timestamp
from kubeoidcproxy.sandbox.apiserver.kinds import AUTHENTICATION, Resource
from kubeoidcproxy.sandbox.apiserver.request import Request, RequestInfo
from kubeoidcproxy.sandbox.apiserver.resources import resource
from kubeoidcproxy.sandbox.apiserver.status import Cause, invalid
from kubeoidcproxy.sandbox.apiserver.store import Object, Store

DEFAULT_LIFETIME = 3600
MIN_LIFETIME = 600  # MinTokenAgeSec of authentication/validation
MAX_LIFETIME = 1 << 32

_TOKEN_REQUEST = Resource(AUTHENTICATION, "v1", "tokenrequests", "", "TokenRequest", True, verbs=("create",))


class TokenRequests:
    """Answers ``serviceaccounts/NAME/token``."""

    def __init__(self, store: Store, tokens: Tokens, now: Callable[[], datetime]) -> None:
        self._store = store
        self._tokens = tokens
        self._now = now

    def create(self, info: RequestInfo, request: Request) -> Object:
        self._store.get(resource("", "serviceaccounts"), info.namespace, info.name)
        asked = read_object(request, _TOKEN_REQUEST)
        spec: dict[str, Any] = {
            "audiences": [AUDIENCE],
            "expirationSeconds": DEFAULT_LIFETIME,
            "boundObjectRef": None,
        }
        spec |= {key: value for key, value in (asked.get("spec") or {}).items() if value}
        _check_lifetime(spec["expirationSeconds"])
        expires = self._now() + timedelta(seconds=spec["expirationSeconds"])
        token = self._tokens.mint(info.namespace, info.name, spec["audiences"], expires.timestamp())
        status = {"token": token, "expirationTimestamp": timestamp(expires)}
        metadata = {"name": info.name, "namespace": info.namespace, "creationTimestamp": timestamp(self._now())}
        return {"kind": "TokenRequest", "apiVersion": f"{AUTHENTICATION}/v1", "metadata": metadata, "spec": spec} | {
            "status": status
        }


def _check_lifetime(seconds: Any) -> None:
    if not isinstance(seconds, int) or seconds < MIN_LIFETIME:
        text = f"Invalid value: {seconds}: may not specify a duration less than 10 minutes"
    elif seconds > MAX_LIFETIME:
        text = f"Invalid value: {seconds}: may not specify a duration larger than 2^32 seconds"
    else:
        return
    cause = Cause("FieldValueInvalid", text, "spec.expirationSeconds")
    raise invalid("TokenRequest", AUTHENTICATION, "", [cause])
