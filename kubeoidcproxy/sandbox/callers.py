"""Those who come through the proxy: what each keeps secret, as files, and how kubectl logs in as each."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from kubeoidcproxy.sandbox import login, world
from kubeoidcproxy.sandbox.files import write_private
from kubeoidcproxy.sandbox.issuer import Issuer
from kubeoidcproxy.sandbox.people import Person

PIPELINE = "pipeline"
JOB = "ci"

_LIFETIME = timedelta(days=365)


@dataclass(frozen=True, slots=True)
class Callers:
    """Files: the passwords by person, the secret of the CI job, key and certificate of the pipeline."""

    passwords: dict[str, Path]
    job_secret: Path
    pipeline_key: Path
    pipeline_certificate: Path

    def logins(self, issuer: Issuer, ca_file: Path) -> dict[str, list[str]]:
        """For each user of the kubeconfig the arguments of :mod:`.login`."""
        people = {
            name: login.person_arguments(issuer.url, ca_file, name, file) for name, file in self.passwords.items()
        }
        job = login.job_arguments(issuer.request_url, ca_file, self.job_secret)
        pipeline = login.pipeline_arguments(self.pipeline_key, world.PIPELINE_SUBJECT)
        return {**people, PIPELINE: pipeline, JOB: job}


def write_secrets(folder: Path, people: Iterable[Person], request_token: str) -> Callers:
    """Write what the callers know; the proxy gets the pipeline's certificate and nothing else of it."""
    key, certificate = _new_key_and_certificate()
    return Callers(
        passwords={
            person.name: write_private(folder / f"{person.name}.password", person.password) for person in people
        },
        job_secret=write_private(folder / "job-request-token", request_token),
        pipeline_key=write_private(folder / "pipeline.key", key),
        pipeline_certificate=write_private(folder / "pipeline.crt", certificate),
    )


def _new_key_and_certificate() -> tuple[str, str]:
    """What ``openssl req -x509 -newkey rsa:2048`` makes: a certificate as a container for a public key."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, world.PIPELINE_SUBJECT)])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(
        issuer_name=name,
        subject_name=name,
        public_key=key.public_key(),
        serial_number=x509.random_serial_number(),
        not_valid_before=now,
        not_valid_after=now + _LIFETIME,
    )
    certificate = builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(), certificate.decode()
