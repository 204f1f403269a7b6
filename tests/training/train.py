"""A short training of a tiny model with TRL's real trainer, for test_trainers: prints what each step of a rank saw.

`python -m tests.training.train sft|grpo FOLDER OUT WORKERS [--resume CHECKPOINT] [--presplit]`, alone or by torchrun.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

from cotgen.stages.tiny import Tiny, build
from cotgen.training.adapters import checkpoint_callback, grpo_rows, sft_stream, trainer_settings
from cotgen.training.loader import Loader
from cotgen.training.selection import Selection
from cotgen.training.state import LoaderState

STEPS, SAVED, BATCH = 4, 2, 2
#: What the tokenizer of the tiny model is made from.
TEXTS = ["Is a hook in view? Yes. No. system user assistant <think> </think>"]


def common(out: Path, workers: int) -> dict[str, Any]:
    return {
        "output_dir": str(out),
        "max_steps": STEPS,
        "save_steps": SAVED,
        "per_device_train_batch_size": BATCH,
        "gradient_accumulation_steps": 2,
        "dataloader_num_workers": workers,
        "bf16": False,
        "use_cpu": True,
        "activation_checkpointing": False,
        "ddp_backend": "gloo" if "RANK" in os.environ else None,
        "report_to": "none",
        "disable_tqdm": True,
    }


def sft(folder: Path, out: Path, workers: int, checkpoint: Path | None, presplit: bool) -> list[list[str]]:
    from datasets.distributed import split_dataset_by_node
    from trl import SFTConfig, SFTTrainer

    model, processor = build(Tiny(), TEXTS)
    args = SFTConfig(**common(out, workers), max_length=None, ignore_data_skip=True)
    loader = Loader([folder], Selection(view="vqa"), batch_size=BATCH, seed=5)
    if checkpoint:
        loader.resume(LoaderState.read(checkpoint), trainer_settings(args))
    stream = sft_stream(loader)
    if presplit:
        stream = split_dataset_by_node(stream, rank=args.process_index, world_size=args.world_size)
    trainer = SFTTrainer(
        model=model,
        args=args,
        train_dataset=stream,
        processing_class=processor,
        callbacks=[checkpoint_callback(loader)],
    )
    seen: list[list[str]] = []
    step = trainer.training_step

    def watched(model: Any, inputs: Any, *rest: Any, **options: Any) -> Any:
        words = processor.tokenizer
        seen.append([words.decode(ids[ids != words.pad_token_id]) for ids in inputs["input_ids"]])
        return step(model, inputs, *rest, **options)

    trainer.training_step = watched
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    return seen


def grpo(folder: Path, out: Path, workers: int, checkpoint: Path | None, presplit: bool) -> list[list[str]]:
    from trl import GRPOConfig, GRPOTrainer

    model, processor = build(Tiny(), TEXTS)
    options = {
        "num_generations": 4,
        "max_completion_length": 4,
        "shuffle_dataset": False,
        "remove_unused_columns": False,
    }
    args = GRPOConfig(**common(out, workers), **options)
    loader = Loader([folder], Selection(view="prompt"), batch_size=BATCH, seed=5, epochs=1)
    if checkpoint:
        loader.resume(LoaderState.read(checkpoint), trainer_settings(args))
    seen: list[list[str]] = []

    def reward(completions: list[Any], name: list[str], facts: list[Any], **columns: Any) -> list[float]:
        assert all(fact["terms"] for found in facts for fact in found)
        seen.append(list(name))
        return [float(len(completion[0]["content"]) % 5) for completion in completions]

    trainer = GRPOTrainer(
        model=model,
        args=args,
        train_dataset=grpo_rows(loader),
        processing_class=processor,
        reward_funcs=[reward],
        callbacks=[checkpoint_callback(loader)],
    )
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    return seen


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=["sft", "grpo"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("workers", type=int)
    parser.add_argument("--resume", type=Path)
    parser.add_argument("--presplit", action="store_true")
    given = parser.parse_args()
    run = sft if given.kind == "sft" else grpo
    seen = run(given.folder, given.out, given.workers, given.resume, given.presplit)
    (given.out / f"seen-{os.environ.get('RANK', '0')}.json").write_text(json.dumps(seen))


if __name__ == "__main__":
    main()
