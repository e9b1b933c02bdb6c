"""Those who run kubectl in the black-box tests, each with a token that was got as they get it."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from realcluster.kubectl import Kubectl

from kubeoidcproxy.sandbox import world
from kubeoidcproxy.sandbox.credentials import job_token, person_token
from kubeoidcproxy.sandbox.record import SandboxRecord
from kubeoidcproxy.sandbox.tokens import load_key


@dataclass(frozen=True)
class Tokens:
    """What the callers of a sandbox can show."""

    sandbox: SandboxRecord

    def of_person(self, name: str) -> str:
        issuer, password = self.sandbox.issuers.people, self.sandbox.passwords[name].read_text()
        return person_token(issuer, self.sandbox.ca_file, name, password)

    def of_job(self, audience: str = world.AUDIENCE) -> str:
        issuers = self.sandbox.issuers
        return job_token(
            issuers.job_token_url, self.sandbox.ca_file, issuers.job_token_secret_file.read_text(), audience
        )

    def of_pipeline(self, *, issued: float = 0, lifetime: float = 60, **claims: Any) -> str:
        """Signed with the pipeline's own key.

        :param issued: seconds from now.
        """
        start = int(time.time() + issued)
        times = {"iat": start, "exp": start + int(lifetime)}
        names = {"iss": world.PIPELINE_ISSUER, "sub": world.PIPELINE_SUBJECT, "aud": world.AUDIENCE}
        return load_key(self.sandbox.issuers.pipeline_key_file).sign({**names, **times, **claims})


@dataclass(frozen=True)
class Callers:
    """Anybody of the sandbox with one kubectl.

    :param folder: for kubeconfigs.
    :param home: for what kubectl caches.
    """

    sandbox: SandboxRecord
    program: Path
    folder: Path
    home: Path

    @property
    def tokens(self) -> Tokens:
        return Tokens(self.sandbox)

    def person(self, name: str, context: str = "dev") -> Kubectl:
        return self.bearer(self.tokens.of_person(name), context)

    def pipeline(self, context: str = "dev") -> Kubectl:
        return self.bearer(self.tokens.of_pipeline(), context)

    def job(self, context: str = "dev") -> Kubectl:
        return self.bearer(self.tokens.of_job(), context)

    def bearer(self, token: str, context: str = "dev") -> Kubectl:
        """The sandbox's own kubeconfig, but with this token: without an exec plugin a test takes half the time."""
        document = yaml.safe_load(self.sandbox.kubeconfig.read_text())
        document["users"] = [{"name": "bearer", "user": {"token": token}}]
        for named in document["contexts"]:
            named["context"]["user"] = "bearer"
        kubeconfig = self.folder / f"{hash(token):x}.kubeconfig"
        kubeconfig.write_text(json.dumps(document))
        return Kubectl(self.program, kubeconfig, self.home, [f"--context={context}"])

    def by_plugin(self, user: str, context: str = "dev") -> Kubectl:
        """With the sandbox's kubeconfig as a person gets it: kubectl logs in by itself."""
        return Kubectl(self.program, self.sandbox.kubeconfig, self.home, [f"--context={context}", f"--user={user}"])
