"""Scripts without a trainer are told as those with one: a file of flags, a command line that wins, no unknown name."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from cotgen.errors import CotgenError
from cotgen.stages.flags import flag, parse_flags


@dataclass
class One:
    data: list[str] = flag("data sets", [])
    most: int = flag("prompts", 0)
    share: float = flag("of 100 %", 0.5)


@dataclass
class Two:
    model: str = flag("its name")
    quiet: bool = flag("say nothing", False)
    no_image: bool = flag("without the picture", False)


def parse(*arguments: str) -> tuple[One, Two]:
    one, two = parse_flags((One, Two), "A test.", arguments)
    return one, two


def test_flags_fill_the_dataclasses_and_may_be_spelt_either_way() -> None:
    assert parse() == (One(), Two())
    told = parse("--data", "a", "b", "--data", "c", "--most", "3", "--share", "1", "--quiet", "--model=x")
    assert told == (One(["a", "b", "c"], 3, 1.0), Two("x", True))
    assert parse("--no-quiet")[1] == Two()
    assert parse("--no-image")[1] == parse("--no_image")[1] == Two(no_image=True)


def test_the_command_line_wins_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "flags.yaml"
    file.write_text("data: [a, b]\nmost: 3\nshare: 1\nmodel: x\nquiet: true\n")
    assert parse("--config", str(file)) == (One(["a", "b"], 3, 1.0), Two("x", True))
    told = parse("--config", str(file), "--data", "c", "--most", "4", "--no-quiet")
    assert told == (One(["c"], 4, 1.0), Two("x", False))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("mode: x", "there is no 'mode'; names are data, model, most, no_image, quiet, share"),
        ("most: many", "most takes a value of the kind int"),
        ("most: true", "most takes a value of the kind int"),
        ("quiet: 1", "quiet takes a value of the kind bool"),
        ("- a", "no mapping"),
        ("a: [", "cannot be read"),
    ],
)
def test_what_a_file_gets_wrong_is_said(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "flags.yaml"
    file.write_text(text)
    with pytest.raises(CotgenError, match=said):
        parse("--config", str(file))


def test_an_unknown_flag_and_a_shortened_one_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    for wrong in ("--mos", "--other"):
        with pytest.raises(SystemExit) as ended:
            parse(wrong, "3")
        assert ended.value.code == 2
    assert "unrecognized arguments" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        parse("--help")
    assert "of 100 % (default: 0.5)" in capsys.readouterr().out
