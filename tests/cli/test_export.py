"""`cotgen export` as a user types it."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from cotgen.cli import main
from tests.inspect.handmade import handmade

Cli = Callable[..., tuple[int, str, str]]


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["cotgen", "export", *map(str, arguments)])
        capsys.readouterr()
        try:
            main()
            code = 0
        except SystemExit as caught:
            code = caught.code if isinstance(caught.code, int) else 0
        shown = capsys.readouterr()
        return code, shown.out, shown.err

    return run


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return handmade(tmp_path_factory.mktemp("cli") / "set")[0]


def test_it_says_what_was_written_what_was_left_out_and_what_boxes_mean(
    cli: Cli, folder: Path, tmp_path: Path
) -> None:
    code, out, err = cli(
        folder, "--format", "trl", "--out", tmp_path / "out", "--boxes", "resized", "--max-pixels", 401408
    )
    assert (code, err) == (0, "")
    assert "5 pairs (train 5) of 1 pictures are in " in out
    assert "Left out: 1 pairs whose template chain gives no reason for its answer (`--asserted` takes them)." in out
    assert "Qwen2.5-VL's processor resizes it with min_pixels 3136 and max_pixels 401408." in out
    again = cli(folder, "--format", "trl", "--out", tmp_path / "out", "--boxes", "resized", "--max-pixels", 401408)
    assert again[:2] == (0, f"Nothing to do: {tmp_path / 'out'} holds this export.\n")
    assert cli(folder, "--format", "swift", "--out", tmp_path / "quiet", "-q") == (0, "", "")


def test_a_missing_package_is_said_before_anything_is_written(
    cli: Cli, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    code, _, err = cli(folder, "--format", "parquet", "--out", tmp_path / "out")
    assert (code, err) == (2, "The format parquet needs pyarrow: pip install 'cotgen[hub]'\n")
    assert not (tmp_path / "out").exists()


def test_filters_may_be_repeated_or_separated_by_commas(cli: Cli, folder: Path, tmp_path: Path) -> None:
    options = ("--view", "vqa", "--task", "phase,localization", "--task", "tool_yesno", "--split", "train")
    code, out, _ = cli(folder, "--format", "parquet", "--out", tmp_path / "out", *options, "--writer", "template")
    assert code == 0 and "4 pairs (train 4) of 1 pictures" in out
    assert "Left out: 1 pairs of another task." in out and "Left out: 1 pairs of another writer." in out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--format", "coco"), "is one of swift, llava, trl, sharegpt, parquet"),
        (("--format", "trl", "--view", "chat"), "is one of vqa, cot, prompt"),
        (("--format", "trl", "--boxes", "bare"), "is one of pixels, resized, per_mille, normalised for trl"),
        (("--format", "trl", "--max-pixels", "100"), "goes with --boxes resized"),
        (("--format", "trl", "--boxes", "resized", "--max-pixels", "100"), "the least no larger than the most"),
        (("--format", "llava", "--view", "prompt"), "LLaVA trains on answers"),
        (("--format", "trl", "--split", "dev"), "has no split 'dev'"),
        (("--format", "trl", "--task", ""), "names nothing; leave it out for all"),
    ],
)
def test_what_cannot_be_is_an_error_in_words(
    cli: Cli, folder: Path, tmp_path: Path, options: tuple[str, ...], message: str
) -> None:
    code, _, err = cli(folder, "--out", tmp_path / "out", *options)
    assert code == 2 and "Traceback" not in err
    assert message in " ".join(err.replace("│", " ").split())
    assert not (tmp_path / "out").exists()
