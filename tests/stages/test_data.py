"""What `--data` names: a folder, or a data set of the Hub that is pulled once, at a revision."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from cotgen.errors import CotgenError
from cotgen.hub.repos import MAIN, Repo, StoredFile
from cotgen.hub.testing import HubServer
from cotgen.shards.manifest import load
from cotgen.stages.data import portions
from tests.shards.samples import make, write_folder

TOKEN = "hf_MarkedTokenOfTheTests"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_folder(make(seconds=4), tmp_path / "set", shards=1)


def test_a_folder_is_taken_as_it_is_with_its_share(folder: Path) -> None:
    [whole, part] = portions([str(folder), f"{folder}=0.3"])
    assert (whole.folder, whole.share) == (folder, None)
    assert (part.folder, part.share) == (folder, Fraction(3, 10))


@pytest.mark.parametrize(
    ("named", "told"),
    [
        ([], "no data is named"),
        (["nowhere/at/all"], "is no folder here and no ORG/NAME@REVISION"),
        (["lab/set"], r"names no revision, so another day would train on other data; say lab/set@v1\.0\.0"),
    ],
)
def test_what_names_no_fixed_data_is_refused(named: list[str], told: str) -> None:
    with pytest.raises(CotgenError, match=told):
        portions(named)


def test_a_data_set_of_the_hub_is_pulled_once_and_stays(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hf = pytest.importorskip("huggingface_hub")
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_PROGRESS_BARS", True)
    monkeypatch.setenv("COTGEN_DATASETS", str(tmp_path / "datasets"))
    with HubServer() as hub:
        api: Any = hf.HfApi(endpoint=hub.url, token=TOKEN)
        monkeypatch.setattr("cotgen.hub.remote._environment", lambda: api)
        repo = hub.repos["lab/set"] = Repo("lab/set", private=False)
        files = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        tree = {name: StoredFile(data, name.endswith((".tar", ".parquet"))) for name, data in files.items()}
        repo.commit(MAIN, "first", {".gitattributes": repo.resolve(MAIN).tree[".gitattributes"], **tree})
        repo.tag("v1.0.0", MAIN)
        [first] = portions(["lab/set@v1.0.0=0.5"])
        [second] = portions(["lab/set@v1.0.0"])
        with pytest.raises(CotgenError) as refused:
            portions(["lab/other@v1.0.0"])
    assert (first.folder, first.share) == (second.folder, Fraction(1, 2))
    assert load(first.folder).fingerprint == load(folder).fingerprint
    assert TOKEN not in str(refused.value)
