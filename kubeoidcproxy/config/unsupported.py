"""The keys that this version checks but cannot serve yet: set to anything but their default they are an error.

Whoever builds a feature takes its line out of the table.  Expressions (CEL) are refused where they are judged, in
``jwt_rules``, while nobody passes an ``ExpressionCheck``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from kubeoidcproxy.config.problems import Location
from kubeoidcproxy.config.section import Breach, Section

UNSUPPORTED: Final = [
    "listen.proxyProtocol",
    "trustedProxies",
    "admin.controlSocket",
    "workers",
    "egress.proxyURL",
    "authentication.reservedIdentities",
    "authentication.keys.cacheDirectory",
    "authentication.tokenPassthrough.enabled",
    "authentication.tokenPassthrough.audiences",
    "authentication.revocationFile",
    "authentication.originalUserExtra",
    "authentication.credentialIDExtra",
    "authentication.extraUserHeaders",
    "authentication.clientIPExtra",
    "authentication.staticIssuers.jwksFile",
    "authentication.staticIssuers.maxTokenAge",
    "clusters.tokenRequest",
    "clusters.impersonation",
    "clusters.authorization",
    "clusters.maxConnections",
    "clustersDirectory",
    "roles.file",
    "roles.builtIn",
    "roles.reconcile",
    "roles.interval",
    "audit.log.path",
    "audit.log.policyFile",
    "audit.log.maxSize",
    "audit.log.maxBackups",
    "audit.log.compress",
    "audit.webhook.url",
    "audit.webhook.format",
    "audit.webhook.caFile",
    "audit.webhook.tokenFile",
    "audit.webhook.mode",
    "audit.webhook.spoolDirectory",
    "audit.webhook.maxSpoolSize",
    "audit.webhook.includeRequestBody",
    "audit.webhook.maxRequestBody",
    "limits.failedLoginsPerMinute",
    "streams.maxDuration",
    "streams.endAtTokenExpiry",
]


def unsupported(section: Section) -> Iterator[Breach]:
    """:param section: the whole configuration, or what of it is right."""
    for key in UNSUPPORTED:
        for location in _uses(section, key.split("."), ()):
            yield location, f"not supported yet: {key}"


def _uses(value: Any, keys: list[str], location: Location) -> Iterator[Location]:
    if isinstance(value, tuple):
        for index, item in enumerate(value):
            yield from _uses(item, keys, (*location, index))
    elif isinstance(value, Section):
        name, field = next((name, field) for name, field in type(value).model_fields.items() if field.alias == keys[0])
        inner = value.__dict__.get(name)
        place = (*location, keys[0])
        if keys[1:]:
            yield from _uses(inner, keys[1:], place)
        elif name in value.__dict__ and inner != field.get_default(call_default_factory=True, validated_data={}):
            yield place
