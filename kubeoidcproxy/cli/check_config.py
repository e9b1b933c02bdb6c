"""``kubeoidcproxy check-config FILE``: all that the daemon would refuse, or log and do without."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Sequence
from pathlib import Path

from kubeoidcproxy.config.document import read
from kubeoidcproxy.config.load import load
from kubeoidcproxy.config.model import Config
from kubeoidcproxy.config.problems import ConfigError, Location, Problem
from kubeoidcproxy.config.source import Source, read_file

VALID = "configuration is valid"


def add_arguments(parser: ArgumentParser) -> None:
    """The file, and how to tell."""
    parser.add_argument("file", type=Path, metavar="FILE", help="the configuration file")
    parser.add_argument("--output", choices=["text", "json"], default="text", help="json: a list of problems")
    parser.add_argument("--online", action="store_true", help="also try issuers and API servers")


def run(arguments: Namespace) -> int:
    """Print the problems; 1 where there are any. What is only risky goes to standard error and changes nothing."""
    if arguments.online:
        print("kubeoidcproxy check-config: --online: not supported yet", file=sys.stderr)
        return 2
    problems, warnings = _judge(arguments.file)
    for warning in warnings:
        print(f"warning: {warning}", file=sys.stderr)
    if arguments.output == "json":
        print(json.dumps([_members(problem) for problem in problems], indent=2))
    else:
        print("\n".join(map(str, problems)) or VALID)
    return 1 if problems else 0


def _judge(path: Path) -> tuple[Sequence[Problem], Sequence[Problem]]:
    try:
        loaded = load(path)
    except ConfigError as error:
        return error.problems, ()
    source = Source(str(path), read(read_file(path)))
    left_out = [source.problem(place, message) for place, message in _left_out(loaded.config)]
    return left_out, loaded.warnings


def _left_out(config: Config) -> Iterator[tuple[Location, str]]:
    """Serving pairs and kubeconfigs that the daemon could not read: it would log them, and serve the others."""
    from kubeoidcproxy.clusters.kubeconfig import KubeconfigError
    from kubeoidcproxy.clusters.kubeconfig import load as load_kubeconfig
    from kubeoidcproxy.tls.certificates import CertificateError, load_pair

    for index, pair in enumerate(config.tls.certificates):
        try:
            load_pair(pair.cert_file, pair.key_file)
        except CertificateError as error:
            yield ("tls", "certificates", index), str(error)
    for index, cluster in enumerate(config.clusters):
        try:
            load_kubeconfig(cluster.kubeconfig, cluster.context)
        except KubeconfigError as error:
            yield ("clusters", index, "kubeconfig"), str(error)


def _members(problem: Problem) -> dict[str, str | int]:
    return {"file": problem.file, "line": problem.line, "path": problem.path, "message": problem.message}
