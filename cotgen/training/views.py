"""Rows: what a trainer takes of one pair, in TRL's form, rendered by the functions that `pair.render` uses."""

from __future__ import annotations

import io
from typing import Any, TypeAlias

import pydantic
from PIL import Image

from cotgen.chains.boxes import BoxFormat
from cotgen.chains.render import View, render
from cotgen.errors import CotgenError
from cotgen.records import Pair, Sample
from cotgen.training.prompts import reward_columns

Row: TypeAlias = dict[str, Any]

#: What a model is told before the question, unless a run says otherwise. Nothing for bare answers.
INSTRUCTIONS: dict[View, str] = {
    "vqa": "",
    "cot": (
        "Think in three levels, then answer, in this form:\n<think>Level 1: what is seen.\n"
        "Level 2: what is done to what.\nLevel 3: what that means for the question.</think>"
        "<answer>the answer alone</answer>"
    ),
}
INSTRUCTIONS["prompt"] = INSTRUCTIONS["cot"]


def messages(question: str, instruction: str) -> list[dict[str, str]]:
    """The prompt as a conversation: the instruction, where there is one, then the question about the one picture."""
    system = [{"role": "system", "content": instruction}] if instruction else []
    return [*system, {"role": "user", "content": question}]


def row_of(record: dict[str, Any], pair: Pair, view: View, boxes: BoxFormat, instruction: str) -> Row:
    """All of a row but its picture.

    Args:
        record: the sample as stored, as plain values.
        pair: one of its pairs.
        view: `vqa` and `cot` give rows for fine-tuning, `prompt` for reinforcement learning.
        boxes: how boxes are written.
        instruction: what the model is told first; "" for nothing.

    Returns:
        `name` (`key#id`) and `prompt`, a conversation; for `vqa` and `cot` `completion`, the reply; for `prompt` the
        columns that rewards read, see `cotgen.training.prompts`.

    Raises:
        CotgenError: the record is none of a sample.
    """
    size = record["frame"]["width"], record["frame"]["height"]
    rendered = render(pair, view, boxes, size)
    row: Row = {"name": f"{record['key']}#{pair.id}", "prompt": messages(rendered["prompt"], instruction)}
    if view != "prompt":
        return row | {"completion": [{"role": "assistant", "content": rendered["response"]}]}
    try:
        return row | reward_columns(Sample.model_validate(record), pair)
    except pydantic.ValidationError as error:
        raise CotgenError(f"the record of '{record['key']}' is damaged; run `cotgen verify`") from error


def picture(jpeg: bytes, key: str) -> Image.Image:
    """The decoded picture, RGB. Raises CotgenError where it is damaged."""
    try:
        image = Image.open(io.BytesIO(jpeg), formats=["JPEG"])
        image.load()
    except (OSError, SyntaxError, ValueError) as error:
        raise CotgenError(f"the picture of '{key}' cannot be decoded; run `cotgen verify`") from error
    # Converting what is RGB already would copy it.
    return image if image.mode == "RGB" else image.convert("RGB")
