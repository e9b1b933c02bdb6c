"""A whole sandbox: authority, API servers, issuer and proxy, started in order and ended in the reverse order."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from twisted.internet.defer import maybeDeferred
from twisted.internet.interfaces import IListeningPort

from kubeoidcproxy.sandbox import world
from kubeoidcproxy.sandbox.backends import chosen_backend
from kubeoidcproxy.sandbox.callers import Callers, write_secrets
from kubeoidcproxy.sandbox.configuration import Issuers, Upstream, access_log, write_configuration
from kubeoidcproxy.sandbox.demonstration import PERSON
from kubeoidcproxy.sandbox.files import SandboxFiles, write_private, write_yaml
from kubeoidcproxy.sandbox.issuer import Issuer
from kubeoidcproxy.sandbox.kubeconfigs import write_kubeconfig
from kubeoidcproxy.sandbox.people import invent_people
from kubeoidcproxy.sandbox.pki import CertificateAuthority
from kubeoidcproxy.sandbox.proxy_process import ProxyProcess
from kubeoidcproxy.sandbox.record import ClusterRecord, IssuerRecord, ProxyRecord, SandboxRecord

PROXY_NAMES = ("localhost", "127.0.0.1", "::1", "proxy.sandbox.test")
CLUSTER_NAMES = world.server_name("*")

Reactor = Any  # IReactorSSL, IReactorProcess, IReactorTime and more; zope interfaces do not intersect


@dataclass(frozen=True, slots=True)
class Sandbox:
    """One that runs."""

    record: SandboxRecord
    proxy: ProxyProcess


@dataclass(frozen=True, slots=True)
class _Parts:
    """What the proxy stands between."""

    files: SandboxFiles
    authority: CertificateAuthority
    backend: str
    upstreams: list[Upstream]
    issuer: Issuer
    callers: Callers


@asynccontextmanager
async def running_sandbox(reactor: Reactor, files: SandboxFiles, port: int) -> AsyncIterator[Sandbox]:
    """Start all of it, and end all of it when the block is left, also by an error or a cancellation.

    :param port: of the proxy; 0 is any.
    :raises SandboxError: something does not start.
    """
    async with AsyncExitStack() as ending:
        parts = await _parts(reactor, files, ending)
        proxy = ProxyProcess(reactor, files.proxy / "daemon.log")
        ending.push_async_callback(proxy.stop)
        proxy.start(_configure(parts, port))
        await proxy.ready()
        _invite(parts, proxy)
        record = _record(parts, proxy)
        write_private(files.record, record.json())  # last: it says that all is ready
        yield Sandbox(record, proxy)


async def _parts(reactor: Reactor, files: SandboxFiles, ending: AsyncExitStack) -> _Parts:
    authority = CertificateAuthority()
    write_private(files.ca, authority.pem)
    backend = chosen_backend(reactor, files, authority)
    ending.push_async_callback(backend.stop)
    upstreams = await backend.start()
    people = invent_people()
    issuer = Issuer(people)
    port = await issuer.listen(reactor, authority.server("127.0.0.1", "localhost").server_options())
    ending.push_async_callback(_close, port)
    callers = write_secrets(files.secrets, people, issuer.request_token)
    return _Parts(files, authority, backend.name, upstreams, issuer, callers)


async def _close(port: IListeningPort) -> None:
    await maybeDeferred(port.stopListening)


def _configure(parts: _Parts, port: int) -> Path:
    folder = parts.files.proxy
    pairs = {"proxy": parts.authority.server(*PROXY_NAMES), "clusters": parts.authority.server(CLUSTER_NAMES)}
    return write_configuration(
        folder,
        port=port,
        certificates=[pair.write(folder, name) for name, pair in pairs.items()],
        issuers=Issuers(parts.issuer.url, parts.issuer.ci.url, parts.authority.pem),
        pipeline_certificate=parts.callers.pipeline_certificate,
        upstreams=parts.upstreams,
    )


def _invite(parts: _Parts, proxy: ProxyProcess) -> None:
    """Write what people and pipelines come with."""
    files = parts.files
    write_yaml(files.deployment, world.deployment())
    write_kubeconfig(
        files.kubeconfig,
        port=int(proxy.address.rpartition(":")[2]),
        ca_file=files.ca,
        logins=parts.callers.logins(parts.issuer, files.ca),
        current_user=PERSON,
    )


def _record(parts: _Parts, proxy: ProxyProcess) -> SandboxRecord:
    files = parts.files
    return SandboxRecord(
        directory=files.directory,
        backend=parts.backend,
        ca_file=files.ca,
        kubeconfig=files.kubeconfig,
        passwords=parts.callers.passwords,
        issuers=IssuerRecord(
            people=parts.issuer.url,
            ci=parts.issuer.ci.url,
            job_token_url=parts.issuer.request_url,
            job_token_secret_file=parts.callers.job_secret,
            pipeline=world.PIPELINE_ISSUER,
            pipeline_key_file=parts.callers.pipeline_key,
        ),
        proxy=ProxyRecord(
            address=proxy.address,
            admin=proxy.admin,
            process=proxy.pid,
            config_file=files.proxy / "kubeoidcproxy.yaml",
            log_file=files.proxy / "daemon.log",
            access_log=access_log(files.proxy),
        ),
        clusters={upstream.name: _cluster_record(upstream) for upstream in parts.upstreams},
    )


def _cluster_record(upstream: Upstream) -> ClusterRecord:
    return ClusterRecord(
        server_name=world.server_name(upstream.name),
        upstream=upstream.server,
        upstream_ca_file=upstream.ca_file,
        audit_log=upstream.audit_log,
        pods=upstream.pods,
    )
