"""The configuration: a YAML file, the command line, which wins, and what of it stands in the manifest."""

from pathlib import Path

import pytest

from cotgen.build.config import BuildConfig, load_config
from cotgen.errors import CotgenError


def write(folder: Path, text: str) -> Path:
    file = folder / "build.yaml"
    file.write_text(text, encoding="utf-8")
    return file


def test_a_file_holds_every_option_and_the_command_line_wins(tmp_path: Path) -> None:
    file = write(tmp_path, "source: cholec80\nfps: 0.2\nmax-side: 640\nseed: 3\nroot: /data\nsurgeries: [1-5, 73]\n")
    found = load_config(file, {"seed": 7, "fps": None})
    assert (found.seed, found.fps, found.max_side, found.root) == (7, "1/5", 640, ("/data",))
    assert found.surgeries == ("1-5", "73")


def test_an_empty_file_is_no_error(tmp_path: Path) -> None:
    assert load_config(write(tmp_path, "# nothing yet\n"), {"source": "cholec80"}).seed == 0


def test_an_unknown_key_is_named_with_the_near_ones(tmp_path: Path) -> None:
    with pytest.raises(CotgenError, match=r"'surgery' is not known; did you mean surgeries") as caught:
        load_config(write(tmp_path, "source: cholec80\nsurgery: 1\nqwxyz: 2\n"), {})
    assert "'qwxyz' is not known; known are balance, context" in str(caught.value)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"fps": "fast"}, r"--fps: 'fast' is no rate; give frames a second as 1, 0\.2 or 1/5"),
        ({"fps": "0"}, "--fps: '0' is no rate"),
        ({"fps": "1e999999999"}, "--fps: '1e999999999' is no rate"),
        ({"fps": "1/9999999999"}, "--fps: '1/9999999999' is no rate"),
        ({"sample": "changes"}, "--sample: 'changes' is no way to choose frames; give all or changes:SECONDS"),
        ({"surgeries": "5-1"}, "--surgeries: '5-1' names no surgery; write 73, 1-5 or cholec80/73"),
        ({"frames": "png"}, "--frames 'png': input should be 'embed', 'reference' or 'none'"),
        ({"quality": 100}, "--quality 100: input should be less than or equal to 95"),
        ({"source": None}, "--source NAME"),
    ],
)
def test_a_wrong_value_is_a_sentence_that_names_the_option(given: dict[str, object], sentence: str) -> None:
    with pytest.raises(CotgenError, match=sentence):
        load_config(None, {"source": "cholec80", **given})


@pytest.mark.parametrize(
    ("text", "sentence"),
    [("- a\n- b\n", "must hold `key: value` lines"), ("a: [", "not readable as YAML"), ("\xff\xfe", "key: value")],
)
def test_a_file_that_is_no_configuration_is_a_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(CotgenError, match=sentence):
        load_config(write(tmp_path, text), {"source": "cholec80"})


def test_a_file_that_is_not_there_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(CotgenError, match=r"cannot be read .*check the path after --config"):
        load_config(tmp_path / "none.yaml", {"source": "cholec80"})


def test_surgeries_are_named_by_number_range_or_id() -> None:
    found = load_config(None, {"source": "cholec80", "surgeries": "1-3, cholec80/73"})
    chosen = [
        name
        for name in ("cholec80/1", "cholec80/03", "cholec80/4", "cholec80/73", "m2cai16/73", "x/2")
        if found.selects(name)
    ]
    assert chosen == ["cholec80/1", "cholec80/03", "cholec80/73", "x/2"]
    assert found.unmatched(["cholec80/2"]) == ["cholec80/73"]


