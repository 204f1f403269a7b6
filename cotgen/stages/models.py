"""Models and processors of the Qwen-VL kind: loaded alike in every stage, and tried before training begins.

What this guards against was met in the wild: a pixel budget that `from_pretrained` ignores, a processor that cannot be
built without torchvision, boxes in another convention than the model's, LoRA that trains the vision tower.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from cotgen.chains.boxes import BoxConvention, BoxFormat
from cotgen.errors import CotgenError
from cotgen.stages.arguments import VisionArguments
from cotgen.training.processor import box_format

#: `model_type` -> how its models write boxes, as their makers document it. InternVL's `<box>` tags are left out: it
#: learns plain numbers.
CONVENTIONS: dict[str, BoxConvention] = {
    "qwen2_5_vl": "resized",
    "qwen2_vl": "per_mille",
    "qwen3_vl": "per_mille",
    "qwen3_vl_moe": "per_mille",
    "qwen3_5": "per_mille",
    "qwen3_5_moe": "per_mille",
    "internvl": "per_mille",
    "internvl_chat": "per_mille",
}
#: The linear layers of the language model alone. `q_proj` would also name layers of some vision towers, and
#: `all-linear` trains every tower.
LORA_TARGETS = r".*language_model.*\.(q_proj|k_proj|v_proj|o_proj|gate_proj|up_proj|down_proj)"
BOXES_FILE = "cotgen_boxes.json"
ADAPTER = "adapter_config.json"


def load_processor(name: str, vision: VisionArguments, revision: str | None = None) -> Any:
    """The processor of a model, with the pixel budget that is asked for.

    Args:
        name: folder or name on the Hub.
        vision: its pixel budget.
        revision: of the model on the Hub.

    Raises:
        CotgenError: it cannot be loaded, or does not keep to the budget.
    """
    from transformers import AutoProcessor

    budget = {key: value for key in ("min_pixels", "max_pixels") if (value := getattr(vision, key))}
    options = {**budget, **({"revision": revision} if revision else {})}
    try:
        processor = AutoProcessor.from_pretrained(name, **options)
    except (OSError, ImportError, ValueError, AttributeError) as error:
        processor = _without_videos(name, options, error)
    if not hasattr(processor, "image_processor"):
        raise CotgenError(f"{name} has a tokenizer and no image processor, so it is no vision-language model")
    _check_budget(processor, budget, name)
    # A prompt that is generated from ends at its right end; SFT's collator pads on its own.
    processor.tokenizer.padding_side = "left"
    return processor


def _without_videos(name: str, options: dict[str, Any], error: Exception) -> Any:
    """A processor for pictures alone: transformers builds that for videos with torchvision only."""
    from transformers import AutoTokenizer
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

    revision = {"revision": options["revision"]} if "revision" in options else {}
    try:
        family = _family(name, options.get("revision"))
        if family not in ("qwen2_vl", "qwen2_5_vl", "qwen3_vl"):
            raise CotgenError(f"the processor of {name} cannot be loaded: {error}") from error
        tokenizer = AutoTokenizer.from_pretrained(name, **revision)
        images = Qwen2VLImageProcessorPil.from_pretrained(name, **options)
    except (OSError, ValueError) as again:
        raise CotgenError(f"the processor of {name} cannot be loaded: {again}") from error
    template = getattr(tokenizer, "chat_template", None)
    return image_only(family)(image_processor=images, tokenizer=tokenizer, chat_template=template)


def adapter_base(run: Path) -> tuple[str, str | None]:
    """(folder or name, revision) of what an adapter was trained on. Raises CotgenError where it does not say."""
    try:
        told = json.loads((run / ADAPTER).read_text(encoding="utf-8"))
        return str(told["base_model_name_or_path"]), told.get("revision")
    except (OSError, ValueError, KeyError) as error:
        raise CotgenError(f"{run / ADAPTER} does not say what it was trained on; copy the checkpoint again") from error


def _family(name: str, revision: str | None = None) -> str:
    """`model_type` of a model; that of its base where the folder holds an adapter alone."""
    from transformers import AutoConfig

    if (Path(name) / ADAPTER).exists():
        name, revision = adapter_base(Path(name))
    return str(AutoConfig.from_pretrained(name, **({"revision": revision} if revision else {})).model_type)


@cache
def image_only(family: str) -> Any:
    """The processor class of a Qwen-VL family without the slot for videos.

    Args:
        family: `qwen2_vl`, `qwen2_5_vl` or `qwen3_vl`.
    """
    import transformers
    from transformers.processing_utils import ProcessorMixin

    names = {"qwen2_vl": "Qwen2VLProcessor", "qwen2_5_vl": "Qwen2_5_VLProcessor", "qwen3_vl": "Qwen3VLProcessor"}
    base = getattr(transformers, names[family])

    class ImageOnly(base):  # type: ignore[misc,valid-type]
        # The parent reads its parts from the signature of __init__: what is not there is not built.
        def __init__(self, image_processor: Any = None, tokenizer: Any = None, chat_template: Any = None) -> None:
            tokens = {
                "image_token": "<|image_pad|>",
                "video_token": "<|video_pad|>",
                "vision_start_token": "<|vision_start|>",
                "vision_end_token": "<|vision_end|>",
            }
            for name, token in tokens.items():
                setattr(self, name, token)
                setattr(self, f"{name}_id", tokenizer.convert_tokens_to_ids(token))
            ProcessorMixin.__init__(self, image_processor, tokenizer, chat_template=chat_template)

    ImageOnly.__name__ = ImageOnly.__qualname__ = base.__name__
    return ImageOnly


def _check_budget(processor: Any, budget: dict[str, int], name: str) -> None:
    """Try the budget on a picture that is over it: some spellings are ignored without a word."""
    if "max_pixels" not in budget:
        return
    from PIL import Image

    images = processor.image_processor
    grid = images(images=[Image.new("RGB", (1920, 1080))]).get("image_grid_thw")
    if grid is None:
        return
    _, rows, columns = (int(n) for n in grid[0])
    pixels = rows * columns * images.patch_size**2
    if pixels > budget["max_pixels"]:
        raise CotgenError(
            f"the processor of {name} makes {pixels:,} pixels of a full HD picture where max_pixels is "
            f"{budget['max_pixels']:,}; this version of transformers ignores the budget for this model"
        )


def boxes_of(model: str, processor: Any, asked: str = "", revision: str | None = None) -> BoxFormat:
    """How boxes are written for a model: as asked, as its checkpoint was trained, else as its family does.

    Args:
        model: folder or name on the Hub.
        processor: of the model.
        asked: a convention; "" leaves it to the model.
        revision: of the model on the Hub.

    Raises:
        CotgenError: the family is not known and nothing was asked; the checkpoint was trained in another convention or
            with another pixel budget; the processor resizes otherwise than it says.
    """
    trained = trained_boxes(Path(model))
    if trained is None and not asked:
        family = _family(model, revision)
        if family not in CONVENTIONS:
            raise CotgenError(
                f"how models of the family {family} write boxes is not known here; say --boxes per_mille (0 to 1000), "
                "or what its makers document"
            )
        asked = CONVENTIONS[family]
    found = box_format(processor, asked or trained.convention)  # type: ignore[arg-type,union-attr]
    if trained is not None and found != trained:
        raise CotgenError(
            f"{model} was trained with boxes {_told(trained)} and would now be given {_told(found)}; leave --boxes, "
            "min_pixels and max_pixels as they were, or start from its base model"
        )
    return found


def trained_boxes(folder: Path) -> BoxFormat | None:
    """What `write_boxes` wrote into a checkpoint; None where nothing was. Raises CotgenError where it is damaged."""
    try:
        return BoxFormat(**json.loads((folder / BOXES_FILE).read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except NotADirectoryError:
        return None
    except (OSError, ValueError, TypeError) as error:
        raise CotgenError(f"{folder / BOXES_FILE} cannot be read; copy the checkpoint again") from error


def write_boxes(folder: Path, boxes: BoxFormat) -> None:
    """Say in a checkpoint how it writes boxes."""
    from dataclasses import asdict

    folder.mkdir(parents=True, exist_ok=True)
    (folder / BOXES_FILE).write_text(json.dumps(asdict(boxes), sort_keys=True) + "\n", encoding="utf-8")


def _told(boxes: BoxFormat) -> str:
    if boxes.convention != "resized":
        return boxes.convention
    return f"resized (min_pixels {boxes.min_pixels}, max_pixels {boxes.max_pixels})"


def load_model(arguments: Any, vision: VisionArguments, **options: Any) -> Any:
    """The model, its vision tower frozen where that is asked for.

    Args:
        arguments: TRL's `ModelConfig`.
        vision: what is frozen.
        options: more for `from_pretrained`, as `use_cache`.

    Raises:
        CotgenError: it cannot be loaded, or what is to be frozen is not found in it.
    """
    from transformers import AutoModelForImageTextToText

    name = arguments.model_name_or_path
    if not name:
        raise CotgenError("no model is named; say --model_name_or_path, or set it in the configuration")
    if getattr(arguments, "attn_implementation", None):
        options["attn_implementation"] = arguments.attn_implementation
    try:
        model = AutoModelForImageTextToText.from_pretrained(
            name, revision=arguments.model_revision, dtype=arguments.dtype or "float32", **options
        )
    except (OSError, ValueError, ImportError) as error:
        raise CotgenError(f"the model {name} cannot be loaded: {error}") from error
    freeze(model, vision)
    return model


def freeze(model: Any, vision: VisionArguments) -> None:
    """Keep the vision tower, and the projector where that is asked for, from learning."""
    if not (vision.freeze_vision or vision.freeze_projector):
        return
    tower, projector = _parts(model)
    if vision.freeze_vision:
        tower.requires_grad_(False)
        for part in projector:
            part.requires_grad_(True)
    if vision.freeze_projector:
        for part in projector:
            part.requires_grad_(False)


def _parts(model: Any) -> tuple[Any, list[Any]]:
    """The vision tower, and the parts that join it to the language model; Qwen's lie within the tower."""
    inner = getattr(model, "model", model)
    for name in ("visual", "vision_tower", "vision_model"):
        tower = getattr(inner, name, None)
        if tower is not None:
            break
    else:
        raise CotgenError(
            f"no vision tower was found in {type(model).__name__}; set freeze_vision and freeze_projector to false"
        )
    within = [getattr(tower, name) for name in ("merger", "deepstack_merger_list") if hasattr(tower, name)]
    beside = [getattr(inner, name) for name in ("multi_modal_projector", "connector") if hasattr(inner, name)]
    return tower, within + beside


def lora(arguments: Any) -> Any:
    """The LoRA configuration that is asked for, of the language model alone unless layers are named; None without."""
    from trl import get_peft_config

    if not arguments.use_peft:
        return None
    if not arguments.lora_target_modules:
        arguments.lora_target_modules = LORA_TARGETS
    return get_peft_config(arguments)
