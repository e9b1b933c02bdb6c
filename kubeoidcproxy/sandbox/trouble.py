"""What goes wrong in a sandbox."""

from __future__ import annotations


class SandboxError(Exception):
    """The sandbox cannot be started or has broken down; the text is for the person who started it."""
