"""Pods outside the store: a folder on disk for each, with its containers' logs, and a life that others follow."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from kubeoidcproxy.sandbox.apiserver.store import Event, Object


class PodLife:
    """Tells those who work for a pod when it is gone."""

    def __init__(self) -> None:
        self._followers: dict[Callable[[], None], None] = {}

    @contextmanager
    def at_end(self, stop: Callable[[], None]) -> Iterator[None]:
        """Call ``stop`` if the pod goes before this context ends."""
        self._followers[stop] = None
        try:
            yield
        finally:
            self._followers.pop(stop, None)

    def end(self) -> None:
        for stop in list(self._followers):
            stop()


class RunningPods:
    """Listens to the store: a pod that comes gets a folder and a life, a pod that goes loses both."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._lives: dict[str, PodLife] = {}

    def folder(self, pod: Object) -> Path:
        """Where exec runs its commands."""
        return self._directory.joinpath(pod["metadata"]["namespace"], pod["metadata"]["name"])

    def log_file(self, pod: Object, container: str) -> Path:
        """What ``kubectl logs`` shows; exec in the pod can append to it by its relative name."""
        return self.folder(pod) / f"{container}.log"

    def life(self, pod: Object) -> PodLife:
        return self._lives[pod["metadata"]["uid"]]

    def changed(self, event: Event) -> None:
        if event.resource.kind != "Pod":
            return
        if event.type == "ADDED":
            self._lives[event.item["metadata"]["uid"]] = PodLife()
            self._furnish(event.item)
        elif event.type == "DELETED":
            shutil.rmtree(self.folder(event.item), ignore_errors=True)
            self._lives.pop(event.item["metadata"]["uid"]).end()

    def end(self) -> None:
        """End everything that runs."""
        for life in self._lives.values():
            life.end()

    def _furnish(self, pod: Object) -> None:
        self.folder(pod).mkdir(parents=True, exist_ok=True)
        for container in pod["spec"].get("containers") or ():
            self.log_file(pod, container["name"]).write_text(_first_line(pod, container["name"]))


def _first_line(pod: Object, container: str) -> str:
    """Every log has a line, so that there is something to see; the real cluster's kubelet stand-in writes it too."""
    return f"container {container} of pod {pod['metadata']['namespace']}/{pod['metadata']['name']} started\n"
