"""A recipe that cannot run ends with a sentence, not with a traceback."""

import pytest

from cotgen.errors import CotgenError
from cotgen.stages.console import main_of


def raising(error: Exception) -> None:
    raise error


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (CotgenError("say --data"), "say --data"),
        (ModuleNotFoundError("x", name="trl"), "trl is not installed: pip install 'cotgen[train]'"),
        (ModuleNotFoundError("x", name="torch.cuda"), "torch.cuda is not installed"),
    ],
)
def test_what_a_user_can_mend_is_a_sentence(
    error: Exception, sentence: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RANK", raising=False)
    with pytest.raises(SystemExit) as ended:
        main_of(lambda: raising(error))
    assert ended.value.code == 1
    assert capsys.readouterr().err.startswith(sentence)


def test_a_missing_part_of_cotgen_is_a_defect_and_shown_whole() -> None:
    with pytest.raises(ModuleNotFoundError):
        main_of(lambda: raising(ModuleNotFoundError("x", name="cotgen.nothing")))
