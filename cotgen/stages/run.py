"""Run: a trainer with its loader, from the first batch or from a checkpoint, and what it leaves behind.

`OUT/cotgen.json` and each checkpoint say what was trained on: data by fingerprint, box convention, configuration and
versions, for the card and for whoever goes on.
"""

from __future__ import annotations

import json
import platform
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Any

import cotgen
from cotgen.chains.boxes import BoxFormat
from cotgen.chains.render import View
from cotgen.errors import CotgenError
from cotgen.stages.arguments import DataArguments, VisionArguments
from cotgen.stages.asking import refuse_other_instruction
from cotgen.stages.data import portions, published
from cotgen.stages.models import boxes_of, load_processor, write_boxes
from cotgen.stages.policy import RECORD
from cotgen.training.adapters import checkpoint_callback, set_length, trainer_settings
from cotgen.training.loader import Loader
from cotgen.training.state import STATE, LoaderState

_CHECKPOINT = re.compile(r"checkpoint-([0-9]+)")
_NO_CARD = """# A run of cotgen, {stage}

What it was trained on, how, and with which versions is in `cotgen.json`. `python -m recipes.export` makes of it a model with
a card, to be served or published.
"""
_PACKAGES = ("torch", "transformers", "trl", "accelerate", "peft", "datasets", "vllm", "deepspeed")


def prepare(
    view: View, data: DataArguments, vision: VisionArguments, config: Any, model: Any
) -> tuple[Any, Loader, Path | None]:
    """Processor, loader and the checkpoint to go on from; sets how long the run is, see `set_length`.

    Args:
        view: what the stage trains on.
        data: which rows.
        vision: how pictures are resized.
        config: TRL's `SFTConfig` or `GRPOConfig`.
        model: TRL's `ModelConfig`.

    Raises:
        CotgenError: something does not go together; the sentence says what.
    """
    revision = None if Path(model.model_name_or_path or "").exists() else model.model_revision
    refuse_other_instruction(Path(model.model_name_or_path or ""), data.instruction, view)
    processor = load_processor(model.model_name_or_path, vision, revision)
    boxes = boxes_of(model.model_name_or_path, processor, data.boxes, revision)
    say = print if config.process_index == 0 else _silent
    loader = Loader(
        portions(data.data, say),
        data.selection(view),
        boxes=boxes,
        instruction=data.instruction,
        seed=config.seed,
        batch_size=config.per_device_train_batch_size,
        rank=config.process_index,
        world_size=config.world_size,
    )
    set_length(loader, config)
    checkpoint = last_checkpoint(config)
    if checkpoint is not None:
        loader.resume(LoaderState.read(checkpoint), trainer_settings(config))
        say(f"goes on from {checkpoint}")
    return processor, loader, checkpoint


def last_checkpoint(config: Any) -> Path | None:
    """The checkpoint to go on from: the named one, or the last whole one of `output_dir` where `true` is said.

    Raises:
        CotgenError: `output_dir` holds checkpoints and nobody says whether to go on; the named one is not there, or
            `output_dir` has another one that the next start with `true` would take.
    """
    asked = config.resume_from_checkpoint
    there = sorted(
        (int(match[1]), path)
        for path in Path(config.output_dir).glob("checkpoint-*")
        if (match := _CHECKPOINT.fullmatch(path.name)) and (path / STATE).exists()
    )
    if asked is None or str(asked).lower() in ("false", ""):
        if there:
            raise CotgenError(
                f"{config.output_dir} holds {there[-1][1].name} of an earlier run; say --resume_from_checkpoint true to "
                "go on, or give another --output_dir"
            )
        return None
    if str(asked).lower() == "true":
        # Nothing to go on from yet: the same command line serves the first start and every restart.
        return there[-1][1] if there else None
    path = Path(str(asked))
    if not path.is_dir():
        raise CotgenError(f"{path} is no folder; name a checkpoint, or say --resume_from_checkpoint true")
    if there and path.resolve() != there[-1][1].resolve():
        raise CotgenError(
            f"{config.output_dir} holds {there[-1][1].name}, which is not {path}, and the next start with "
            "--resume_from_checkpoint true would go on from it; say true to go on from it now, or give another --output_dir"
        )
    return path


def train(trainer: Any, loader: Loader, checkpoint: Path | None, stage: str, given: Sequence[Any]) -> None:
    """Train, save, and write the record beside the model.

    Args:
        trainer: TRL's.
        loader: of its rows.
        checkpoint: to go on from.
        stage: `stage1_sft`.
        given: the instances of the dataclasses that the run was told.
    """
    out = Path(trainer.args.output_dir)
    trainer.add_callback(record_callback(loader.boxes, record(stage, loader, given)))
    trainer.add_callback(_end_callback())
    # The last one: a checkpoint with `loader.json` is whole.
    trainer.add_callback(checkpoint_callback(loader))
    metrics: dict[str, float] = {}
    with suppress(_EndedError):
        metrics = trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None).metrics
    trainer.save_model()
    if trainer.is_world_process_zero():
        trainer.processing_class.save_pretrained(out)
        if metrics:
            trainer.log_metrics("train", metrics)
            trainer.save_metrics("train", metrics)
        else:
            print(f"{checkpoint} is the end of this run; nothing was left to train")
        trainer.save_state()
        told = record(stage, loader, given)
        write_record(out, loader.boxes, told)
        # TRL's own card names no data and links to nothing.
        (out / "README.md").write_text(_NO_CARD.format(stage=told["stage"]), encoding="utf-8")


