"""``tls``: the certificates that clients see."""

from __future__ import annotations

from typing import Literal

from kubeoidcproxy.config.section import Section
from kubeoidcproxy.config.values import FilePath, NonEmpty


class CertificatePair(Section):
    """A certificate chain and its private key, both PEM."""

    cert_file: FilePath
    """PEM: the certificate, then those that lead to its issuer."""
    key_file: FilePath
    """PEM: the private key of the certificate."""


class TLS(Section):
    """What clients see in the TLS handshake."""

    certificates: NonEmpty[CertificatePair]
    """SNI picks by subjectAltName (exact, then wildcard); the first also serves clients without SNI. Reloaded on
    change."""
    min_version: Literal["1.2", "1.3"] = "1.2"
    """The oldest version of TLS that clients may speak."""
