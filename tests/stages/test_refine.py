"""Stage 4 round by round: what is asked, kept, packed and trained on, and that it goes on where it was stopped."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from cotgen.dataset import open as open_dataset
from cotgen.draws import draw
from cotgen.errors import CotgenError
from cotgen.models.stub import StubServer
from cotgen.shards.manifest import load
from cotgen.shards.verify import verify
from cotgen.stages.refine import stalled
from cotgen.stages.refine_arguments import RefineArguments
from cotgen.training.hint import hint
from cotgen.training.paths import hinted_names, most_hinted
from cotgen.training.sampler import Prompt
from tests.shards.samples import make, write_folder
from tests.stages.rounds import BOXES, rounds
from tests.training.sham_policy import ShamPolicy, gold, wrong

ROOT = Path(__file__).parents[2]
#: A round of few questions.
FEW = {"rounds": 1, "most_prompts": 20, "most_held_out": 4}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(make(seconds=8), tmp_path_factory.mktemp("refine") / "set", shards=2)


def mixed(prompt: Prompt, sample: int, hinted: bool) -> str:
    """Right one time in two, some questions never; with a hint right, and now and then telling so."""
    if hinted:
        leak = " This was given as a hint." if draw(2, prompt.name) % 4 == 0 else ""
        return gold(prompt, BOXES).replace("</think>", f"{leak}</think>")
    never = draw(1, prompt.name) % 3 == 0
    return wrong(prompt, BOXES) if never or draw(1, prompt.name, str(sample)) % 2 else gold(prompt, BOXES)


def tree(folder: Path) -> dict[str, str]:
    """Digests of all that a run leaves but the replies, whose order in the file is that of their arrival."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.startswith("replies.") and path.name != "told.json"
    }


@pytest.fixture(scope="module")
def done(data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any], StubServer]:
    """Two rounds of a policy that is right now and then."""
    out = tmp_path_factory.mktemp("done") / "out"
    server = StubServer(ShamPolicy(data, BOXES, mixed))
    with server as url:
        best = rounds(data, out, url)
    return out, best, server


def test_each_round_is_a_whole_refined_set_of_train_samples(data: Path, done: tuple[Path, Any, Any]) -> None:
    out, _, _ = done
    train = {sample.key for sample in open_dataset(data).filter(split="train")}
    for number in (1, 2):
        folder = out / f"round-{number}" / "data"
        assert verify(folder).problems == []
        manifest = load(folder)
        assert (manifest.kind, manifest.parents) == ("refined", [load(data).fingerprint])
        assert manifest.config["policy"]["model"].startswith("Qwen3-VL-8B-x@")
        assert str(out.parent) not in manifest.to_json().decode()
        writers = Counter(pair.writer for sample in open_dataset(folder) for pair in sample.record.pairs)
        assert set(writers) == {f"policy/{number}", f"policy-hint/{number}"}
        assert 3 * writers[f"policy-hint/{number}"] <= writers.total()
        assert {sample.key for sample in open_dataset(folder)} <= train
        assert all(pair.support != "asserted" for sample in open_dataset(folder) for pair in sample.record.pairs)
        assert "hint" not in " ".join(
            s.text for sample in open_dataset(folder) for pair in sample.record.pairs for s in pair.statements
        )


def test_the_manifest_tells_what_became_of_every_prompt_and_sample(done: tuple[Path, Any, Any]) -> None:
    out, _, _ = done
    manifest = load(out / "round-1" / "data")
    own, hinted = manifest.counts["refined"]["policy"], manifest.counts["refined"]["hint"]
    assert own["samples"] == 3 * own["prompts"]
    assert own["chains"] + sum(own["refused"].values()) == own["samples"]
    assert hinted["refused"]["ungrounded"] > 0
    assert hinted["chains"] + sum(hinted["refused"].values()) == hinted["samples"] == 2 * hinted["prompts"]
    assert manifest.counts["pairs"] == own["kept"] + hinted["chosen"]
    assert manifest.counts["pairs"] + sum(item.count for item in manifest.left_out) == own["prompts"]


def test_each_round_is_trained_from_the_same_start_on_all_rounds(data: Path, done: tuple[Path, Any, Any]) -> None:
    out, best, _ = done
    told = [json.loads((out / f"round-{n}" / "model" / "told.json").read_text()) for n in (1, 2)]
    assert told[0] == [str(out.parent / "first"), str(data), f"{out}/round-1/data=3/10"]
    shares = [Fraction(text.rpartition("=")[2]) for text in told[1][2:]]
    pairs = [load(out / f"round-{n}" / "data").counts["pairs"] for n in (1, 2)]
    assert shares == [Fraction(3, 10) * n / sum(pairs) for n in pairs]
    assert best["round"] == 0  # the sham policy does not learn


def test_the_same_command_asks_nothing_again_and_changes_nothing(
    data: Path, done: tuple[Path, Any, StubServer]
) -> None:
    out, best, server = done
    before = tree(out)
    assert max(server.answered.values()) == 1
    assert rounds(data, out, "http://127.0.0.1:9/v1") == best
    assert tree(out) == before


