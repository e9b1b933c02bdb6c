"""Watches: changes as JSON lines in a chunked body, as objects, as Tables or as metadata alone."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

from twisted.internet.interfaces import IDelayedCall, IPushProducer, IReactorTime
from zope.interface import implementer

from kubeoidcproxy.sandbox.apiserver.call import Call
from kubeoidcproxy.sandbox.apiserver.kinds import Resource
from kubeoidcproxy.sandbox.apiserver.selectors import field_predicate, label_predicate
from kubeoidcproxy.sandbox.apiserver.status import ApiError, Cause, invalid
from kubeoidcproxy.sandbox.apiserver.store import Event, Object, Store
from kubeoidcproxy.sandbox.apiserver.table import PARTIAL, TABLE, as_table, partial, wanted_form

DEFAULT_TIMEOUT = 1800  # --min-request-timeout: kube ends a watch after 30 to 60 minutes
MAX_WAITING = 1000  # events that wait for a slow client; kube's cacher too ends such a watch
INITIAL_EVENTS_END = "k8s.io/initial-events-end"


class View:
    """How one client wants to see changes: which objects, and in which form."""

    def __init__(self, call: Call, resource: Resource, now: Callable[[], datetime]) -> None:
        self._namespace = call.info.namespace if resource.namespaced else ""
        self._labels = label_predicate(call.request.parameter("labelSelector"))
        self._fields = field_predicate(call.request.parameter("fieldSelector"), resource.selectable)
        self._form = wanted_form(call.request.header("accept"))
        self._resource = resource
        self._now = now
        self._first = True

    def event(self, event: Event) -> tuple[str, Object] | None:
        """The event as this client sees it: an object that enters its view is ADDED, one that leaves is DELETED."""
        if event.resource is not self._resource:
            return None
        was = event.previous is not None and self.shows(event.previous)
        shown = event.type != "DELETED" and self.shows(event.item)
        if shown:
            return ("MODIFIED" if was else "ADDED"), event.item
        return ("DELETED", event.item) if was else None

    def shows(self, item: Object) -> bool:
        in_namespace = not self._namespace or item["metadata"].get("namespace") == self._namespace
        return in_namespace and self._labels(item) and self._fields(item)

    def line(self, event_type: str, item: Object) -> bytes:
        """One line of the body."""
        return json.dumps({"type": event_type, "object": self._formed(item)}, separators=(",", ":")).encode() + b"\n"

    def _formed(self, item: Object) -> Object:
        if self._form == PARTIAL:
            return partial(item)
        if self._form != TABLE or item["kind"] == "Status":
            return item
        first, self._first = self._first, False
        revision = item["metadata"]["resourceVersion"]
        return as_table(self._resource, [item], revision, self._now(), with_columns=first)


@implementer(IPushProducer)
class WatchStream:
    """Writes one watch to its client for as long as both want it."""

    def __init__(self, call: Call, view: View, clock: IReactorTime) -> None:
        self._exchange = call.exchange
        self._view = view
        self._clock = clock
        self._waiting: deque[bytes] = deque()
        self._paused = False
        self._stop_listening: Callable[[], object] = lambda: None
        self._timeout: IDelayedCall | None = None

    async def run(self, store: Store, resource: Resource, call: Call) -> None:
        _check_options(call)
        self._exchange.start_stream("application/json")
        self._exchange.stream_from(self)
        try:
            self._waiting.extend(self._past(store, resource, call))
        except ApiError as error:
            self._exchange.write(self._view.line("ERROR", error.as_status()))
            self._exchange.end_stream()
            return
        self.resumeProducing()
        self._stop_listening = store.listen(self._changed)
        self._timeout = self._clock.callLater(_timeout(call), self._end)
        await self._exchange.ended()
        self._stop()

    def pauseProducing(self) -> None:
        self._paused = True

    def resumeProducing(self) -> None:
        self._paused = False
        while self._waiting and not self._paused:
            self._exchange.write(self._waiting.popleft())

    def stopProducing(self) -> None:
        self._stop()

    def _past(self, store: Store, resource: Resource, call: Call) -> Iterator[bytes]:
        """What comes before the first change: all objects, or the changes since a revision."""
        since = call.request.parameter("resourceVersion")
        from_start = since in ("", "0") or call.request.parameter_is_true("sendInitialEvents")
        if from_start:
            yield from (self._view.line("ADDED", item) for item in store.all(resource) if self._view.shows(item))
        else:
            seen = (self._view.event(event) for event in store.since(resource, int(since) if since.isdecimal() else 0))
            yield from (self._view.line(*event) for event in seen if event is not None)
        if call.request.parameter_is_true("sendInitialEvents"):
            yield self._view.line("BOOKMARK", _initial_events_end(resource, store.revision))

    def _changed(self, event: Event) -> None:
        seen = self._view.event(event)
        if seen is None:
            return
        if not self._paused:
            self._exchange.write(self._view.line(*seen))
        elif len(self._waiting) < MAX_WAITING:
            self._waiting.append(self._view.line(*seen))
        else:
            self._exchange.transport.abortConnection()

    def _end(self) -> None:
        self._stop()
        if not self._paused:
            self._exchange.end_stream()
        else:
            self._exchange.transport.abortConnection()

    def _stop(self) -> None:
        self._stop_listening()
        if self._timeout is not None and self._timeout.active():
            self._timeout.cancel()


def _timeout(call: Call) -> float:
    text = call.request.parameter("timeoutSeconds")
    return float(text) if text.isdecimal() else DEFAULT_TIMEOUT


def _check_options(call: Call) -> None:
    """``ValidateListOptions``."""
    if not call.request.parameter_is_true("sendInitialEvents"):
        return
    if call.request.parameter("resourceVersionMatch") != "NotOlderThan":
        text = "Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
        causes = [Cause("FieldValueForbidden", text, "resourceVersionMatch")]
        raise invalid("ListOptions", "meta.k8s.io", "", causes)


def _initial_events_end(resource: Resource, revision: int) -> dict[str, Any]:
    """The bookmark that ends the list part of a WatchList (KEP-3157)."""
    metadata = {"resourceVersion": str(revision), "annotations": {INITIAL_EVENTS_END: "true"}}
    return {"kind": resource.kind, "apiVersion": resource.api_version, "metadata": metadata}
