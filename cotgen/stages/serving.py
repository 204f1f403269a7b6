"""Serving: what a folder needs beside its weights so that `vllm serve` makes the pictures that training made.

`serve.json` says it for programs, `serve.sh` starts it. Both name no path: the model is the folder that they lie in.
"""

from __future__ import annotations

import json
import shlex
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cotgen.errors import CotgenError

CONFIG = "processor_config.json"
#: Whose processor wants a part for videos, which transformers builds with torchvision alone, and what that part is called.
_VIDEO = {
    "qwen2_vl": "Qwen2VLVideoProcessor",
    "qwen2_5_vl": "Qwen2VLVideoProcessor",
    "qwen3_vl": "Qwen3VLVideoProcessor",
}


@dataclass(frozen=True, slots=True)
class Serving:
    """How a model is served.

    Attributes:
        name: by which requests call it.
        dtype: of its weights.
        max_model_len: tokens of picture, question and reply together.
        min_pixels: of a picture after resizing, as in training.
        max_pixels: likewise.
        pictures: of one request, at most.
        boxes: how it writes boxes.
    """

    name: str
    dtype: str
    max_model_len: int
    min_pixels: int
    max_pixels: int
    pictures: int = 1
    boxes: str = ""

    def flags(self) -> list[str]:
        """Of `vllm serve`, behind the name of the folder."""
        budget = {"min_pixels": self.min_pixels, "max_pixels": self.max_pixels}
        return [
            *("--served-model-name", self.name),
            *("--dtype", self.dtype),
            *("--max-model-len", str(self.max_model_len)),
            *("--mm-processor-kwargs", json.dumps(budget)),
            *("--limit-mm-per-prompt", json.dumps({"image": self.pictures, "video": 0})),
        ]


def budget_of(processor: Any) -> tuple[int, int]:
    """(min_pixels, max_pixels) of a processor. Raises CotgenError where it does not tell."""
    images = processor.image_processor
    size = getattr(images, "size", None) or {}
    least = getattr(images, "min_pixels", None) or size.get("shortest_edge")
    most = getattr(images, "max_pixels", None) or size.get("longest_edge")
    if not least or not most:
        raise CotgenError(
            f"{type(images).__name__} tells no min_pixels and max_pixels, so a server cannot be told to resize alike"
        )
    return int(least), int(most)


def write_serving(folder: Path, serving: Serving, versions: dict[str, str]) -> None:
    """Write `serve.json` and `serve.sh`.

    Args:
        folder: of the model, with its `chat_template.jinja`.
        serving: how.
        versions: that the model was exported with.
    """
    template = "chat_template.jinja"
    flags = [*serving.flags(), *(["--chat-template", template] if (folder / template).exists() else [])]
    told = {**asdict(serving), "flags": flags, "exported_with": versions}
    (folder / "serve.json").write_text(json.dumps(told, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    lines = [f"{shlex.quote(name)} {shlex.quote(value)}" for name, value in zip(flags[::2], flags[1::2], strict=True)]
    script = " \\\n  ".join(["exec vllm serve .", *lines, '"$@"'])
    text = (
        "#!/bin/bash\n"
        "# The pictures are those of training: leave --mm-processor-kwargs as it is. More flags go behind: --port 8000\n"
        'set -euo pipefail\ncd "$(dirname "${BASH_SOURCE[0]}")"\n'
        f"{script}\n"
    )
    (folder / "serve.sh").write_text(text, encoding="utf-8")
    (folder / "serve.sh").chmod(0o755)


def complete_processor(folder: Path, family: str, sources: list[Path]) -> bool:
    """Give a saved processor its part for videos, which servers want; returns whether it was missing.

    Args:
        folder: of the saved processor.
        family: `model_type` of the model.
        sources: folders whose processor may have one, the base model's first.

    Raises:
        CotgenError: it cannot be read.
    """
    path = folder / CONFIG
    told = _read(path)
    if family not in _VIDEO or "video_processor" in told or (folder / "video_preprocessor_config.json").exists():
        return False
    found: dict[str, Any] = {}
    for source in sources:
        found = _read(source / "video_preprocessor_config.json") or _read(source / CONFIG).get("video_processor", {})
        if found:
            break
    # The class knows the rest of its family by itself.
    told["video_processor"] = {"video_processor_type": _VIDEO[family], **found}
    path.write_text(json.dumps(told, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    return True


def _read(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CotgenError(f"{path} cannot be read; copy the model again") from error
    return found if isinstance(found, dict) else {}
