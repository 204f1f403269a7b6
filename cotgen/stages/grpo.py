"""Reinforcement learning of stage 3: TRL's GRPOTrainer on prompts, with the rewards of `cotgen.training.rewards`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cotgen.errors import CotgenError
from cotgen.stages.alarms import AnswerShares, alarm_callback, null_reward, watched
from cotgen.stages.arguments import GRPO_DEFAULTS, DataArguments, RewardArguments, VisionArguments, parse
from cotgen.stages.models import load_model, lora
from cotgen.stages.run import prepare, train
from cotgen.training.adapters import grpo_rows
from cotgen.training.rewards import reward_funcs, reward_weights
from cotgen.training.schedule import SuccessWindow


def reinforce(stage: str, arguments: Sequence[str] | None = None, callbacks: Sequence[Any] = ()) -> None:
    """Train on the labels alone: the policy writes chains, rules reward them.

    Args:
        stage: what the record calls it.
        arguments: without, those of the command line.
        callbacks: more of the trainer's.

    Raises:
        CotgenError: something does not go together; the sentence says what.
    """
    from trl import GRPOConfig, GRPOTrainer, ModelConfig

    classes = (DataArguments, VisionArguments, RewardArguments, GRPOConfig, ModelConfig)
    data, vision, rules, config, model = given = parse(classes, GRPO_DEFAULTS, arguments)
    if config.reward_weights is not None:
        raise CotgenError("reward_weights stand in rewards.weights by name; leave them out of the trainer's settings")
    rewards = rules.reward_config(config.max_completion_length)
    config.reward_weights = reward_weights(rewards)
    processor, loader, checkpoint = prepare("prompt", data, vision, config, model)
    window = SuccessWindow(window=rules.iou_window) if rules.iou_window else None
    shares = AnswerShares()
    null = null_reward(loader, rewards)
    called: list[Any] = [alarm_callback(null, shares, rules.alarms), *callbacks]
    if window is not None:
        called.append(window_callback(window, checkpoint))
    trainer = GRPOTrainer(
        model=load_model(model, vision),
        args=config,
        train_dataset=grpo_rows(loader),
        processing_class=processor,
        reward_funcs=watched(reward_funcs(rewards, loader.boxes.read, window), shares),
        peft_config=lora(model),
        callbacks=called,
    )
    train(trainer, loader, checkpoint, stage, given)


def window_callback(window: SuccessWindow, checkpoint: Path | None) -> Any:
    """A callback that feeds the window with the success rate of each step, and keeps its state beside checkpoints.

    Args:
        window: of the rewards.
        checkpoint: to go on from; None from the start.

    Raises:
        CotgenError: the checkpoint is of a run with another schedule.
    """
    import orjson
    from transformers import TrainerCallback

    name = "iou_window.json"
    if checkpoint is not None:
        try:
            window.load_state_dict(orjson.loads((checkpoint / name).read_bytes()))
        except (OSError, ValueError, KeyError) as error:
            raise CotgenError(
                f"{checkpoint / name} cannot be read, so nobody knows from which IoU a box counted; start anew, or go on "
                "with --iou_window 0"
            ) from error

    class Window(TrainerCallback):  # type: ignore[misc]
        def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **rest: Any) -> None:
            # The trainer has gathered it over all ranks, so that all observe the same.
            rate = (logs or {}).get("boxes/success")
            if rate is not None:
                window.observe(min(1.0, max(0.0, float(rate))))

        def on_save(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
            if state.is_world_process_zero:
                folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
                (folder / name).write_bytes(orjson.dumps(window.state_dict()))

    return Window()
