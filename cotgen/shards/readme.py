"""README.md of a data set: the features and splits that loaders read, and what a person needs to know first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import yaml

from cotgen.records import SPLITS, Manifest, SourceTerms
from cotgen.shards.licences import strictest

#: Column -> type, in the order in which the `datasets` WebDataset builder names them. `json` as a type keeps ragged
#: records as they are; inferred types drop or crash on what the first five samples do not show.
FEATURES = {"jpg": "image", "json": "json", "__key__": "string", "__url__": "string"}


def features_of(manifest: Manifest) -> dict[str, str]:
    """Column -> type of this folder: without `jpg` where frames are not stored."""
    return {name: dtype for name, dtype in FEATURES.items() if name != "jpg" or manifest.counts.get("images")}


def readme(manifest: Manifest) -> str:
    """The text of README.md; depends on the manifest alone."""
    title = listed([source.title for source in manifest.sources]) or "surgical video"
    parts = [
        f"---\n{yaml.safe_dump(card_header(manifest, title), sort_keys=False, allow_unicode=True, width=1000)}---",
        f"# Three-level chains of thought on {title}",
        INTRODUCTION,
        "## What is in it",
        counts_table(manifest),
        *by_source(manifest),
        f"Split table: `{manifest.split_table}`. One operation is in one split, whichever data set labels it.",
        *blind(manifest),
        *by_a_model(manifest),
        "## How to load it",
        _LOADING,
        "## What was left out",
        left_out_list(manifest),
        "## Licence and citation",
        *(source_terms(source) for source in manifest.sources),
        *strictest_terms(manifest.sources),
        "The chains are generated text. They are for research and no medical advice.",
    ]
    return "\n\n".join(parts) + "\n"


def card_header(manifest: Manifest, title: str) -> dict[str, Any]:
    """The head of README.md, which loaders read: licence, configurations, features."""
    features = [{"name": name, "dtype": dtype} for name, dtype in features_of(manifest).items()]
    splits = [split for split in SPLITS if any(shard.split == split for shard in manifest.shards)]
    return {
        "pretty_name": f"Three-level chains of thought on {title}",
        **_licence(manifest),
        "language": ["en"],
        "task_categories": ["visual-question-answering", "image-text-to-text"],
        "tags": ["medical", "surgery", "chain-of-thought", "webdataset", "cotgen"],
        "configs": [
            {
                "config_name": "default",
                "data_files": [{"split": split, "path": f"data/{split}-*.tar"} for split in splits],
            }
        ],
        "dataset_info": {"config_name": "default", "features": features},
    }


def _licence(manifest: Manifest) -> dict[str, str]:
    stated = sorted({source.licence for source in manifest.sources})
    if known := strictest(stated):
        return {"license": known}
    return {"license": "other", "license_name": "; ".join(stated) or "unstated"}


def counts_table(manifest: Manifest) -> str:
    """Surgeries, frames and pairs by split and task."""
    counts: Mapping[str, Any] = manifest.counts
    by_split: Mapping[str, Mapping[str, int]] = counts.get("pairs_by_split_and_task", {})
    tasks = sorted({task for row in by_split.values() for task in row})
    lines = [f"| split | surgeries | frames | pairs | {' | '.join(tasks)} |", "|---|" + "---:|" * (3 + len(tasks))]
    for split in SPLITS:
        if split in by_split:
            frames = counts.get("samples_by_split", {}).get(split, 0)
            cells = [len(manifest.splits.get(split, [])), frames, sum(by_split[split].values())]
            cells += [by_split[split].get(task, 0) for task in tasks]
            lines.append(f"| {split} | {' | '.join(f'{cell:,}' for cell in cells)} |")
    return "\n".join(lines)


def blind(manifest: Manifest) -> Iterator[str]:
    """How far wording, named terms and options alone give answers away."""
    scores: Mapping[str, Mapping[str, Any]] = manifest.counts.get("blind", {})
    if not scores:
        return
    yield "## What the words alone tell"
    yield _BLIND
    lines = ["| questions | train | validation | constant | blind | gain | |", "|---|" + "---:|" * 5 + "---|"]
    # A task stands before its own kinds of question.
    for name, row in sorted(scores.items(), key=lambda item: (item[1]["task"], item[0] != item[1]["task"], item[0])):
        shares = [f"{100 * row[part]:.1f}" for part in ("constant", "blind")]
        gain = f"{100 * row['gain']:+.1f} ± {100 * row['margin']:.1f}"
        cells = [f"{row['train']:,}", f"{row['validation']:,}", *shares, gain]
        cells = [*cells[:2], "", "", ""] if row["verdict"] == "few" else cells
        lines.append(f"| {name} | {' | '.join(cells)} | {_VERDICTS[row['verdict']]} |")
    yield "\n".join(lines)


def by_a_model(manifest: Manifest) -> Iterator[str]:
    """Who wrote the chains besides templates, how many of its replies were kept, and what a judge said of them."""
    for number, (told, counts) in enumerate(_teachers(manifest.config, manifest.counts)):
        if not number:
            yield "## Chains by a model"
        yield from _of_a_model(told, counts)
    if (policy := manifest.config.get("policy")) and (refined := manifest.counts.get("refined")):
        yield "## Chains by a model that was trained on such chains"
        yield _of_a_policy(policy, refined)


def _teachers(
    config: Mapping[str, Any], counts: Mapping[str, Any]
) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    """Settings and counts of each teacher, in a merged set those of its parents."""
    if config.get("teacher") and counts.get("teacher"):
        yield config["teacher"], counts["teacher"]
    for own, counted in zip(config.get("parents", []), counts.get("parents", []), strict=False):
        yield from _teachers(own, counted)


def _of_a_policy(told: Mapping[str, Any], counts: Mapping[str, Any]) -> str:
    """How a policy was asked, what was kept of its samples, and what the checks refused."""
    own, hinted = counts["policy"], counts["hint"]
    refused = ", ".join(f"{name} {n:,}" for name, n in sorted(own["refused"].items(), key=lambda e: (-e[1], e[0])))
    return (
        f"Round {told['round']}: `{told['model']}` was asked for {own['samples']:,} samples to {own['prompts']:,} questions "
        f"(temperature {told['temperature']}). {own['right']:,} had the right answer; {own['kept']:,} questions have a "
        f"chain that passes every check (writer `policy/{told['round']}`). Not kept: {refused or 'none'}. Of the questions "
        f"without a right sample {hinted['prompts']:,} were asked again with the answer as a hint, and "
        f"{hinted['chosen']:,} chains of these are here (writer `policy-hint/{told['round']}`). The policy wrote text "
        "alone: the evidence of each sentence was looked up in the labels. No set has two chains of one question. What "
        "may be done with a model's text also depends on the terms of the model that the policy was trained from."
    )


def _of_a_model(told: Mapping[str, Any], counts: Mapping[str, Any]) -> Iterator[str]:
    others = "the others are left out" if told["fallback"] == "none" else "the others keep the chain of their template"
    shown = "It was shown the pictures." if told["pixels"] else "It was shown no picture."
    yield (
        f"`{told['model']}` was asked for the chains of {counts['asked']:,} questions (prompt version {told['prompt']}, "
        f"temperature {told['temperature']}). {shown} The checks let {counts['accepted']:,} pass, {counts['mended']:,} "
        f"of them after a second request that quoted their findings; {others}. What may be done with a model's text also "
        "depends on the terms of that model. Sentences of basis `visual` tell how things look to it; no label proves them."
    )
    lines = ["| basis | sentences written | without a finding | kept |", "|---|---:|---:|---:|"]
    for basis, row in counts["by_basis"].items():
        lines.append(f"| {basis} | {row['written']:,} | {row['sound']:,} | {row['kept']:,} |")
    yield "\n".join(lines)
    if judge := told.get("judge"):
        from cotgen.chains.judge import told as said

        yield " ".join([f"Judged by `{judge['model']}`.", *said(counts["judged"])])


def left_out_list(manifest: Manifest) -> str:
    """What is not in it, and why."""
    if not manifest.left_out:
        return "Nothing."
    lines = []
    for item in manifest.left_out:
        examples = f" ({', '.join(item.examples)})" if item.examples else ""
        lines.append(f"- {item.count:,} {item.what}{'' if item.count == 1 else 's'}: {item.reason}{examples}")
    return "\n".join(lines).replace("surgerys", "surgeries")


def listed(names: Sequence[str]) -> str:
    """`A`, `A and B`, `A, B and C`."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def by_source(manifest: Manifest) -> Iterator[str]:
    """Where several sources are joined: questions by the source whose labels they ask about, and disagreement."""
    pairs: Mapping[str, Mapping[str, int]] = manifest.counts.get("pairs_by_source_and_task", {})
    if pairs:
        tasks = sorted({task for row in pairs.values() for task in row})
        lines = [f"| labels of | {' | '.join(tasks)} |", "|---|" + "---:|" * len(tasks)]
        lines += [
            f"| {name} | {' | '.join(f'{row.get(task, 0):,}' for task in tasks)} |" for name, row in pairs.items()
        ]
        yield "\n".join(lines)
    disputed: Mapping[str, int] = manifest.counts.get("disputed", {})
    if disputed:
        counts = listed([f"{count:,} frames in {kind}" for kind, count in disputed.items()])
        yield f"Where the sources of a frame contradict one another, nothing is asked of that kind: {counts}."


