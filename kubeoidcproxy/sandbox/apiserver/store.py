"""All objects, in memory, with one resource version counter and a watch fan-out.

What goes in and comes out is copied by the caller's own care: objects in the store are never changed, only replaced.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from kubeoidcproxy.sandbox.apiserver import status
from kubeoidcproxy.sandbox.apiserver.kinds import Resource

Object = dict[str, Any]

# Events that a watch may still ask for by resource version; etcd keeps five minutes of them, this keeps a count.
HISTORY = 4096


@dataclass(frozen=True, slots=True)
class Event:
    """One change. ``previous`` lets a watch with a selector see an object leave its view."""

    type: str
    item: Object
    previous: Object | None
    revision: int
    resource: Resource


Listener = Callable[[Event], None]


class Store:
    """Objects by resource, namespace and name."""

    def __init__(self) -> None:
        self.revision = 1
        self._objects: dict[Resource, dict[tuple[str, str], Object]] = {}
        self._history: deque[Event] = deque(maxlen=HISTORY)
        self._listeners: dict[Listener, None] = {}

    def find(self, resource: Resource, namespace: str, name: str) -> Object | None:
        return self._objects.get(resource, {}).get((namespace, name))

    def get(self, resource: Resource, namespace: str, name: str) -> Object:
        """The object, or 404."""
        found = self.find(resource, namespace, name)
        if found is None:
            raise status.not_found(resource.plural, resource.group, name)
        return found

    def all(self, resource: Resource, namespace: str = "") -> list[Object]:
        """Objects in the order of their keys, as etcd gives them; all namespaces where none is named."""
        held = self._objects.get(resource, {})
        return [held[key] for key in sorted(held) if not namespace or key[0] == namespace]

    def create(self, resource: Resource, item: Object) -> Object:
        """Add a new object, or 409."""
        namespace, name = _key(item)
        if self.find(resource, namespace, name) is not None:
            raise status.already_exists(resource.plural, resource.group, name)
        return self._put("ADDED", resource, item, None)

    def replace(self, resource: Resource, item: Object) -> Object:
        """Put a new state of an object. A resourceVersion in it must be the current one (optimistic locking)."""
        namespace, name = _key(item)
        previous = self.get(resource, namespace, name)
        expected = item["metadata"].get("resourceVersion")
        if expected not in (None, "", previous["metadata"]["resourceVersion"]):
            raise status.conflict(resource.plural, resource.group, name)
        return self._put("MODIFIED", resource, item, previous)

    def delete(self, resource: Resource, namespace: str, name: str) -> Object:
        """Take an object out; the last state carries the revision of its deletion, as in kube."""
        previous = self.get(resource, namespace, name)
        del self._objects[resource][namespace, name]
        self.revision += 1
        last = _with_revision(previous, self.revision)
        self._tell(Event("DELETED", last, previous, self.revision, resource))
        return last

    def since(self, resource: Resource, revision: int) -> list[Event]:
        """The events after a revision, or 410 where they are forgotten."""
        if self._history and len(self._history) == HISTORY and revision < self._history[0].revision - 1:
            raise status.expired(f"too old resource version: {revision} ({self._history[0].revision})")
        return [event for event in self._history if event.resource is resource and event.revision > revision]

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Call the listener at each change until the returned function is called."""
        self._listeners[listener] = None
        return lambda: self._listeners.pop(listener, None)

    def _put(self, event_type: str, resource: Resource, item: Object, previous: Object | None) -> Object:
        self.revision += 1
        stored = _with_revision(item, self.revision)
        self._objects.setdefault(resource, {})[_key(stored)] = stored
        self._tell(Event(event_type, stored, previous, self.revision, resource))
        return stored

    def _tell(self, event: Event) -> None:
        self._history.append(event)
        for listener in list(self._listeners):
            listener(event)


def _key(item: Object) -> tuple[str, str]:
    metadata = item["metadata"]
    return metadata.get("namespace", ""), metadata["name"]


def _with_revision(item: Object, revision: int) -> Object:
    return item | {"metadata": item["metadata"] | {"resourceVersion": str(revision)}}
