"""Memory: what weights, gradients, optimiser and activations of a run take, as an estimate.

The estimate counts bytes of each parameter and of the activations that checkpointing keeps. It knows neither kernels nor
fragmentation, nor what a launcher gathers for a moment: it tells 30 GB from 80, and not 70 from 80. Beside it stand the
figures per billion parameters that LLaMA-Factory's README gives.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cotgen.errors import CotgenError
from cotgen.stages.arguments import VisionArguments
from cotgen.stages.models import freeze, lora

#: LLaMA-Factory's GB for a billion parameters: all weights with 32 bit copies, all weights in 16 bit alone, LoRA.
_FULL, _PURE, _LORA = 18.0, 8.0, 16.0 / 7
_BYTES = {"float32": 4, "bfloat16": 2, "float16": 2, "auto": 2}
#: Bytes that one layer needs for a token and unit of width while it is computed again (Korthikanti et al. 2022).
_LAYER = 34
#: Bytes of a token's scores over the vocabulary: 16 bit, 32 bit, and their gradient.
_SCORES = 2 + 4 + 4
GB = 1e9


@dataclass(frozen=True, slots=True)
class Sharding:
    """What a launcher shares out over the GPUs."""

    weights: bool = False
    optimiser: bool = False

    @classmethod
    def of(cls, launcher: dict[str, Any]) -> Sharding:
        """Of an accelerate configuration."""
        stage = int((launcher.get("deepspeed_config") or {}).get("zero_stage", 0))
        fsdp = launcher.get("distributed_type") == "FSDP"
        return cls(weights=fsdp or stage == 3, optimiser=fsdp or stage >= 1)


@dataclass(frozen=True, slots=True)
class Parameters:
    """How many there are.

    Attributes:
        all: of the model, adapters too.
        learning: that are trained.
        width: of the language model.
        layers: of it.
        vocabulary: of it.
        positions: the longest row that it was made for.
    """

    all: int
    learning: int
    width: int
    layers: int
    vocabulary: int
    positions: int


def parameters(model: Any, vision: VisionArguments) -> Parameters:
    """Count without loading a weight.

    Args:
        model: TRL's `ModelConfig`.
        vision: what is frozen.

    Raises:
        CotgenError: the model's configuration cannot be loaded.
    """
    import torch
    from transformers import AutoConfig, AutoModelForImageTextToText

    name = model.model_name_or_path
    try:
        config = AutoConfig.from_pretrained(name, revision=model.model_revision)
        with torch.device("meta"):
            made = AutoModelForImageTextToText.from_config(config)
    except (OSError, ValueError, ImportError) as error:
        raise CotgenError(f"the configuration of {name} cannot be loaded: {error}") from error
    freeze(made, vision)
    adapter = lora(model)
    if adapter is not None:
        from peft import get_peft_model

        with torch.device("meta"):
            made = get_peft_model(made, adapter)
    text = config.get_text_config()
    return Parameters(
        all=sum(weight.numel() for weight in made.parameters()),
        learning=sum(weight.numel() for weight in made.parameters() if weight.requires_grad),
        width=text.hidden_size,
        layers=text.num_hidden_layers,
        vocabulary=text.vocab_size,
        positions=text.max_position_embeddings,
    )


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes on one GPU, estimated."""

    weights: float
    gradients: float
    optimiser: float
    activations: float
    reference: float
    generation: float

    @property
    def total(self) -> float:
        """All of it."""
        parts = (self.weights, self.gradients, self.optimiser, self.activations, self.reference, self.generation)
        return sum(parts)

    def told(self) -> str:
        """In GB, part by part; parts under 0.05 GB are left out."""
        parts = {name: getattr(self, name) / GB for name in self.__dataclass_fields__}
        each = ", ".join(f"{name} {value:.1f}" for name, value in parts.items() if value >= 0.05)
        return f"{self.total / GB:.1f} GB a GPU ({each})" if each else "under 0.1 GB a GPU"


def estimate(
    count: Parameters, config: Any, model: Any, gpus: int, sharding: Sharding, tokens: int, gpu_bytes: float
) -> Memory:
    """What a run takes on one GPU.

    Args:
        count: of the model.
        config: TRL's configuration.
        model: TRL's `ModelConfig`.
        gpus: ranks.
        sharding: of the launcher.
        tokens: of the longest row.
        gpu_bytes: of one GPU, for the share that vLLM takes of it beside the trainer; 0 leaves it out.
    """
    weights = gpus if sharding.weights else 1
    optimiser = gpus if sharding.optimiser else 1
    # An adapter is 32 bit whatever its base is.
    each = 4 if model.use_peft else _BYTES.get(str(model.dtype), 4)
    held = (count.all - count.learning) * _BYTES.get(str(model.dtype), 4) + count.learning * each
    rows = config.per_device_train_batch_size
    kept = 2 * count.width * (count.layers if config.activation_checkpointing else 0)
    layer = _LAYER * count.width * (1 if config.activation_checkpointing else count.layers)
    # With a reference model and no adapter that could be switched off, the weights are there twice.
    reference = count.all * _BYTES.get(str(model.dtype), 4) if getattr(config, "beta", 0) and not model.use_peft else 0
    colocated = getattr(config, "use_vllm", False) and config.vllm_mode == "colocate"
    # Sleeping, its memory is the trainer's; the weights of both are there while they are sent.
    asleep = colocated and config.vllm_enable_sleep_mode
    return Memory(
        weights=held / weights,
        gradients=count.learning * each / optimiser,
        optimiser=count.learning * 2 * each / optimiser,
        activations=rows * tokens * (kept + layer + _SCORES * count.vocabulary),
        reference=reference / weights,
        generation=0 if not colocated or asleep else config.vllm_gpu_memory_utilization * gpu_bytes,
    )


def rule_of_thumb(count: Parameters, model: Any) -> str:
    """LLaMA-Factory's figure for the whole run, over all GPUs."""
    if model.use_peft:
        figure, which = _LORA, "LoRA"
    elif _BYTES.get(str(model.dtype), 4) == 2:
        figure, which = _PURE, "all weights in 16 bit"
    else:
        figure, which = _FULL, "all weights with 32 bit copies"
    whole = figure * count.all / GB
    return f"{whole:.1f} GB over all GPUs by LLaMA-Factory's {figure:.3g} GB a billion parameters ({which})"


def checkpoint_bytes(count: Parameters, model: Any) -> tuple[int, int]:
    """(bytes of a checkpoint with its optimiser, bytes of the model that is left at the end), estimated."""
    if model.use_peft:
        return count.learning * 12, count.learning * 4
    each = _BYTES.get(str(model.dtype), 4)
    return count.all * each + count.learning * 2 * each, count.all * each
