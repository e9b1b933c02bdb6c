"""``clusters``: the API servers behind the proxy."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field, Strict

from kubeoidcproxy.config.quantities import PositiveDuration, duration
from kubeoidcproxy.config.section import Breach, Section
from kubeoidcproxy.config.values import Count, DNSLabel, FilePath, Flag, ServerName, Text

# A path prefix of this name would hide what the API server itself serves there.
RESERVED_NAMES: Final = frozenset(
    (
        *("api", "apis", "healthz", "livez", "readyz", "metrics", "openapi", "openid", "version", "logs", "debug"),
        *("configz", "flagz", "statusz", "static", "swagger", "ui", ".well-known"),
    )
)
# namespace/name; a service account's name is a DNS subdomain (k8s apimachinery NameIsDNSSubdomain).
_SERVICE_ACCOUNT: Final = re.compile(
    r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?/[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*"
)


def _free_name(name: str) -> str:
    if name in RESERVED_NAMES:
        raise ValueError(f"{name} is a path of the API server itself")
    return name


def _service_account(text: str) -> str:
    if not _SERVICE_ACCOUNT.fullmatch(text):
        raise ValueError('must be "NAMESPACE/NAME"')
    return text


class TokenRequest(Section):
    """The kubeconfig's credential only mints short-lived tokens for a service account."""

    service_account: Annotated[Text, AfterValidator(_service_account)]
    """NAMESPACE/NAME of the account that the proxy acts as."""
    audiences: tuple[Text, ...] = ()
    """Audiences of the minted tokens; none: the API server's own."""
    expiration_seconds: Annotated[int, Strict(), Field(ge=600)] = 600
    """How long a minted token lives; the API server takes no less than 600."""


def impersonation_or_another_gate(cluster: Cluster) -> Iterator[Breach]:
    if not cluster.impersonation and cluster.issuers is None and cluster.authorization != "proxy":
        yield (
            ("impersonation",),
            "false makes everyone the upstream credential: needs a list of issuers or authorization: proxy",
        )


def names_once(cluster: Cluster) -> Iterator[Breach]:
    for index, name in enumerate(cluster.server_names):
        if name in cluster.server_names[:index]:
            yield ("serverNames", index), f"server name {name} is listed twice"


class Cluster(Section):
    """One API server (or a balanced set of them) and how to reach it."""

    name: Annotated[DNSLabel, AfterValidator(_free_name)]
    """DNS label; refused are the API server's own paths (api, apis, healthz, version, ...)."""
    server_names: tuple[ServerName, ...] = ()
    """SNI names, "*.suffix" allowed (one label); exact beats wildcard; a name belongs to one cluster."""
    path_prefix: Flag = True
    """https://proxy/<name>/... reaches it as well, on names that no cluster has in serverNames."""
    kubeconfig: FilePath
    """As kubectl understands it: server, tls-server-name, CA, proxy-url (http, https), token, tokenFile, client
    certificates, exec; an error if others than root and the daemon's user may write the file or its folder."""
    context: Text | None = None
    """Default: its current-context."""
    token_request: TokenRequest | None = None
    """{serviceAccount: ns/name, audiences: [], expirationSeconds: 600}: the kubeconfig's credential only mints
    short-lived tokens for it."""
    impersonation: Flag = True
    """False: everyone acts as the upstream credential itself; an error unless `issuers` is a list or authorization is
    proxy."""
    issuers: tuple[Text, ...] | None = None
    """Issuer URLs that may reach this cluster; null = all."""
    audiences: tuple[Text, ...] | None = None
    """The token's aud must also hold one of these; null = what its issuer accepts."""
    authorization: Literal["upstream", "proxy"] = "upstream"
    """upstream: the API server decides. proxy: roles are evaluated here too, deny by default; discovery and self
    reviews stay open to every caller, as in kube (system:discovery, system:basic-user)."""
    connect_timeout: PositiveDuration = duration("10s")
    """TCP and TLS together; passed: 504."""
    response_timeout: PositiveDuration = duration("90s")
    """From the last byte of the request to the head of the API server's answer, else 504; not for long-running
    requests (watch, log, exec, attach, portforward, proxy)."""
    max_connections: Count = 0
    """To the API server; 0 = no limit; reached: wait up to connectTimeout, then 503 + Retry-After."""

    rules = (impersonation_or_another_gate, names_once)
