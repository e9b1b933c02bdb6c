"""The tokens of people, jobs and pipelines, as those get them. It blocks: call it from a thread, or from a program."""

from __future__ import annotations

import json
import time
from base64 import urlsafe_b64decode
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from kubeoidcproxy.sandbox import world
from kubeoidcproxy.sandbox.plain import Answer, call
from kubeoidcproxy.sandbox.trouble import SandboxError

PIPELINE_SECONDS = 60
"""A pipeline signs a new token for each command, so a minute is plenty."""


def person_token(issuer: str, ca_file: Path, name: str, password: str) -> str:
    """Log in with a password (OAuth 2's password grant) and return the ID token.

    :raises SandboxError: the issuer does not let the person in.
    """
    discovery = call("GET", f"{issuer}/.well-known/openid-configuration", ca_file=ca_file)
    form = {
        "grant_type": "password",
        "client_id": world.AUDIENCE,
        "username": name,
        "password": password,
        "scope": "openid",
    }
    return _member(
        call(
            "POST",
            _member(discovery, "token_endpoint"),
            ca_file=ca_file,
            headers={"Content-Type": "application/x-www-form-urlencoded"},
            body=urlencode(form).encode(),
        ),
        "id_token",
    )


def job_token(request_url: str, ca_file: Path, secret: str, audience: str = world.AUDIENCE) -> str:
    """Ask a CI system for the token of the running job, as a step of that job does.

    :param request_url: ACTIONS_ID_TOKEN_REQUEST_URL; it has a query already.
    :param secret: ACTIONS_ID_TOKEN_REQUEST_TOKEN.
    """
    headers = {"Authorization": f"Bearer {secret}"}
    return _member(call("GET", f"{request_url}&audience={quote(audience)}", ca_file=ca_file, headers=headers), "value")


def pipeline_token(key_file: Path, subject: str, audience: str = world.AUDIENCE) -> str:
    """Sign a token with a key of one's own."""
    from kubeoidcproxy.sandbox.tokens import load_key  # loads a library that the other ways to log in do not need

    now = int(time.time())
    times = {"iat": now, "exp": now + PIPELINE_SECONDS}
    return load_key(key_file).sign({"iss": world.PIPELINE_ISSUER, "sub": subject, "aud": audience, **times})


def claims_of(token: str) -> dict[str, Any]:
    """What a token says, unverified: it is our own."""
    payload = token.split(".")[1]
    claims: dict[str, Any] = json.loads(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return claims


def exec_credential(token: str) -> str:
    """What kubectl reads from an exec plugin; it asks for the next one when this has expired."""
    expires = datetime.fromtimestamp(claims_of(token)["exp"], UTC)
    status = {"token": token, "expirationTimestamp": expires.strftime("%Y-%m-%dT%H:%M:%SZ")}
    credential = {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": status}
    return json.dumps(credential)


def _member(answer: Answer, name: str) -> str:
    try:
        return str(json.loads(answer.body)[name])
    except (ValueError, KeyError, TypeError):
        text = answer.body.decode(errors="replace").strip()
        raise SandboxError(f"the issuer answers {answer.status} without {name}: {text}") from None
