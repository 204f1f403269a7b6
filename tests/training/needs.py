"""What a test needs that only `cotgen[train]` brings; found without importing it, so that collecting tests stays fast."""

from importlib.util import find_spec

import pytest

TRAINERS = pytest.mark.skipif(
    any(find_spec(name) is None for name in ("torch", "trl")), reason="not installed: pip install 'cotgen[train]'"
)
