"""Rounds of a refinement against a server, with a program in place of the training, as tests and a killed process run them.

python -m tests.stages.rounds DATA OUT URL
"""

import sys
from pathlib import Path
from typing import Any

from cotgen.chains.boxes import BoxFormat
from cotgen.models.cache import ReplyCache
from cotgen.stages.arguments import DataArguments
from cotgen.stages.data import portions
from cotgen.stages.policy_server import PolicyServer
from cotgen.stages.refine import Asking, Refinement
from cotgen.stages.refine_arguments import RefineArguments
from cotgen.training.sampler import Sampling

BOXES = BoxFormat("per_mille")
#: Writes what a training leaves, and what it was told.
TRAINER = (
    "{python} -c 'import json, pathlib, sys; out = pathlib.Path(sys.argv[1]); out.mkdir(parents=True, exist_ok=True); "
    '(out / "told.json").write_text(json.dumps(sys.argv[2:])); '
    '(out / "model.safetensors").write_text(out.parent.name); '
    '(out / "cotgen.json").write_text(json.dumps(out.parent.name))\' {out} {start} {data}'
)


def rounds(data: Path, out: Path, url: str, *, difficulty: str = "", **changed: Any) -> dict[str, Any]:
    """Run all rounds; returns the best one."""
    out.mkdir(parents=True, exist_ok=True)
    first = out.parent / "first"
    first.mkdir(exist_ok=True)
    (first / "config.json").write_text("{}")
    (first / "model.safetensors").write_bytes(b"weights")
    told = {
        "output_dir": str(out), "model_name_or_path": str(first), "rounds": 2, "samples": 3, "max_tokens": 256,
        "train_command": TRAINER, "policy_url": url, "same_server": True, "patience": 2, "policy": "Qwen3-VL-8B-x",
        "concurrency": 8,
    } | changed  # fmt: skip
    given, which = RefineArguments(**told), DataArguments(data=[str(data)], difficulty=difficulty)
    sampling = Sampling("", given.samples, given.temperature, given.top_p, given.max_tokens)
    with (
        ReplyCache(out / "replies.sqlite") as cache,
        PolicyServer(given.serve_command, given.policy_url, out / "server.log") as serving,
    ):
        asking = Asking(portions(which.data), which, BOXES, sampling, cache)
        return Refinement(given, which, asking, serving).run()


if __name__ == "__main__":
    rounds(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
