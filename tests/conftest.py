"""For all tests: how long hypothesis looks."""

from __future__ import annotations

import os

from hypothesis import settings

# The suite must say the same thing every time; `make fuzz` looks somewhere else each time, and for longer.
settings.register_profile("suite", deadline=None, derandomize=True)
settings.register_profile("deep", deadline=None, max_examples=5000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "suite"))
