"""From an authorised request to the one that answers it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from twisted.internet.interfaces import IReactorTime

from kubeoidcproxy.sandbox.apiserver.bodies import read_object
from kubeoidcproxy.sandbox.apiserver.call import Call
from kubeoidcproxy.sandbox.apiserver.connect import PodConnections
from kubeoidcproxy.sandbox.apiserver.discovery import discovery_response
from kubeoidcproxy.sandbox.apiserver.kinds import Resource
from kubeoidcproxy.sandbox.apiserver.objects import Objects
from kubeoidcproxy.sandbox.apiserver.openapi import openapi_response
from kubeoidcproxy.sandbox.apiserver.request import RequestInfo, Response, json_response
from kubeoidcproxy.sandbox.apiserver.resources import find_resource, is_group
from kubeoidcproxy.sandbox.apiserver.reviews import Reviews
from kubeoidcproxy.sandbox.apiserver.status import PlainError, method_not_allowed, not_acceptable, unknown_resource
from kubeoidcproxy.sandbox.apiserver.store import Object, Store
from kubeoidcproxy.sandbox.apiserver.table import PARTIAL, as_table, partial, partial_list, wanted_form
from kubeoidcproxy.sandbox.apiserver.token_requests import TokenRequests
from kubeoidcproxy.sandbox.apiserver.watch import View, WatchStream

_JSON = ("*/*", "application/*", "application/json")


class Router:
    """Knows who answers what. An answer of None was given through the exchange already."""

    def __init__(
        self,
        *,
        clock: IReactorTime,
        now: Callable[[], datetime],
        store: Store,
        objects: Objects,
        reviews: Reviews,
        token_requests: TokenRequests,
        pods: PodConnections,
    ) -> None:
        self._clock = clock
        self._now = now
        self._store = store
        self._objects = objects
        self._reviews = reviews
        self._token_requests = token_requests
        self._pods = pods

    async def answer(self, call: Call) -> Response | None:
        if not call.info.resource:
            return _without_resource(call)
        resource = find_resource(call.info.group, call.info.version, call.info.resource)
        if resource is None:
            raise unknown_resource() if is_group(call.info.group) else PlainError(404, "404 page not found")
        if call.info.subresource:
            return await self._subresource(call, resource)
        if call.request.method == "HEAD":
            raise method_not_allowed()
        _check_verb(call.info, resource)
        if not resource.stored:
            review = self._reviews.answer(resource.kind, call.user, call.info, read_object(call.request, resource))
            return json_response(review, 201)
        if call.info.verb == "watch":
            await WatchStream(call, View(call, resource, self._now), self._clock).run(self._store, resource, call)
            return None
        return self._object(call, resource)

    async def _subresource(self, call: Call, resource: Resource) -> Response | None:
        subresource = resource.subresource(call.info.subresource)
        if subresource is None:
            raise unknown_resource()
        if call.info.verb not in subresource.verbs:
            raise method_not_allowed()
        if subresource.name == "status":
            return self._object(call, resource)
        if subresource.name == "token":
            return json_response(self._token_requests.create(call.info, call.request), 201)
        await self._pods.connect(call, self._objects.get(resource, call.info))
        return None

    def _object(self, call: Call, resource: Resource) -> Response:
        form = _acceptable_form(call)
        code, result = self._run(call, resource)
        if result["kind"] == "Status" or not form:
            return json_response(result, code)
        listed = call.info.verb == "list"
        if form == PARTIAL:
            return json_response(partial_list(result) if listed else partial(result), code)
        items = result["items"] if listed else [result]
        revision = result["metadata"].get("resourceVersion", "")
        return json_response(as_table(resource, items, revision, self._now()), code)

    def _run(self, call: Call, resource: Resource) -> tuple[int, Object]:
        verb, info, request = call.info.verb, call.info, call.request
        if verb == "list":
            return 200, self._objects.list(resource, info, request)
        if verb == "create":
            return 201, self._objects.create(resource, info, request)
        if verb == "update":
            return self._objects.update(resource, info, request)
        if verb == "patch":
            return self._objects.patch(resource, info, request)
        if verb == "delete":
            return 200, self._objects.delete(resource, info, request)
        return 200, self._objects.get(resource, info)


def _check_verb(info: RequestInfo, resource: Resource) -> None:
    """kube's mux: what has no name takes no change, what has one cannot be created."""
    if info.name and not resource.stored:
        raise unknown_resource()
    named = bool(info.name) or info.verb in ("list", "watch")  # these take their name from a field selector
    if info.verb not in resource.verbs or named is (info.verb == "create"):
        raise method_not_allowed()


def _without_resource(call: Call) -> Response:
    if call.request.method not in ("GET", "HEAD"):
        raise method_not_allowed()
    found = discovery_response(call.request) or openapi_response(call.info.path)
    if found is not None:
        return found
    root, group = [*call.info.path.split("/"), "", ""][1:3]
    raise unknown_resource() if root == "apis" and is_group(group) else PlainError(404, "404 page not found")


def _acceptable_form(call: Call) -> str:
    accept = call.request.header("accept")
    names = [part.partition(";")[0].strip() for part in accept.split(",")]
    if accept and not any(name in _JSON for name in names):
        raise not_acceptable()
    form = wanted_form(accept)
    return form if form == PARTIAL or call.info.verb in ("get", "list") else ""
