"""Stage 4 through its script: two rounds with TRL's trainer, a tiny model, and a server that answers now and then right."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cotgen.chains.boxes import BoxFormat
from cotgen.dataset import open as open_dataset
from cotgen.draws import draw
from cotgen.models.images import ImageMaker
from cotgen.models.stub import StubServer
from cotgen.shards.manifest import load
from cotgen.shards.verify import verify
from cotgen.training.sampler import Prompt
from tests.shards.samples import make, write_folder
from tests.training.sham_policy import ShamPolicy, gold, wrong

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
BOXES = BoxFormat("per_mille")
TRAIN = (
    "{python} recipes/stage2_cold_start.py --config {config} --model_name_or_path {start} --data {data} "
    "--output_dir {out} --resume_from_checkpoint true --max_steps 3 --save_steps 2 --disable_tqdm true"
)


def now_and_then(prompt: Prompt, sample: int, hinted: bool) -> str:
    right = draw(1, prompt.name) % 3 and draw(1, prompt.name, str(sample)) % 2
    return gold(prompt, BOXES) if hinted or right else wrong(prompt, BOXES)


def test_two_rounds_train_and_go_on_where_they_were_stopped(tmp_path: Path) -> None:
    pytest.importorskip("trl", reason="trl is not installed: pip install 'cotgen[train]'")
    from cotgen.stages.tiny import Tiny, texts_of, write

    data = write_folder(make(seconds=8), tmp_path / "set", shards=1)
    shape = Tiny(max_pixels=28 * 28 * 9)
    write(tmp_path / "tiny", shape, texts_of(data))
    out = tmp_path / "out"
    maker = ImageMaker(shape.max_pixels, shape.min_pixels, 32)
    server = StubServer(ShamPolicy(data, BOXES, now_and_then, maker))
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    with server as url:

        def run(*more: str) -> subprocess.CompletedProcess[str]:
            told = {
                "config": "recipes/configs/stage4/tiny_cpu.yaml", "model_name_or_path": tmp_path / "tiny",
                "start_from": tmp_path / "tiny", "data": data, "output_dir": out, "train_command": TRAIN,
                "serve_command": "", "policy_url": url, "same_server": True, "patience": 2, "most_prompts": 30,
                "most_held_out": 8,
            }  # fmt: skip
            words = [part for name, value in told.items() for part in (f"--{name}", str(value))]
            command = [sys.executable, "recipes/stage4_refine.py", *words, *more]
            return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=400)

        stopped = run("--train_command", "no-such-program")
        assert stopped.returncode == 1
        assert "fine-tuning of round 1 failed" in stopped.stderr
        assert "Traceback" not in stopped.stderr
        asked = sum(server.answered.values())
        done = run()
        assert done.returncode == 0, done.stderr[-3000:]
        # The first round was asked before the training failed.
        assert max(server.answered.values()) == 1
        assert sum(server.answered.values()) > asked
    assert "best: round 0" in done.stdout
    for number in (1, 2):
        folder = out / f"round-{number}"
        assert verify(folder / "data").problems == []
        writers = {pair.writer for sample in open_dataset(folder / "data") for pair in sample.record.pairs}
        assert writers == {f"policy/{number}", f"policy-hint/{number}"}
        record = json.loads((folder / "model" / "cotgen.json").read_text())
        assert record["stage"] == "stage4_refine"
        trained = [entry["fingerprint"] for entry in record["data"]]
        assert trained == [
            load(data).fingerprint,
            *(load(out / f"round-{n}" / "data").fingerprint for n in range(1, number + 1)),
        ]
        assert (folder / "model" / "model.safetensors").is_file()
