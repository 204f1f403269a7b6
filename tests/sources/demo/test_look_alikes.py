"""Every look-alike is whole or not there, and takes the place of nothing but an earlier one."""

from pathlib import Path
from typing import Any

import pytest

from cotgen.errors import CotgenError
from cotgen.sources.demo import look_alikes
from cotgen.sources.demo.look_alikes import LOOK_ALIKES, chosen, make_look_alike, make_whole


def make(folder: Path, surgeries: int = 2, seed: int = 0) -> None:
    """As a module of `sources/demo` has it: a file for each surgery, one of them in a folder, and a link."""
    for number in range(surgeries):
        (folder / "labels" / str(number)).mkdir(parents=True)
        (folder / "labels" / str(number) / "a.txt").write_text(f"{seed} {number}")
    (folder / "first").symlink_to("labels/0", target_is_directory=True)


def whole(folder: Path, surgeries: int | None = None, seed: int = 0, maker: Any = make) -> dict[str, str]:
    make_whole(maker, "x", folder, surgeries=surgeries, seed=seed)
    assert sorted(path.name for path in folder.iterdir()) == ["x"]
    root = folder / "x"
    return {path.relative_to(root).as_posix(): path.read_text() for path in sorted(root.rglob("*.txt"))}


def test_a_look_alike_is_made_and_made_again_with_other_settings(tmp_path: Path) -> None:
    assert whole(tmp_path) == {"labels/0/a.txt": "0 0", "labels/1/a.txt": "0 1"}
    assert (tmp_path / "x/first/a.txt").read_text() == "0 0"
    assert whole(tmp_path, surgeries=1, seed=7) == {"labels/0/a.txt": "7 0"}
    assert not (tmp_path / "x/labels/1").exists()


def test_the_same_again_makes_nothing(tmp_path: Path) -> None:
    before = whole(tmp_path)

    def never(folder: Path, surgeries: int = 2, seed: int = 0) -> None:
        raise AssertionError("it is complete")

    assert whole(tmp_path, maker=never) == before
    assert whole(tmp_path, surgeries=2, maker=never) == before


def test_one_that_failed_leaves_what_was_there(tmp_path: Path) -> None:
    before = whole(tmp_path)

    def broken(folder: Path, surgeries: int = 2, seed: int = 0) -> None:
        make(folder, surgeries, seed)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        whole(tmp_path, seed=1, maker=broken)
    assert whole(tmp_path) == before
    # A process that is killed cannot tidy up; the next one does.
    (tmp_path / ".x.part/labels/0").mkdir(parents=True)
    assert whole(tmp_path, seed=1) == {"labels/0/a.txt": "1 0", "labels/1/a.txt": "1 1"}


def test_one_that_was_killed_while_it_was_moved_is_completed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*arguments: object) -> str:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(look_alikes, "sha256_of", stop)
        whole(tmp_path)
    (tmp_path / "x/labels/1/a.txt").unlink()
    assert whole(tmp_path) == {"labels/0/a.txt": "0 0", "labels/1/a.txt": "0 1"}


def test_files_of_somebody_else_are_never_touched(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "x/mine.txt").write_text("mine")
    with pytest.raises(CotgenError, match=r"holds mine\.txt, which the demo did not write"):
        whole(tmp_path)
    (tmp_path / "x/mine.txt").unlink()
    whole(tmp_path)
    (tmp_path / "x/labels/0/a.txt").write_text("corrected by hand")
    with pytest.raises(CotgenError, match="was changed since the demo wrote it"):
        whole(tmp_path, seed=1)
    assert (tmp_path / "x/labels/0/a.txt").read_text() == "corrected by hand"


def test_a_record_that_leads_out_of_the_folder_is_damaged(tmp_path: Path) -> None:
    whole(tmp_path)
    (tmp_path / "mine.txt").write_text("mine")
    record = tmp_path / "x/.cotgen-demo.json"
    record.write_text(record.read_text().replace('"first"', '"../mine.txt"'))
    with pytest.raises(CotgenError, match="is damaged"):
        whole(tmp_path, seed=1)
    assert (tmp_path / "mine.txt").read_text() == "mine"


def test_names_are_chosen_in_the_order_of_the_registry() -> None:
    assert chosen(["all"]) == list(LOOK_ALIKES)
    assert chosen([f"{LOOK_ALIKES[-1]}, {LOOK_ALIKES[0]}"]) == list(dict.fromkeys([LOOK_ALIKES[0], LOOK_ALIKES[-1]]))
    with pytest.raises(CotgenError, match="There is no demo of m2cai16; there are: cholec80"):
        chosen(["m2cai16"])


@pytest.mark.parametrize(
    "name",
    [
        # Its pictures are large and many.
        pytest.param(name, marks=[pytest.mark.slow] * (name == "cholect50"))
        for name in LOOK_ALIKES
        if name != "cholec80"
    ],
)
def test_every_registered_look_alike_is_read_back(name: str, tmp_path: Path) -> None:
    from cotgen.sources import source

    make_look_alike(name, tmp_path)
    scan = source(name).scan(tmp_path / name)
    assert scan is not None
    assert scan.surgeries
