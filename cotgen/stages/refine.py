"""Refinement of stage 4: a policy's own right chains, checked, become data; then it is fine-tuned anew, round by round.

A round asks the policy that the last one left (path A: several samples of each train prompt; path B: prompts without a
right sample are asked again with the answer as a hint, at most a third of the round), writes what passes as a shard set of
kind `refined`, fine-tunes from the same start as every round on the first data and the rounds, and scores the result on
questions about surgeries that are held out. It ends after so many rounds, or when the score stalls.

    OUT/state.json          what is done; the same command goes on
    OUT/replies.sqlite      all that the policies wrote
    OUT/round-1/data        the shard set; with distinct > 1 second chains of the same questions are in more-1, more-2 ...
    OUT/round-1/model       what was trained on it
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from cotgen.build.files import hold
from cotgen.chains.boxes import BoxFormat
from cotgen.draws import draw
from cotgen.errors import CotgenError
from cotgen.models.cache import ReplyCache
from cotgen.models.endpoint import Endpoint
from cotgen.records import LeftOut
from cotgen.shards.manifest import is_sealed, load
from cotgen.shards.refined import Chains, refine, shared_priors
from cotgen.stages.arguments import DataArguments, VisionArguments, parse
from cotgen.stages.asking import refuse_other_instruction
from cotgen.stages.commands import filled, run
from cotgen.stages.data import portions
from cotgen.stages.policy import RECORD, Policy
from cotgen.stages.policy_server import PolicyServer
from cotgen.stages.refine_arguments import RefineArguments
from cotgen.stages.refine_state import State
from cotgen.training.hint import HINT_VERSION, hint_sha256
from cotgen.training.paths import hinted_names, most_hinted, path_a, path_b, score, with_hint
from cotgen.training.pool import refuse_leaks
from cotgen.training.portions import Portion
from cotgen.training.refine import variety
from cotgen.training.sampler import Prompt, Sampled, Sampling, prompts_of, sample

#: Goes up when the same replies make another round.
REFINE_VERSION = 1
_LISTED = 10


@dataclass(frozen=True, slots=True)
class Asking:
    """How prompts are made and put to a policy, the same in each round.

    Attributes:
        portions: the data sets.
        data: which pairs of them.
        boxes: how the policy writes boxes.
        sampling: how it is asked; model and weights are those of the policy.
        cache: of replies.
        send_frames_to: as of `sampler.sample`.
    """

    portions: Sequence[Portion]
    data: DataArguments
    boxes: BoxFormat
    sampling: Sampling
    cache: ReplyCache
    send_frames_to: Sequence[str] = ()

    def prompts(self, most: int, seed: int, split: str = "train", folders: Sequence[Portion] = ()) -> Iterator[Prompt]:
        """The prompts of a split."""
        selection = replace(self.data.selection("prompt"), splits=(split,))  # type: ignore[arg-type]
        if split != "train":
            # A table of pass rates names train prompts alone.
            selection = replace(selection, difficulty=None)
        return prompts_of(folders or self.portions, selection, self.boxes, self.data.instruction, most, seed)

    def ask(self, prompts: Iterable[Prompt], endpoint: Endpoint, policy: Policy, **changed: Any) -> Iterator[Sampled]:
        """What came of each prompt, in order."""
        sampling = replace(self.sampling, model=endpoint.model, weights=policy.weights, **changed)
        return sample(prompts, endpoint, self.cache, sampling, self.send_frames_to)


class Refinement:
    """All rounds.

    Args:
        given: how.
        data: which pairs.
        asking: how prompts are put to a policy.
        serving: the server of the policy.
        say: is told what is done.
    """

    def __init__(
        self, given: RefineArguments, data: DataArguments, asking: Asking, serving: PolicyServer, say: Any = print
    ) -> None:
        self._given, self._data, self._asking, self._serving, self._say = given, data, asking, serving, say
        self._out = Path(given.output_dir)
        self._folders = [portion.folder for portion in asking.portions]
        self._priors = shared_priors(self._folders)
        self._keeping = given.keeping(asking.boxes)
        self._held_out = portions(given.held_out, say) if given.held_out else asking.portions
        # Before anything is asked: after a round it would be too late.
        if not given.fraction("share") and all(portion.share is not None for portion in asking.portions):
            raise CotgenError(
                "each set of --data has a share, so that --share 0 leaves the rounds no rows; say --share 0.3, or leave one "
                "set without a share"
            )
        refuse_leaks(load(portion.folder) for portion in (*asking.portions, *self._held_out))
        self._served_policy: Policy | None = None
        self._first = Policy.of(given.model_name_or_path, given.policy)
        self.state = State(self._out / "state.json", self._settings())

    def _settings(self) -> dict[str, Any]:
        names = (
            "samples", "temperature", "top_p", "max_tokens", "seed", "most_prompts", "distinct", "least_iou", "most_right",
            "think_opened", "hint_share", "hint_samples", "hint_tries", "hint_facts", "most_held_out",
        )  # fmt: skip
        selection = self._data.selection("prompt").config()
        return {
            "version": REFINE_VERSION,
            **{name: getattr(self._given, name) for name in names},
            "data": [load(folder).fingerprint for folder in self._folders],
            "held_out": [load(portion.folder).fingerprint for portion in self._held_out],
            "selection": selection,
            "boxes": asdict(self._asking.boxes),
            "instruction": self._data.instruction,
            "model": self._first.weights,
            "hint": hint_sha256() if self._given.fraction("hint_share") else "",
        }

    def run(self) -> dict[str, Any]:
        """Go through the rounds; returns the best one: its number (0 for the first policy), model and score."""
        policy = self._first
        if not self.state.first:
            self.state.first = {"score": self._score(policy)}
            self.state.save()
            self._say(f"first policy: {self.state.first['score']['mean']:.4f} on held-out questions")
        scores = [self.state.first["score"]["mean"]]
        for number in range(1, self._given.rounds + 1):
            folder, done = self._out / f"round-{number}", self.state.round(number)
            if not self._chains(number, folder, done, policy):
                break
            policy = self._train(number, folder, done)
            if "score" not in done:
                done["score"] = self._score(policy)
                self.state.save()
            scores.append(done["score"]["mean"])
            self._say(f"round {number}: {scores[-1]:.4f} on held-out questions, before {scores[-2]:.4f}")
            if stalled(scores, self._given.patience, self._given.least_gain):
                self._say(f"the score has stalled; the best is that of round {_best(scores)}")
                break
        best = _best(scores)
        model = str(self._out / f"round-{best}" / "model") if best else self._first.model
        return {"round": best, "model": model, "score": scores[best]}

    # the chains of a round

    def _chains(self, number: int, folder: Path, done: dict[str, Any], policy: Policy) -> bool:
        """Ask, keep and pack; False where nothing is left to learn."""
        folder.mkdir(parents=True, exist_ok=True)
        if "right" not in done:
            endpoint = self._endpoint(policy)
            prompts = self._asking.prompts(self._given.most_prompts, draw(self._given.seed, "round", str(number)))
            sampled = self._asking.ask(prompts, endpoint, policy, seed=self._seed(number, "samples"))
            done["right"] = path_a(sampled, folder / "right.jsonl", number, self._priors, self._keeping)
            self.state.save()
        told = done["right"]["account"]
        self._say(
            f"round {number}: {told['kept']:,} of {told['prompts']:,} prompts have a chain that passes all checks"
        )
        if not told["chains"]:
            most = ", ".join(f"{name} {count:,}" for name, count in sorted(told["refused"].items(), key=_by_count)[:4])
            if number == 1:
                raise CotgenError(
                    f"no chain of the policy passes, so there is nothing to learn from (samples refused: {most}); train it "
                    "longer before this stage, or ask with a lower --temperature, for more --samples or more --most_prompts"
                )
            self._say(f"round {number}: no chain passes ({most}); this is the end")
            return False
        if "hinted" not in done:
            done["hinted"] = self._hinted(number, folder, done["right"], policy)
            self.state.save()
        if "packed" not in done:
            done["packed"] = self._pack(number, folder, done, policy)
            self.state.save()
        return True

    def _hinted(self, number: int, folder: Path, right: dict[str, Any], policy: Policy) -> dict[str, Any]:
        seed, out = self._seed(number, "hint"), folder / "hinted.jsonl"
        most = most_hinted(right["account"]["kept"], self._given.fraction("hint_share"))
        names = hinted_names(right["names"], most * self._given.hint_tries, seed)
        sampled: Iterable[Sampled] = ()
        if names:
            found = self._asking.prompts(self._given.most_prompts, draw(self._given.seed, "round", str(number)))
            asked = (with_hint(p, self._asking.boxes, self._given.hint_facts) for p in found if p.name in names)
            samples = {"samples": self._given.hint_samples, "seed": seed}
            sampled = self._asking.ask(asked, self._endpoint(policy), policy, **samples)
        told = path_b(sampled, out, number, self._priors, self._keeping, most, seed)
        self._say(f"round {number}: {told['chosen']:,} chains with a hint beside them")
        return told

    def _pack(self, number: int, folder: Path, done: dict[str, Any], policy: Policy) -> list[dict[str, Any]]:
        chains = Chains([folder / "right.jsonl", folder / "hinted.jsonl"])
        packed = []
        for rank in chains.ranks:
            out = folder / ("data" if not rank else f"more-{rank}")
            if not is_sealed(out):
                kept = (pair for key in chains.keys(rank) for pair in chains.of(rank, key))
                counts = {**_counts(done), "variety": variety(kept), "rank": rank}
                left = _left_out(done) if not rank else []
                refine(
                    self._folders, out, chains, rank, config={"policy": self._policy(number, policy)}, counts=counts,
                    left_out=left, seed=self._given.seed,
                )  # fmt: skip
            manifest = load(out)
            packed.append({"folder": out.name, "fingerprint": manifest.fingerprint, "pairs": manifest.counts["pairs"]})
        return packed

    def _policy(self, number: int, policy: Policy) -> dict[str, Any]:
        """What a manifest says of the policy and of how it was asked."""
        given = self._given
        names = (
            "samples",
            "temperature",
            "top_p",
            "max_tokens",
            "distinct",
            "least_iou",
            "most_right",
            "most_prompts",
        )
        return {
            "model": policy.name,
            "weights": policy.weights if Path(policy.model).is_dir() else "",
            "round": number,
            "boxes": asdict(self._asking.boxes),
            "selection": self._data.selection("prompt").config(),
            **{name: getattr(given, name) for name in names},
            "hint": {
                "share": given.hint_share, "samples": given.hint_samples, "facts": given.hint_facts, "prompt": HINT_VERSION,
            },
        }  # fmt: skip

    # the next policy

    def _train(self, number: int, folder: Path, done: dict[str, Any]) -> Policy:
        out = folder / "model"
        if "trained" not in done:
            # Its memory is needed.
            self._serving.stop()
            given = self._given
            start = given.start_from or given.model_name_or_path
            words = filled(
                given.train_command, config=given.train_config, start=start, data=self._mixture(number), out=str(out),
                round=str(number),
            )  # fmt: skip
            self._say(f"round {number}: fine-tuning")
            run(words, f"the fine-tuning of round {number}")
            if not (out / RECORD).is_file():
                raise CotgenError(
                    f"the train command of round {number} ended and left no {out / RECORD}: it must wait for the training "
                    f"(sbatch --wait) and write to {out}"
                )
            if given.export_command:
                # Of an export that was ended before it was told here; exports refuse to write over anything.
                shutil.rmtree(folder / "served", ignore_errors=True)
                run(
                    filled(given.export_command, model=str(out), out=str(folder / "served")),
                    f"the export of round {number}",
                )
            done["trained"] = asdict(Policy.of(self._served(folder), given.policy)) | {"model": ""}
            self.state.save()
        return replace(Policy(**done["trained"]), model=self._served(folder))

    def _served(self, folder: Path) -> str:
        return str(folder / ("served" if self._given.export_command else "model"))

    def _mixture(self, number: int) -> list[str]:
        """What a round is trained on: the first data, and the rounds with their share, each set by its size."""
        first = number if self._given.earlier == "last" else 1
        sets = [
            (self._out / f"round-{n}" / told["folder"], told["pairs"])
            for n in range(first, number + 1)
            for told in self.state.round(n)["packed"]
        ]
        share, total = self._given.fraction("share"), sum(pairs for _, pairs in sets)
        rounds = [f"{folder}={share * pairs / total}" if share else str(folder) for folder, pairs in sets]
        given = [Portion.parse(text) for text in self._data.data]
        if share and all(portion.share is not None for portion in given):
            # Those of the first data make up 1 among themselves, so what the rounds take is taken from each.
            first_data = [f"{part.folder}={part.share * (1 - share)}" for part in given if part.share is not None]
            return [*first_data, *rounds]
        return [*self._data.data, *rounds]

    def _score(self, policy: Policy) -> dict[str, Any]:
        prompts = self._asking.prompts(self._given.most_held_out, self._given.seed, "validation", self._held_out)
        endpoint = self._endpoint(policy)
        sampled = self._asking.ask(
            prompts, endpoint, policy, samples=1, temperature=0.0, top_p=1.0, seed=self._given.seed
        )
        return score(sampled, self._keeping)

    def _endpoint(self, policy: Policy) -> Endpoint:
        given = self._given
        if not (given.serve_command or given.same_server):
            # Whoever gave the URL serves the policy that is asked first in this process.
            self._served_policy = self._served_policy or policy
            if policy != self._served_policy:
                raise CotgenError(
                    f"{policy.model} is trained: serve it and run the same command with its --policy_url; or say "
                    "--serve_command, which starts servers, or --same_server true where yours has the newest by itself"
                )
        return self._serving.of(policy.model, given.concurrency, given.timeout_s)

    def _seed(self, number: int, what: str) -> int:
        return draw(self._given.seed, what, str(number)) % 2**31


def stalled(scores: Sequence[float], patience: int, least_gain: float) -> bool:
    """Whether the last `patience` scores are no better than the best before them by more than `least_gain`."""
    if len(scores) <= patience:
        return False
    return max(scores[-patience:]) <= max(scores[:-patience]) + least_gain


def _by_count(entry: tuple[str, int]) -> tuple[int, str]:
    return -entry[1], entry[0]


def _best(scores: Sequence[float]) -> int:
    """The first of the best scores."""
    return scores.index(max(scores))


def _counts(done: dict[str, Any]) -> dict[str, Any]:
    """What was asked and refused, for a manifest."""
    right, hinted = done["right"], done["hinted"]
    return {
        "policy": {**right["account"], "failed": len(right["failed"])},
        "hint": {**hinted["account"], "failed": len(hinted["failed"]), "chosen": hinted["chosen"]},
    }


def _left_out(done: dict[str, Any]) -> list[LeftOut]:
    """The prompts without a chain, by why."""
    right, hinted = done["right"], done["hinted"]
    told = right["account"]
    unanswered = told["unanswered"] - hinted["chosen"]
    refused = told["prompts"] - told["kept"] - told["unanswered"]
    reasons = [
        ("the policy gave no reply", len(right["failed"]), sorted(right["failed"])[:_LISTED]),
        ("no sample of the policy is right, and no chain with a hint was kept", unanswered, []),
        ("samples are right, and the checks refuse their chains", refused, []),
    ]
    return [LeftOut(what="pair", reason=text, count=n, examples=names) for text, n, names in reasons if n]


def refine_rounds(arguments: Sequence[str] | None = None) -> None:
    """Run the stage.

    Args:
        arguments: without, those of the command line.

    Raises:
        CotgenError: something does not go together; the sentence says what.
    """
    from cotgen.stages.models import boxes_of, load_processor

    data, vision, given = parse((DataArguments, VisionArguments, RefineArguments), {}, arguments)
    for name in ("output_dir", "model_name_or_path"):
        if not getattr(given, name):
            raise CotgenError(f"say --{name}: {RefineArguments.__dataclass_fields__[name].metadata['help']}")
    refuse_other_instruction(Path(given.model_name_or_path), data.instruction, "prompt")
    processor = load_processor(given.model_name_or_path, vision)
    boxes = boxes_of(given.model_name_or_path, processor, data.boxes)
    out = Path(given.output_dir)
    with (
        hold(out, out.parent),
        ReplyCache(out / "replies.sqlite") as cache,
        PolicyServer(
            given.serve_command, given.policy_url, out / "server.log", given.policy_model, given.port, given.wait_s
        ) as serving,
    ):
        sampling = Sampling("", given.samples, given.temperature, given.top_p, given.max_tokens, **_pixels(processor))
        asking = Asking(portions(data.data, print), data, boxes, sampling, cache, given.send_frames_to)
        best = Refinement(given, data, asking, serving).run()
        print(f"best: round {best['round']} with {best['score']:.4f}: {best['model']}")


def _pixels(processor: Any) -> dict[str, Any]:
    """Pixel budget and side of a visual token of a processor."""
    images = processor.image_processor
    size = getattr(images, "size", None) or {}
    found = {
        "min_pixels": getattr(images, "min_pixels", None) or size.get("shortest_edge"),
        "max_pixels": getattr(images, "max_pixels", None) or size.get("longest_edge"),
        "factor": images.patch_size * images.merge_size if hasattr(images, "merge_size") else None,
    }
    return {name: int(value) for name, value in found.items() if value}
