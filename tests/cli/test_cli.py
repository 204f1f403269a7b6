"""The commands as a user types them: what they print, and their exit codes."""

import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest
from rich.console import Console

import cotgen
from cotgen.build.report import Outcome, show_outcome
from cotgen.cli import main
from cotgen.shards.readme import readme
from cotgen.sources.demo import make_demo
from tests.shards.samples import make, write_folder
from tests.shards.test_near import twin_splits

Cli = Callable[..., tuple[int, str, str]]


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    """Run `cotgen ...` here; returns exit code, output and errors."""

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["cotgen", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as caught:
            main()
        shown = capsys.readouterr()
        code = caught.value.code
        return (code if isinstance(code, int) else 0), shown.out, shown.err

    return run


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two surgeries of ten seconds, in small pictures."""
    folder = tmp_path_factory.mktemp("cli") / "demo"
    make_demo(folder, surgeries=2, seconds=10, size=(160, 90))
    return folder


@pytest.fixture(scope="module")
def built(demo: Path) -> Path:
    """A build of it that stores no pictures, and its end table."""
    out = demo.parent / "out"
    call = [sys.executable, "-m", "cotgen", "build", "--source", "cholec80", "--root", str(demo), "--out", str(out)]
    found = subprocess.run([*call, "--frames", "none"], capture_output=True, text=True, check=True)
    out.with_name("table.txt").write_text(found.stdout)
    return out


def test_help_and_version(cli: Cli) -> None:
    code, out, _ = cli("--help")
    assert code == 0
    for command in (
        "build",
        "demo",
        "verify",
        "blind",
        "sources",
        "show",
        "priors",
        "merge",
        "diff",
        "view",
        "stats",
        "export",
        "publish",
        "pull",
        "hydrate",
        "teacher",
    ):
        assert f"\n  {command} " in out
    assert "..." not in out.partition("Commands:")[2], "what a command does is said in a line that fits"
    assert cli("--version")[:2] == (0, f"cotgen {cotgen.__version__}\n")


def test_a_demo_is_made_and_the_next_command_named(cli: Cli, tmp_path: Path) -> None:
    code, out, _ = cli("demo", tmp_path / "demo", "--surgeries", 1, "--seconds", 10)
    assert code == 0
    assert f"cotgen build --source cholec80 --root {tmp_path / 'demo'} --out OUT" in out
    assert [path.name for path in (tmp_path / "demo" / "cholec80" / "videos").iterdir()] == ["video01.mp4"]
    code, _, err = cli("demo", tmp_path / "other", "--surgeries", 99)
    assert (code, "Traceback" in err) == (2, False)


def test_the_table_at_the_end_says_what_there_is_and_what_is_missing(built: Path) -> None:
    text = built.with_name("table.txt").read_text()
    for part in ("surgeries", "frames", "pairs", "tool_presence", "Support: ", "Findings: ", "Shards: 2", "Left out"):
        assert part in text
    for step in ("facts", "priors", "frames", "chains", "pack"):
        assert step in text
    assert f"The data set is in {built}" in text


def test_a_log_has_plain_lines(built: Path) -> None:
    assert "\x1b" not in built.with_name("table.txt").read_text()


def test_the_same_command_says_that_there_is_nothing_to_do(cli: Cli, demo: Path, built: Path) -> None:
    code, out, _ = cli("build", "--source", "cholec80", "--root", demo, "--out", built, "--frames", "none")
    assert code == 0
    assert f"Nothing to do: {built} is up to date." in out


def test_a_configuration_file_does_what_options_do(cli: Cli, demo: Path, built: Path, tmp_path: Path) -> None:
    file = tmp_path / "build.yaml"
    file.write_text(f"source: cholec80\nroot: {demo}\nframes: embed\nout: {built}\n")
    code, out, _ = cli("build", "--config", file, "--frames", "none")
    assert (code, "Nothing to do" in out) == (0, True)
    file.write_text("source: cholec80\nsurgeris: 1\n")
    code, _, err = cli("build", "--config", file, "--out", tmp_path / "x")
    assert (code, err) == (2, f"{file}: 'surgeris' is not known; did you mean surgeries?\n")


def test_no_data_there(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COTGEN_DATA", raising=False)
    code, _, err = cli("build", "--source", "cholec80", "--out", tmp_path / "out")
    assert code == 2
    assert "camma.unistra.fr" in err
    assert "cotgen demo" in err
    assert "make demo" in err
    assert "Traceback" not in err


def test_a_dry_run_says_what_would_be_made(
    cli: Cli, demo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, _ = cli("build", "--source", "cholec80", "--root", demo, "--dry-run")
    assert code == 0
    for part in (
        "train surgeries",
        "test surgeries",
        "frames, at most",
        "pairs, at most",
        "size, about",
        "time, about",
    ):
        assert part in out
    assert list(tmp_path.iterdir()) == []


def test_verify_exits_with_1_and_a_table_where_anything_is_wrong(cli: Cli, built: Path, tmp_path: Path) -> None:
    code, out, _ = cli("verify", built)
    assert code == 0
    assert f"{built} is whole" in out
    copy = tmp_path / "copy"
    shutil.copytree(built, copy)
    (copy / "priors.json").unlink()
    code, out, _ = cli("verify", copy, "--quiet")
    assert code == 1
    assert "priors.json" in out
    code, _, err = cli("verify", tmp_path / "nowhere")
    assert (code, "is not there" in err) == (2, True)


def test_sources_lists_and_describes(cli: Cli) -> None:
    assert "CC BY-NC-SA 4.0" in cli("sources")[1]
    out = cli("sources", "cholec80")[1]
    for part in ("videos/video01.mp4", "level 1", "Licence: CC BY-NC-SA 4.0", "cholec80=camma_40_8_32", "request"):
        assert part in out
    code, _, err = cli("sources", "cholec81")
    assert (code, "known are: cholec80" in err) == (2, True)


def test_overlaps_say_which_surgery_is_which(cli: Cli) -> None:
    code, out, _ = cli("sources", "--overlaps")
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert code == 0
    assert any(line.startswith("cholec80/68 train cholec80, cholect45, cholect50") for line in lines)
    assert "endoscapes/2" in out and "m2cai16_workflow: some of its operations" in out
    assert any(line.startswith("m2cai16_tool 11, 12, 13, 14, 15 are, in an order nobody published") for line in lines)
    out = cli("sources", "multibypass140", "--overlaps")[1]
    assert out == "No other data set is known to show a surgery of multibypass140.\n"
    code, _, err = cli("sources", "cholec81", "--overlaps")
    assert (code, "known are cholec80" in err) == (2, True)


def test_overlaps_as_json_have_a_row_for_each_surgery_of_each_source(cli: Cli) -> None:
    rows = json.loads(cli("sources", "endoscapes", "--overlaps", "--json")[1])
    assert [(row["name"], row["operations"], row["split"]) for row in rows][:2] == [
        ("121", ["cholec80/66"], "train"),
        ("1", ["cholec80/67"], "train"),
    ]
    assert len(rows) == 9 and rows[0]["same_clock"] == [] and "cholect50/66" in rows[0]["same_operation"]
    code, _, err = cli("sources", "--json")
    assert (code, "--overlaps" in err) == (2, True)


def test_verify_looks_for_pictures_that_lie_in_two_splits(cli: Cli, built: Path, tmp_path: Path) -> None:
    # The surgeries of this small set show plain colours, by which no picture can be known again.
    out = write_folder(make(("cholec80/1", "cholec80/73"), seconds=3), tmp_path / "set")
    code, text, _ = cli("verify", out, "--near-duplicates")
    assert code == 0
    assert "Compared 0 pictures, and left out 6 that show nothing" in text
    code, _, err = cli("verify", built, "--near-duplicates")
    assert (code, "--frames embed" in err) == (2, True)
    twins = write_folder(twin_splits(), tmp_path / "twins")
    code, text, _ = cli("verify", twins, "--near-duplicates", "--quiet")
    assert code == 1
    assert "cholec80/1 (train)" in text and "cholec80/73 (test)" in text and "--exclude" in text
    assert cli("verify", twins, "--quiet")[0] == 0


def test_show_spells_out_what_each_sentence_rests_on(cli: Cli, built: Path) -> None:
    seen = ""
    for sample in cotgen.open(built):
        code, out, _ = cli("show", built, sample.key)
        assert code == 0
        for pair in sample.pairs:
            assert f"Q: {pair.question}" in out
            for statement in pair.statements:
                assert f"{statement.text}  ({statement.basis})\n" in out
        assert "leads nowhere" not in out
        seen += out
    for words in ("cholec80 says phase", "cholec80 says instrument", "general knowledge", "follows from [0]"):
        assert words in seen


def test_show_draws_a_sample_by_seed(cli: Cli, built: Path) -> None:
    drawn = {cli("show", built, "--seed", seed)[1].split()[0] for seed in range(6)}
    assert len(drawn) > 1
    assert drawn <= set(cotgen.open(built).keys())
    assert cli("show", built) == cli("show", built)
    code, _, err = cli("show", built, "cholec80-9-000000")
    assert (code, "has no sample 'cholec80-9-000000'" in err) == (2, True)


def test_priors_are_written_to_a_file(cli: Cli, demo: Path, built: Path, tmp_path: Path) -> None:
    out = tmp_path / "priors.json"
    code, said, _ = cli("priors", "--source", "cholec80", "--root", demo, "--out", out)
    assert (code, said) == (0, f"The priors are in {out}.\n")
    assert out.read_bytes() == (built / "priors.json").read_bytes()


def test_merge_and_diff(cli: Cli, demo: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    for name, number in (("a", "1"), ("b", "73")):
        call = ("build", "--source", "cholec80", "--root", demo, "--frames", "none", "--work", work, "-q")
        assert cli(*call, "--surgeries", number, "--out", tmp_path / name) == (0, "", "")
    a, b, c = tmp_path / "a", tmp_path / "b", tmp_path / "c"
    code, out, _ = cli("merge", a, b, "--out", c)
    both = len(cotgen.open(a)) + len(cotgen.open(b))
    assert (code, out.startswith(f"{both} samples with")) == (0, True)
    assert len(cotgen.open(c)) == both
    assert cli("verify", c)[0] == 0
    code, out, _ = cli("diff", a, c)
    assert code == 1
    assert f"{len(cotgen.open(b))}" in out
    assert cli("diff", a, a)[:2] == (0, "Both hold the same samples.\n")
    for inside in (a, a / "new" / "one"):
        code, _, err = cli("merge", a, b, "--out", inside)
        assert code == 2
        assert "Traceback" not in err
    assert not (a / "new").exists()


def piped(call: str) -> tuple[int, str, str]:
    """Exit code of `cotgen CALL`, whose reader closes the pipe after one byte or at once; what was read; errors."""
    head = "head -c 1" if not call.endswith("!") else "true"
    line = f"{sys.executable} -m cotgen {call.rstrip('!')} | {head}; echo ${{PIPESTATUS[0]}} >&2"
    found = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=True)
    errors, _, code = found.stderr.rstrip().rpartition("\n")
    return int(code), found.stdout, errors


@pytest.mark.parametrize("reader", ["", "!"], ids=["after a byte", "at once"])
@pytest.mark.parametrize("arguments", ["show {built}", "sources cholec80", "sources", "--help", "verify {built}"])
@pytest.mark.slow
def test_a_reader_that_has_enough_is_no_error(built: Path, arguments: str, reader: str) -> None:
    code, said, errors = piped(arguments.format(built=built) + reader)
    assert (code, errors) == (0, "")
    assert len(said) == (0 if reader else 1)


def test_what_is_wrong_is_told_by_the_exit_code_to_who_reads_no_more(built: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(built, copy)
    (copy / "priors.json").unlink()
    assert piped(f"verify {copy}!") == (1, "", "")


@pytest.mark.slow
def test_an_exclusion_that_matches_nothing_is_said_even_in_silence(cli: Cli, demo: Path, tmp_path: Path) -> None:
    """It may be a slip of the pen, and then a patient who withdrew is still in."""
    (tmp_path / "withdrawn.txt").write_text("cholec80/7\n")
    call = ("build", "--source", "cholec80", "--root", demo, "--frames", "none", "--work", tmp_path / "work", "-q")
    code, out, err = cli(*call, "--out", tmp_path / "out", "--exclude", tmp_path / "withdrawn.txt")
    assert (code, out) == (0, "")
    assert err.startswith("Note: --exclude: cholec80/7 matches nothing in ")
    call = ("priors", "--source", "cholec80", "--root", demo, "-q", "--out", tmp_path / "priors.json")
    code, out, err = cli(*call, "--exclude", tmp_path / "withdrawn.txt")
    assert (code, out, err.count("matches nothing")) == (0, "", 1)


def test_names_of_other_bytes_than_utf_8_are_a_sentence(demo: Path, built: Path, tmp_path: Path) -> None:
    strange = os.fsencode(tmp_path) + b"/x\xff"
    Path(os.fsdecode(strange)).mkdir()
    shutil.copytree(built, os.fsdecode(strange + b"/set"))
    build = [b"build", b"--source", b"cholec80", b"--frames", b"none", b"--root"]
    for call in (
        [*build, os.fsencode(demo), b"--out", strange + b"/out"],
        [*build, os.fsencode(demo), b"--out", os.fsencode(tmp_path / "out"), b"--work", strange],
        [*build, strange, b"--out", os.fsencode(tmp_path / "out")],
        [*build, b"cholec80=" + strange, b"--out", os.fsencode(tmp_path / "out")],
        [b"verify", strange + b"/set"],
        [b"show", strange + b"/away"],
    ):
        found = subprocess.run([sys.executable, "-m", "cotgen", *call], capture_output=True, check=False)
        text = (found.stdout + found.stderr).decode()
        assert found.returncode == 2, text
        assert "Traceback" not in text
        assert "udcff" in text


def test_sources_says_which_are_found(cli: Cli, demo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    rows = {line.split()[0]: line for line in cli("sources", "--root", demo)[1].splitlines() if line.strip()}
    assert "2 surgeries" in rows["cholec80"]
    assert "missing" in rows["cholect50"]
    out = cli("sources", "--root", "cholect50=away")[1]
    assert "--root cholect50=away is not CholecT50. Looked at:" in out


def test_a_first_mapping_is_written_and_never_over_another(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("case,second,phase\na,0,Preparation\n")
    code, out, _ = cli("sources", "table", "--init", tmp_path)
    assert (code, f"cotgen build --source table --root table={tmp_path}" in out) == (0, True)
    before = (tmp_path / "mapping.yaml").read_text()
    assert 'surgery: "case"' in before
    assert cli("sources", "table", "--init", tmp_path)[0] == 2
    assert (tmp_path / "mapping.yaml").read_text() == before
    assert cli("sources", "cholec80", "--init", tmp_path)[0] == 2


def test_a_demo_of_every_source_is_made(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[tuple[str, int | None, int]] = []

    def make(source: str, folder: Path, *, surgeries: int | None, seed: int, **_: object) -> None:
        made.append((source, surgeries, seed))

    monkeypatch.setattr("cotgen.sources.demo.look_alikes.make_look_alike", make)
    monkeypatch.setattr("cotgen.sources.demo.look_alikes.LOOK_ALIKES", ("cholec80", "x"))
    code, out, _ = cli("demo", tmp_path, "--source", "all", "--seed", "3")
    assert (code, made) == (0, [("cholec80", None, 3), ("x", None, 3)])
    assert f"cotgen build --source cholec80 --source x --root {tmp_path} --out OUT" in out
    assert cli("demo", tmp_path, "-q", "--source", "x", "--surgeries", "2")[:2] == (0, "")
    assert made[2:] == [("x", 2, 0)]
    code, _, err = cli("demo", tmp_path, "--source", "cholec81")
    assert (code, err) == (2, "There is no demo of cholec81; there are: cholec80, x, or all.\n")


@pytest.mark.slow
def test_a_terminal_gets_bars(demo: Path, tmp_path: Path) -> None:
    """On a pseudo-terminal rich draws bars with rates and the time left, and removes them at the end."""
    pty = pytest.importorskip("pty")
    reader, writer = pty.openpty()
    call = [sys.executable, "-m", "cotgen", "build", "--source", "cholec80", "--root", str(demo)]
    process = subprocess.Popen(
        [*call, "--out", str(tmp_path / "out"), "--max-side", "64"],
        stdout=writer,
        stderr=writer,
        env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "140"},
    )
    os.close(writer)
    text = b""
    while True:
        try:
            block = os.read(reader, 65536)
        except OSError:
            break
        if not block:
            break
        text += block
    os.close(reader)
    assert process.wait() == 0
    shown = text.decode()
    assert "frames" in shown
    assert "/s" in shown
    assert "━" in shown


def test_a_build_says_what_its_words_alone_tell(cli: Cli, built: Path) -> None:
    manifest = cotgen.open(built).manifest
    code, out, _ = cli("blind", built, "--json")
    assert code == 0 and orjson.loads(out) == manifest.counts["blind"]
    assert manifest.counts["blind"]["phase.choice"]["train"] > 0
    assert {row["verdict"] for row in manifest.counts["blind"].values()} == {"few"}, "ten seconds are too few to say"
    code, out, _ = cli("blind", built)
    assert code == 0 and "phase.choice" in out and "too few to say" in out
    assert "| phase.open |" in (built / "README.md").read_text()
    assert "Warning" not in built.with_name("table.txt").read_text()


def test_a_leak_is_said_in_the_summary_and_in_the_readme(built: Path) -> None:
    manifest = cotgen.open(built).manifest
    row = {**manifest.counts["blind"]["phase.open"], "constant": 0.4, "blind": 0.45, "gain": 0.05, "verdict": "leaks"}
    told = manifest.model_copy(update={"counts": {**manifest.counts, "blind": {"phase.open": row}}})
    text = io.StringIO()
    outcome = Outcome(built, told)
    show_outcome(Console(file=text, width=160), outcome)
    assert "Warning: phase.open: wording, named terms and options alone score 5.0 points more" in text.getvalue()
    assert outcome.exit_code == 0
    line = next(line for line in readme(told).splitlines() if line.startswith("| phase.open |"))
    assert "| 40.0 | 45.0 | +5.0 ± 0.0 | more than 2 points |" in line


def test_of_a_damaged_folder_no_blind_score_is_given(cli: Cli, built: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    shutil.copytree(built, out)
    (shard,) = out.glob("data/train-*.tar")
    shard.write_bytes(shard.read_bytes().replace(b'"task":"tool_presence"', b'"task":"tool_presents"'))
    code, _, said = cli("blind", out)
    assert code != 0 and "no task 'tool_presents' is known" in said and "cotgen verify" in said
    (out / "index.parquet").unlink()
    code, _, said = cli("blind", out)
    assert code != 0 and "index.parquet" in said and "Traceback" not in said
