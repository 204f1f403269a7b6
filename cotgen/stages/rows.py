"""Rows: what the trainer makes of the first rows of a run, by its own collator: tokens, pictures, and the text that learns.

Nothing is guessed from characters: each row goes through the processor as it will in the run.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from cotgen.chains.boxes import BoxFormat
from cotgen.chains.render import render
from cotgen.errors import CotgenError
from cotgen.tasks.boxes import iou, read_boxes
from cotgen.training.loader import Loader
from cotgen.training.processor import TRIED

Size = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Measured:
    """One row.

    Attributes:
        name: `key#id`.
        prompt: tokens before the completion, the picture's among them.
        completion: tokens that carry loss; of view `prompt`, those that the chain of the data set would have.
        picture: tokens of the picture.
        size: of the stored picture.
        text: the prompt as the model gets it, the tokens of the picture as one.
        supervised: what carries loss, special tokens and all.
    """

    name: str
    prompt: int
    completion: int
    picture: int
    size: Size
    text: str
    supervised: str

    @property
    def tokens(self) -> int:
        """Of the whole row."""
        return self.prompt + self.completion


def measure(loader: Loader, processor: Any, most: int) -> Iterator[Measured]:
    """Rows in the order in which the run shows them.

    Args:
        loader: of the run.
        processor: of the model.
        most: how many.

    Raises:
        CotgenError: a row has no text that carries loss, or a shard is damaged.
    """
    from trl.trainer.sft_trainer import DataCollatorForVisionLanguageModeling

    collator = DataCollatorForVisionLanguageModeling(processor, max_length=None, completion_only_loss=True)
    merge = getattr(processor.image_processor, "merge_size", 1)
    for pair in loader.order.slice(0, most):
        row = loader.row(int(pair))
        image = row["images"][0]
        if "completion" not in row:
            _, stored, _ = loader.pool.read(int(pair))
            gold = render(stored, "cot", loader.boxes, image.size)["response"]
            row = row | {"completion": [{"role": "assistant", "content": gold}]}
        batch = collator([{name: row[name] for name in ("images", "prompt", "completion")}])
        ids, labels = batch["input_ids"][0], batch["labels"][0]
        supervised = labels != -100
        if not bool(supervised.any()):
            raise CotgenError(f"{row['name']}: nothing of it carries loss; its chat template loses the answer")
        grid = batch.get("image_grid_thw")
        picture = 0 if grid is None else int(grid[0].prod()) // merge**2
        yield Measured(
            name=row["name"],
            prompt=int((~supervised).sum()),
            completion=int(supervised.sum()),
            picture=picture,
            size=image.size,
            text=_folded(processor.tokenizer.decode(ids[~supervised].tolist()), processor),
            supervised=processor.tokenizer.decode(labels[supervised].tolist()),
        )


def _folded(text: str, processor: Any) -> str:
    """The text with the run of picture tokens as one."""
    token = getattr(processor, "image_token", "")
    if not token or token not in text:
        return text
    first, last = text.index(token), text.rindex(token) + len(token)
    return f"{text[:first]}{token} x {text.count(token)}{text[last:]}"


def percentiles(values: Sequence[int], shares: Sequence[int] = (50, 90, 99)) -> list[int]:
    """The smallest value that so many of a hundred do not exceed."""
    ordered = sorted(values)
    return [ordered[max(0, -(-len(ordered) * share // 100) - 1)] for share in shares]


def picture_tokens(processor: Any, size: Size) -> int:
    """Tokens that a picture of that size becomes; 0 where the processor does not tell."""
    from PIL import Image

    images = processor.image_processor
    grid = images(images=[Image.new("RGB", size)]).get("image_grid_thw")
    if grid is None:
        return 0
    frames, rows, columns = (int(n) for n in grid[0])
    return frames * rows * columns // getattr(images, "merge_size", 1) ** 2


@dataclass(frozen=True, slots=True)
class RoundTrip:
    """Boxes of one picture size, from the truth to text and back through the parser.

    Attributes:
        size: width and height.
        boxes: how many were tried.
        least: the lowest IoU of a box with what came back of it; -1 where it was not read at all.
        off: the most pixels that an edge moved.
        allowed: the most that the grid of the convention can move it: half a step and the rounding.
    """

    size: Size
    boxes: int
    least: float
    off: int
    allowed: int

    @property
    def exact(self) -> bool:
        """Whether each box came back as it was."""
        return self.off == 0 and self.least == 1.0


def round_trip(boxes: BoxFormat, size: Size, given: Sequence[Sequence[int]] = ()) -> RoundTrip:
    """Write boxes as the model reads them, and read them as a reply.

    Args:
        boxes: the convention of the run.
        size: of the picture.
        given: boxes in its pixels; without any, a grid of them over the picture, from small to nearly all of it.
    """
    tried = [tuple(map(int, box)) for box in given] or list(_grid_of_boxes(size))
    least, off = 1.0, 0
    for box in tried:
        written = boxes.write("<bbox:0>", [box], size)
        back = read_boxes(boxes.read(written, size), [])
        if back is None or len(back) != 1:
            least = -1.0
            continue
        x1, y1, x2, y2 = box
        least = min(least, iou((x1, y1, x2, y2), back[0]))
        off = max(off, *(abs(a - b) for a, b in zip(box, back[0], strict=True)))
    grid = boxes.grid(size)
    step = max(side / lines for side, lines in zip(size, grid, strict=True))
    # Half a step; a box of two pixels, the smallest there is, may fall between the lines and is made one step wide.
    allowed = 0 if step <= 1 else int((0.5 if step <= 2 else 1.5) * step + 0.5)
    return RoundTrip(size, len(tried), least, off, allowed)


def _grid_of_boxes(size: Size) -> Iterator[tuple[int, ...]]:
    width, height = size
    for part in (40, 7, 3, 1.02):
        across, down = max(2, int(width / part)), max(2, int(height / part))
        for column in range(0, width - across + 1, max(1, (width - across) // 9)):
            for row in range(0, height - down + 1, max(1, (height - down) // 9)):
                yield column, row, column + across, row + down


def sizes_to_try(of_data: Sequence[Size]) -> list[Size]:
    """Those of the data, then those of the field's cameras, and an odd one."""
    return list(dict.fromkeys([*of_data, *TRIED]))
