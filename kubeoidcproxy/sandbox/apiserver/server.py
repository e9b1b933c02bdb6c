"""The API server: its parts put together, and the way of a request through them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import SSL4ServerEndpoint
from twisted.internet.interfaces import IListeningPort, IOpenSSLContextFactory, IStreamServerEndpoint
from twisted.logger import Logger

from kubeoidcproxy.sandbox.apiserver.audit import AuditLog, AuditTrail
from kubeoidcproxy.sandbox.apiserver.authentication import Tokens, authenticate
from kubeoidcproxy.sandbox.apiserver.bootstrap import bootstrap_manifests
from kubeoidcproxy.sandbox.apiserver.call import Call
from kubeoidcproxy.sandbox.apiserver.connect import PodConnections
from kubeoidcproxy.sandbox.apiserver.exchange import Exchange, error_response
from kubeoidcproxy.sandbox.apiserver.factory import HttpFactory
from kubeoidcproxy.sandbox.apiserver.impersonation import impersonated_user
from kubeoidcproxy.sandbox.apiserver.namespaces import NamespaceController
from kubeoidcproxy.sandbox.apiserver.objects import Objects
from kubeoidcproxy.sandbox.apiserver.pods import RunningPods
from kubeoidcproxy.sandbox.apiserver.rbac import Rbac, forbidden
from kubeoidcproxy.sandbox.apiserver.request import Request, RequestInfo, Response, request_info
from kubeoidcproxy.sandbox.apiserver.resources import find_kind, resource
from kubeoidcproxy.sandbox.apiserver.reviews import Reviews
from kubeoidcproxy.sandbox.apiserver.router import Router
from kubeoidcproxy.sandbox.apiserver.status import ApiError, PlainError, unauthorized
from kubeoidcproxy.sandbox.apiserver.store import Store
from kubeoidcproxy.sandbox.apiserver.token_requests import TokenRequests
from kubeoidcproxy.sandbox.apiserver.users import User

Reactor = Any  # IReactorSSL, IReactorTime, IReactorProcess and IReactorTCP in one; zope interfaces do not intersect


class ApiServer:
    """A small Kubernetes API server.

    :param users: static bearer tokens and whom they stand for.
    :param manifests: objects to start with, beside kube's own namespaces and default roles.
    :param directory: where pods get their folders.
    :param audit_log: the file that audit events are appended to.
    :param root_ca: PEM of the CA that signed this server's certificate, for the ConfigMap ``kube-root-ca.crt``.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: Reactor,
        name: str,
        users: Mapping[str, User],
        manifests: Iterable[Mapping[str, Any]],
        directory: Path,
        audit_log: Path,
        root_ca: str = "",
    ) -> None:
        self.name = name
        self._reactor = reactor
        self._store = Store()
        self._pods = RunningPods(directory)
        self._store.listen(self._pods.changed)
        self._rbac = Rbac(self._store)
        self._tokens = Tokens(users, lambda: self._now().timestamp(), self._account_uid)
        self._objects = Objects(self._store, self._now)
        self._namespaces = NamespaceController(reactor, self._store, self._objects, root_ca)
        self._store.listen(self._namespaces.changed)
        self._audit = AuditLog(audit_log, self._now)
        self._router = self._routed()
        self.factory = HttpFactory(self._serve)
        self.seed(bootstrap_manifests())
        self.seed(manifests)

    def listen(
        self, reactor: Reactor, context_factory: IOpenSSLContextFactory, port: int = 0
    ) -> Deferred[IListeningPort]:
        """Listen on loopback. The context factory says whether client certificates are asked for and verified."""
        endpoint: IStreamServerEndpoint = SSL4ServerEndpoint(reactor, port, context_factory, interface="127.0.0.1")
        return endpoint.listen(self.factory)

    def seed(self, manifests: Iterable[Mapping[str, Any]]) -> None:
        """Store plain objects, unasked and unauthorised; namespaces before what lives in them."""
        for manifest in manifests:
            row = find_kind(manifest["apiVersion"], manifest["kind"])
            if row is None or not row.stored:
                raise ValueError(f"the sandbox holds no {manifest['kind']} of {manifest['apiVersion']}")
            metadata = dict(manifest["metadata"])
            if row.namespaced:
                metadata.setdefault("namespace", "default")
            self._objects.add(row, {**manifest, "metadata": metadata})

    def close(self) -> None:
        """Cut every open connection, end what runs in pods and close the audit log."""
        self._pods.end()
        self._namespaces.close()
        for connection in list(self.factory.connections):
            connection.abort()
        self._audit.close()

    def _routed(self) -> Router:
        return Router(
            clock=self._reactor,
            now=self._now,
            store=self._store,
            objects=self._objects,
            reviews=Reviews(self._rbac, self._tokens),
            token_requests=TokenRequests(self._store, self._tokens, self._now),
            pods=PodConnections(
                clock=self._reactor,
                processes=self._reactor,
                network=self._reactor,
                pods=self._pods,
                rbac=self._rbac,
            ),
        )

    async def _serve(self, request: Request, exchange: Exchange) -> None:
        info = request_info(request)
        trail = self._audit.begin(request, info)
        exchange.headers = (("Audit-Id", trail.audit_id),)
        exchange.on_head = trail.response_started
        try:
            response = await self._answer(request, info, exchange, trail)
        except (ApiError, PlainError) as error:
            response = error_response(error)
        except Exception as error:
            self._log.failure("a request failed: {method} {path}", method=request.method, path=info.path)
            response = error_response(error)
        self._conclude(exchange, trail, response)

    async def _answer(
        self, request: Request, info: RequestInfo, exchange: Exchange, trail: AuditTrail
    ) -> Response | None:
        """kube's handler chain: authentication, impersonation, authorisation, the route."""
        trail.user = authenticate(request, self._tokens)
        if trail.user is None:
            raise unauthorized()
        trail.impersonated = impersonated_user(request, trail.user, self._rbac.authorize)
        user = trail.impersonated or trail.user
        decision = self._rbac.authorize(user, info)
        trail.decided(decision)
        if not decision.allowed:
            raise forbidden(user, info, decision.reason)
        return await self._router.answer(Call(request, info, user, exchange))

    def _conclude(self, exchange: Exchange, trail: AuditTrail, response: Response | None) -> None:
        if response is None:
            trail.response_complete(Response(exchange.status))
        elif exchange.status:  # too late for an answer: the stream must not look complete
            exchange.transport.abortConnection()
            trail.response_complete(Response(exchange.status))
        else:
            exchange.respond(response)
            trail.response_complete(response)

    def _account_uid(self, namespace: str, name: str) -> str | None:
        account = self._store.find(resource("", "serviceaccounts"), namespace, name)
        return None if account is None else account["metadata"]["uid"]

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._reactor.seconds(), UTC)
