"""Merge: a run's weights as one model, whatever it trained, tried on a batch before and after.

LoRA is merged in 32 bit and only then rounded to what is served: in 16 bit the sum of base and adapter would be rounded
where it matters. A merge that changes what the model says is an error and no folder.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cotgen.errors import CotgenError
from cotgen.stages.models import ADAPTER, adapter_base

#: How far the scores of the merged model may be from those of base and adapter, of the largest score, in 32 bit.
_TOLERANCE = 1e-3


@dataclass(frozen=True, slots=True)
class Agreement:
    """How two models answer the same batch.

    Attributes:
        difference: the largest of a score, as a share of the largest score.
        tokens: at how many places of the batch.
        moved: how far the adapter moved the scores of its base, as a share; 0 where there was no adapter.
    """

    difference: float
    tokens: int
    moved: float


def merged(run: Path, processor: Any, dtype: str) -> tuple[Any, Agreement]:
    """The model of a run, merged where it has an adapter, in `dtype`.

    Args:
        run: output folder of a stage, or one of its checkpoints.
        processor: of the run.
        dtype: of the weights that are returned: `bfloat16`, `float16` or `float32`.

    Raises:
        CotgenError: the run or its base cannot be loaded; merging changes what it says.
    """
    if not (run / ADAPTER).exists():
        model = _load(str(run), "float32")
        scores = logits(model, processor)
        return rounded(model, dtype), Agreement(0.0, scores.shape[1], 0.0)
    from peft import PeftModel

    base, revision = adapter_base(run)
    model = _load(base, "float32", revision)
    plain = logits(model, processor)
    try:
        model = PeftModel.from_pretrained(model, str(run))
    except (OSError, ValueError, RuntimeError) as error:
        raise CotgenError(f"the adapter of {run} does not go with its base {base}: {error}") from error
    before = logits(model, processor)
    model = model.merge_and_unload(safe_merge=True)
    after = logits(model, processor)
    largest = float(before.abs().max()) or 1.0
    found = Agreement(
        float((after - before).abs().max()) / largest, before.shape[1], float((before - plain).abs().max()) / largest
    )
    if not found.difference <= _TOLERANCE:
        raise CotgenError(
            f"merged, {run} scores tokens otherwise than with its adapter beside it (by {found.difference:.2%} of the "
            "largest score); nothing was written. Is it of another version of peft?"
        )
    return rounded(model, dtype), found


def rounded(model: Any, dtype: str) -> Any:
    """The model with weights in `dtype`. Its buffers stay: `model.to` would round the frequencies of positions too, which
    `from_pretrained` does not.
    """
    import torch

    for weight in model.parameters():
        weight.data = weight.data.to(getattr(torch, dtype))
    return model


def logits(model: Any, processor: Any) -> Any:
    """The scores of one batch, a picture with a question, on the CPU in 32 bit: [1, tokens, vocabulary]."""
    import torch
    from PIL import Image

    picture = Image.linear_gradient("L").resize((320, 240)).convert("RGB")
    parts = [{"type": "image"}, {"type": "text", "text": "Which instruments are in view?"}]
    text = processor.apply_chat_template(
        [{"role": "user", "content": parts}], tokenize=False, add_generation_prompt=True
    )
    batch = processor(text=[text], images=[picture], return_tensors="pt")
    model.eval()
    with torch.inference_mode():
        return model(**{name: value.to(model.device) for name, value in batch.items()}).logits.float().cpu()


def _load(name: str, dtype: str, revision: str | None = None) -> Any:
    from transformers import AutoModelForImageTextToText

    try:
        return AutoModelForImageTextToText.from_pretrained(
            name, dtype=dtype, **({"revision": revision} if revision else {})
        )
    except (OSError, ValueError, ImportError) as error:
        raise CotgenError(f"{name} cannot be loaded: {error}") from error
