"""Policy: a checkpoint that is asked, and what tells it from others."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from cotgen.records import canonical_json
from cotgen.shards.files import sha256_of
from cotgen.stages.run import RECORD

_WEIGHTS = ("*.safetensors", "*.bin")


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
        """Read what tells a checkpoint: its record, its configuration and its weights.

        Args:
            model: folder or name on the Hub.
            called: its public name.
        """
        folder = Path(model)
        if not folder.is_dir():
            return cls(model, called or model, model)
        names = [RECORD, "config.json", *(p.name for pattern in _WEIGHTS for p in sorted(folder.glob(pattern)))]
        sums = [(name, sha256_of(folder / name)) for name in names if (folder / name).is_file()]
        weights = hashlib.sha256(canonical_json(sums)).hexdigest()
        return cls(model, f"{called or 'policy'}@{weights[:12]}", weights)
