"""What a route is given: the request, what it means, whom it is from, and the way to answer."""

from __future__ import annotations

from dataclasses import dataclass

from kubeoidcproxy.sandbox.apiserver.exchange import Exchange
from kubeoidcproxy.sandbox.apiserver.request import Request, RequestInfo
from kubeoidcproxy.sandbox.apiserver.users import User


@dataclass(frozen=True, slots=True)
class Call:
    """An authenticated, authorised request. ``user`` is the impersonated one where there is one."""

    request: Request
    info: RequestInfo
    user: User
    exchange: Exchange
