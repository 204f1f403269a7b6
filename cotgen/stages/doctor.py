"""Doctor: what a run will meet, before it is paid for. Nothing is trained but the steps that `--measure` asks for.

    python -m recipes.doctor --stage 1 --config recipes/configs/stage1/qwen3_vl_8b.yaml --data DIR

Takes all settings of the stage, and some of its own. It looks at versions, the batch, the data, tokens of real rows by the
real processor, pictures, boxes there and back, memory, disk, generation, and time; each finding is a sentence, and the exit
status is 1 where something would fail. Works without a GPU, and without a network where the model is a folder.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from cotgen.chains.render import View
from cotgen.errors import CotgenError
from cotgen.stages.alarms import null_reward
from cotgen.stages.arguments import (
    GRPO_DEFAULTS,
    SFT_DEFAULTS,
    DataArguments,
    RewardArguments,
    VisionArguments,
    parse,
)
from cotgen.stages.data import portions
from cotgen.stages.findings import Findings
from cotgen.stages.memory import GB, Parameters, Sharding, checkpoint_bytes, estimate, parameters, rule_of_thumb
from cotgen.stages.models import ADAPTER, boxes_of, load_processor
from cotgen.stages.pace import Pace, measure_pace
from cotgen.stages.planned import planned
from cotgen.stages.rows import Measured, measure, percentiles, picture_tokens, round_trip, sizes_to_try
from cotgen.stages.run import last_checkpoint
from cotgen.stages.versions import check_versions
from cotgen.training.adapters import refuse_settings, set_length
from cotgen.training.loader import Loader
from cotgen.training.processor import TRIED

VIEWS: dict[int, View] = {1: "vqa", 2: "cot", 3: "prompt"}
#: Boxes of the data that are tried there and back.
_MOST_BOXES = 2000


@dataclass
class DoctorArguments:
    """What the doctor is told beside the settings of a stage."""

    stage: int = field(default=0, metadata={"help": "1, 2 or 3"})
    rows: int = field(default=200, metadata={"help": "rows that are measured"})
    gpus: int = field(default=0, metadata={"help": "ranks of the run; 0: as the launcher's file says, else 1"})
    gpu_memory: float = field(default=0.0, metadata={"help": "GB of one GPU; 0: of the one that is here"})
    launcher: str = field(default="", metadata={"help": "the accelerate configuration of the run"})
    measure: int = field(default=0, metadata={"help": "steps that are trained to tell the time; 0: none"})


def examine(arguments: Sequence[str] | None = None, say: Callable[[str], None] = print) -> int:
    """Look at a run; returns how many things would fail.

    Args:
        arguments: without, those of the command line.
        say: gets each line.

    Raises:
        CotgenError: the arguments cannot be read, so that nothing can be looked at.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    exam = _Exam(given, Findings(say))
    exam.run()
    failed = exam.findings.failed
    say(
        f"{failed} would fail; each is a line that begins with FAIL" if failed else "nothing was found that would fail"
    )
    return failed


