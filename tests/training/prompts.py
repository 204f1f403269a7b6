"""Prompts with their right completions, from look-alike frames of every source, and parts of completions."""

from dataclasses import dataclass
from functools import cache
from typing import Any

from cotgen.chains.render import render_boxes, render_chain
from cotgen.chains.write import write_surgery
from cotgen.records import Frame, Pair, Sample, Scene
from cotgen.tasks import TASKS
from cotgen.training.rewards import RewardConfig, Scorer
from cotgen.training.rows import Row, read_rows, reward_columns
from tests.chains.conftest import make_surgery
from tests.chains.scenes import FRAMES, frames_of

FRAMES_EACH = 6
SCORER = Scorer(RewardConfig())


@dataclass(frozen=True)
class Prompt:
    """One prompt.

    Attributes:
        columns: those of view `prompt`.
        row: the same as a reward reads them.
        gold: the chain of the template with the right answer, boxes in pixels of the stored picture.
        pair: as stored.
    """

    columns: dict[str, Any]
    row: Row
    gold: str
    pair: Pair

    @property
    def think(self) -> str:
        return self.gold.partition("<answer>")[0]

    @property
    def answer(self) -> str:
        return self.gold.partition("<answer>")[2].removesuffix("</answer>")

    def saying(self, answer: str) -> str:
        """The right chain with another answer."""
        return f"{self.think}<answer>{answer}</answer>"

    def rewards(self, text: str) -> dict[str, float | None]:
        return SCORER.all(text, self.row)


def sample_of(scene: Scene, pairs: list[Pair]) -> Sample:
    width, height = scene.size if all(scene.size) else (854, 480)
    frame = Frame(
        index=scene.index, fps="25/1", time_s=scene.index / 25, width=width, height=height,
        source=sorted(scene.labelled)[0].partition(".")[0], file="", native_index=scene.index, crop=[], pixels="", sha256="",
    )  # fmt: skip
    return Sample(
        key=scene.key, surgery=scene.surgery, split="train", sources=[frame.source], frame=frame,
        labelled=sorted(scene.labelled), facts=list(scene.facts), measured=list(scene.measured),
        context=list(scene.context), pairs=pairs,
    )  # fmt: skip


def prompt_of(sample: Sample, pair: Pair) -> Prompt:
    columns = reward_columns(sample, pair)
    size = (sample.frame.width, sample.frame.height)
    [row] = read_rows({name: [value] for name, value in columns.items()}, 1)
    return Prompt(columns, row, render_boxes(render_chain(pair), pair.boxes, "pixels", size), pair)


@cache
def prompts_of(source: str, number: int = FRAMES_EACH) -> tuple[Prompt, ...]:
    """All prompts about so many frames of one surgery of a source."""
    scenes = make_surgery(1)[: 10 * number : 10] if source == "cholec80" else frames_of(source, number)
    written = write_surgery(scenes, tasks=list(TASKS), seed=0, priors=None)
    return tuple(
        prompt_of(sample_of(scene, pairs), pair)
        for scene, pairs in zip(scenes, written.pairs, strict=True)
        for pair in pairs
    )


@cache
def every_prompt() -> tuple[Prompt, ...]:
    return tuple(prompt for source in ("cholec80", *FRAMES) for prompt in prompts_of(source))


def first(source: str, id: str, *, due: bool = False) -> Prompt:
    """The first prompt of a source whose pair id begins so; with `due`, one that has a faithfulness."""
    return next(
        p for p in prompts_of(source)
        if p.pair.id.startswith(id) and (not due or p.rewards(p.gold)["faithfulness"] is not None)
    )  # fmt: skip


def chain(one: str, two: str, three: str, answer: str) -> str:
    return f"<think>Level 1: {one}\nLevel 2: {two}\nLevel 3: {three}</think><answer>{answer}</answer>"
