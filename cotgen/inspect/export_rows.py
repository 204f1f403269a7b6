"""Layout: what a trainer reads, a row for each pair. The texts are those of `cotgen.chains.render`, and nothing else's.

- `swift`: ms-swift's JSON lines: `messages`, `images`, and the boxes in `objects` where the text has a bare `<bbox>`.
- `llava`: one JSON array of `id`, `image`, `conversations`.
- `sharegpt`: LLaMA-Factory's `conversations` and `images`, as JSON lines that `dataset_info.json` names.
- `trl`: conversational `prompt` and `completion`, beside the pictures as `metadata.jsonl`, which `datasets` reads with them.
- `parquet`: the columns of `trl`, with the pictures in the file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from cotgen.chains.boxes import BoxConvention, BoxFormat, named_boxes
from cotgen.chains.render import View, Words

FormatName = Literal["swift", "llava", "trl", "sharegpt", "parquet"]
FORMATS: tuple[FormatName, ...] = get_args(FormatName)
IMAGES = "images"
#: What stands for the picture in a text.
_PICTURE = "<image>"
_AS_STORED, _PIXELS = BoxFormat("index"), BoxFormat("pixels")
_NUMBERS: tuple[BoxConvention, ...] = ("pixels", "resized", "per_mille", "normalised")


@dataclass(frozen=True, slots=True)
class Item:
    """One pair to be written.

    Attributes:
        id: `key#id`, by which predictions and reviews call it.
        task: name of its task.
        words: its texts.
        size: width and height of its picture in pixels.
        image: the picture, relative to the folder of the pictures of its split.
        split: its split.
    """

    id: str
    task: str
    words: Words
    size: tuple[int, int]
    image: str
    split: str

    @property
    def path(self) -> str:
        """The picture, relative to the exported folder."""
        return f"{IMAGES}/{self.split}/{self.image}"


@dataclass(frozen=True, slots=True)
class Layout:
    """One format.

    Attributes:
        name: as the command line has it.
        reader: the program that reads it.
        views: those that it can hold.
        boxes: ways to write boxes that its reader understands; the first is the default.
        row: a pair as plain values.
        file: the file of a split in the exported folder; for parquet, of a shard.
        array: whether the rows are one JSON array instead of lines.
    """

    name: FormatName
    reader: str
    views: tuple[View, ...]
    boxes: tuple[BoxConvention, ...]
    row: Callable[[Item, View, BoxFormat], dict[str, Any]]
    file: str
    array: bool = False


def first_row(row: dict[str, Any], item: Item) -> dict[str, Any]:
    """A row as the first of a file.

    `datasets`, with which ms-swift reads, takes the types of all rows from the first ten megabytes: a list of boxes that
    is empty there could hold none later. So the first row has one box that no text names, the whole picture.
    """
    if row.get("objects") == {"ref": [], "bbox": []}:
        return {**row, "objects": {"ref": [], "bbox": [[0, 0, *item.size]]}}
    return row


def _swift(item: Item, view: View, boxes: BoxFormat) -> dict[str, Any]:
    bare = boxes.convention == "bare"
    stored = item.words.boxes
    told = item.words.render(view, _AS_STORED if bare else boxes, item.size)
    texts = [told["prompt"]] if view == "prompt" else [told["prompt"], told["response"]]
    row: dict[str, Any] = {"id": item.id, "images": [item.path]}
    if bare:
        named = [stored[n] for text in texts for n in named_boxes(text)]
        row["objects"] = {"ref": [], "bbox": named}
        texts = [boxes.write(text, stored, item.size) for text in texts]
    texts[0] = _PICTURE + texts[0]
    row["messages"] = [
        {"role": role, "content": text} for role, text in zip(("user", "assistant"), texts, strict=False)
    ]
    if view == "prompt":
        # ms-swift puts boxes into messages only, so the solution keeps the pixels of the stored picture.
        solution = _PIXELS.write(told["answer"], stored, item.size) if bare else told["answer"]
        row |= _for_rewards(item, solution)
    return row


def _turns(item: Item, view: View, boxes: BoxFormat, after_picture: str) -> list[dict[str, str]]:
    told = item.words.render(view, boxes, item.size)
    return [
        {"from": "human", "value": f"{_PICTURE}{after_picture}{told['prompt']}"},
        {"from": "gpt", "value": told["response"]},
    ]


def _llava(item: Item, view: View, boxes: BoxFormat) -> dict[str, Any]:
    return {"id": item.id, "image": item.path, "conversations": _turns(item, view, boxes, "\n")}


def _sharegpt(item: Item, view: View, boxes: BoxFormat) -> dict[str, Any]:
    return {"id": item.id, "images": [item.path], "conversations": _turns(item, view, boxes, "")}


def _conversational(item: Item, view: View, boxes: BoxFormat) -> dict[str, Any]:
    told = item.words.render(view, boxes, item.size)
    row: dict[str, Any] = {"id": item.id, "prompt": [{"role": "user", "content": told["prompt"]}]}
    if view == "prompt":
        return row | _for_rewards(item, told["answer"])
    return row | {"completion": [{"role": "assistant", "content": told["response"]}]}


def _trl(item: Item, view: View, boxes: BoxFormat) -> dict[str, Any]:
    return _conversational(item, view, boxes) | {"images_file_names": [item.image]}


def _for_rewards(item: Item, solution: str) -> dict[str, Any]:
    return {"task": item.task, "solution": solution, "width": item.size[0], "height": item.size[1]}


_ANSWERED: tuple[View, ...] = ("vqa", "cot")
_ALL: tuple[View, ...] = ("vqa", "cot", "prompt")

LAYOUTS: Mapping[FormatName, Layout] = {
    layout.name: layout
    for layout in (
        Layout("swift", "ms-swift", _ALL, ("bare", *_NUMBERS), _swift, "{split}.jsonl"),
        Layout("llava", "LLaVA", _ANSWERED, _NUMBERS, _llava, "{split}.json", array=True),
        Layout("trl", "TRL", _ALL, _NUMBERS, _trl, f"{IMAGES}/{{split}}/metadata.jsonl"),
        Layout("sharegpt", "LLaMA-Factory", _ANSWERED, _NUMBERS, _sharegpt, "{split}.jsonl"),
        Layout("parquet", "datasets", _ALL, _NUMBERS, _conversational, "data/{shard}.parquet"),
    )
}
