"""What the sandbox shows: a person and a pipeline, each logging in and doing something through the proxy."""

from __future__ import annotations

import json
import os
import shlex
import shutil
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from twisted.internet.threads import deferToThread
from twisted.internet.utils import getProcessOutputAndValue

from kubeoidcproxy.sandbox import world
from kubeoidcproxy.sandbox.callers import PIPELINE
from kubeoidcproxy.sandbox.credentials import claims_of, person_token, pipeline_token
from kubeoidcproxy.sandbox.files import SandboxFiles
from kubeoidcproxy.sandbox.plain import call
from kubeoidcproxy.sandbox.record import SandboxRecord

PERSON = "alice"

Reactor = Any  # IReactorProcess and what threads need
Say = Callable[[str], None]


class Demonstration:
    """Two logins, told step by step.

    :param say: told every line.
    """

    def __init__(self, reactor: Reactor, files: SandboxFiles, record: SandboxRecord, say: Say) -> None:
        self._reactor = reactor
        self._files = files
        self._record = record
        self._say = say
        self._kubectl = shutil.which("kubectl")

    async def run(self) -> bool:
        """Whether both got what they came for."""
        if self._kubectl is None:
            self._say("\nNOTE: kubectl is not installed; plain HTTPS requests stand in for it.")
        return await self._person() and await self._pipeline()

    async def _person(self) -> bool:
        issuer = self._record.issuers.people
        self._say(f"\n# A person: {PERSON} logs in at {issuer} and lists pods")
        password = self._record.passwords[PERSON].read_text()
        token: str = await deferToThread(person_token, issuer, self._record.ca_file, PERSON, password)
        self._say(f"# her token says: {_summary(token)}")
        if self._kubectl is None:
            return await self._request("GET", f"/api/v1/namespaces/{world.NAMESPACE}/pods", token)
        return await self._run_kubectl("get", "pods")

    async def _pipeline(self) -> bool:
        self._say("\n# A pipeline: it signs a token itself, with a key whose certificate the proxy knows, and deploys")
        key = self._record.issuers.pipeline_key_file
        token: str = await deferToThread(pipeline_token, key, world.PIPELINE_SUBJECT)
        self._say(f"# its token says: {_summary(token)}")
        manifest = self._files.deployment
        if self._kubectl is None:
            path = f"/apis/apps/v1/namespaces/{world.NAMESPACE}/deployments/{world.DEPLOYMENT}?fieldManager=pipeline"
            return await self._request("PATCH", path, token, manifest)
        return await self._run_kubectl(f"--user={PIPELINE}", "apply", "-f", str(manifest))

    async def _run_kubectl(self, *arguments: str) -> bool:
        """With its own home: the user's ``~/.kube`` stays as it is. kubectl logs in by itself, with the exec plugin."""
        command = [str(self._kubectl), f"--kubeconfig={self._record.kubeconfig}", *arguments]
        self._say(f"$ {shlex.join(['kubectl', *command[1:]])}")
        environment = {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(self._files.home)}
        output, errors, code = await getProcessOutputAndValue(command[0], command[1:], environment)
        self._say((output + errors).decode(errors="replace").rstrip())
        return bool(code == 0)

    async def _request(self, method: str, path: str, token: str, manifest: Path | None = None) -> bool:
        url = f"https://{self._record.proxy.address}/{world.CLUSTERS[0]}{path}"
        self._say(f"> {method} {url}")
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/apply-patch+yaml"}
        body = None if manifest is None else manifest.read_bytes()
        ca = self._record.ca_file
        try:
            answer = await deferToThread(call, method, url, ca_file=ca, headers=headers, body=body)
        except OSError as error:
            self._say(f"< {error}")
            return False
        self._say(f"< {answer.status} {_named(answer.body)}")
        return bool(answer.status < 300)


def _summary(token: str) -> str:
    claims = claims_of(token)
    expires = datetime.fromtimestamp(claims["exp"], UTC).strftime("%H:%M:%S UTC")
    shown = {name: claims[name] for name in ("iss", "sub", "groups", "aud") if name in claims}
    return f"{json.dumps(shown)}, until {expires}"


def _named(body: bytes) -> str:
    """The kind and the names of what came back; of a refusal its message."""
    answer = json.loads(body)
    items: Sequence[dict[str, Any]] = answer.get("items", [answer])
    names = ", ".join(str(item["metadata"].get("name", "")) for item in items)
    return f"{answer['kind']}: {answer.get('message') or names}"
