"""``kubeoidcproxy schema``: JSON Schema of the configuration file, for editors."""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace

from kubeoidcproxy.config.schema import json_schema


def add_arguments(parser: ArgumentParser) -> None:
    """It takes none."""


def run(arguments: Namespace) -> int:
    """Print it."""
    print(json.dumps(json_schema(), indent=2))
    return 0
