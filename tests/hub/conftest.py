from collections.abc import Iterator

import pytest

from cotgen.hub.testing import HubServer


@pytest.fixture
def hub() -> Iterator[HubServer]:
    with HubServer() as server:
        yield server


@pytest.fixture
def lfs(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client uploads through Git LFS, quietly."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_PROGRESS_BARS", True)