class _Exam:
    """One run that is looked at, part by part; a part that cannot be done leaves those out that need it."""

    def __init__(self, given: list[str], findings: Findings) -> None:
        self.findings, self.given = findings, given
        told = _told_before(given)
        if told.stage not in VIEWS:
            raise CotgenError(
                "say --stage 1, 2 or 3: whose settings are looked at (stage 4 trains with those of stage 2)"
            )
        self.view = VIEWS[told.stage]
        self.launcher = _launcher(told.launcher)
        self.gpus = told.gpus or int(self.launcher.get("num_processes", 1)) or 1
        self.here = _gpu_bytes()
        config = self._config()
        classes: list[type] = [DoctorArguments, DataArguments, VisionArguments]
        classes += [RewardArguments] if self.view == "prompt" else []
        defaults = GRPO_DEFAULTS if self.view == "prompt" else SFT_DEFAULTS
        # The settings are for a GPU; a machine without one would refuse to read them.
        line = given if self.here else [*given, "--use_cpu", "true"]
        parsed = parse([*classes, config, _model_config()], defaults, line)
        self.told, self.data, self.vision = parsed[:3]
        self.rules: RewardArguments | None = parsed[3] if self.view == "prompt" else None
        self.config, self.model = parsed[-2:]
        self.gpu_bytes = self.told.gpu_memory * GB or float(self.here)
        self.processor: Any = None
        self.loader: Loader | None = None
        self.count: Parameters | None = None
        self.measured: list[Measured] = []
        self.steps = 0

    def _config(self) -> Any:
        from trl import GRPOConfig, SFTConfig

        return planned(GRPOConfig if self.view == "prompt" else SFTConfig, self.gpus)

    @property
    def _generates_by_vllm(self) -> bool:
        return bool(self.view == "prompt" and self.config.use_vllm)

    def run(self) -> None:
        """All parts."""
        parts: dict[str, Callable[[], None]] = {
            "versions": self._look_at_versions,
            "model": self._look_at_model,
            "data": self._look_at_data,
            "batch": self._look_at_batch,
            "output": self._look_at_output,
            "tokens": self._look_at_rows,
            "pictures": self._look_at_pictures,
            "boxes": self._look_at_boxes,
            "memory": self._look_at_memory,
            "disk": self._look_at_disk,
            "generation": self._look_at_generation,
            "rewards": self._look_at_rewards,
            "time": self._look_at_time,
        }
        for name, part in parts.items():
            with self.findings.part(name):
                part()

    def _look_at_versions(self) -> None:
        check_versions(self.findings, self._generates_by_vllm)

    def _look_at_model(self) -> None:
        name = self.model.model_name_or_path
        if not name:
            raise CotgenError("no model is named; say --model_name_or_path, or set it in the configuration")
        folder = Path(name)
        if (folder / ADAPTER).exists():
            raise CotgenError(
                f"{name} is a LoRA adapter, and another one would be put on top of it; merge it first: "
                f"python -m recipes.export {name} --out {name}-merged"
            )
        revision = None if folder.exists() else self.model.model_revision
        self.processor = load_processor(name, self.vision, revision)
        self.boxes = boxes_of(name, self.processor, self.data.boxes, revision)
        self.count = parameters(self.model, self.vision)
        share = self.count.learning / self.count.all
        self.findings.add(
            "model",
            "ok",
            f"{name}: {self.count.all:,} parameters, {self.count.learning:,} learn ({share:.1%}); boxes "
            f"{self.boxes.convention}",
        )
        if not folder.exists() and self.model.model_revision in ("", "main"):
            self.findings.add("model", "note", f"{name} is taken as it is today; pin it with --model_revision COMMIT")

    def _look_at_data(self) -> None:
        if self.processor is None:
            raise CotgenError("not looked at: it needs the model's processor")
        loader = Loader(
            portions(self.data.data, lambda text: self.findings.add("data", "note", text)),
            self.data.selection(self.view),
            boxes=self.boxes,
            instruction=self.data.instruction,
            seed=self.config.seed,
            batch_size=self.config.per_device_train_batch_size,
            rank=0,
            world_size=self.gpus,
        )
        self.loader = loader
        for part, portion in enumerate(loader.pool.portions):
            counts = loader.pool.counts.filter(loader.pool.counts["part"] == part)
            tasks, sources = (counts.group_by(by).agg(pl.col("len").sum()).sort(by) for by in ("task", "source"))
            share = "" if portion.share is None else f", {float(portion.share):.0%} of all rows"
            self.findings.add(
                "data",
                "ok",
                f"{portion.folder.name}: {counts['len'].sum():,} pairs{share}; by task {_counted(tasks)}; by source "
                f"{_counted(sources)}",
            )

    def _look_at_batch(self) -> None:
        loader, config = self._loaded(), self.config
        per_step = config.per_device_train_batch_size * config.gradient_accumulation_steps * self.gpus
        if self.view == "prompt":
            told = f"{per_step:,} completions a step, {config.num_generations} for each prompt"
        else:
            told = f"{per_step:,} rows and pictures a step"
        self.steps = set_length(loader, config)
        refuse_settings(loader, config, resumed=False)
        self.findings.add("batch", "ok", f"{told} on {self.gpus} rank{'s' * (self.gpus > 1)}; {self.steps:,} steps")
        if config.save_strategy == "steps" and config.save_steps > self.steps:
            self.findings.add(
                "batch",
                "note",
                f"save_steps is {config.save_steps:g}, more than all steps: there will be no checkpoint",
            )

    def _look_at_output(self) -> None:
        there = last_checkpoint(self.config)
        self.findings.add(
            "output", "ok", f"goes on from {there.name}" if there else f"{self.config.output_dir} begins anew"
        )

    def _look_at_rows(self) -> None:
        loader = self._loaded()
        self.measured = list(measure(loader, self.processor, self.told.rows))
        longest = max(self.measured, key=lambda row: row.tokens)
        rows = len(self.measured)
        whole, prompts, completions = (
            percentiles([getattr(row, name) for row in self.measured]) for name in ("tokens", "prompt", "completion")
        )
        self.findings.add(
            "tokens",
            "ok",
            f"of {rows} rows, half, 90 % and 99 % have at most: {_three(whole)} in all, {_three(prompts)} before the "
            f"completion, {_three(completions)} of it; the longest is {longest.name} with {longest.tokens:,}",
        )
        first = self.measured[0]
        self.findings.say(f"      the first row, {first.name}:\n{first.text}")
        which = "what carries loss" if self.view != "prompt" else "what the data set would reply"
        self.findings.say(f"      {which}:\n{first.supervised}")
        if self.view == "prompt":
            self._judge_completions(rows)
        elif self.data.most_tokens:
            self.findings.judge(
                "tokens",
                f"most_tokens {self.data.most_tokens:,} holds each of them",
                ""
                if longest.tokens <= self.data.most_tokens
                else f"{longest.name} has {longest.tokens:,} tokens and most_tokens is {self.data.most_tokens:,}: the run "
                "would end there; lower max_pixels, raise most_tokens, or leave its task out",
            )
        else:
            self.findings.add("tokens", "note", "most_tokens is not set: a row of any length is trained on")
        if self.count and longest.tokens > self.count.positions:
            self.findings.add(
                "tokens",
                "FAIL",
                f"{longest.name} has {longest.tokens:,} tokens and the model was made for {self.count.positions:,}",
            )

    def _judge_completions(self, rows: int) -> None:
        most = self.config.max_completion_length
        longer = sum(row.completion > most for row in self.measured)
        self.findings.judge(
            "tokens",
            f"{longer} of {rows} chains of the data set are longer than max_completion_length {most:,}",
            ""
            if longer * 2 <= rows
            else f"{longer} of {rows} chains of the data set are longer than max_completion_length {most:,}: a policy that "
            "writes as it learnt is cut at it; raise it",
        )
        limit = self.config.vllm_max_model_length if self._generates_by_vllm else None
        limit = limit or (self.count.positions if self.count else 0)
        longest = max(self.measured, key=lambda row: row.prompt)
        if limit:
            need = longest.prompt + most
            self.findings.judge(
                "tokens",
                f"the longest prompt with {most:,} tokens behind it is {need:,}, of {limit:,} that generation has",
                ""
                if need <= limit
                else f"{longest.name} has {longest.prompt:,} tokens, with {most:,} to come {need:,}, and generation has "
                f"{limit:,}: prompts are never cut; raise vllm_max_model_length, or lower max_pixels",
            )

    def _look_at_pictures(self) -> None:
        if self.processor is None:
            raise CotgenError("not looked at: it needs the model's processor")
        of_data = sorted({row.size for row in self.measured})
        told = ", ".join(
            f"{width} x {height}: {picture_tokens(self.processor, (width, height)):,}"
            for width, height in sizes_to_try(of_data)
        )
        self.findings.add("pictures", "ok", f"tokens of a picture by size: {told}")
        if of_data:
            sizes = ", ".join(f"{width} x {height}" for width, height in of_data)
            self.findings.add("pictures", "ok", f"sizes in the data: {sizes}; one picture a row")

    def _look_at_boxes(self) -> None:
        loader = self._loaded()
        if loader.boxes.convention in ("index", "bare"):
            raise CotgenError(f"boxes {loader.boxes.convention} is no way for a model to write boxes; use per_mille")
        stored: dict[tuple[int, int], list[Any]] = {}
        for pair in loader.order.slice(0, self.told.rows):
            record, found, _ = loader.pool.read(int(pair))
            size = record["frame"]["width"], record["frame"]["height"]
            taken = stored.setdefault(size, [])
            taken += list(found.boxes[: _MOST_BOXES - len(taken)])
        trips = [(round_trip(loader.boxes, size, boxes), True) for size, boxes in sorted(stored.items()) if boxes]
        trips += [(round_trip(loader.boxes, size), False) for size in TRIED]
        for trip, of_data in trips:
            width, height = trip.size
            whose = "of the data" if of_data else "of a grid"
            told = f"{width} x {height}: {trip.boxes} boxes {whose} come back "
            told += (
                "as they were (IoU 1)"
                if trip.exact
                else f"within {trip.off} pixel{'s' * (trip.off > 1)} (IoU {trip.least:.3f} and more): the grid of "
                f"{loader.boxes.convention} is coarser than the picture"
            )
            wrong = trip.least < 0 or trip.off > trip.allowed
            self.findings.judge(
                "boxes",
                told,
                f"{width} x {height}: boxes do not come back from text (IoU {trip.least:.3f}, {trip.off} pixels off)"
                if wrong
                else "",
            )

    def _look_at_memory(self) -> None:
        if self.count is None:
            raise CotgenError("not estimated: it needs the model")
        tokens = max((row.tokens for row in self.measured), default=0)
        if self.view == "prompt" and self.measured:
            tokens = max(row.prompt for row in self.measured) + self.config.max_completion_length
        sharding = Sharding.of(self.launcher)
        found = estimate(self.count, self.config, self.model, self.gpus, sharding, tokens, self.gpu_bytes)
        self.findings.add(
            "memory", "note", f"estimated, not measured: {found.told()}; {rule_of_thumb(self.count, self.model)}"
        )
        if not self.gpu_bytes:
            self.findings.add("memory", "note", "no GPU is here to compare with; say --gpu_memory 80 for one of 80 GB")
            return
        self.findings.judge(
            "memory",
            f"of {self.gpu_bytes / GB:.0f} GB",
            ""
            if found.total <= self.gpu_bytes
            else f"{found.total / GB:.1f} GB are more than the {self.gpu_bytes / GB:.0f} GB of a GPU: take more GPUs with "
            "zero3.yaml or fsdp2.yaml (--launcher), a smaller per_device_train_batch_size, or LoRA",
        )

    def _look_at_disk(self) -> None:
        if self.count is None:
            raise CotgenError("not estimated: it needs the model")
        each, last = checkpoint_bytes(self.count, self.model)
        kept = self.config.save_total_limit
        saves = self.config.save_strategy != "no"
        if saves and not kept:
            self.findings.add("disk", "note", "save_total_limit is not set, so every checkpoint is kept")
            kept = max(1, self.steps // max(1, int(self.config.save_steps)))
        # The next one is written before the oldest is removed.
        need = (each * (kept + 1) if saves else 0) + last
        place = Path(self.config.output_dir).absolute()
        while not place.exists():
            place = place.parent
        free = shutil.disk_usage(place).free
        told = f"about {need / GB:,.1f} GB for {kept or 0} checkpoints, the next one and the model; {free / GB:,.1f} GB free"
        self.findings.judge(
            "disk", told, "" if need <= free else f"{told}: lower save_total_limit, or give another --output_dir"
        )

    def _look_at_generation(self) -> None:
        if not self._generates_by_vllm or self.processor is None:
            return
        name = self.model.model_name_or_path
        plain = load_processor(name, VisionArguments())
        other = [
            f"{width} x {height}"
            for width, height in TRIED
            if picture_tokens(plain, (width, height)) != picture_tokens(self.processor, (width, height))
        ]
        budget = f'{{"min_pixels": {self.vision.min_pixels}, "max_pixels": {self.vision.max_pixels}}}'
        mend = (
            "start from a checkpoint of stage 1 or 2, whose saved processor holds the budget"
            if self.config.vllm_mode == "colocate"
            else f"serve with --mm-processor-kwargs '{budget}', or start from a checkpoint whose processor holds it"
        )
        self.findings.judge(
            "generation",
            "vLLM makes the same pictures as the trainer",
            f"vLLM takes min_pixels and max_pixels from the files of {name} and would make other pictures than the trainer "
            f"({', '.join(other)}): {mend}"
            if other
            else "",
        )

    def _look_at_rewards(self) -> None:
        if self.rules is None:
            return
        loader = self._loaded()
        config = self.rules.reward_config(self.config.max_completion_length)
        if self.config.reward_weights is not None:
            raise CotgenError(
                "reward_weights stand in rewards.weights by name; leave them out of the trainer's settings"
            )
        null = null_reward(loader, config)
        told = ", ".join(f"{name} {value:.3f}" for name, value in null.items())
        floor = max((null[name] for name in ("majority", "safe claim") if name in null), default=0.0)
        self.findings.judge(
            "rewards",
            f"what completions earn that never look, and the chains of the data set (gold): {told}",
            ""
            if null.get("gold", floor + 1) > floor
            else f"a completion that never looks earns {floor:.3f} and a right one {null['gold']:.3f}: these weights teach "
            "not to look",
        )

    def _look_at_time(self) -> None:
        if not self.told.measure:
            self.findings.add("time", "note", "not measured; --measure 5 trains five steps and tells")
            return
        pace = measure_pace(self.view, _of_stage(self.given), self.told.measure)
        self.findings.add("time", "ok", _told_pace(pace, self.steps, self.gpus))

    def _loaded(self) -> Loader:
        if self.loader is None:
            raise CotgenError("not looked at: it needs the model and the data")
        return self.loader


def _told_pace(pace: Pace, steps: int, gpus: int) -> str:
    whole = steps * pace.seconds
    length = f"{whole / 3600:,.1f} hours" if whole >= 3600 else f"{whole / 60:,.1f} minutes"
    where = "" if pace.ranks == gpus else f" (measured on {pace.ranks} of {gpus} ranks)"
    peak = f"; at most {pace.peak_bytes / GB:.1f} GB of GPU memory" if pace.peak_bytes else ""
    return (
        f"{pace.seconds:.2f} s a step over {pace.steps} steps, the first left out{where}: {steps:,} steps take about "
        f"{length}, without saving{peak}"
    )


def _told_before(given: list[str]) -> Any:
    """The doctor's own arguments, before the others can be read: they say which those are."""
    import argparse

    parser = argparse.ArgumentParser(
        prog="python -m recipes.doctor",
        description="What a run will meet, before it is paid for; exit status 1 where something would fail.",
        epilog="Beside these it takes all settings of the stage, --config, --data and --model_name_or_path among them: "
        "--stage 1 --help lists them.",
        add_help=False,
        allow_abbrev=False,
    )
    for name, own in DoctorArguments.__dataclass_fields__.items():
        # The field's own type is a text here.
        parser.add_argument(f"--{name}", type=type(own.default), default=own.default, help=own.metadata["help"])
    told = parser.parse_known_args(given)[0]
    if told.stage not in VIEWS and {"-h", "--help"} & set(given):
        parser.print_help()
        sys.exit(0)
    return told


def _of_stage(given: list[str]) -> list[str]:
    """The arguments without the doctor's own."""
    names = {f"--{name}" for name in DoctorArguments.__dataclass_fields__}
    kept: list[str] = []
    skip = False
    for text in given:
        if skip:
            skip = False
            continue
        name, equals, _ = text.partition("=")
        if name in names:
            skip = not equals
            continue
        kept.append(text)
    return kept


def _launcher(file: str) -> dict[str, Any]:
    """An accelerate configuration; empty without one. Raises CotgenError where it cannot be read."""
    if not file:
        return {}
    import yaml

    try:
        found = yaml.safe_load(Path(file).read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise CotgenError(f"{file} cannot be read; name a file of recipes/accelerate") from error
    if not isinstance(found, dict):
        raise CotgenError(f"{file} is no accelerate configuration; name a file of recipes/accelerate")
    return found


def _gpu_bytes() -> int:
    import torch

    return int(torch.cuda.get_device_properties(0).total_memory) if torch.cuda.is_available() else 0


def _model_config() -> type:
    from trl import ModelConfig

    found: type = ModelConfig
    return found


def _counted(table: pl.DataFrame) -> str:
    return ", ".join(f"{name} {number:,}" for name, number in table.iter_rows())


def _three(values: Sequence[int]) -> str:
    return "/".join(f"{value:,}" for value in values)
