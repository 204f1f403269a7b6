"""A refined set: chains of a model beside the pictures and facts of its parents, bit for bit the same again."""

import hashlib
from pathlib import Path

import pytest

from cotgen.chains.grounds import grounded
from cotgen.chains.render import ParsedChain
from cotgen.dataset import open as open_dataset
from cotgen.errors import CotgenError
from cotgen.hub.writers import models_of
from cotgen.records import Pair, Scene
from cotgen.shards.manifest import load
from cotgen.shards.refined import Chains, refine
from cotgen.shards.verify import verify
from tests.shards.samples import Made, make, write_folder

CONFIG = {"policy": {"model": "Qwen3-VL-8B-x@0123", "round": 1, "temperature": 1.0}}
ACCOUNT = {"prompts": 9, "samples": 18, "right": 7, "kept": 5, "chains": 6, "unanswered": 2, "refused": {"leak": 1}}
COUNTS = {"policy": ACCOUNT, "hint": {**ACCOUNT, "chosen": 2}}


@pytest.fixture(scope="module")
def made() -> Made:
    return make(seconds=12)


@pytest.fixture(scope="module")
def parent(made: Made, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(made, tmp_path_factory.mktemp("parent") / "set", shards=2)


def rewritten(made: Made, split: str = "train") -> list[tuple[str, Pair]]:
    """The chains of templates as a policy's."""
    found = []
    for sample in made.samples:
        for pair in sample.pairs if sample.split == split else ():
            again = grounded(ParsedChain.of(pair), pair.boxes, Scene.of(sample), pair, "policy/1", None)
            if isinstance(again, Pair) and again.support != "asserted":
                found.append((sample.key, again))
    return found


def lines(path: Path, chains: list[tuple[str, Pair]], rank: int = 0) -> Chains:
    path.write_bytes(b"".join(Chains.line(key, rank, pair) for key, pair in chains))
    return Chains([path])


def tree(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_it_is_whole_and_holds_the_train_samples_with_chains_alone(made: Made, parent: Path, tmp_path: Path) -> None:
    chains = rewritten(made)
    manifest = refine([parent], tmp_path / "out", lines(tmp_path / "c", chains), 0, config=CONFIG, counts=COUNTS)
    assert verify(tmp_path / "out").problems == []
    assert (manifest.kind, manifest.parents) == ("refined", [load(parent).fingerprint])
    assert manifest.sources == load(parent).sources
    assert manifest.splits == {"train": ["cholec80/01", "cholec80/02"]}
    assert manifest.counts["refined"] == COUNTS
    assert {path.name for path in tmp_path.iterdir()} == {"out", "c"}
    before = {sample.key: sample for sample in open_dataset(parent)}
    pairs = []
    for sample in open_dataset(tmp_path / "out"):
        old = before[sample.key]
        assert sample.jpeg == old.jpeg
        assert sample.record.model_copy(update={"pairs": []}) == old.record.model_copy(update={"pairs": []})
        ids = [pair.id for pair in sample.record.pairs]
        assert ids == [pair.id for pair in old.record.pairs if pair.id in ids]
        pairs += [(sample.key, pair) for pair in sample.record.pairs]
    assert sorted(pairs, key=lambda e: (e[0], e[1].id)) == sorted(chains, key=lambda e: (e[0], e[1].id))


def test_the_same_chains_give_the_same_bytes_after_a_kill_too(made: Made, parent: Path, tmp_path: Path) -> None:
    chains = lines(tmp_path / "c", rewritten(made))
    told = {"config": CONFIG, "counts": COUNTS, "shards": 3}
    refine([parent], tmp_path / "one", chains, 0, **told)  # type: ignore[arg-type]

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    # Stopped while the last shard is written, and once more before the manifest.
    monkey = pytest.MonkeyPatch()
    for name in ("cotgen.shards.pack.join_parts", "cotgen.shards.refined.seal"):
        with monkey.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(name, killed)
            refine([parent], tmp_path / "two", chains, 0, **told)  # type: ignore[arg-type]
    refine([parent], tmp_path / "two", chains, 0, **told)  # type: ignore[arg-type]
    assert tree(tmp_path / "one") == tree(tmp_path / "two")


def test_second_chains_of_the_same_questions_are_a_set_of_their_own(made: Made, parent: Path, tmp_path: Path) -> None:
    first = rewritten(made)
    (tmp_path / "c").write_bytes(
        b"".join(Chains.line(k, 0, p) for k, p in first) + b"".join(Chains.line(k, 1, p) for k, p in first[:3])
    )
    chains = Chains([tmp_path / "c"])
    assert chains.ranks == [0, 1]
    manifest = refine([parent], tmp_path / "more", chains, 1, config=CONFIG, counts=COUNTS)
    assert manifest.counts["pairs"] == 3
    assert verify(tmp_path / "more").ok


def test_a_chain_that_contradicts_another_of_its_frame_is_left_out_and_counted(
    made: Made, parent: Path, tmp_path: Path
) -> None:
    sample = next(s for s in made.samples if s.split == "train" and len(s.pairs) > 1 and s.facts[1:])
    chains = [(sample.key, pair) for key, pair in rewritten(made) if key == sample.key]
    assert len(chains) > 1
    shown = next(fact for fact in sample.facts if fact.kind == "instrument")
    name = shown.terms[0].partition(".")[2].replace("_", " ").replace("clipper", "clip applier")
    last = chains[-1][1]
    denial = last.statements[0].model_copy(update={"text": f"No {name} is in view."})
    chains[-1] = (sample.key, last.model_copy(update={"statements": [denial, *last.statements[1:]]}))
    manifest = refine([parent], tmp_path / "out", lines(tmp_path / "c", chains), 0, config=CONFIG, counts=COUNTS)
    assert manifest.counts["pairs"] == len(chains) - 1
    [left] = manifest.left_out
    assert (left.count, left.examples) == (1, [f"{sample.key}#{last.id}"])


def test_of_several_parents_each_sample_is_of_the_one_that_asks_its_questions(
    made: Made, parent: Path, tmp_path: Path
) -> None:
    """An earlier round, which asks few of them, may come first."""
    chains = rewritten(made)
    few = lines(tmp_path / "few", [chain for number, chain in enumerate(chains) if number % 3 == 0])
    refine([parent], tmp_path / "round-1", few, 0, config=CONFIG, counts=COUNTS)
    every = lines(tmp_path / "every", chains)
    alone = refine([parent], tmp_path / "alone", every, 0, config=CONFIG, counts=COUNTS)
    both = refine([tmp_path / "round-1", parent], tmp_path / "both", every, 0, config=CONFIG, counts=COUNTS)
    assert both.counts["pairs"] == alone.counts["pairs"] > load(tmp_path / "round-1").counts["pairs"]
    assert both.left_out == alone.left_out


@pytest.mark.parametrize("split", ["validation", "test"])
def test_held_out_samples_are_refused(split: str, made: Made, parent: Path, tmp_path: Path) -> None:
    chains = lines(tmp_path / "c", rewritten(made, split))
    with pytest.raises(CotgenError, match="no train samples"):
        refine([parent], tmp_path / "out", chains, 0, config=CONFIG, counts=COUNTS)
    assert not (tmp_path / "out").exists()


def test_no_chains_and_a_finished_folder_are_refused(made: Made, parent: Path, tmp_path: Path) -> None:
    with pytest.raises(CotgenError, match="no chain"):
        refine([parent], tmp_path / "out", lines(tmp_path / "c", []), 0, config=CONFIG, counts=COUNTS)
    with pytest.raises(CotgenError, match="finished data set"):
        refine([parent], parent, lines(tmp_path / "c", rewritten(made)), 0, config=CONFIG, counts=COUNTS)


def test_the_card_says_who_wrote_it_and_on_what_terms(made: Made, parent: Path, tmp_path: Path) -> None:
    refine([parent], tmp_path / "out", lines(tmp_path / "c", rewritten(made)), 0, config=CONFIG, counts=COUNTS)
    text = (tmp_path / "out" / "README.md").read_text()
    assert "`Qwen3-VL-8B-x@0123` was asked for 18 samples to 9 questions" in text
    assert models_of(load(tmp_path / "out").config) == [("Qwen3-VL-8B-x@0123", "wrote chains")]
