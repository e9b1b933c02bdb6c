"""Logging in as somebody of the sandbox: ``python -m kubeoidcproxy.sandbox.login``, which kubectl runs by itself.

It prints an ExecCredential with a fresh token. Three ways to get one, those of this product's users:

- ``person``: the identity provider gives a token for a name and a password;
- ``job``: a CI system gives its running job a token, as GitHub Actions and Forgejo do;
- ``pipeline``: a pipeline signs a token itself, with a key whose certificate the proxy knows.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path

from kubeoidcproxy.sandbox import world
from kubeoidcproxy.sandbox.credentials import exec_credential, job_token, person_token, pipeline_token
from kubeoidcproxy.sandbox.trouble import SandboxError


def person_arguments(issuer: str, ca_file: Path, name: str, password_file: Path) -> list[str]:
    """The command line that logs a person in."""
    return ["person", f"--issuer={issuer}", f"--ca={ca_file}", f"--name={name}", f"--password-file={password_file}"]


def job_arguments(request_url: str, ca_file: Path, secret_file: Path) -> list[str]:
    """The command line of a CI job."""
    return ["job", f"--request-url={request_url}", f"--ca={ca_file}", f"--secret-file={secret_file}"]


def pipeline_arguments(key_file: Path, subject: str) -> list[str]:
    """The command line of a pipeline with a key of its own."""
    return ["pipeline", f"--key-file={key_file}", f"--subject={subject}"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the ExecCredential; the exit code."""
    parsed = _parser().parse_args(arguments)
    try:
        print(exec_credential(parsed.token(parsed)))
    except (SandboxError, OSError) as error:
        print(f"kubeoidcproxy sandbox: cannot log in: {error}", file=sys.stderr)
        return 1
    return 0


def _person(parsed: Namespace) -> str:
    return person_token(parsed.issuer, parsed.ca, parsed.name, parsed.password_file.read_text())


def _job(parsed: Namespace) -> str:
    return job_token(parsed.request_url, parsed.ca, parsed.secret_file.read_text(), parsed.audience)


def _pipeline(parsed: Namespace) -> str:
    return pipeline_token(parsed.key_file, parsed.subject, parsed.audience)


def _parser() -> ArgumentParser:
    parser = ArgumentParser(prog="python -m kubeoidcproxy.sandbox.login", description=__doc__)
    ways = parser.add_subparsers(required=True)
    person, job, pipeline = (ways.add_parser(name) for name in ("person", "job", "pipeline"))
    person.set_defaults(token=_person)
    person.add_argument("--issuer", required=True)
    person.add_argument("--name", required=True)
    person.add_argument("--password-file", required=True, type=Path)
    job.set_defaults(token=_job)
    job.add_argument("--request-url", required=True)
    job.add_argument("--secret-file", required=True, type=Path)
    pipeline.set_defaults(token=_pipeline)
    pipeline.add_argument("--key-file", required=True, type=Path)
    pipeline.add_argument("--subject", required=True)
    for asks_an_issuer in (person, job):
        asks_an_issuer.add_argument("--ca", required=True, type=Path)
    for chooses_an_audience in (job, pipeline):
        chooses_an_audience.add_argument("--audience", default=world.AUDIENCE)
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
