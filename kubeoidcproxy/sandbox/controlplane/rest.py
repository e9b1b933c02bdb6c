"""The Kubernetes API for the holder of a client certificate, with nothing but the standard library."""

from __future__ import annotations

import http.client
import json
import ssl
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from kubeoidcproxy.sandbox.controlplane.certificates import KeyPair
from kubeoidcproxy.sandbox.controlplane.processes import ControlPlaneError

JSON = "application/json"
APPLY = "application/apply-patch+yaml"
"""Server-side apply; JSON is YAML."""

TIMEOUT = 30.0
"""Seconds for one call; the longest we make are creations in a namespace that is just coming up."""

FIELD_OWNER = "kubeoidcproxy-sandbox"


class ApiError(ControlPlaneError):
    """An answer of 400 or above.

    :param status: HTTP status code.
    :param message: the ``message`` of the ``Status`` object, or the body as it came.
    """

    def __init__(self, request: str, status: int, message: str) -> None:
        super().__init__(f"{request}: {status} {message}")
        self.status = status
        self.message = message


class ApiClient:
    """Calls with a client certificate, each on a connection of its own: usable from any thread."""

    def __init__(self, server: str, ca_file: Path, client: KeyPair) -> None:
        self._address = urlsplit(server).netloc
        self._tls = ssl.create_default_context(cafile=str(ca_file))
        self._tls.load_cert_chain(client.certificate_file, client.key_file)

    def call(self, method: str, path: str, body: object = None, content_type: str = JSON) -> bytes:
        """Return the body of the answer.

        :raises ApiError: the server refused.
        :raises OSError: the server was not reached, or went away.
        """
        connection = http.client.HTTPSConnection(self._address, context=self._tls, timeout=TIMEOUT)
        try:
            payload = None if body is None else json.dumps(body).encode()
            connection.request(method, path, payload, {"Content-Type": content_type, "Accept": JSON})
            response = connection.getresponse()
            answer = response.read()
        except http.client.HTTPException as error:
            raise ConnectionError(f"{method} {path}: {error!r}") from error
        finally:
            connection.close()
        if response.status >= 400:
            raise ApiError(f"{method} {path}", response.status, _message(answer))
        return answer

    def get(self, path: str) -> dict[str, Any]:
        return _as_object(self.call("GET", path))

    def create(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        return _as_object(self.call("POST", path, body))

    def exists(self, path: str) -> bool:
        try:
            self.call("GET", path)
        except ApiError as error:
            if error.status == 404:
                return False
            raise
        return True

    def is_ready(self) -> bool:
        """Ask ``/readyz``; a server that cannot be reached, or that is still starting, is not ready."""
        try:
            self.call("GET", "/readyz")
        except (OSError, ApiError):
            return False
        return True

    def apply(self, manifest: dict[str, Any]) -> dict[str, Any]:
        """Create the object or bring it to what the manifest says (server-side apply, by force)."""
        path = f"{self._path(manifest)}?fieldManager={FIELD_OWNER}&force=true"
        return _as_object(self.call("PATCH", path, manifest, APPLY))

    def _path(self, manifest: dict[str, Any]) -> str:
        """Ask the server itself which resource a kind is, so that any kind it serves can be applied."""
        version, kind = manifest["apiVersion"], manifest["kind"]
        root = f"/apis/{version}" if "/" in version else f"/api/{version}"
        for resource in self.get(root)["resources"]:
            if resource["kind"] == kind and "/" not in resource["name"]:
                break
        else:
            raise ControlPlaneError(f"{self._address} serves no {kind} in {version}")
        metadata = manifest["metadata"]
        namespace = f"/namespaces/{quote(metadata.get('namespace', 'default'))}" if resource["namespaced"] else ""
        return f"{root}{namespace}/{resource['name']}/{quote(metadata['name'])}"


def _as_object(answer: bytes) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(answer)
    return value


def _message(answer: bytes) -> str:
    try:
        return str(json.loads(answer)["message"])
    except (ValueError, KeyError, TypeError):
        return answer.decode(errors="replace").strip()
