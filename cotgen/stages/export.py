"""Export: a run as a folder that serves, goes into the next stage, and can be published.

    python -m recipes.export RUN --out DIR [--name ORG/NAME --scores scores.json] [--push ORG/NAME]

LoRA is merged into its base, the weights are rounded to what is served, the processor is whole, `cotgen.json` and
`cotgen_boxes.json` come along, `serve.sh` has the line of `vllm serve`, README.md is the card. Of what a trainer leaves
beside its weights (optimiser, arguments with paths, its own card) nothing comes along.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cotgen.build.files import hold
from cotgen.errors import CotgenError
from cotgen.hub.checkpoint import push_checkpoint
from cotgen.hub.model_card import model_card
from cotgen.stages.arguments import VisionArguments
from cotgen.stages.checkpoint_card import Told, card_of, read_record
from cotgen.stages.merge import logits, merged
from cotgen.stages.models import ADAPTER, BOXES_FILE, adapter_base, load_processor, trained_boxes
from cotgen.stages.policy import RECORD
from cotgen.stages.rows import picture_tokens
from cotgen.stages.run import versions
from cotgen.stages.serving import Serving, budget_of, complete_processor, write_serving
from cotgen.training.processor import TRIED, check_resize


@dataclass(frozen=True, slots=True)
class Export:
    """What is exported, and how.

    Attributes:
        run: output folder of a stage, or a checkpoint in it.
        out: a new folder.
        dtype: of the weights: `bfloat16`, `float16` or `float32`.
        max_model_len: tokens that the server gives picture, question and reply.
        served_name: by which requests call the model.
        told: of the card; None for none.
    """

    run: Path
    out: Path
    dtype: str = "bfloat16"
    max_model_len: int = 4096
    served_name: str = "cotgen"
    told: Told | None = None


def export(what: Export, say: Callable[[str], None] = lambda text: None) -> None:
    """Write the folder, whole or not at all.

    Args:
        what: and how.
        say: called with a sentence at every step.

    Raises:
        CotgenError: the run is none, `out` is there, a card lacks something, or what was written is not what was meant.
    """
    record = read_record(what.run)
    boxes = trained_boxes(what.run)
    if boxes is None:
        raise CotgenError(f"{what.run} has no {BOXES_FILE}; name the output folder of a stage, or a checkpoint in it")
    if what.out.exists():
        raise CotgenError(f"{what.out} is there; give another --out, or remove it")
    # A card that cannot be made is better told of before hours of merging than after.
    card = model_card(card_of(record, what.told)) if what.told else ""
    processor = load_processor(str(what.run), VisionArguments())
    check_resize(processor, boxes)
    coming = what.out.with_name(f".{what.out.name}.coming")
    what.out.absolute().parent.mkdir(parents=True, exist_ok=True)
    with hold(what.out, what.out.absolute().parent):
        shutil.rmtree(coming, ignore_errors=True)
        model, agreement = merged(what.run, processor, what.dtype)
        if (what.run / ADAPTER).exists():
            say(
                f"merged: over {agreement.tokens} tokens the scores are those of base and adapter within "
                f"{agreement.difference:.1e} of the largest; the adapter had moved them by {agreement.moved:.1e}"
            )
        before = logits(model, processor)
        family = model.config.model_type
        model.save_pretrained(coming)
        del model
        processor.save_pretrained(coming)
        if complete_processor(coming, family, _places(what.run)):
            say("the processor was saved without its part for videos, which a server wants; it has one now")
        for name in (RECORD, BOXES_FILE):
            shutil.copyfile(what.run / name, coming / name)
        least, most = budget_of(processor)
        serving = Serving(what.served_name, what.dtype, what.max_model_len, least, most, 1, boxes.convention)
        write_serving(coming, serving, versions())
        if card:
            (coming / "README.md").write_text(card, encoding="utf-8")
        _try(coming, processor, before, what.dtype)
        coming.rename(what.out)
    say(f"{what.out} was read back and answers alike; serve it with {what.out}/serve.sh --port 8000")
    if not card:
        say("it has no card; --name ORG/NAME writes one")


def _try(folder: Path, processor: Any, before: Any, dtype: str) -> None:
    """Read the folder back: same pictures, same scores."""
    from transformers import AutoModelForImageTextToText

    again = load_processor(str(folder), VisionArguments())
    for size in TRIED:
        if picture_tokens(again, size) != picture_tokens(processor, size):
            raise CotgenError(
                f"read back, the processor makes other pictures of {size[0]} x {size[1]} than in training; nothing was "
                "written"
            )
    after = logits(AutoModelForImageTextToText.from_pretrained(folder, dtype=dtype), again)
    if after.shape != before.shape or not bool((after == before).all()):
        raise CotgenError(
            "read back, the model scores tokens otherwise than before it was written; nothing was written"
        )


def _places(run: Path) -> list[Path]:
    """Where the processor may have been whole: the base of an adapter where it is a folder, then the run."""
    if not (run / ADAPTER).exists():
        return [run]
    return [Path(adapter_base(run)[0]), run]


def main(arguments: Sequence[str] | None = None) -> None:
    """`python -m recipes.export`; see the docstring of the module."""
    import argparse

    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("run", type=Path, help="output folder of a stage, or a checkpoint in it")
    parser.add_argument("--out", type=Path, required=True, help="a new folder")
    parser.add_argument("--dtype", choices=("bfloat16", "float16", "float32"), default="bfloat16")
    parser.add_argument("--max_model_len", type=int, default=4096, help="tokens of picture, question and reply")
    parser.add_argument("--served_name", default="cotgen", help="by which requests call the model")
    parser.add_argument("--name", default="", help="ORG/NAME of the checkpoint, for its card")
    parser.add_argument("--base", default="", help="ORG/NAME[@COMMIT] of the base model, where the record cannot know")
    parser.add_argument("--base_licence", default="", help="as its publisher states it")
    parser.add_argument("--data", action="append", default=[], help="ORG/NAME@REVISION, where the data were a folder")
    parser.add_argument("--data_licence", default="", help="as its card states it; else that of its sources")
    parser.add_argument("--limit", action="append", default=[], help="a sentence for the card; may come several times")
    parser.add_argument("--scores", type=Path, help="scores.json of recipes/evaluate.py, for the card")
    parser.add_argument("--push", default="", help="ORG/NAME on the Hub; a new repository is private")
    given = parser.parse_args(arguments)
    told = None
    if given.name or given.push:
        told = Told(
            name=given.name or given.push,
            base=given.base,
            base_licence=given.base_licence,
            data=given.data,
            data_licence=given.data_licence,
            limits=given.limit,
            scores=given.scores,
        )
    what = Export(given.run, given.out, given.dtype, given.max_model_len, given.served_name, told)
    export(what, print)
    if given.push:
        push_checkpoint(given.out, given.push, say=print)
