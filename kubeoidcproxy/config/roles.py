"""``roles``: roles that the proxy evaluates itself or keeps in the clusters."""

from __future__ import annotations

from kubeoidcproxy.config.quantities import PositiveDuration, duration
from kubeoidcproxy.config.section import Section
from kubeoidcproxy.config.values import FilePath, Flag


class Roles(Section):
    """Roles of the form <cluster>:<role>[:<namespace>]."""

    file: FilePath | None = None
    """role-config: custom roles and bindings, multi-document RBAC YAML with metadata.clusterName."""
    built_in: Flag = True
    """devops, developer, developer-portforward, developer-exec-portforward, watcher."""
    reconcile: Flag = False
    """True: the roles and bindings are kept in each cluster as RBAC objects labelled app.kubernetes.io/managed-by:
    kubeoidcproxy."""
    interval: PositiveDuration = duration("10m")
    """How often the clusters are compared with what they should hold."""
