"""One daemon a module, with three recording upstreams behind it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from whole.daemon import ProxiedClusters


@pytest.fixture(scope="module")
def clusters(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProxiedClusters]:
    running = ProxiedClusters(tmp_path_factory.mktemp("proxied"))
    try:
        yield running.start()
    finally:
        running.stop()
