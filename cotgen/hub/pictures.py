"""The pictures of a card: numbers about the data set, drawn as PNG, which the Hub shows everywhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cotgen.inspect import plots
from cotgen.inspect.statistics import Statistics
from cotgen.shards.manifest import PICTURES

#: Kinds of question whose answers are drawn, those with the most pairs.
MOST_KINDS = 6
_DRAWN: tuple[tuple[str, Callable[..., bytes]], ...] = (
    ("pairs", plots.overview),
    ("lengths", plots.chain_lengths),
    ("skeletons", plots.skeleton_entropy),
    ("findings", plots.findings),
    ("basis", plots.basis),
    ("support", plots.support),
)


@dataclass(frozen=True, slots=True)
class Pictures:
    """What was drawn.

    Attributes:
        files: name -> bytes.
        answers: (kind of question, name of its picture), in the order of `Statistics.balance`.
    """

    files: dict[str, bytes]
    answers: tuple[tuple[str, str], ...]

    def of(self, what: str) -> str:
        """The name of a picture, or "" where there was nothing to draw."""
        name = f"{PICTURES}/{what}.png"
        return name if name in self.files else ""


def pictures(statistics: Statistics) -> Pictures:
    """Draw them. Raises CotgenError without matplotlib."""
    files = {f"{PICTURES}/{name}.png": draw(statistics, "png") for name, draw in _DRAWN}
    sizes: dict[tuple[str, str], int] = {}
    for row in statistics.balance:
        sizes[row.task, row.kind] = sizes.get((row.task, row.kind), 0) + row.pairs
    largest = sorted(sizes, key=lambda kind: (-sizes[kind], kind))[:MOST_KINDS]
    answers: list[tuple[str, str]] = []
    for task, kind in (kind for kind in sizes if kind in largest):
        name = f"{PICTURES}/answers-{len(answers) + 1}.png"
        files[name] = plots.class_balance(statistics, task, "png", kind)
        answers.append((kind, name))
    there: dict[str, Any] = {name: data for name, data in files.items() if data}
    return Pictures(there, tuple(item for item in answers if item[1] in there))
