"""Where a source is looked for, in which order, and what is said when it is not there."""

from pathlib import Path

import pytest

from cotgen.errors import CotgenError
from cotgen.sources import source
from cotgen.sources.roots import SourceNotFound, find_all, find_root
from tests.sources.conftest import Download

READER = source("cholec80")


def make(folder: Path) -> Path:
    Download(folder).surgery(1)
    return folder


def find(cwd: Path, *roots: str, **env: str) -> Path:
    scan = find_root(READER, roots, cwd, env)
    assert scan.source == "cholec80"
    assert [files.surgery for files in scan.surgeries] == ["cholec80/1"]
    return scan.root


def test_candidates_come_in_order(tmp_path: Path) -> None:
    """Each find takes away the first candidate, so that the next one is found."""
    places = {name: make(tmp_path / name) for name in ("named", "a/cholec80", "b", "env/cholec80", "data/cholec80")}
    (tmp_path / "a").mkdir(exist_ok=True)
    roots = [f"cholec80={places['named']}", str(tmp_path / "a"), "b"]
    env = {"COTGEN_DATA": str(tmp_path / "env")}
    assert find(tmp_path, *roots, **env) == places["named"]
    assert find(tmp_path, *roots[1:], **env) == places["a/cholec80"]
    assert find(tmp_path, *roots[2:], **env) == places["b"]
    assert find(tmp_path, **env) == places["env/cholec80"]
    assert find(tmp_path) == places["data/cholec80"]


def test_a_folder_for_the_source_goes_before_the_folder_itself(tmp_path: Path) -> None:
    make(tmp_path)
    inner = make(tmp_path / "cholec80")
    assert find(tmp_path, str(tmp_path)) == inner


def test_a_named_folder_goes_first_wherever_it_stands(tmp_path: Path) -> None:
    make(tmp_path / "all/cholec80")
    named = make(tmp_path / "named")
    assert find(tmp_path, "all", "cholec80=named") == named


def test_a_root_that_holds_other_sources_alone_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "others/cholect50").mkdir(parents=True)
    inner = make(tmp_path / "more/cholec80")
    assert find(tmp_path, "others", "more") == inner


@pytest.mark.parametrize("inner", ["Cholec80", "CHOLEC80", "cholec80/cholec80", "Cholec80/release", "my copy", "."])
def test_letter_case_and_one_extra_top_folder_are_forgiven(tmp_path: Path, inner: str) -> None:
    assert (
        find(tmp_path, str(tmp_path / "disk"), make=str(make(tmp_path / "disk" / inner))) == tmp_path / "disk" / inner
    )


def test_two_extra_folders_are_not(tmp_path: Path) -> None:
    make(tmp_path / "disk/a/b")
    with pytest.raises(SourceNotFound):
        find(tmp_path, "disk")


def test_links_and_the_home_folder_are_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = make(tmp_path / "far/away")
    (tmp_path / "home").mkdir()
    (tmp_path / "home/cholec80").symlink_to(real)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert find(tmp_path, "cholec80=~/cholec80").resolve() == real
    assert find(tmp_path, "~").resolve() == real


def test_a_named_folder_that_is_not_the_source_is_an_error(tmp_path: Path) -> None:
    """It is not passed over, even where a later candidate would do."""
    make(tmp_path / "data/cholec80")
    (tmp_path / "empty").mkdir()
    for name in ("empty", "nowhere"):
        with pytest.raises(SourceNotFound, match=f"^--root cholec80={name} is not Cholec80. Looked at:"):
            find(tmp_path, f"cholec80={name}")


def test_a_folder_that_was_named_and_is_not_there_is_an_error(tmp_path: Path) -> None:
    """A mistyped disk is not replaced by ./data."""
    make(tmp_path / "data/cholec80")
    with pytest.raises(SourceNotFound, match=r"(?s)^--root dsk is not Cholec80.*dsk .--root dsk.: is not there"):
        find(tmp_path, "dsk")
    with pytest.raises(SourceNotFound, match=r"^\$COTGEN_DATA is not Cholec80"):
        find(tmp_path, COTGEN_DATA="dsk")


