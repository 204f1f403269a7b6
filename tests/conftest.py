import os
from pathlib import Path

import pytest
from hypothesis import settings

# How long an example takes says more of the machine than of the code.
settings.register_profile("cotgen", deadline=None)
settings.load_profile("cotgen")


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real annotation files; tests that need it are skipped elsewhere."""
    folder = os.environ.get("COTGEN_REAL_DATA", "")
    if not folder or not Path(folder).is_dir():
        pytest.skip("COTGEN_REAL_DATA is not set")
    return Path(folder)
