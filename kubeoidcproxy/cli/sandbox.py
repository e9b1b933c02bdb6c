"""``kubeoidcproxy sandbox``: everything on loopback, to look at and to try things with."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from importlib import import_module
from pathlib import Path


def add_arguments(parser: ArgumentParser) -> None:
    """Where, on which port, and for how long."""
    parser.add_argument("--directory", type=Path, help="for keys, kubeconfigs and logs (default: a temporary one)")
    parser.add_argument("--port", type=int, default=0, help="of the proxy (default: any that is free)")
    parser.add_argument("--once", action="store_true", help="show one person and one pipeline logging in, then end")


def run(arguments: Namespace) -> int:
    """Loaded only here: the sandbox brings a reactor with it."""
    return int(import_module("kubeoidcproxy.sandbox.run").main(arguments))
