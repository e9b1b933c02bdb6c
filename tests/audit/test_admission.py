"""audit.admit without a blocking sink."""

from __future__ import annotations

from kubeoidcproxy.audit.admission import NoAdmission
from kubeoidcproxy.exchange import Exchange
from kubeoidcproxy.interfaces import Admission


def test_nothing_is_held_back() -> None:
    """None means: go on at once."""
    admission: Admission = NoAdmission()
    assert admission.admit(Exchange("id", "10.0.0.1", 0.0, 0.0)) is None