def source_terms(source: SourceTerms) -> str:
    """Licence, terms and citation of one source."""
    homepage = f" ({source.homepage})" if source.homepage else ""
    citation = f" Cite: {source.citation}" if source.citation else ""
    return (
        f"**{source.title}**{homepage}: {source.licence}. Under these terms frames {_may(source.share_frames)}, and "
        f"text derived from the labels {_may(source.share_text)}.{citation}"
    )


def strictest_terms(sources: Sequence[SourceTerms]) -> Iterator[str]:
    """What holds for the whole where several licences meet."""
    if len(sources) > 1:
        frames = _may(all(source.share_frames for source in sources))
        text = _may(all(source.share_text for source in sources))
        yield f"For the whole the strictest of these terms hold: frames {frames}, and text {text}."


def _may(allowed: bool) -> str:
    return "may be shared" if allowed else "must not be shared"


INTRODUCTION = """\
Questions about single frames of surgical video, each answered by a chain of thought in three levels: what is seen
(perceptual grounding), what is done to what (relational understanding), what that means for the question (contextual
reasoning). Each sentence names what it rests on: a label of the frame, a measurement, an earlier sentence, a count
over the training surgeries, or general knowledge. `cotgen verify` resolves all of it again."""

_BLIND = """\
A count model that is given the wording, the terms that a question names and its options, but no picture and no label,
learns on train and answers validation; beside it the constant answer to each kind of question, of each family of data
sets. Mean scores in percent, the gain with its 95 % interval over operations. A gain above 2 points means that questions
tell something of their answers: a leak of the wording or the options, or an answer that mostly goes with a named term."""

_VERDICTS = {"ok": "", "leaks": "more than 2 points", "few": "too few to say"}

_LOADING = """\
With cotgen, by name and by filter, without unpacking:

```python
import cotgen

ds = cotgen.open(".")
sample = ds[0]
print(sample.pairs[0].render("cot")["response"])
```

With `datasets`, whole or as a stream; the column types come from the head of this file:

```python
from datasets import load_dataset

ds = load_dataset(".", streaming=True)
```

With `webdataset`, or with any program that reads tar files (members `KEY.jpg` and `KEY.json`):

```python
import glob
import webdataset

ds = webdataset.WebDataset(sorted(glob.glob("data/*.tar")), shardshuffle=False).decode("pil")
```

`index.parquet` has a row per question with its shard, byte offset, split, task and answer. `sha256sum -c SHA256SUMS`
tells whether the copy is whole."""
