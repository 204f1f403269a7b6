"""Asking: what the scripts that ask a served model are told: which server, which checkpoint it serves, which prompts.

The scripts speak HTTP to any OpenAI-compatible server and load no model, so that the server may live in an environment and
on a machine of its own. How pictures are resized, how boxes are written and what the model is told first are those of the
checkpoint, so that it is asked as it was trained.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cotgen.build.report import Reporter
from cotgen.build.teaching import named
from cotgen.chains.boxes import BOX_CONVENTIONS, BoxFormat
from cotgen.chains.render import View
from cotgen.errors import CotgenError
from cotgen.models.cache import ReplyCache
from cotgen.models.endpoint import Endpoint
from cotgen.models.images import FACTOR, MAX_PIXELS, MIN_PIXELS
from cotgen.records import Split
from cotgen.stages.data import portions
from cotgen.stages.flags import flag
from cotgen.stages.models import trained_boxes
from cotgen.stages.policy import RECORD, weights_of
from cotgen.training.pool import Pool
from cotgen.training.portions import Portion
from cotgen.training.sampler import Prompt, Sampled, Sampling, prompts_of, sample
from cotgen.training.selection import Selection
from cotgen.training.views import INSTRUCTIONS

if TYPE_CHECKING:
    from rich.console import Console


@dataclass
class PromptArguments:
    """Which prompts are asked."""

    data: list[str] = flag("DIR or ORG/NAME@REVISION; may be several", [])
    tasks: list[str] = flag("only these tasks; all without", [])
    sources: list[str] = flag("only frames that one of these labels; all without", [])
    most: int = flag("so many prompts at most, drawn by their names; 0: all", 0)
    boxes: str = flag(
        "per_mille, resized, pixels or normalised: how the model writes boxes; without, as its checkpoint"
    )
    instruction: str = flag(
        "what the model is told before the question; without, as its checkpoint was, else the view's"
    )
    seed: int = flag("of draws and sampling", 0)

    def __post_init__(self) -> None:
        """Raises CotgenError for what means nothing."""
        if self.boxes and self.boxes not in BOX_CONVENTIONS:
            raise CotgenError(f"boxes: '{self.boxes}' is none of {', '.join(BOX_CONVENTIONS)}")
        if self.most < 0:
            raise CotgenError("most is a number of prompts; 0 for all")

    def selection(self, view: View, split: Split = "train") -> Selection:
        """The pairs of one view and split; chains without a reason among them, since only the answer is asked for."""
        return Selection(
            view=view, splits=(split,), tasks=tuple(self.tasks), sources=tuple(self.sources), asserted=True
        )


@dataclass
class PolicyArguments:
    """Which model is asked, and how."""

    policy_url: str = flag("base URL of an OpenAI-compatible server, http://localhost:8000/v1")
    policy_model: str = flag("the model as the server lists it; without, the only one that it lists")
    checkpoint: str = flag(
        "folder of the served model: its boxes, pixel budget and instruction are used, and replies of another checkpoint "
        "under the same name are not taken from the cache"
    )
    policy_max_tokens: int = flag("of one reply", 1024)
    policy_timeout: float = flag("of one request, in seconds", 180.0)
    policy_concurrency: int = flag("the most requests in flight", 64)
    policy_extra: str = flag("more fields of each request, as JSON")
    policy_pixels: int = flag(
        "most pixels of a picture as it is sent; 0: as the checkpoint's processor, else 1280 tokens", 0
    )
    policy_min_pixels: int = flag("least pixels of a picture as it is sent; 0: as the checkpoint's processor", 0)
    policy_factor: int = flag("side of a visual token: 28 for Qwen2.5-VL, 32 for Qwen3-VL; 0: as the checkpoint", 0)
    top_p: float = flag("of the sampling", 1.0)
    send_frames_to: list[str] = flag(
        "hosts that pictures may be sent to although the terms of a source keep them here", []
    )
    work: str = flag("folder of the replies; default $COTGEN_WORK, then OUT.work beside OUT")
    think_opened: bool = flag("the chat template of the model writes <think> itself", False)

    def endpoint(self) -> Endpoint:
        """The server. Raises CotgenError where it cannot be asked as it was named."""
        return Endpoint(
            self.policy_url,
            self.policy_model or self._only_model(),
            role="policy",
            concurrency=self.policy_concurrency,
            timeout_s=self.policy_timeout,
        )

    def sampling(
        self, endpoint: Endpoint, samples: int, temperature: float, seed: int, image: bool = True
    ) -> Sampling:
        """How it is asked. Raises CotgenError where the checkpoint's files or the extra fields cannot be read."""
        least, most, factor = budget_of(Path(self.checkpoint)) if self.checkpoint else (MIN_PIXELS, MAX_PIXELS, FACTOR)
        try:
            extra = json.loads(self.policy_extra or "{}")
        except ValueError as error:
            raise CotgenError(f"--policy-extra is no JSON: {error}") from error
        if not isinstance(extra, dict):
            raise CotgenError("--policy-extra is a JSON object, as '{\"top_k\": 20}'")
        return Sampling(
            endpoint.model,
            samples,
            temperature,
            self.top_p,
            self.policy_max_tokens,
            seed,
            self.policy_min_pixels or least,
            self.policy_pixels or most,
            self.policy_factor or factor,
            image,
            extra,
            weights_of(Path(self.checkpoint)) if self.checkpoint else "",
        )

    def _only_model(self) -> str:
        from cotgen.models.thread import ClientThread

        with ClientThread(Endpoint(self.policy_url, "?", role="policy")) as thread:
            names = thread.wait(thread.client.models())
        if len(names) != 1:
            raise CotgenError(f"Name the model with --policy-model; the server lists {', '.join(names) or 'none'}.")
        return names[0]


