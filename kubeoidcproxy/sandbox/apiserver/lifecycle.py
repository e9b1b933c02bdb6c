"""The life of a namespace as the API server sees it: nothing new while it ends, and it ends only when it is empty."""

from __future__ import annotations

from datetime import datetime

from kubeoidcproxy.sandbox.apiserver.defaults import timestamp
from kubeoidcproxy.sandbox.apiserver.kinds import Resource
from kubeoidcproxy.sandbox.apiserver.resources import resource
from kubeoidcproxy.sandbox.apiserver.status import Cause, forbidden
from kubeoidcproxy.sandbox.apiserver.store import Object, Store


def is_ending(namespace: Object) -> bool:
    return "deletionTimestamp" in namespace["metadata"]


def check_namespace(store: Store, row: Resource, item: Object) -> None:
    """The NamespaceLifecycle admission plugin: 404 where there is no such namespace, 403 where it ends."""
    name = item["metadata"]["namespace"]
    if not is_ending(store.get(resource("", "namespaces"), "", name)):
        return
    why = f"unable to create new content in namespace {name} because it is being terminated"
    refusal = forbidden(row.plural, row.group, item["metadata"].get("name", ""), why)
    cause = Cause("NamespaceTerminating", f"namespace {name} is being terminated", "metadata.namespace")
    refusal.details = (refusal.details or {}) | {"causes": [cause.as_json()]}
    raise refusal


def terminate(store: Store, namespace: Object, now: datetime) -> Object:
    """Begin the end of a namespace; to ask again changes nothing."""
    if is_ending(namespace):
        return namespace
    metadata = namespace["metadata"] | {"deletionTimestamp": timestamp(now)}
    ending = namespace | {"metadata": metadata, "status": {"phase": "Terminating"}}
    return store.replace(resource("", "namespaces"), ending)
