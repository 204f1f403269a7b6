"""A random Qwen3-VL of a few hundred thousand parameters with its processor, made without a download.

The processor class has no slot for videos: transformers builds that one with torchvision alone.
"""

from __future__ import annotations

import importlib.resources
from typing import Any

SPECIALS = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|image_pad|>",
    "<|video_pad|>",
)


def tokenizer() -> Any:
    """Bytes, the special tokens, and a few merges."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=list(SPECIALS), initial_alphabet=alphabet, show_progress=False
    )
    made.train_from_iterator(["Is a hook in view? Yes. No. system user assistant <think> </think>"], trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=made,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        extra_special_tokens=list(SPECIALS[1:]),
        padding_side="left",
    )


def image_processor(patch: int = 16, least: int = 56 * 56, most: int = 28 * 28 * 16) -> Any:
    """Qwen's image processor on Pillow: patch 14 for Qwen2.5-VL, 16 for Qwen3-VL."""
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

    size = {"shortest_edge": least, "longest_edge": most}
    return Qwen2VLImageProcessorPil(patch_size=patch, merge_size=2, temporal_patch_size=2, size=size)


def build() -> tuple[Any, Any]:
    """Model and processor."""
    import torch
    from transformers import Qwen3VLConfig, Qwen3VLForConditionalGeneration, Qwen3VLProcessor
    from transformers.processing_utils import ProcessorMixin

    class ImageOnly(Qwen3VLProcessor):  # type: ignore[misc]
        def __init__(self, image_processor: Any = None, tokenizer: Any = None, chat_template: Any = None) -> None:
            tokens = {"image_token": "image_pad", "video_token": "video_pad"}
            for name, word in tokens.items() | {
                ("vision_start_token", "vision_start"),
                ("vision_end_token", "vision_end"),
            }:
                setattr(self, name, f"<|{word}|>")
                setattr(self, f"{name}_id", tokenizer.convert_tokens_to_ids(f"<|{word}|>"))
            ProcessorMixin.__init__(self, image_processor, tokenizer, chat_template=chat_template)

    words = tokenizer()
    number = dict(zip(SPECIALS, words.convert_tokens_to_ids(list(SPECIALS)), strict=True))
    text = {
        "vocab_size": len(words),
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "eos_token_id": number["<|im_end|>"],
        "pad_token_id": number["<|endoftext|>"],
        "rope_parameters": {
            "rope_type": "default",
            "rope_theta": 5e6,
            "mrope_section": [2, 3, 3],
            "mrope_interleaved": True,
        },
    }
    vision = {
        "depth": 2,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_heads": 2,
        "patch_size": 16,
        "out_hidden_size": 64,
        "num_position_embeddings": 64,
        "deepstack_visual_indexes": [0],
    }
    torch.manual_seed(0)
    config = Qwen3VLConfig(
        text_config=text,
        vision_config=vision,
        image_token_id=number["<|image_pad|>"],
        video_token_id=number["<|video_pad|>"],
        vision_start_token_id=number["<|vision_start|>"],
        vision_end_token_id=number["<|vision_end|>"],
    )
    template = (importlib.resources.files("trl") / "chat_templates" / "qwen3_vl.jinja").read_text()
    processor = ImageOnly(image_processor=image_processor(), tokenizer=words, chat_template=template)
    return Qwen3VLForConditionalGeneration(config), processor
