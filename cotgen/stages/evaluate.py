"""Evaluation of a served model, or of replies in a file, on surgeries that it never saw; see `cotgen.evaluation.replies`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

from cotgen.build.report import Reporter
from cotgen.chains.render import View
from cotgen.errors import CotgenError
from cotgen.evaluation.blind import Asked, asked_in
from cotgen.evaluation.predicted import PredictedReplies
from cotgen.evaluation.replies import ALL, ReplyScores, TaskScore, plain
from cotgen.hub.model_card import Metric
from cotgen.records.base import canonical_json
from cotgen.shards.files import replacing, write_bytes
from cotgen.stages.asking import Asking, PolicyArguments, PromptArguments, Told, console, say, show_table
from cotgen.stages.flags import flag, parse_flags
from cotgen.training.pool import Pool
from cotgen.training.rewards import RewardConfig
from cotgen.training.sampler import Sampled

if TYPE_CHECKING:
    from rich.console import Console

PREDICTIONS = "predictions.jsonl"
SCORES = "scores.json"
SCORES_SCHEMA = "cotgen/scores/1"
_CONSTANT, _BLIND = "best single answer of train", "count model of the words of the question"


@dataclass
class EvaluateArguments:
    """What is scored."""

    out: str = flag(f"folder for {PREDICTIONS} and {SCORES}")
    view: str = flag("vqa: the model answers alone, as after stage 1; cot: it reasons, then answers", "cot")
    split: str = flag("validation or test", "validation")
    predictions: str = flag("score the replies of this predictions.jsonl and ask no model")
    samples: int = flag("replies to each prompt; the score is their mean", 1)
    temperature: float = flag("of the sampling; 0 for the most likely reply", 0.0)
    no_image: bool = flag("leave the picture out, to see what the model answers without looking", False)

    def __post_init__(self) -> None:
        """Raises CotgenError for what means nothing."""
        if not self.out:
            raise CotgenError("name the folder of the scores with --out DIR")
        if self.view not in ("vqa", "cot"):
            raise CotgenError(f"view: '{self.view}' is none of vqa, cot")
        if self.split not in ("validation", "test"):
            raise CotgenError(
                f"split: '{self.split}' is none of validation, test; train is what the model learnt from"
            )


def evaluate(arguments: Sequence[str] | None = None) -> int:
    """Ask or read, score, write and show.

    Args:
        arguments: without, those of the command line.

    Returns:
        The exit status: 1 where some prompts have no reply.

    Raises:
        CotgenError: something cannot be read or written, or the server refuses.
    """
    classes = (PromptArguments, PolicyArguments, EvaluateArguments)
    which, policy, what = parse_flags(classes, __doc__ or "", arguments)
    view: View = what.view
    asking = Asking(which, policy, view, what.split)
    out, screen = Path(what.out), console()
    config = RewardConfig(think_opened=policy.think_opened)
    told = Told()
    scores = ReplyScores(view, asking.boxes, _train(asking), config)
    number, scored = asking.number(), 0
    written: dict[str, Any] = {}
    missing: Counter[str] = Counter()
    with ExitStack() as stack:
        reporter = stack.enter_context(Reporter(screen))
        file: BinaryIO | None = None
        if what.predictions:
            predicted = PredictedReplies(Path(what.predictions))
            replies = _predicted(asking, predicted, missing)
        else:
            endpoint = policy.endpoint()
            image = not what.no_image
            sampling = policy.sampling(endpoint, what.samples, what.temperature, which.seed, image)
            written["sampling"] = asking.public(sampling)
            cache = stack.enter_context(asking.cache(out))
            file = stack.enter_context(replacing(out / PREDICTIONS))
            replies = asking.ask(asking.prompts(), cache, sampling, endpoint)
        for found in told.shown("prompts", number, replies, reporter):
            if found.failed:
                continue
            scores.add(found.prompt, found.texts)
            scored += 1
            if file is not None:
                _write(file, found)
    if what.predictions and scored < max(number, len(predicted)):
        say(
            screen,
            f"{what.predictions} has replies to {scored:,} of the {number:,} prompts, which are scored, and to "
            f"{len(predicted) - scored:,} pairs that are none of them.",
        )
    result = scores.result()
    written |= {
        "schema": SCORES_SCHEMA,
        "data": [manifest.fingerprint for manifest in Pool(asking.folders, asking.selection).manifests],
        "view": view,
        "split": what.split,
        "failed": told.failures.total(),
        "missing": missing.total(),
        "metrics": [metric.model_dump() for metric in metrics(result, what.split)],
        "tasks": [plain(score) for score in result],
    }
    write_bytes(out / SCORES, canonical_json(written))
    _show(screen, result, view)
    say(screen, f"{out / SCORES}: for the card of the checkpoint")
    return told.end(screen, policy.policy_max_tokens)


def metrics(scores: Sequence[TaskScore], split: Literal["validation", "test"]) -> list[Metric]:
    """The scores as a model card states them, each beside the better one of its null models.

    Args:
        scores: as `ReplyScores.result` gives them.
        split: of the data.
    """
    return [metric for score in scores for metric in _metrics(score, split)]


def _metrics(score: TaskScore, split: Literal["validation", "test"]) -> Iterator[Metric]:
    name = "mean of all tasks" if score.task == ALL else score.task
    shared: dict[str, Any] = {"split": split, "samples": score.questions}
    null = score.null
    yield Metric(
        name=f"{name}: score",
        value=_percent(score.score),
        low=_percent(score.low),
        high=_percent(score.high),
        null_name="none, since train has no such question"
        if null is None
        else _CONSTANT
        if null == score.constant
        else _BLIND,
        null_value=_percent(null) or "not known",
        **shared,
    )
    if score.reward is not None and score.null_rewards:
        best = max(sorted(score.null_rewards), key=lambda completion: score.null_rewards[completion])
        yield Metric(
            name=f"{name}: weighted reward",
            value=f"{score.reward:.3f}",
            null_name=f"completion '{best}' without looking",
            null_value=f"{score.null_rewards[best]:.3f}",
            **shared,
        )


def _train(asking: Asking) -> Iterator[Asked]:
    """The questions of the train split of all data sets."""
    for portion in asking.folders:
        yield from asked_in(portion.folder, "train")


def _predicted(asking: Asking, replies: PredictedReplies, missing: Counter[str]) -> Iterator[Sampled]:
    """The replies of a file to those prompts that it has; counts the others by task."""
    for prompt in asking.prompts():
        if prompt.name in replies:
            yield Sampled(prompt, replies.texts(prompt.name))
        else:
            missing[prompt.row.task] += 1


def _write(file: BinaryIO, found: Sampled) -> None:
    # A cut reply is no reply: an empty one, which scores 0 too when the file is read again.
    for text in found.texts:
        file.write(canonical_json({"pair": found.prompt.name, "response": text or ""}) + b"\n")


def _show(screen: Console, found: Sequence[TaskScore], view: View) -> None:
    columns = [
        "task",
        "questions",
        "surgeries",
        "score",
        "95 % interval",
        "best single answer",
        "words alone",
        "whole form",
    ]
    if view == "cot":
        columns += ["reward", "majority reward"]
    rows = []
    for score in found:
        interval = "" if score.low is None else f"{_percent(score.low)} to {_percent(score.high)}"
        row = [score.task, f"{score.questions:,}", f"{score.surgeries:,}", _percent(score.score), interval]
        row += [_percent(score.constant), _percent(score.blind), _percent(score.whole)]
        if view == "cot":
            majority = score.null_rewards.get("majority")
            row += [f"{score.reward:.3f}", "" if majority is None else f"{majority:.3f}"]
        rows.append(row)
    show_table(screen, columns, rows)
    unseen = [score.task for score in found if score.task != ALL and not score.sees]
    if unseen:
        say(screen, f"Not shown to be above what is reached without looking: {', '.join(unseen)}.")


def _percent(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.1f} %"
