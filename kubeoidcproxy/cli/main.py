"""``kubeoidcproxy COMMAND``: finds the module of the command, and loads only that one."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from importlib import import_module
from typing import Protocol, cast

from kubeoidcproxy import __version__

# Name of the module, and the line in --help.
COMMANDS = {
    "check-config": ("check_config", "say everything that is wrong with a configuration file"),
    "schema": ("schema", "print the JSON Schema of the configuration file"),
    "sandbox": ("sandbox", "run an issuer, an API server and the proxy on loopback"),
}


class Command(Protocol):
    """What a module of this package is to the entry point."""

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Say what the command takes."""

    def run(self, arguments: Namespace) -> int:
        """Do it; the exit code."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code. Wrong usage leaves as ``SystemExit(2)``, argparse's own."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    name = next((word for word in given if not word.startswith("-")), "")
    command = cast(Command, import_module(f"kubeoidcproxy.cli.{COMMANDS[name][0]}")) if name in COMMANDS else None
    parsed = _parser(name, command).parse_args(given)
    assert command is not None
    try:
        code = command.run(parsed)
        sys.stdout.flush()
    except BrokenPipeError:  # `kubeoidcproxy schema | head`: what is left must not be flushed at exit either
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return code


def _parser(chosen: str, command: Command | None) -> ArgumentParser:
    parser = ArgumentParser(
        prog="kubeoidcproxy", description="OIDC login for Kubernetes API servers: companion command."
    )
    parser.add_argument("--version", action="version", version=f"kubeoidcproxy {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for name, (_, line) in COMMANDS.items():
        of_command = commands.add_parser(name, help=line, description=line.capitalize() + ".")
        if command is not None and name == chosen:
            command.add_arguments(of_command)
    return parser
