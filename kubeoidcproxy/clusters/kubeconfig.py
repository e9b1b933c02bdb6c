"""A kubeconfig, as kubectl understands it, for one context of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from kubeoidcproxy.clusters.kubeconfig_file import KubeconfigError, Section, read_document
from kubeoidcproxy.clusters.kubeconfig_user import (
    ClientCertificateSpec,
    CredentialSpec,
    TokenCredentialSpec,
    TokenFileSpec,
    credential_of,
    parsed_certificates,
)
from kubeoidcproxy.clusters.server_url import ServerURL, is_host, parse

__all__ = [
    "ClientCertificateSpec",
    "CredentialSpec",
    "KubeconfigError",
    "TokenCredentialSpec",
    "TokenFileSpec",
    "Upstream",
    "load",
]


@dataclass(frozen=True, slots=True)
class Upstream:
    """One API server and our credential for it.

    :param base_path: in front of every target, without a slash at its end; empty for most servers.
    :param tls_server_name: the DNS name or IP address that its certificate must carry.
    :param host_header: the value of ``Host`` in requests to it.
    :param ca_pem: whom to trust, or None for the roots of the system.
    :param files: what was read, to be watched. A token file is not among them: its credential reads it again by
        itself, and a new token needs no new connections.
    """

    host: str
    port: int
    base_path: bytes
    tls_server_name: str
    host_header: bytes
    ca_pem: str | None
    credential: CredentialSpec
    files: tuple[Path, ...]


def load(path: Path, context: str | None) -> Upstream:
    """Read a kubeconfig and what it refers to. Blocks.

    :param context: the name of a context, or None for its current one.
    """
    loading = _Loading(path.absolute())
    try:
        return loading.upstream(context)
    except KubeconfigError as error:
        error.files = tuple(loading.files)
        raise


class _Loading:
    """One reading, and the files that it has come by."""

    def __init__(self, path: Path) -> None:
        self.files = [path]
        self._path = path

    def upstream(self, context: str | None) -> Upstream:
        document = read_document(self._path)
        chosen = document.named("context", _context_name(document, context))
        cluster = document.named("cluster", _reference(chosen, "cluster"))
        user = document.named("user", _reference(chosen, "user"))
        url = _server(cluster)
        server_name = _server_name(cluster) or url.host
        ca_pem = self._authority(cluster)
        credential = credential_of(user, self._pem, self._resolve)
        token_file = credential.path if isinstance(credential, TokenFileSpec) else None
        return Upstream(
            host=url.host,
            port=url.port,
            base_path=url.base_path.encode("ascii"),
            tls_server_name=server_name,
            host_header=url.authority.encode("ascii"),
            ca_pem=ca_pem,
            credential=credential,
            files=tuple(file for file in self.files if file != token_file),
        )

    def _authority(self, cluster: Section) -> str | None:
        pem = self._pem(cluster, "certificate-authority")
        if not pem:
            return None
        parsed_certificates(cluster, "certificate-authority", pem)
        return pem

    def _pem(self, section: Section, key: str) -> str:
        """client-go, rest.dataFromSliceOrFile: data wins over the file, which then is not even opened."""
        if section.has(f"{key}-data"):
            return section.data(f"{key}-data")
        if not section.has(key):
            return ""
        path = self._resolve(section.text(key))
        try:
            return path.read_text(encoding="utf-8")
        except OSError as error:
            raise section.refusal(f"{key}: {path} cannot be read: {error.strerror}") from None
        except UnicodeDecodeError:
            raise section.refusal(f"{key}: {path} is not a text file") from None

    def _resolve(self, reference: str) -> Path:
        """Relative to the kubeconfig's own folder (client-go, clientcmd.ResolveLocalPaths)."""
        path = self._path.parent / reference
        if path not in self.files:
            self.files.append(path)
        return path


def _context_name(document: Section, context: str | None) -> str:
    name = document.text("current-context") if context is None else context
    if not name:
        raise document.refusal("current-context: is not set, and no context was asked for")
    return name


def _reference(context: Section, key: str) -> str:
    name = context.text(key)
    if not name:
        raise context.refusal(f"{key}: is not set")
    return name


def _server(cluster: Section) -> ServerURL:
    if cluster.has("proxy-url"):
        raise cluster.refusal("not supported yet: proxy-url")
    if cluster.flag("insecure-skip-tls-verify"):
        raise cluster.refusal("not supported yet: insecure-skip-tls-verify")
    text = cluster.text("server")
    if not text.startswith("https://"):
        raise cluster.refusal("server: must be an https:// URL")
    url = parse(text)
    if url is None:
        raise cluster.refusal("server: is not https://HOST[:PORT][/PATH]")
    return url


def _server_name(cluster: Section) -> str:
    name = cluster.text("tls-server-name")
    if name and not is_host(name):
        raise cluster.refusal("tls-server-name: is no DNS name and no IP address")
    return name
