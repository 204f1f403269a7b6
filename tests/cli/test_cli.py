"""The commands as a user types them: what they print, and their exit codes."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import cotgen
from cotgen.cli import main
from cotgen.sources.demo import make_demo

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
    for command in ("build", "demo", "verify", "sources", "show", "priors", "merge", "diff"):
        assert f"\n  {command} " in out
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


def test_show_spells_out_what_each_sentence_rests_on(cli: Cli, built: Path) -> None:
    seen = ""
    for sample in cotgen.open(built):
        code, out, _ = cli("show", built, sample.key)
        assert code == 0
        for pair in sample.pairs:
            assert f"Q: {pair.question}" in out
            for statement in pair.statements:
                assert statement.text in out
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
    code, _, err = cli("merge", a, b, "--out", a)
    assert code == 2
    assert "Traceback" not in err


@pytest.mark.parametrize("arguments", ["show {built}", "sources cholec80", "--help", "verify {built}"])
def test_a_reader_that_has_enough_is_no_error(built: Path, arguments: str) -> None:
    call = f"{sys.executable} -m cotgen {arguments.format(built=built)} | head -c 1"
    found = subprocess.run(["bash", "-c", call], capture_output=True, text=True, check=True)
    assert len(found.stdout) == 1
    assert found.stderr == ""


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
