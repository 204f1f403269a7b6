"""RefineArguments: what stage 4 is told, beside the choice of data. TrlParser reads it from YAML and command line."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from cotgen.chains.boxes import BoxFormat
from cotgen.errors import CotgenError
from cotgen.stages.arguments import _told
from cotgen.training.refine import Keeping

_COMMAND = (
    "{python} recipes/stage2_cold_start.py --config {config} --model_name_or_path {start} --data {data} "
    "--output_dir {out} --resume_from_checkpoint true"
)


@dataclass
class RefineArguments:
    """How a policy is asked, what is kept, and how the next one is made."""

    output_dir: str = _told("folder of the rounds")
    model_name_or_path: str = _told("the policy that is asked first: folder or name on the Hub")
    start_from: str = _told("what each round is fine-tuned from, stage 2 or the base model; without, the first policy")
    rounds: int = _told("most rounds", 3)
    samples: int = _told("samples of each prompt", 8)
    temperature: float = _told("of these samples", 1.0)
    top_p: float = _told("of these samples", 1.0)
    max_tokens: int = _told("longest reply in tokens", 1024)
    seed: int = _told("of all draws", 0)
    most_prompts: int = _told("so many train prompts a round, drawn by name; 0: all", 0)
    distinct: int = _told("most chains of a prompt; further ones go into shard sets more-1, more-2 ...", 1)
    least_iou: float = _told("from which IoU on a box of an answer is right", 0.5)
    most_right: float = _told("prompts of which more than this share of samples is right are left out", 1.0)
    think_opened: bool = _told("the chat template ends the prompt with <think>", False)
    hint_share: str = _told("most of a round that path B may be; 0 leaves it out", "1/3")
    hint_samples: int = _told("samples of a prompt with a hint", 2)
    hint_tries: int = _told("prompts that are asked with a hint for each that may be kept", 3)
    hint_facts: bool = _told("the hint tells the facts of the frame beside the answer", True)
    share: str = _told("share of all rows that the rounds have together; 0: each of their chains once an epoch", "0.3")
    earlier: str = _told("all: train on all rounds so far; last: on the last one", "all")
    train_command: str = _told("makes the next policy: {python} {config} {start} {data} {out} {round}", _COMMAND)
    train_config: str = _told("for {config} of the train command")
    export_command: str = _told("makes {out} from {model} before it is served, as merging LoRA; without, nothing is")
    serve_command: str = _told("starts a server: {python} {model} {port}; without, --policy_url is asked")
    policy_url: str = _told("of a server that somebody else runs")
    policy_model: str = _told("name of the model as the server lists it; without, the first")
    same_server: bool = _told("the server under policy_url has the newest policy by itself", False)
    port: int = _told("of the server that is started; 0: a free one", 0)
    wait_s: float = _told("seconds that a started server may take to answer", 1800.0)
    concurrency: int = _told("most requests in flight", 64)
    timeout_s: float = _told("seconds that one request may take", 600.0)
    send_frames_to: list[str] = _told("hosts that may be sent pictures although a source does not allow it", [])
    policy: str = _told("what the policy is called in manifests, with the name of its base model; never a path")
    held_out: list[str] = _told("data sets whose validation split is the score; without, those of --data", [])
    most_held_out: int = _told("so many questions of it, drawn by name; 0: all", 500)
    patience: int = _told("rounds without a better score after which it ends", 1)
    least_gain: float = _told("what counts as better", 0.0)

    def __post_init__(self) -> None:
        """Raises CotgenError for what means nothing."""
        if self.earlier not in ("all", "last"):
            raise CotgenError(f"earlier: '{self.earlier}' is none of all, last")
        if self.rounds < 1 or self.patience < 1:
            raise CotgenError("rounds and patience are 1 or more")
        if self.policy and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*(?:/[A-Za-z0-9._-]+)?", self.policy):
            raise CotgenError(f"policy: '{self.policy}' is no name as NAME or ORG/NAME")
        for name in ("share", "hint_share"):
            if not 0 <= self.fraction(name) < 1:
                raise CotgenError(f"{name} is 0 or more and below 1")

    def fraction(self, name: str) -> Fraction:
        """The exact number of `share` or `hint_share`. Raises CotgenError where it is none."""
        try:
            return Fraction(str(getattr(self, name)))
        except (ValueError, ZeroDivisionError):
            raise CotgenError(f"{name}: '{getattr(self, name)}' is no number; write 0.3 or 1/3") from None

    def keeping(self, boxes: BoxFormat) -> Keeping:
        """What is kept of samples."""
        return Keeping(boxes.read, self.think_opened, self.least_iou, self.distinct, self.most_right)