@dataclass
class Asking:
    """A model, the prompts that it is asked, and where its replies are kept.

    Attributes:
        which: which prompts.
        policy: which model.
        view: `vqa`, `cot` or `prompt`; it decides the instruction.
        split: of the data.
        folders: the data sets.
        boxes: how the model writes boxes.
        instruction: what it is told first; None for that of the view.
    """

    which: PromptArguments
    policy: PolicyArguments
    view: View
    split: Split = "train"
    folders: list[Portion] = field(init=False)
    boxes: BoxFormat = field(init=False)
    instruction: str | None = field(init=False)

    def __post_init__(self) -> None:
        """Raises CotgenError where the data or the checkpoint cannot be read."""
        self.folders = portions(self.which.data)
        checkpoint = Path(self.policy.checkpoint) if self.policy.checkpoint else None
        self.boxes = boxes_of_checkpoint(checkpoint, self.which.boxes)
        self.instruction = self.which.instruction or instruction_of(checkpoint, self.view)

    @property
    def selection(self) -> Selection:
        """Which pairs are asked."""
        return self.which.selection(self.view, self.split)

    def number(self) -> int:
        """How many prompts there are, about: a pair of several data sets counts each time."""
        number = len(Pool(self.folders, self.selection))
        return min(number, self.which.most) if self.which.most else number

    def prompts(self) -> Iterator[Prompt]:
        """The prompts, in the order of the shards."""
        return prompts_of(self.folders, self.selection, self.boxes, self.instruction, self.which.most, self.which.seed)

    def ask(
        self, prompts: Iterable[Prompt], cache: ReplyCache, sampling: Sampling, endpoint: Endpoint
    ) -> Iterator[Sampled]:
        """The replies to prompts; see `cotgen.training.sampler.sample`."""
        hosts = {host.lower() for host in self.policy.send_frames_to}
        return sample(prompts, endpoint, cache, sampling, hosts)

    @contextmanager
    def cache(self, out: Path) -> Iterator[ReplyCache]:
        """Where the replies of a run that writes `out` are kept."""
        chosen = self.policy.work or os.environ.get("COTGEN_WORK", "")
        work = Path(chosen) if chosen else out.with_name(f"{out.name}.work")
        with ReplyCache(work / "replies.sqlite") as cache:
            if len(cache) and not self.policy.checkpoint:
                say(
                    console(),
                    f"{work} holds replies of earlier runs, and the same request takes them again. If the server has other "
                    "weights now under the same name, say --checkpoint DIR, or another --work.",
                )
            yield cache

    def public(self, sampling: Sampling) -> dict[str, Any]:
        """How the model was asked, as plain values without paths and hosts."""
        values = {name: getattr(sampling, name) for name in Sampling.__dataclass_fields__}
        return values | {"model": named(sampling.model)}


