"""What the seam promises is tested on either transport under it."""

from __future__ import annotations

import pytest

from kubeoidcproxy.tls import seam


@pytest.fixture(params=["socket", "twisted"])
def implementation(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The transport for everything that goes through the seam in this test."""
    monkeypatch.setattr(seam, "IMPLEMENTATION", request.param)
    return request.param
