"""Fine-tuning of stages 1 and 2: TRL's SFTTrainer on the stream of a loader."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cotgen.chains.render import View
from cotgen.stages.arguments import SFT_DEFAULTS, DataArguments, VisionArguments, parse
from cotgen.stages.models import load_model, lora
from cotgen.stages.run import completion_guard, prepare, train
from cotgen.training.adapters import sft_stream


def fine_tune(view: View, stage: str, arguments: Sequence[str] | None = None, callbacks: Sequence[Any] = ()) -> None:
    """Fine-tune on the replies of a view; only their tokens carry loss.

    Args:
        view: `vqa` or `cot`.
        stage: what the record calls it.
        arguments: without, those of the command line.
        callbacks: more of the trainer's.

    Raises:
        CotgenError: something does not go together; the sentence says what.
    """
    from trl import ModelConfig, SFTConfig, SFTTrainer

    classes = (DataArguments, VisionArguments, SFTConfig, ModelConfig)
    data, vision, config, model = given = parse(classes, SFT_DEFAULTS, arguments)
    processor, loader, checkpoint = prepare(view, data, vision, config, model)
    trainer = SFTTrainer(
        model=load_model(model, vision),
        args=config,
        train_dataset=sft_stream(loader),
        processing_class=processor,
        peft_config=lora(model),
        callbacks=list(callbacks),
    )
    trainer.data_collator = completion_guard(trainer.data_collator, processor, data.most_tokens)
    train(trainer, loader, checkpoint, stage, given)