def test_the_work_folder_is_the_option_then_the_environment_then_beside_out(tmp_path: Path) -> None:
    out = tmp_path / "out"
    plain = BuildConfig(source="cholec80", out=out)
    assert plain.folders({}) == (out, tmp_path / "out.work")
    assert plain.folders({"COTGEN_WORK": str(tmp_path / "shared")})[1] == tmp_path / "shared"
    named = BuildConfig(source="cholec80", out=out, work=tmp_path / "mine")
    assert named.folders({"COTGEN_WORK": "/elsewhere"})[1] == tmp_path / "mine"
    with pytest.raises(CotgenError, match="is in the work folder"):
        BuildConfig(source="cholec80", out=out, work=tmp_path).folders({})
    with pytest.raises(CotgenError, match=r"--out: '.*x\\udcff' is not UTF-8"):
        BuildConfig(source="cholec80", out=tmp_path / "x\udcff").folders({})
    with pytest.raises(CotgenError, match=r"--work: .* is not UTF-8"):
        BuildConfig(source="cholec80", out=out).folders({"COTGEN_WORK": "/x\udcff"})
    with pytest.raises(CotgenError, match="holds what can be published and nothing else"):
        BuildConfig(source="cholec80", out=out, work=out / "work").folders({})
    with pytest.raises(CotgenError, match="--out DIR"):
        BuildConfig(source="cholec80").folders({})


def test_the_manifest_gets_no_path_and_nothing_that_changes_no_byte(tmp_path: Path) -> None:
    def effective(**given: object) -> dict[str, object]:
        found = load_config(None, {"source": "cholec80", **given})
        return found.effective(tasks=["phase"], split="clean/1", excluded=["cholec80/1"], priors="auto")

    here = effective(root=[str(tmp_path)], out=tmp_path / "a", work=tmp_path / "w", workers=1, replace=True)
    assert here == effective(root=["/other"], out=tmp_path / "b", workers=2)
    assert str(tmp_path) not in str(here)
    # Who withdrew consent is nobody's business: only that the same ones are left out.
    assert "cholec80/1" not in str(here["exclude"])
    assert here != effective(seed=1)


def test_several_sources_are_one_configuration_in_any_order_and_form() -> None:
    plain = {"tasks": [], "split": "clean/1", "excluded": [], "priors": "auto"}
    found = [
        load_config(None, {"source": source})
        for source in (["cholec80", "cholect50"], "cholect50, cholec80", "cholec80")
    ]
    assert [config.source for config in found[:2]] == [("cholec80", "cholect50"), ("cholect50", "cholec80")]
    one, two, alone = (config.effective(**plain) for config in found)  # type: ignore[arg-type]
    assert one == two != alone
    assert alone["source"] == "cholec80"
    # Whose pictures are stored is a choice only where there are several.
    named = [load_config(None, {"source": config.source, "pixels": "cholect50"}) for config in found]
    assert [config.effective(**plain) == before for config, before in zip(named, (one, two, alone), strict=True)] == [  # type: ignore[arg-type]
        False,
        False,
        True,
    ]


def test_the_same_surgeries_in_another_order_are_the_same_configuration() -> None:
    one = load_config(None, {"source": "cholec80", "surgeries": "73,1-5"})
    two = load_config(None, {"source": "cholec80", "surgeries": "1-5,cholec80/73"})
    plain = {"tasks": [], "split": "clean/1", "excluded": [], "priors": "auto"}
    assert one.effective(**plain) == two.effective(**plain)  # type: ignore[arg-type]


@pytest.mark.parametrize(("given", "seconds"), [("3s", 3), ("3", 3), (5, 5), ("0s", 0), ("", 0)])
def test_context_is_a_time_in_whole_seconds(given: object, seconds: int) -> None:
    assert load_config(None, {"source": "cholec80", "context": given}).context_s == seconds


@pytest.mark.parametrize("given", ["-1s", "3m", "1.5s", "61s"])
def test_another_context_is_refused(given: str) -> None:
    with pytest.raises(CotgenError, match=r"--context: .*, e\.g\. 3s|give at most 60s"):
        load_config(None, {"source": "cholec80", "context": given})