def test_what_was_looked_at_and_what_to_do_is_said(tmp_path: Path) -> None:
    (tmp_path / "disk/videos").mkdir(parents=True)
    with pytest.raises(SourceNotFound) as caught:
        find(tmp_path, "disk")
    lines = str(caught.value).splitlines()
    missing = (
        "no phase_annotations/videoNN-phase.txt and no tool_annotations/videoNN-tool.txt in it or in one folder below"
    )
    assert lines[0] == "Cholec80 was not found. Looked at:"
    assert lines[1] == f"  {tmp_path}/disk/cholec80 (--root disk): is not there"
    assert lines[2] == f"  {tmp_path}/disk (--root disk): {missing} it; it holds videos"
    assert lines[3] == f"  {tmp_path}/data/cholec80 (./data): is not there"
    assert lines[4] == f"  {tmp_path}/data (./data): is not there"
    assert lines[5].startswith(
        "To get it: Fill in the request form for Cholec80 at https://camma.unistra.fr/datasets/"
    )
    assert "--root cholec80=DIR, or COTGEN_DATA=DIR" in lines[6]
    assert "`cotgen demo DIR`, or `make demo`" in lines[7]
    assert caught.value.exit_code == 2


def test_nothing_falls_back_to_the_demo(tmp_path: Path) -> None:
    make(tmp_path / "demo/data/cholec80")
    with pytest.raises(SourceNotFound):
        find(tmp_path)


def test_roots_that_say_nothing_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CotgenError, match="--root colec80=x names no source; known are: cholec80"):
        find(tmp_path, "colec80=x")
    with pytest.raises(CotgenError, match="--root cholec80= names no folder; write --root cholec80=DIR"):
        find(tmp_path, "cholec80=")
    with pytest.raises(CotgenError, match="--root is empty"):
        find(tmp_path, "")
    for root in ("~nobody-of-that-name/data", "a\0b", "cholec80=a\0b"):
        with pytest.raises(CotgenError, match="names no folder; write its path in full"):
            find(tmp_path, root)


def test_a_folder_may_have_an_equals_sign_in_its_name(tmp_path: Path) -> None:
    inner = make(tmp_path / "disk=1/cholec80")
    assert find(tmp_path, "disk=1") == inner
    assert find(tmp_path, f"CHOLEC80={inner}") == inner


def test_an_empty_variable_counts_as_none(tmp_path: Path) -> None:
    make(tmp_path / "data/cholec80")
    assert find(tmp_path, COTGEN_DATA="") == tmp_path / "data/cholec80"


def test_a_name_of_other_bytes_than_utf_8_is_refused(tmp_path: Path) -> None:
    """It could stand in no record and in no message."""
    for root in ("disk\udcff", "cholec80=disk\udcff"):
        with pytest.raises(CotgenError, match=r"disk\\udcff' is not UTF-8; rename the folder"):
            find(tmp_path, root)


def test_all_takes_what_is_found_and_passes_over_what_is_not(tmp_path: Path) -> None:
    make(tmp_path / "disk/cholec80")
    assert [scan.source for scan in find_all(["disk"], tmp_path, {})] == ["cholec80"]
    (tmp_path / "disk/cholect50/triplet").mkdir(parents=True)
    (tmp_path / "disk/cholect50/triplet/VID01.txt").write_text("0,1\n")
    assert [scan.source for scan in find_all(["disk"], tmp_path, {})] == ["cholec80", "cholect50"]


def test_all_passes_over_no_folder_that_was_named(tmp_path: Path) -> None:
    make(tmp_path / "disk/cholec80")
    with pytest.raises(SourceNotFound, match=r"^--root cholect50=away is not CholecT50"):
        find_all(["disk", "cholect50=away"], tmp_path, {})
    with pytest.raises(SourceNotFound, match=r"^--root dsk is not CholecT50"):
        find_all(["disk", "dsk"], tmp_path, {"COTGEN_DATA": ""})


def test_all_and_nothing_there_says_where_it_was_looked(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    with pytest.raises(SourceNotFound, match=r"^No data set was found below .*/disk, \./data; known are: cholec80, "):
        find_all(["disk"], tmp_path, {})
