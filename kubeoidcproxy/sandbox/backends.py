"""The API servers behind the sandbox's proxy: stand-ins in this process, or a real control plane in child processes.

Both hold the same world, and both are given to the proxy in the same form.
"""

from __future__ import annotations

import os
import secrets
from abc import ABC, abstractmethod
from pathlib import Path
from threading import Lock
from typing import Any

from twisted.internet.defer import maybeDeferred
from twisted.internet.interfaces import IListeningPort
from twisted.internet.threads import deferToThread

from kubeoidcproxy.sandbox import world
from kubeoidcproxy.sandbox.apiserver.server import ApiServer
from kubeoidcproxy.sandbox.apiserver.users import User, service_account_groups, service_account_name
from kubeoidcproxy.sandbox.configuration import Upstream
from kubeoidcproxy.sandbox.controlplane.cluster import Cluster
from kubeoidcproxy.sandbox.controlplane.control_plane import ControlPlane, assets_from_environment
from kubeoidcproxy.sandbox.controlplane.processes import ControlPlaneError
from kubeoidcproxy.sandbox.files import SandboxFiles
from kubeoidcproxy.sandbox.pki import CertificateAuthority
from kubeoidcproxy.sandbox.trouble import SandboxError

TOKEN_SECONDS = 24 * 3600
"""How long a sandbox on a real control plane can run: the proxy's own token is not renewed."""

Reactor = Any  # IReactorSSL, IReactorTime, IReactorProcess and IReactorTCP in one; zope interfaces do not intersect


class Backend(ABC):
    """The clusters of a sandbox."""

    name: str
    """What the record calls it."""

    @abstractmethod
    async def start(self) -> list[Upstream]:
        """Start all clusters and put the world into them.

        :raises SandboxError: they cannot be started; nothing stays running after :meth:`stop`.
        """

    @abstractmethod
    async def stop(self) -> None:
        """End all that :meth:`start` has started, also when it has not come to its end."""


def chosen_backend(reactor: Reactor, files: SandboxFiles, authority: CertificateAuthority) -> Backend:
    """The real thing where the environment names it.

    :raises SandboxError: it names a folder that is not right.
    """
    try:
        assets = assets_from_environment(os.environ)
    except ControlPlaneError as error:
        raise SandboxError(str(error)) from None
    if assets is None:
        return StandIns(reactor, files, authority)
    return RealClusters(assets, files)


class StandIns(Backend):
    """API server stand-ins on the reactor of this process."""

    name = "stand-in"

    def __init__(self, reactor: Reactor, files: SandboxFiles, authority: CertificateAuthority) -> None:
        self._reactor = reactor
        self._files = files
        self._authority = authority
        self._servers: list[ApiServer] = []
        self._ports: list[IListeningPort] = []

    async def start(self) -> list[Upstream]:
        return [await self._start(name) for name in world.CLUSTERS]

    async def stop(self) -> None:
        for port in self._ports:
            await maybeDeferred(port.stopListening)
        for server in self._servers:
            server.close()

    async def _start(self, name: str) -> Upstream:
        directory = self._files.clusters / name
        directory.mkdir(mode=0o700)
        token, audit_log, pods = secrets.token_urlsafe(32), directory / "audit.log", directory / "pods"
        server = ApiServer(
            self._reactor, name, {token: proxy_account()}, world.manifests(), pods, audit_log, self._authority.pem
        )
        self._servers.append(server)
        context = self._authority.server("127.0.0.1", "kubernetes").server_options()
        port = await server.listen(self._reactor, context)
        self._ports.append(port)
        address = f"https://127.0.0.1:{port.getHost().port}"  # type: ignore[attr-defined]
        return Upstream(name, address, self._files.ca, token, audit_log, pods)


class RealClusters(Backend):
    """kube-apiserver and etcd; what starts and asks them blocks, and so runs in threads."""

    name = "control plane"

    def __init__(self, assets: Path, files: SandboxFiles) -> None:
        self._assets = assets
        self._directory = files.clusters
        self._plane: ControlPlane | None = None
        self._stopped = False
        self._lock = Lock()

    async def start(self) -> list[Upstream]:
        try:
            upstreams: list[Upstream] = await deferToThread(self._start)
        except (ControlPlaneError, OSError) as error:
            raise SandboxError(str(error)) from None
        return upstreams

    async def stop(self) -> None:
        await deferToThread(self._stop)

    def _start(self) -> list[Upstream]:
        """The lock lets a stop that comes in the middle wait, instead of missing what is being started."""
        with self._lock:
            if self._stopped:
                return []
            self._plane = ControlPlane.start(
                assets=self._assets, directory=self._directory, clusters=list(world.CLUSTERS)
            )
            return [_furnished(cluster) for cluster in self._plane.clusters.values()]

    def _stop(self) -> None:
        with self._lock:
            self._stopped = True
            if self._plane is not None:
                self._plane.stop()


def proxy_account() -> User:
    """The proxy's ServiceAccount, as the stand-in sees it."""
    name = service_account_name(world.PROXY_NAMESPACE, world.PROXY_ACCOUNT)
    return User(name, groups=service_account_groups(world.PROXY_NAMESPACE))


def _furnished(cluster: Cluster) -> Upstream:
    cluster.apply(world.manifests())
    if cluster.has_kubelet:
        cluster.wait_until_running(world.NAMESPACE, world.POD)
    token = cluster.service_account_token(world.PROXY_NAMESPACE, world.PROXY_ACCOUNT, TOKEN_SECONDS)
    pods = cluster.files.pods
    return Upstream(cluster.name, cluster.server, cluster.ca_file, token, cluster.audit_log, pods)
