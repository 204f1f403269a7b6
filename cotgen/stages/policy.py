"""Policy: a checkpoint that is asked, and what tells it from others.

Replies are kept under what they depend on. A server tells the name of its model and nothing of its weights, so a checkpoint
is told by its files, each whole: pieces of them would take two checkpoints that differ in one layer for one.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from cotgen.errors import CotgenError
from cotgen.records import canonical_json
from cotgen.shards.files import sha256_of

#: What a run was, beside each of its checkpoints.
RECORD = "cotgen.json"
_WEIGHTS = ("*.safetensors", "pytorch_model*.bin", "adapter_model*.bin", "*.gguf")
_BESIDE = (
    RECORD,
    "config.json",
    "cotgen_boxes.json",
    "adapter_config.json",
    "generation_config.json",
    "processor_config.json",
    "preprocessor_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "chat_template.json",
    "chat_template.jinja",
)


@dataclass(frozen=True, slots=True)
class Policy:
    """A checkpoint that is asked.

    Attributes:
        model: folder or name on the Hub.
        name: as manifests call it; never a path.
        weights: tells checkpoints apart, for the keys of replies.
    """

    model: str
    name: str
    weights: str

    @classmethod
    def of(cls, model: str, called: str = "") -> Policy:
        """Read what tells a checkpoint.

        Args:
            model: folder or name on the Hub.
            called: its public name.

        Raises:
            CotgenError: the folder has no weights.
        """
        folder = Path(model)
        if not folder.is_dir():
            return cls(model, called or model, model)
        weights = weights_of(folder)
        return cls(model, f"{called or 'policy'}@{weights[:12]}", weights)


def weights_of(checkpoint: Path) -> str:
    """What tells a checkpoint from others: a hash of its weights and of the files that say how it is asked.

    Raises:
        CotgenError: the folder has no weights.
    """
    weights = sorted(path.name for pattern in _WEIGHTS for path in checkpoint.glob(pattern))
    if not weights:
        raise CotgenError(f"{checkpoint} holds no weights (*.safetensors); name the folder that the server was given")
    names = [*_BESIDE, *weights]
    sums = [(name, sha256_of(checkpoint / name)) for name in names if (checkpoint / name).is_file()]
    return hashlib.sha256(canonical_json(sums)).hexdigest()