@pytest.mark.slow
def test_after_kill_9_the_same_command_goes_on(data: Path, done: tuple[Path, Any, Any], tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = [sys.executable, "-m", "tests.stages.rounds", str(data), str(out)]
    server = StubServer(ShamPolicy(data, BOXES, mixed))
    with server as url:
        for answers in (40, 130, 10**6):
            running = subprocess.Popen([*command, url], cwd=ROOT, stdout=subprocess.DEVNULL)
            deadline = time.monotonic() + 120
            while running.poll() is None and time.monotonic() < deadline:
                if sum(server.answered.values()) >= answers:
                    os.kill(running.pid, signal.SIGKILL)
                time.sleep(0.01)
        assert running.returncode == 0
        # What was on its way when the process was killed may come twice; nothing that was kept does.
        assert sum(count - 1 for count in server.answered.values()) <= 2 * 8
    assert tree(out / "round-1" / "data") == tree(done[0] / "round-1" / "data")
    assert tree(out / "round-2" / "data") == tree(done[0] / "round-2" / "data")


def test_other_settings_in_the_same_folder_are_refused_by_name(data: Path, done: tuple[Path, Any, Any]) -> None:
    with pytest.raises(CotgenError, match="another least_iou, samples"):
        rounds(data, done[0], "http://127.0.0.1:9/v1", samples=4, least_iou=0.7)


def test_more_chains_of_a_prompt_are_sets_beside_it(data: Path, tmp_path: Path) -> None:
    def two_ways(prompt: Prompt, sample: int, hinted: bool) -> str:
        text = gold(prompt, BOXES)
        other = text.replace("\nLevel 3: ", " A hook takes up a little tissue and divides it with current.\nLevel 3: ")
        hook = "instrument.hook" in prompt.row.scene.terms("instrument")
        return other if sample and hook and "divides it with current" not in text else text

    with StubServer(ShamPolicy(data, BOXES, two_ways)) as url:
        rounds(data, tmp_path / "out", url, distinct=2, rounds=1, hint_share="0", most_held_out=4)
    folder = tmp_path / "out" / "round-1"
    first, second = load(folder / "data"), load(folder / "more-1")
    assert verify(folder / "more-1").ok
    assert 0 < second.counts["pairs"] < first.counts["pairs"]
    told = json.loads((folder / "model" / "told.json").read_text())
    assert [Path(text.rpartition("=")[0]).name for text in told[2:]] == ["data", "more-1"]
    assert sum(Fraction(text.rpartition("=")[2]) for text in told[2:]) == Fraction(3, 10)


def test_a_table_of_pass_rates_chooses_train_prompts_and_no_held_out_questions(data: Path, tmp_path: Path) -> None:
    train = list(open_dataset(data).filter(split="train"))
    names = sorted({f"{sample.key}#{pair.id}" for sample in train for pair in sample.record.pairs})[:20]
    table = tmp_path / "rates.jsonl"
    table.write_text("".join(json.dumps({"name": name, "difficulty": 0.5, "kept": True}) + "\n" for name in names))
    with StubServer(ShamPolicy(data, BOXES, mixed)) as url:
        rounds(data, tmp_path / "out", url, difficulty=str(table), **FEW)
    told = json.loads((tmp_path / "out" / "state.json").read_text())
    assert told["first"]["score"]["questions"] == FEW["most_held_out"]
    assert told["rounds"][0]["right"]["account"]["prompts"] == len(names)


def test_shares_of_the_first_data_make_room_for_the_rounds(data: Path, tmp_path: Path) -> None:
    out, shared = tmp_path / "out", Path(f"{data}=1")
    with pytest.raises(CotgenError, match="leaves the rounds no rows"):
        rounds(shared, out, "http://127.0.0.1:9/v1", share="0", **FEW)
    with StubServer(ShamPolicy(data, BOXES, mixed)) as url:
        rounds(shared, out, url, **FEW)
    told = json.loads((out / "round-1" / "model" / "told.json").read_text())
    assert told[1:] == [f"{data}=7/10", f"{out}/round-1/data=3/10"]


def test_operations_that_are_learnt_from_are_not_held_out(data: Path, tmp_path: Path) -> None:
    other = shutil.copytree(data, tmp_path / "other")
    manifest = json.loads((other / "manifest.json").read_bytes())
    manifest["splits"] = {"train": manifest["splits"]["validation"], "validation": manifest["splits"]["train"]}
    (other / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(CotgenError, match="would be judged on what it learnt from"):
        rounds(data, tmp_path / "out", "http://127.0.0.1:9/v1", held_out=[str(other)], **FEW)


def test_an_export_that_was_ended_is_made_again(data: Path, tmp_path: Path) -> None:
    (tmp_path / "out" / "round-1" / "served" / "half").mkdir(parents=True)
    export = (
        "{python} -c 'import pathlib, sys; out = pathlib.Path(sys.argv[1]); out.mkdir(); "
        '(out / "model.safetensors").touch()\' {out} {model}'
    )
    with StubServer(ShamPolicy(data, BOXES, mixed)) as url:
        rounds(data, tmp_path / "out", url, export_command=export, **FEW)
    assert [path.name for path in (tmp_path / "out" / "round-1" / "served").iterdir()] == ["model.safetensors"]


def test_a_server_of_somebody_else_is_asked_for_the_new_policy(data: Path, tmp_path: Path) -> None:
    """Without a command that starts servers, a second policy would be the first one under the same URL."""
    with StubServer(ShamPolicy(data, BOXES, mixed)) as url:
        with pytest.raises(CotgenError, match=r"round-1/model is trained: serve it"):
            rounds(data, tmp_path / "out", url, same_server=False, most_prompts=20, most_held_out=4)
        with pytest.raises(CotgenError, match=r"round-2/model is trained: serve it"):
            rounds(data, tmp_path / "out", url, same_server=False, most_prompts=20, most_held_out=4)


def test_a_policy_that_is_never_right_is_told_why(data: Path, tmp_path: Path) -> None:
    with (
        StubServer(ShamPolicy(data, BOXES, lambda prompt, sample, hinted: wrong(prompt, BOXES))) as url,
        pytest.raises(
            CotgenError, match=r"nothing to learn from \(samples refused: answer [0-9,]+\); train it longer"
        ),
    ):
        rounds(data, tmp_path / "out", url, **FEW)


def test_a_training_that_fails_or_leaves_no_model_is_told(data: Path, tmp_path: Path) -> None:
    with StubServer(ShamPolicy(data, BOXES, mixed)) as url:
        with pytest.raises(CotgenError, match="fine-tuning of round 1 failed with status 3"):
            rounds(data, tmp_path / "out", url, train_command="{python} -c 'raise SystemExit(3)'", **FEW)
        with pytest.raises(CotgenError, match=r"left no .*round-1/model/cotgen\.json"):
            rounds(data, tmp_path / "out", url, train_command="{python} -c 0", **FEW)
        # Mended, it goes on with the round that was packed.
        assert rounds(data, tmp_path / "out", url, **FEW)["round"] == 0


def test_the_share_of_path_b_is_a_bound_drawn_by_name() -> None:
    assert [most_hinted(kept, Fraction(1, 3)) for kept in (0, 1, 2, 7, 100)] == [0, 0, 1, 3, 50]
    assert most_hinted(100, Fraction(0)) == 0
    names = [f"key-{n}#phase.open" for n in range(50)]
    assert hinted_names(names, 10, 0) == hinted_names(names[::-1], 10, 0)
    assert hinted_names(names, 10, 0) < hinted_names(names, 20, 0)
    assert hinted_names(names, 10, 0) != hinted_names(names, 10, 1)


def test_a_hint_tells_the_answer_and_where_wanted_the_facts(data: Path) -> None:
    from cotgen.training.paths import with_hint
    from cotgen.training.portions import Portion
    from cotgen.training.sampler import prompts_of
    from cotgen.training.selection import Selection

    [prompt] = prompts_of([Portion(data)], Selection(view="prompt", tasks=("tool_presence",)), BOXES, most=1)
    asked = with_hint(prompt, BOXES, facts=True).turns
    assert asked[:-1] == prompt.turns[:-1]
    assert asked[-1][1].startswith(prompt.turns[-1][1])
    assert prompt.pair.answer in asked[-1][1]
    assert "phase: " in asked[-1][1]
    assert "{" not in asked[-1][1]
    bare = hint(prompt.row.scene, prompt.pair, BOXES, False)
    assert prompt.pair.answer in bare
    assert "phase: " not in bare
    assert "<facts>" not in bare


@pytest.mark.parametrize(
    ("scores", "patience", "expected"),
    [
        ([0.3], 1, False),
        ([0.3, 0.4], 1, False),
        ([0.3, 0.3], 1, True),
        ([0.3, 0.4, 0.35], 1, True),
        ([0.3, 0.4, 0.35], 2, False),
        ([0.3, 0.4, 0.35, 0.4], 2, True),
        ([0.3, 0.4, 0.35, 0.41], 2, False),
    ],
)
def test_a_score_stalls(scores: list[float], patience: int, expected: bool) -> None:
    assert stalled(scores, patience, 0.0) is expected


@pytest.mark.parametrize(
    ("told", "match"),
    [
        ({"earlier": "some"}, "earlier"),
        ({"rounds": 0}, "rounds"),
        ({"share": "much"}, "share"),
        ({"hint_share": "1"}, "hint_share"),
        ({"policy": "runs/stage 3"}, "policy"),
    ],
)
def test_arguments_that_mean_nothing_are_refused(told: dict[str, Any], match: str) -> None:
    with pytest.raises(CotgenError, match=match):
        RefineArguments(**({"output_dir": "out", "model_name_or_path": "m"} | told))
