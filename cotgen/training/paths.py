"""The two paths of a refinement round, and its score: what came of prompts becomes files of chains.

Path A keeps right chains of the policy. Path B asks prompts without a right sample again, with the answer as a hint, and
keeps at most a share of the round, drawn by the names of the prompts. Both write their file whole or not at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from cotgen.chains.boxes import BoxFormat
from cotgen.draws import draw
from cotgen.errors import CotgenError
from cotgen.shards.files import replacing
from cotgen.shards.refined import Chains
from cotgen.surgeries.priors import Priors
from cotgen.training.hint import hint
from cotgen.training.refine import Account, Judged, Keeping, judge
from cotgen.training.reply import answer_score
from cotgen.training.sampler import Prompt, Sampled


def path_a(
    sampled: Iterable[Sampled], out: Path, number: int, priors: Priors | None, keeping: Keeping
) -> dict[str, Any]:
    """Keep right chains of a policy: write them to a file, whole or not at all.

    Args:
        sampled: what came of the prompts.
        out: the file, lines of `cotgen.shards.refined.Chains`.
        number: of the round.
        priors: of the data sets.
        keeping: what is kept.

    Returns:
        What became of the samples, `unanswered` the names of prompts without a right one, and `failed` how many got no
        reply.

    Raises:
        CotgenError: no prompt got a reply.
    """
    account = Account()
    unanswered: list[str] = []
    failed: list[str] = []
    why = ""
    with replacing(out) as file:
        for item in sampled:
            if item.failed:
                failed.append(item.prompt.name)
                why = why or item.failed
                continue
            judged = judge(item.texts, item.prompt.row, item.prompt.pair, f"policy/{number}", priors, keeping)
            account.add(judged, len(item.texts))
            if not judged.right:
                unanswered.append(item.prompt.name)
            for rank, pair in enumerate(judged.pairs):
                file.write(Chains.line(item.prompt.record["key"], rank, pair))
    if failed and not account.prompts:
        raise CotgenError(f"none of {len(failed):,} prompts got a reply: {why}")
    return {"account": account.told(), "names": unanswered, "failed": failed}


def path_b(
    sampled: Iterable[Sampled], out: Path, number: int, priors: Priors | None, keeping: Keeping, most: int, seed: int
) -> dict[str, Any]:
    """Keep chains that were written with a hint, the best of each prompt, at most so many.

    Args:
        sampled: what came of the prompts with a hint.
        out: the file.
        number: of the round.
        priors: of the data sets.
        keeping: what is kept.
        most: prompts; which ones is drawn by their names.
        seed: of that draw.
    """
    account = Account()
    failed: list[str] = []
    found: list[tuple[str, str, Judged]] = []
    for item in sampled:
        if item.failed:
            failed.append(item.prompt.name)
            continue
        writer = f"policy-hint/{number}"
        judged = judge(item.texts, item.prompt.row, item.prompt.pair, writer, priors, replace(keeping, most_right=1.0))
        account.add(judged, len(item.texts))
        if judged.pairs:
            found.append((item.prompt.name, item.prompt.record["key"], judged))
    chosen = {name for name, _, _ in sorted(found, key=lambda entry: draw(seed, "hint", entry[0]))[:most]}
    with replacing(out) as file:
        for name, key, judged in found:
            if name in chosen:
                file.write(Chains.line(key, 0, judged.pairs[0]))
    return {"account": account.told(), "chosen": len(chosen), "failed": failed}


def with_hint(prompt: Prompt, boxes: BoxFormat, facts: bool) -> Prompt:
    """The prompt with the right answer, and perhaps the facts, after its question."""
    *before, (role, question) = prompt.turns
    told = f"{question}\n\n{hint(prompt.row.scene, prompt.pair, boxes, facts)}"
    return replace(prompt, turns=(*before, (role, told)))


def most_hinted(kept: int, share: Fraction) -> int:
    """How many prompts of path B go with so many of path A, so that they are at most `share` of both."""
    return int(kept * share / (1 - share))


def hinted_names(names: Sequence[str], most: int, seed: int) -> frozenset[str]:
    """The prompts that are asked with a hint, drawn by their names."""
    return frozenset(sorted(names, key=lambda name: draw(seed, "hint", name))[:most])


def score(sampled: Iterable[Sampled], keeping: Keeping) -> dict[str, Any]:
    """The score of held-out questions: mean over tasks of the mean score of their answers; no reply scores 0.

    Raises:
        CotgenError: no question got a reply.
    """
    found: dict[str, list[float]] = {}
    why = ""
    answered = False
    for item in sampled:
        row = item.prompt.row
        text = item.texts[0] if item.texts else None
        answered |= not item.failed
        why = why or item.failed
        found.setdefault(row.task, []).append(answer_score(text, row, keeping.reader, keeping.opened))
    if not answered:
        raise CotgenError(f"no held-out question got a reply: {why or 'there are none'}")
    means = {task: round(sum(values) / len(values), 6) for task, values in sorted(found.items())}
    return {
        "mean": round(sum(means.values()) / len(means), 6),
        "by_task": means,
        "questions": sum(map(len, found.values())),
    }
