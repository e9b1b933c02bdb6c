"""A configuration with all that it names read from disk: what a start and a reload begin with."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from kubeoidcproxy.clusters.kubeconfig import KubeconfigError, Upstream
from kubeoidcproxy.clusters.kubeconfig import load as load_kubeconfig
from kubeoidcproxy.config.clusters import Cluster
from kubeoidcproxy.config.load import Loaded, load
from kubeoidcproxy.config.problems import ConfigError, Problem
from kubeoidcproxy.config.tls import CertificatePair as PairOfFiles
from kubeoidcproxy.tls.certificates import CertificateError, CertificatePair, load_pair


@dataclass(frozen=True, slots=True)
class Prepared:
    """A configuration that can be served.

    :param left_out: what could not be read and is done without, one text each.
    :param read_at: when the reading began, seconds since the epoch: what changed later is not in here.
    """

    loaded: Loaded
    pairs: tuple[CertificatePair, ...]
    upstreams: tuple[tuple[Cluster, Upstream], ...]
    left_out: tuple[str, ...]
    read_at: float


def prepare(path: Path) -> Prepared:
    """Read everything. Blocks: before the reactor runs, or in a thread.

    :raises ConfigError: it cannot be served. A serving pair or a kubeconfig that cannot be read is left out, so that
        one half-written file does not stop all the others; but not the last one.
    """
    read_at = time.time()
    loaded = load(path)
    left_out: list[str] = []
    pairs = read_pairs(loaded.config.tls.certificates, left_out)
    upstreams = _read_kubeconfigs(loaded.config.clusters, left_out)
    if not pairs:
        raise _nothing_left(path, left_out, "no serving certificate is left")
    if loaded.config.clusters and not upstreams:
        raise _nothing_left(path, left_out, "no cluster is left to serve")
    return Prepared(loaded, pairs, upstreams, tuple(left_out), read_at)


def read_pairs(sections: tuple[PairOfFiles, ...], left_out: list[str]) -> tuple[CertificatePair, ...]:
    """The serving pairs that can be read now. Blocks."""
    pairs = []
    for section in sections:
        try:
            pairs.append(load_pair(section.cert_file, section.key_file))
        except CertificateError as error:
            left_out.append(f"a serving certificate is left out: {error}")
    return tuple(pairs)


def _read_kubeconfigs(sections: tuple[Cluster, ...], left_out: list[str]) -> tuple[tuple[Cluster, Upstream], ...]:
    upstreams = []
    for section in sections:
        try:
            upstreams.append((section, load_kubeconfig(section.kubeconfig, section.context)))
        except KubeconfigError as error:
            left_out.append(f"cluster {section.name} is left out: {error}")
    return tuple(upstreams)


def _nothing_left(path: Path, left_out: list[str], message: str) -> ConfigError:
    return ConfigError([Problem(str(path), 1, "", text) for text in [*left_out, message]])
