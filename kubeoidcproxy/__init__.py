"""kubeoidcproxy: OIDC login for Kubernetes API servers that cannot do it themselves.

A client (kubectl, helm, a CI job) speaks TLS to us as if we were the API server. We verify its bearer token, take its
credential away, and relay its bytes to the real API server with our own credential and ``Impersonate-*`` headers, so
that ordinary RBAC decides and the API server's audit log names the real user.

The one thing to keep in mind: *impersonation fails open*. A request that reaches the API server without
``Impersonate-User`` runs with the rights of the proxy itself. So an outgoing head is built by removal, then addition,
and :func:`kubeoidcproxy.relay.rewrite.assert_safe` reads the finished bytes of every request before they leave.

The way of a request, room by room (a module imports from its own layer or below):

========== ==========================================================================================================
wire       :mod:`.http1`: find and judge one message in a byte stream, without rewriting a byte
values     :mod:`.errors` :mod:`.identity` :mod:`.requestinfo` :mod:`.exchange` :mod:`.interfaces` :mod:`.config`
decisions  :mod:`.routing` (which cluster), :mod:`.auth` (who), :mod:`.impersonation` (acting as whom),
           :mod:`.audit` (what is written down), :mod:`.relay` (rewrite, responses, the machine of a connection)
edges      :mod:`.gate` (from a head to its way upstream), :mod:`.tls` :mod:`.clusters` (upstream connections),
           :mod:`.relay` (protocols), :mod:`.admin` :mod:`.metrics`
wiring     :mod:`.service`: the only module that knows everybody
entry      :mod:`.tap` (``twistd kubeoidcproxy``), :mod:`.cli` (``kubeoidcproxy``), :mod:`.sandbox` (all on loopback)
========== ==========================================================================================================
"""

__version__ = "0.1.0"