def record(stage: str, loader: Loader, given: Sequence[Any]) -> dict[str, Any]:
    """What a run was, as plain values without paths or hosts.

    Args:
        stage: `stage1_sft`.
        loader: of its rows.
        given: the instances of the dataclasses that the run was told, `DataArguments` and TRL's `ModelConfig` among them.
    """
    data = next(item for item in given if isinstance(item, DataArguments))
    model = next(item for item in given if hasattr(item, "model_name_or_path"))
    names = [published(text) for text in data.data]
    if stage == "stage2_cold_start" and any(manifest.kind == "refined" for manifest in loader.pool.manifests):
        # The same script on rounds of refinement: what a card says of the model is the stage.
        stage = "stage4_refine"
    return {
        "stage": stage,
        "model": origin(model.model_name_or_path, model.model_revision),
        "data": [
            {
                "name": name,
                "revision": revision,
                "fingerprint": read.fingerprint,
                "share": read.share,
                "licences": sorted({source.licence for source in manifest.sources}),
            }
            for (name, revision), read, manifest in zip(names, loader.state().data, loader.pool.manifests, strict=True)
        ],
        "boxes": asdict(loader.boxes),
        "instruction": loader.instruction,
        "config": {type(item).__name__: _public(item) for item in given},
        "versions": versions(),
    }


def origin(name: str, revision: str = "") -> dict[str, Any]:
    """Where a model came from: its base on the Hub, the commit, and the stages that it went through before.

    Args:
        name: what a run starts from: the folder of an earlier one, any other folder, or a name on the Hub.
        revision: of the model on the Hub.

    Returns:
        `base`, `revision` and `after`, a list of `stage` and `data`; what is not known is "" or []. No paths.
    """
    folder = Path(name)
    if not folder.exists():
        from transformers import AutoConfig

        config = AutoConfig.from_pretrained(name, revision=revision or None)
        return {"base": name, "revision": str(getattr(config, "_commit_hash", None) or ""), "after": []}
    try:
        before = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        model = before.get("model", {})
        after = [*model.get("after", []), {"stage": before["stage"], "data": before["data"]}]
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        return {"base": "", "revision": "", "after": []}
    return {"base": model.get("base", ""), "revision": model.get("revision", ""), "after": after}


def versions() -> dict[str, str]:
    """Package -> version of what is installed of the packages that decide a run."""
    found = {"cotgen": cotgen.__version__, "python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def write_record(folder: Path, boxes: BoxFormat, told: dict[str, Any]) -> None:
    """Write `cotgen.json` and how boxes are written into a checkpoint."""
    write_boxes(folder, boxes)
    (folder / RECORD).write_text(json.dumps(told, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def record_callback(boxes: BoxFormat, told: dict[str, Any]) -> Any:
    """A callback that writes the record into each checkpoint."""
    from transformers import TrainerCallback

    class Records(TrainerCallback):  # type: ignore[misc]
        def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            if state.is_world_process_zero:
                write_record(Path(args.output_dir) / f"checkpoint-{state.global_step}", boxes, told)

    return Records()


class _EndedError(Exception):
    """The checkpoint to go on from is the last one."""


def _end_callback() -> Any:
    """A callback that ends a run with no step left once its checkpoint is loaded: transformers would train one more."""
    from transformers import TrainerCallback

    class Ends(TrainerCallback):  # type: ignore[misc]
        def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            if state.global_step >= state.max_steps:
                raise _EndedError

    return Ends()


def completion_guard(collator: Any, processor: Any, most_tokens: int = 0) -> Any:
    """A collator that refuses rows without a supervised answer to its end, or over the length that is allowed.

    A cut answer would give loss 0 without a word, and a long row would run out of memory hours later.

    Args:
        collator: of the trainer.
        processor: for the end of a turn.
        most_tokens: of a row; 0 for any length.
    """
    return _Guard(collator, processor, most_tokens)


class _Guard:
    def __init__(self, collator: Any, processor: Any, most_tokens: int) -> None:
        self._collator, self._processor, self._most = collator, processor, most_tokens
        self._end = processor.tokenizer.eos_token_id

    def __call__(self, rows: list[dict[str, Any]]) -> Any:
        batch = self._collator(rows)
        supervised = batch["labels"] != -100
        for number, row in enumerate(rows):
            name = row.get("name", "a row")
            labels = batch["labels"][number][supervised[number]]
            if self._end not in labels.tolist():
                raise CotgenError(
                    f"the answer of {name} is cut off or carries no loss; raise the limit of tokens, or leave its task "
                    "out"
                )
            length = int(batch["attention_mask"][number].sum())
            if self._most and length > self._most:
                raise CotgenError(
                    f"{name} has {length:,} tokens, more than --most_tokens {self._most:,}; lower max_pixels, raise "
                    "the limit, or leave its task out"
                )
        return batch


def _public(item: Any) -> dict[str, Any]:
    """The values of a dataclass that differ from its defaults, but for names of files, hosts and tokens."""
    fields = item.__dataclass_fields__
    hidden = re.compile(
        r"(_dir|_url|_host|_token|token|_path|difficulty|data|_id|_repo|run_name|resume_from_checkpoint|deepspeed"
        r"|fsdp_config|accelerator_config)$"
    )
    told = {}
    for name, field in fields.items():
        value = getattr(item, name, None)
        if hidden.search(name) or not isinstance(value, str | int | float | bool | list | dict):
            continue
        default = field.default_factory() if callable(field.default_factory) else field.default
        if value != default:
            told[name] = value
    return told


def _silent(text: str) -> None:
    pass
