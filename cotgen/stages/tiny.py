"""Tiny: a small Qwen-VL from random weights, made without a download, for a CPU: tests, demos, and trying a pipeline.

    python -m cotgen.stages.tiny OUT --data DIR

Its tokenizer is trained on the texts of the data set, so that a chain is short for it. It learns what the demo shows, and
nothing that is of use elsewhere.
"""

from __future__ import annotations

import importlib.resources
import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from cotgen.chains.render import render
from cotgen.errors import CotgenError
from cotgen.stages.models import image_only
from cotgen.training.views import INSTRUCTIONS

Family = Literal["qwen2_5_vl", "qwen3_vl"]
#: Token -> what it stands for in Qwen's vocabularies.
SPECIALS = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|image_pad|>",
    "<|video_pad|>",
)
_PATCH = {"qwen2_5_vl": 14, "qwen3_vl": 16}


@dataclass(frozen=True, slots=True)
class Tiny:
    """The shape of a model.

    Attributes:
        family: whose classes it uses.
        vocabulary: tokens at most.
        width: of the language model; a multiple of 4 heads.
        layers: of the language model.
        vision_width: of the vision tower.
        vision_layers: of the vision tower.
        max_pixels: of a picture after resizing.
        min_pixels: of a picture after resizing.
        seed: of the weights.
    """

    family: Family = "qwen3_vl"
    vocabulary: int = 400
    width: int = 64
    layers: int = 2
    vision_width: int = 32
    vision_layers: int = 2
    max_pixels: int = 28 * 28 * 16
    min_pixels: int = 56 * 56
    seed: int = 0


def tokenizer(texts: Iterable[str], vocabulary: int) -> Any:
    """A byte-level BPE with Qwen's special tokens."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=list(SPECIALS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    made.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=made,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        extra_special_tokens=list(SPECIALS[1:]),
        padding_side="left",
    )


def image_processor(patch: int, min_pixels: int, max_pixels: int) -> Any:
    """Qwen's image processor on Pillow.

    Args:
        patch: side of a patch in pixels; 14 for Qwen2.5-VL, 16 for Qwen3-VL.
        min_pixels: of a picture after resizing.
        max_pixels: of a picture after resizing.
    """
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

    budget = {"shortest_edge": min_pixels, "longest_edge": max_pixels}
    return Qwen2VLImageProcessorPil(patch_size=patch, merge_size=2, temporal_patch_size=2, size=budget)


def build(shape: Tiny, texts: Iterable[str]) -> tuple[Any, Any]:
    """Model and processor.

    Args:
        shape: of the model.
        texts: what the tokenizer is trained on.
    """
    import torch
    import transformers

    words = tokenizer(texts, shape.vocabulary)
    number = dict(zip(SPECIALS, words.convert_tokens_to_ids(list(SPECIALS)), strict=True))
    patch, heads = _PATCH[shape.family], 4
    head = shape.width // heads
    sections = [head // 2 - 2 * (3 * head // 16), 3 * head // 16, 3 * head // 16]
    rope = {"rope_type": "default", "rope_theta": 1e6, "mrope_section": sections}
    text: dict[str, Any] = {
        "vocab_size": len(words),
        "hidden_size": shape.width,
        "intermediate_size": 2 * shape.width,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": heads,
        "num_key_value_heads": 2,
        "max_position_embeddings": 4096,
        "bos_token_id": None,
        "eos_token_id": number["<|im_end|>"],
        "pad_token_id": number["<|endoftext|>"],
        "tie_word_embeddings": False,
    }
    vision: dict[str, Any] = {
        "depth": shape.vision_layers,
        "hidden_size": shape.vision_width,
        "intermediate_size": 2 * shape.vision_width,
        "num_heads": 2,
        "patch_size": patch,
        "spatial_merge_size": 2,
        "temporal_patch_size": 2,
        "out_hidden_size": shape.width,
    }
    if shape.family == "qwen3_vl":
        text |= {"head_dim": head, "rope_parameters": rope | {"mrope_interleaved": True}}
        vision |= {"num_position_embeddings": 64, "deepstack_visual_indexes": [0]}
        config_class, model_class = transformers.Qwen3VLConfig, transformers.Qwen3VLForConditionalGeneration
    else:
        text |= {"rope_parameters": rope}
        vision |= {"window_size": 112, "fullatt_block_indexes": [shape.vision_layers - 1]}
        config_class, model_class = transformers.Qwen2_5_VLConfig, transformers.Qwen2_5_VLForConditionalGeneration
    config = config_class(
        text_config=text,
        vision_config=vision,
        image_token_id=number["<|image_pad|>"],
        video_token_id=number["<|video_pad|>"],
        vision_start_token_id=number["<|vision_start|>"],
        vision_end_token_id=number["<|vision_end|>"],
        tie_word_embeddings=False,
    )
    torch.manual_seed(shape.seed)
    images = image_processor(patch, shape.min_pixels, shape.max_pixels)
    template = (importlib.resources.files("trl") / "chat_templates" / f"{shape.family}.jinja").read_text()
    processor = image_only(shape.family)(image_processor=images, tokenizer=words, chat_template=template)
    model = model_class(config)
    model.generation_config.eos_token_id = number["<|im_end|>"]
    model.generation_config.pad_token_id = number["<|endoftext|>"]
    return model, processor


def texts_of(folder: Path, most: int = 2000) -> Iterator[str]:
    """Questions and replies of a data set's train split, with boxes in numbers."""
    from cotgen.dataset import open as open_dataset

    yield from INSTRUCTIONS.values()
    taken = 0
    for sample in open_dataset(folder).filter(split="train"):
        frame = sample.record.frame
        for pair in sample.record.pairs:
            told = render(pair, "cot", "per_mille", (frame.width, frame.height))
            yield from ("user\n", "assistant\n", told["prompt"], told["response"])
            taken += 1
            if taken >= most:
                return


def write(folder: Path, shape: Tiny, texts: Iterable[str]) -> int:
    """Write model and processor as `from_pretrained` reads them; returns the number of parameters.

    Raises:
        CotgenError: there are no texts.
    """
    first = next(iter(texts := iter(texts)), None)
    if first is None:
        raise CotgenError("a tokenizer needs texts; name a data set with a train split")
    model, processor = build(shape, itertools.chain([first], texts))
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return sum(weight.numel() for weight in model.parameters())


def main() -> None:
    """`python -m cotgen.stages.tiny OUT --data DIR`."""
    import argparse

    from cotgen.stages.console import main_of

    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--data", type=Path, required=True, help="a finished data set")
    defaults = Tiny()
    for name in Tiny.__dataclass_fields__:
        value = getattr(defaults, name)
        parser.add_argument(f"--{name}", type=type(value), default=value, help=f"default {value}")
    given = vars(parser.parse_args())
    out, data = given.pop("out"), given.pop("data")
    main_of(lambda: print(f"{write(out, Tiny(**given), texts_of(data)):,} parameters in {out}"))


if __name__ == "__main__":
    main()