def boxes_of_checkpoint(checkpoint: Path | None, asked: str) -> BoxFormat:
    """How a served model writes boxes: as its checkpoint says, else as asked.

    Raises:
        CotgenError: neither says it, or they say different things.
    """
    trained = trained_boxes(checkpoint) if checkpoint else None
    if trained is None:
        if not asked:
            raise CotgenError(
                "how the model writes boxes is not known; say --checkpoint DIR of a model that cotgen trained, or --boxes "
                "per_mille (Qwen3-VL, Qwen2-VL, InternVL) or --boxes resized (Qwen2.5-VL)"
            )
        found = BoxFormat.of(asked)  # type: ignore[arg-type]  # the arguments hold nothing else
        if checkpoint is None or found.convention != "resized":
            return found
        least, most, _ = budget_of(checkpoint)
        return replace(found, min_pixels=least, max_pixels=most)
    if asked and asked != trained.convention:
        raise CotgenError(f"{checkpoint} was trained with boxes {trained.convention}; leave --boxes {asked} out")
    return trained


def budget_of(checkpoint: Path) -> tuple[int, int, int]:
    """Least and most pixels of a picture, and the side of a visual token, by the files of a checkpoint's processor.

    Raises:
        CotgenError: there are none, or they do not tell.
    """
    for name in ("processor_config.json", "preprocessor_config.json"):
        try:
            found = json.loads((checkpoint / name).read_text(encoding="utf-8"))
            images = found.get("image_processor", found)
            size = images.get("size") or {}
            least = images.get("min_pixels") or size["shortest_edge"]
            most = images.get("max_pixels") or size["longest_edge"]
            return int(least), int(most), int(images["patch_size"]) * int(images.get("merge_size", 1))
        except (OSError, ValueError, LookupError, TypeError, AttributeError):
            continue
    raise CotgenError(
        f"{checkpoint} has no processor_config.json or preprocessor_config.json that tells the least and most pixels of a "
        "picture; copy them from its base model"
    )


def instruction_of(checkpoint: Path | None, view: View) -> str | None:
    """What a checkpoint was told before the question in that view, by its `cotgen.json`; None where it does not say."""
    try:
        record = json.loads((checkpoint / RECORD).read_text(encoding="utf-8")) if checkpoint else {}
        same = (record["stage"] == "stage1_sft") == (view == "vqa")
        return str(record["instruction"]) if same else None
    except (OSError, ValueError, LookupError, TypeError):
        return None


def refuse_other_instruction(checkpoint: Path, given: str | None, view: View) -> None:
    """Raise CotgenError where a checkpoint was told something else before the question, and nobody says which is meant."""
    trained = instruction_of(checkpoint, view)
    if given is None and trained is not None and trained != INSTRUCTIONS[view]:
        raise CotgenError(
            f"{checkpoint} was trained with another instruction than that of the view ('{trained[:60]}'); say it with "
            "--instruction, in every stage that follows"
        )


def console() -> Console:
    """Where tables and progress are shown: a terminal as it is, a log in whole lines."""
    from rich.console import Console

    return Console() if os.isatty(1) else Console(width=160, highlight=False)


@dataclass
class Told:
    """What came of the requests of a run, for its last lines.

    Attributes:
        replies: all of them, those of no use among them.
        cut: replies that are cut, empty or refused.
        failures: prompts without a reply: why -> how many.
    """

    replies: int = 0
    cut: int = 0
    failures: Counter[str] = field(default_factory=Counter)

    def shown(self, step: str, number: int, sampled: Iterable[Sampled], reporter: Reporter) -> Iterator[Sampled]:
        """The same, counted and with progress; `number` is how many are expected."""
        reporter.expect(step, number)
        for each in sampled:
            reporter.advance(step, 1)
            self.replies += len(each.texts)
            self.cut += each.texts.count(None)
            if each.failed:
                self.failures[each.failed] += 1
            yield each

    def end(self, screen: Console, max_tokens: int) -> int:
        """Say what there is to say; the exit status, 1 where a prompt has no reply, else 0."""
        if self.cut:
            say(
                screen,
                f"{self.cut:,} of {self.replies:,} replies are cut at --policy-max-tokens {max_tokens}, empty or refused, "
                "and count as wrong.",
            )
        for sentence, count in sorted(self.failures.items()):
            say(screen, f"{count:,} without a reply: {sentence}")
        if self.failures:
            say(screen, "Run the same command again: it asks these again and nothing else.")
        return 1 if self.failures else 0


def say(screen: Console, text: str) -> None:
    """A sentence, as it is."""
    screen.print(text, markup=False, highlight=False, soft_wrap=True)


def show_table(screen: Console, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A table whose first column is text and whose others are numbers."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE)
    for position, column in enumerate(columns):
        table.add_column(column, justify="right" if position else "left", overflow="fold")
    for cells in rows:
        table.add_row(*(Text(cell) for cell in cells))
    screen.print(table)
