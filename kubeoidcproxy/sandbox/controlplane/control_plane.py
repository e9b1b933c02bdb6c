"""Starting and stopping: one etcd, and for each cluster an API server with what belongs to it."""

from __future__ import annotations

import json
import os
import re
import socket
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

from kubeoidcproxy.sandbox.controlplane import commands
from kubeoidcproxy.sandbox.controlplane.certificates import ClusterCertificates
from kubeoidcproxy.sandbox.controlplane.cluster import Cluster
from kubeoidcproxy.sandbox.controlplane.kubeconfig import write_kubeconfig
from kubeoidcproxy.sandbox.controlplane.processes import ControlPlaneError, ProcessGroup, reserve_port
from kubeoidcproxy.sandbox.controlplane.rest import ApiClient

START_SECONDS = 60.0
"""Two clusters take five seconds on two idle cores, three times that on busy ones."""

ASSETS_VARIABLE = "KUBEBUILDER_ASSETS"
REQUIRED = ("kube-apiserver", "etcd")
CLUSTER_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


def assets_from_environment(environ: Mapping[str, str]) -> Path | None:
    """Return the folder of the control plane's programs, or None where the environment names none.

    :raises ControlPlaneError: the named folder lacks one of them; going on without would hide the mistake.
    """
    value = environ.get(ASSETS_VARIABLE)
    if not value:
        return None
    assets = Path(value).absolute()
    missing = [program for program in REQUIRED if not _has(assets, program)]
    if missing:
        raise ControlPlaneError(f"{ASSETS_VARIABLE}={value}: no executable {' and no '.join(missing)} there")
    return assets


class ControlPlane:
    """Running clusters by name; :meth:`start` makes one, :meth:`stop` or leaving the ``with`` block ends it."""

    def __init__(self, assets: Path, directory: Path) -> None:
        self.assets = assets
        self.directory = directory
        self.clusters: dict[str, Cluster] = {}
        self._reservations: list[socket.socket] = []
        self._processes = ProcessGroup(directory)

    @classmethod
    def start(
        cls,
        *,
        assets: Path,
        directory: Path,
        clusters: Sequence[str],
        api_server_flags: Sequence[str] = (),
        timeout: float = START_SECONDS,
    ) -> ControlPlane:
        """Start the clusters side by side and return when all of them answer.

        :param assets: folder of the programs, as :func:`assets_from_environment` gives it.
        :param directory: for data, logs and keys; made with mode 0700, its content is left behind at the end.
        :param clusters: their names, DNS labels.
        :param api_server_flags: appended to each kube-apiserver's command line.
        :param timeout: seconds.
        :raises ControlPlaneError: a process ended or was not ready in time; its log is quoted. Nothing stays running.
        """
        _check_names(clusters)
        directory = directory.absolute()
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        directory.chmod(0o700)
        plane = cls(assets.absolute(), directory)
        try:
            plane._start(clusters, api_server_flags, time.monotonic() + timeout)
        except BaseException:
            plane.stop()
            raise
        return plane

    def check(self) -> None:
        """Raise ControlPlaneError, with the end of its log, if one of the processes has ended."""
        self._processes.check()

    def stop(self) -> None:
        """Kill all processes and wait for them; again without harm."""
        self._processes.stop()
        for reservation in self._reservations:
            reservation.close()

    def __enter__(self) -> ControlPlane:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def _start(self, names: Sequence[str], api_server_flags: Sequence[str], deadline: float) -> None:
        etcd_socket = self.directory / commands.ETCD_SOCKET
        self._processes.start("etcd", commands.etcd(self.assets), self.directory / "etcd.log")
        clusters = [self._prepare(name) for name in names]
        self._processes.wait_until("etcd", etcd_socket.exists, deadline=deadline)
        for cluster in clusters:
            self._start_api_server(cluster, api_server_flags)
        for cluster in clusters:
            self._processes.wait_until(f"{cluster.name}/kube-apiserver", cluster.api.is_ready, deadline=deadline)
            self._start_companions(cluster)
        for cluster in clusters:
            self._wait_until_settled(cluster, deadline)
            self.clusters[cluster.name] = cluster

    def _prepare(self, name: str) -> Cluster:
        """Write a cluster's files and find it a port."""
        files = commands.ClusterFiles(self.directory / "clusters" / name)
        files.certificates.mkdir(mode=0o700, parents=True, exist_ok=True)
        files.pods.mkdir(mode=0o700, exist_ok=True)
        files.audit_policy.write_text(json.dumps(commands.AUDIT_POLICY))
        certificates = ClusterCertificates.write(files.certificates)
        self._reservations.append(reserve_port())
        server = f"https://127.0.0.1:{self._reservations[-1].getsockname()[1]}"
        for user in ("admin", "controller_manager", "node"):
            path = files.kubeconfig(user.replace("_", "-"))
            write_kubeconfig(path, server=server, ca_file=certificates.server_ca, client=getattr(certificates, user))
        return Cluster(
            name=name,
            server=server,
            files=files,
            certificates=certificates,
            api=ApiClient(server, certificates.server_ca, certificates.admin),
            has_controllers=_has(self.assets, "kube-controller-manager"),
            has_kubelet=_has(self.assets, "minikubelet"),
        )

    def _start_api_server(self, cluster: Cluster, flags: Sequence[str]) -> None:
        port = int(cluster.server.rpartition(":")[2])
        command = commands.api_server(self.assets, cluster.name, port, cluster.files, cluster.certificates, flags)
        self._run(cluster, "kube-apiserver", command)

    def _start_companions(self, cluster: Cluster) -> None:
        """Start what needs the API server to be up: the controller-manager gives up on one that is not."""
        if cluster.has_controllers:
            command = commands.controller_manager(self.assets, cluster.files, cluster.certificates)
            self._run(cluster, "kube-controller-manager", command)
        if cluster.has_kubelet:
            self._run(cluster, "minikubelet", commands.kubelet(self.assets, cluster.files, cluster.certificates))

    def _run(self, cluster: Cluster, program: str, command: Sequence[str]) -> None:
        self._processes.start(f"{cluster.name}/{program}", command, cluster.files.directory / f"{program}.log")

    def _wait_until_settled(self, cluster: Cluster, deadline: float) -> None:
        """Wait for the namespace ``default``, in which pods can be created and run."""
        namespace = "/api/v1/namespaces/default"
        self._wait_for(cluster, "kube-apiserver", namespace, deadline)
        if cluster.has_controllers:
            self._wait_for(cluster, "kube-controller-manager", f"{namespace}/serviceaccounts/default", deadline)
        else:
            cluster.ensure_default_service_account("default")
        if cluster.has_kubelet:
            self._wait_for(cluster, "minikubelet", f"/api/v1/nodes/{commands.NODE}", deadline)

    def _wait_for(self, cluster: Cluster, program: str, path: str, deadline: float) -> None:
        """Wait for the object at ``path``, which ``program`` makes at its start."""
        name = f"{cluster.name}/{program}"
        self._processes.wait_until(name, lambda: cluster.api.exists(path), deadline=deadline)


def _has(assets: Path, program: str) -> bool:
    return os.access(assets / program, os.X_OK)


def _check_names(names: Sequence[str]) -> None:
    for name in names:
        if not CLUSTER_NAME.fullmatch(name):
            raise ValueError(f"cluster name {name!r} is no DNS label")
    if len(set(names)) < len(names):
        raise ValueError(f"cluster names must differ: {', '.join(names)}")
