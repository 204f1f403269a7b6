"""Arguments: what a recipe is told, beside the trainer's own configuration. TrlParser reads them from YAML and command line.

Each is a field that a YAML file may set and a flag may override; a name that no class has is an error.
"""

from __future__ import annotations

import difflib
import json
import re
import sys
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pydantic

from cotgen.chains.boxes import BOX_CONVENTIONS
from cotgen.chains.render import View
from cotgen.errors import CotgenError
from cotgen.training.rewards import RewardConfig
from cotgen.training.selection import GROUPS, Selection


def _told(help: str, default: Any = "") -> Any:
    if isinstance(default, list):
        return field(default_factory=lambda: list(default), metadata={"help": help})
    return field(default=default, metadata={"help": help})


@dataclass
class DataArguments:
    """Which rows a run is shown; see `cotgen.training.selection.Selection` and `cotgen.training.portions.Portion`."""

    data: list[str] = _told("DIR or ORG/NAME@REVISION, each perhaps with =SHARE of all rows; may be several", [])
    tasks: list[str] = _told("only these tasks; all without", [])
    sources: list[str] = _told("only frames that one of these labels; all without", [])
    supports: list[str] = _told("only chains that carry their answer so far (entailed, strong, weak, asserted)", [])
    asserted: bool = _told("view cot takes template chains that give no reason", False)
    suspects: bool = _told("take pairs whose labels contradict a clinical rule", True)
    caps: list[str] = _told("most pairs an epoch, GROUP=NUMBER with group task, source or class", [])
    temperature_of_data: float = _told("1 leaves sizes as they are; higher makes the groups more equal", 1.0)
    over: str = _told("the groups of that temperature: task, source or class", "task")
    curriculum: float = _told("0 mixed, 1 from easy to hard in the first epoch", 0.0)
    difficulty: str = _told("table of name and difficulty, as `python -m recipes.pass_rate` writes it")
    boxes: str = _told("resized, per_mille, pixels or normalised; without, that of the model's family")
    instruction: str | None = _told("what the model is told before the question; without, that of the view", None)
    most_tokens: int = _told("a row of more tokens, picture included, ends the run with its name; 0: any length", 0)

    def selection(self, view: View) -> Selection:
        """The pairs of one view. Raises CotgenError where a name or a number means nothing."""
        return Selection(
            view=view,
            tasks=tuple(self.tasks),
            sources=tuple(self.sources),
            supports=tuple(self.supports),
            asserted=self.asserted,
            suspects=self.suspects,
            caps=dict(_cap(text) for text in self.caps),
            temperature=self.temperature_of_data,
            over=self.over,  # type: ignore[arg-type]  # Selection refuses what is no group.
            curriculum=self.curriculum,
            difficulty=Path(self.difficulty) if self.difficulty else None,
        )

    def __post_init__(self) -> None:
        """Raises CotgenError for what means nothing."""
        if self.boxes and self.boxes not in BOX_CONVENTIONS:
            raise CotgenError(f"boxes: '{self.boxes}' is none of {', '.join(BOX_CONVENTIONS)}")


@dataclass
class VisionArguments:
    """How the model's picture side is loaded."""

    min_pixels: int = _told("least pixels of a picture after resizing; 0: what the processor's file says", 0)
    max_pixels: int = _told("most pixels of a picture after resizing; 0: what the processor's file says", 0)
    freeze_vision: bool = _told("the vision tower learns nothing", True)
    freeze_projector: bool = _told("what joins it to the language model learns nothing either", False)


@dataclass
class RewardArguments:
    """What GRPO rewards, and when a run is told that it goes wrong."""

    rewards: dict | str | None = _told("cotgen.training.rewards.RewardConfig as a mapping, or as JSON", None)  # type: ignore[type-arg]
    iou_window: int = _told("steps of the window that tightens the IoU of boxes; 0: by the progress of the run", 0)
    alarms: str = _told("warn, stop or off: what happens when rewards stand still or one answer takes over", "warn")

    def reward_config(self, most_tokens: int) -> RewardConfig:
        """The rewards of a run.

        Args:
            most_tokens: the trainer's `max_completion_length`.

        Raises:
            CotgenError: a name or a number means nothing.
        """
        given = self.rewards or {}
        try:
            if isinstance(given, str):
                given = json.loads(given)
            given = {"most_tokens": most_tokens, "soft_tokens": max(1, most_tokens // 4), **given}
            return RewardConfig.model_validate(given)
        except pydantic.ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"]))
            raise CotgenError(f"rewards: {place + ': ' if place else ''}{first['msg']}") from error
        except (ValueError, TypeError) as error:
            raise CotgenError(f"rewards is no mapping and no JSON: {error}") from error


#: What the trainers need to be told, unless a file says otherwise; `refuse_settings` holds what cannot be otherwise.
SFT_DEFAULTS: dict[str, Any] = {
    "max_length": None,
    "ignore_data_skip": True,
    # `name` stays in a row, so that a sentence can say which one is meant.
    "remove_unused_columns": False,
    "save_total_limit": 2,
}
GRPO_DEFAULTS: dict[str, Any] = {
    "shuffle_dataset": False,
    "remove_unused_columns": False,
    "num_train_epochs": 1,
    "save_total_limit": 2,
    "log_completions": True,
    "num_completions_to_print": 0,
}


def parse(
    classes: Sequence[type], defaults: dict[str, Any], arguments: Sequence[str] | None = None
) -> tuple[Any, ...]:
    """The instances of these dataclasses from `--config FILE` and flags; a flag wins over the file.

    Args:
        classes: dataclasses, none of which share a name.
        defaults: of the trainer's configuration, where neither file nor flag says anything.
        arguments: without, those of the command line.

    Raises:
        CotgenError: the file cannot be read, or it or the line has a name that no class has.
    """
    try:
        from trl import TrlParser
    except ImportError as error:
        raise CotgenError("Training needs torch, transformers and trl: pip install 'cotgen[train]'") from error
    parser = TrlParser(list(classes))
    parser.set_defaults(**defaults)
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        return tuple(parser.parse_args_and_config(given))
    except (OSError, ValueError) as error:
        known = {name for action in parser._actions for name in action.option_strings}
        unknown = [name for name in re.findall(r"'(--[\w-]+)'", str(error)) if name not in known]
        told = "; ".join(_unknown(name, known) for name in unknown)
        raise CotgenError(told or f"the configuration cannot be read: {error}") from error


def _unknown(name: str, known: Collection[str]) -> str:
    near = difflib.get_close_matches("--" + name[2:].replace("-", "_"), sorted(known), n=1, cutoff=0.7)
    meant = f"perhaps {near[0].removeprefix('--')} is meant" if near else "--help lists all that there are"
    return f"no setting is called {name.removeprefix('--')}; {meant}"


def _cap(text: str) -> tuple[Any, int]:
    group, _, number = text.partition("=")
    if group not in GROUPS or not number.isdecimal():
        raise CotgenError(f"caps: '{text}' is no GROUP=NUMBER; groups are {', '.join(GROUPS)}")
    return group, int(number)
