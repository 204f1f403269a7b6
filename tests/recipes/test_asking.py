"""Pass rates and scores as a user calls them, against a server without a model."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from cotgen.chains.boxes import BoxFormat
from cotgen.chains.render import render
from cotgen.draws import draw
from cotgen.errors import CotgenError
from cotgen.hub.model_card import Metric
from cotgen.inspect.predictions import Predictions
from cotgen.models.stub import Asked, Faults, StubServer
from cotgen.stages.evaluate import evaluate
from cotgen.stages.pass_rate import pass_rate
from cotgen.training.portions import Portion
from cotgen.training.sampler import prompts_of
from cotgen.training.selection import Selection
from tests.shards.samples import make, write_folder

ROOT = Path(__file__).parents[2]
MILLE = BoxFormat("per_mille")
WRONG = "<think>Level 1: A hook is in view.\nLevel 2: B.\nLevel 3: C.</think><answer>perhaps</answer>"
SURGERIES = ("cholec80/01", "cholec80/02", "cholec80/08", "cholec80/12", "cholec80/29")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = make(SURGERIES, seconds=8, tasks=["phase", "tool_yesno"])
    return write_folder(made, tmp_path_factory.mktemp("asked") / "set", shards=1)


@pytest.fixture(scope="module")
def right(folder: Path) -> dict[tuple[str, str], str]:
    """(view, question and instruction) -> a right reply; phases are asked openly in few wordings, so answers differ."""
    found: dict[tuple[str, str], str] = {}
    for split in ("train", "validation"):
        for prompt in prompts_of([Portion(folder)], Selection(view="cot", splits=(split,), asserted=True), MILLE):  # type: ignore[arg-type]
            for view in ("cot", "vqa"):
                said = render(prompt.pair, view, MILLE, prompt.size)["response"]  # type: ignore[arg-type]
                found.setdefault((view, prompt.turns[-1][1]), said)
    return found


def knows(right: dict[tuple[str, str], str], seeing: int, blind: int) -> Callable[[Asked], str]:
    """A policy that is right in so many of 100 replies, drawn by request and sample."""

    def reply(asked: Asked) -> str:
        view = "cot" if len(asked.turns) == 2 else "vqa"
        hit = draw(0, asked.key, str(asked.sample)) % 100 < (seeing if asked.images else blind)
        return right[view, asked.text] if hit else WRONG

    return reply


def common(folder: Path, url: str, out: Path, *more: object) -> list[str]:
    told = ["--data", folder, "--boxes", "per_mille", "--policy-url", url, "--out", out, *more]
    return [str(part) for part in told]


def run(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "recipes" / script), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, env=dict(os.environ))


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_pass_rates_are_a_table_for_stage_3(folder: Path, right: dict[tuple[str, str], str], tmp_path: Path) -> None:
    out = tmp_path / "rates.parquet"
    stub = StubServer(knows(right, seeing=55, blind=10))
    with stub as url:
        done = run("pass_rate.py", *common(folder, url, out, "--samples", "4", "--blind-samples", "4", "--most", "40"))
        assert done.returncode == 0, done.stderr
        first, sent = sha256(out), sum(stub.counts.values())
        assert pass_rate(common(folder, url, out, "--samples", "4", "--blind-samples", "4", "--most", "40")) == 0
    assert (sha256(out), sum(stub.counts.values())) == (first, sent)
    table = pl.read_parquet(out)
    assert len(table) == 40
    in_range = table.filter(pl.col("passed").is_between(1, 3))
    assert table.filter(pl.col("blind_samples") == 4)["name"].to_list() == in_range["name"].to_list()
    assert sent == 40 + len(in_range)
    assert 0 < table["kept"].sum() <= len(in_range)
    assert "passed by none" in done.stdout and "tool_yesno" in done.stdout
    assert "python" not in done.stderr  # no traceback, no warning


def test_a_server_that_fails_on_some_prompts_ends_with_1_and_is_asked_for_them_again(
    folder: Path, right: dict[tuple[str, str], str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "rates.parquet"
    arguments = ("--samples", "2", "--blind-samples", "0", "--most", "30")
    with StubServer(knows(right, 50, 0), faults=Faults({"context": 0.3})) as url:
        assert pass_rate(common(folder, url, out, *arguments)) == 1
    lost = pl.read_parquet(out).filter(pl.col("samples") == 0)
    assert f"{len(lost)} without a reply: A request does not fit into the context" in capsys.readouterr().out
    assert 0 < len(lost) < 30 and set(lost["why"]) == {"no reply"}
    stub = StubServer(knows(right, 50, 0))
    with stub as url:
        assert pass_rate(common(folder, url, out, *arguments)) == 0
    assert sum(stub.counts.values()) == len(lost)
    told = capsys.readouterr().out
    assert "holds replies of earlier runs" in told and "say --checkpoint DIR, or another --work" in told
    assert pl.read_parquet(out)["samples"].to_list() == [2] * 30


@pytest.mark.parametrize("view", ["vqa", "cot"])
def test_scores_of_a_served_model_stand_beside_null_models(
    folder: Path, right: dict[tuple[str, str], str], tmp_path: Path, view: str
) -> None:
    out = tmp_path / "scores"
    stub = StubServer(knows(right, 100, 0))
    with stub as url:
        arguments = common(folder, url, out, "--view", view)
        assert evaluate(arguments) == 0
        before = sha256(out / "scores.json"), sha256(out / "predictions.jsonl"), sum(stub.counts.values())
        assert evaluate(arguments) == 0
        assert before == (sha256(out / "scores.json"), sha256(out / "predictions.jsonl"), sum(stub.counts.values()))
    scores: dict[str, Any] = json.loads((out / "scores.json").read_bytes())
    by_task = {score["task"]: score for score in scores["tasks"]}
    assert list(by_task) == ["phase", "tool_yesno", "all"]
    assert (scores["view"], scores["split"], scores["failed"]) == (view, "validation", 0)
    assert by_task["all"]["surgeries"] == 3
    assert by_task["all"]["whole"] == 1.0
    assert 0.0 < by_task["phase"]["low"] <= by_task["phase"]["score"] <= by_task["phase"]["high"] <= 1.0
    for metric in map(Metric.model_validate, scores["metrics"]):
        assert metric.has_interval or "reward" in metric.name
    assert ("phase: weighted reward" in {metric["name"] for metric in scores["metrics"]}) == (view == "cot")
    # What `cotgen view` reads.
    replies = Predictions(out / "predictions.jsonl")
    assert len(replies) == by_task["all"]["questions"]
    # Nothing that is published names the server or a folder.
    assert (
        "127.0.0.1" not in (out / "scores.json").read_text() and str(tmp_path) not in (out / "scores.json").read_text()
    )


def test_replies_of_a_file_score_the_same_without_a_server(
    folder: Path, right: dict[tuple[str, str], str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked, read = tmp_path / "asked", tmp_path / "read"
    with StubServer(knows(right, 60, 0)) as url:
        assert evaluate(common(folder, url, asked, "--samples", "2", "--temperature", "1", "--most", "30")) == 0
    file = asked / "predictions.jsonl"
    done = run(
        "evaluate.py", "--data", str(folder), "--boxes", "per_mille", "--out", str(read), "--predictions", str(file)
    )
    assert done.returncode == 0, done.stderr
    one, two = (json.loads((path / "scores.json").read_bytes()) for path in (asked, read))
    assert one["tasks"] == two["tasks"]
    assert one["missing"] == 0 < two["missing"]
    assert one["tasks"][-1]["replies"] == 60
    assert "has replies to 30 of the" in done.stdout
    assert not (read / "predictions.jsonl").exists()


def test_cut_replies_are_told(
    folder: Path, right: dict[tuple[str, str], str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with StubServer(knows(right, 100, 0), faults=Faults({"length": 1.0})) as url:
        assert evaluate(common(folder, url, tmp_path / "cut", "--most", "6", "--policy-max-tokens", "20")) == 0
    assert "6 of 6 replies are cut at --policy-max-tokens 20, empty or refused" in capsys.readouterr().out
    assert len(Predictions(tmp_path / "cut" / "predictions.jsonl")) == 6


def test_without_the_picture_no_picture_is_sent(
    folder: Path, right: dict[tuple[str, str], str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seen: list[int] = []

    def reply(asked: Asked) -> str:
        seen.append(asked.images)
        return knows(right, 100, 0)(asked)

    with StubServer(reply) as url:
        assert (
            evaluate(common(folder, url, tmp_path / "blind", "--no-image", "--most", "10", "--split", "validation"))
            == 0
        )
    assert seen == [0] * 10
    assert json.loads((tmp_path / "blind" / "scores.json").read_bytes())["tasks"][-1]["score"] == 0.0
    assert "Not shown to be above what is reached without looking: phase" in capsys.readouterr().out


def test_what_cannot_be_asked_is_a_sentence(folder: Path, tmp_path: Path) -> None:
    for wrong, said in [
        (["--split", "train"], "what the model learnt from"),
        (["--view", "prompt"], "none of vqa, cot"),
        (["--tasks", "chess"], "no task 'chess'"),
        (["--predictions", "none.jsonl"], "cannot be read"),
    ]:
        with pytest.raises(CotgenError, match=said):
            evaluate([*common(folder, "http://localhost:9/v1", tmp_path / "out"), *wrong])
    with pytest.raises(CotgenError, match=r"FILE\.parquet"):
        pass_rate(common(folder, "http://localhost:9/v1", tmp_path / "rates.csv"))
    with pytest.raises(CotgenError, match="is no share"):
        pass_rate(common(folder, "http://localhost:9/v1", tmp_path / "rates.parquet", "--up-to", "most"))
    done = run("evaluate.py", "--data", str(folder))
    assert (done.returncode, done.stderr.strip()) == (1, "name the folder of the scores with --out DIR")
