"""What the controller manager does for namespaces: it furnishes new ones and empties those that are deleted."""

from __future__ import annotations

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from kubeoidcproxy.sandbox.apiserver.kinds import Resource
from kubeoidcproxy.sandbox.apiserver.lifecycle import is_ending
from kubeoidcproxy.sandbox.apiserver.objects import Objects
from kubeoidcproxy.sandbox.apiserver.resources import RESOURCES, resource
from kubeoidcproxy.sandbox.apiserver.store import Event, Store

TERMINATION_SECONDS = 0.5  # the real controller takes five to ten; what comes after a delete must see "Terminating"


class NamespaceController:
    """Listens to the store."""

    def __init__(self, clock: IReactorTime, store: Store, objects: Objects, root_ca: str) -> None:
        self._clock = clock
        self._store = store
        self._objects = objects
        self._root_ca = root_ca
        self._terminating: dict[str, IDelayedCall] = {}

    def changed(self, event: Event) -> None:
        if event.resource.kind != "Namespace":
            return
        name = event.item["metadata"]["name"]
        if event.type == "ADDED":
            self._furnish(name)
        elif event.type == "MODIFIED" and is_ending(event.item) and name not in self._terminating:
            self._terminating[name] = self._clock.callLater(TERMINATION_SECONDS, self._finalize, name)

    def close(self) -> None:
        for call in self._terminating.values():
            call.cancel()

    def _furnish(self, name: str) -> None:
        self._objects.add(resource("", "serviceaccounts"), {"metadata": {"namespace": name, "name": "default"}})
        root_ca = {"metadata": {"namespace": name, "name": "kube-root-ca.crt"}, "data": {"ca.crt": self._root_ca}}
        self._objects.add(resource("", "configmaps"), root_ca)

    def _finalize(self, name: str) -> None:
        del self._terminating[name]
        for row in RESOURCES:
            if row.stored and row.namespaced:
                self._empty(row, name)
        self._store.delete(resource("", "namespaces"), "", name)

    def _empty(self, row: Resource, namespace: str) -> None:
        for item in self._store.all(row, namespace):
            self._store.delete(row, namespace, item["metadata"]["name"])
