"""Read an export with datasets and TRL's own helpers: `python read_trl.py OUT`. Prints what it found as JSON."""

import json
import sys
import tempfile

import datasets
import trl
from trl.data_utils import is_conversational, prepare_multimodal_messages

datasets.disable_progress_bars()
with tempfile.TemporaryDirectory() as cache:
    rows = datasets.load_dataset(sys.argv[1], split="train", cache_dir=cache)
    ready = 0
    for row in rows:
        assert is_conversational(row), row
        turns = prepare_multimodal_messages([*row["prompt"], *row["completion"]], images=row["images"])
        assert [part["type"] for part in turns[0]["content"]] == ["image", "text"]
        assert turns[0]["content"][0]["image"].size == tuple(row["images"][0].size)
        ready += 1
print(json.dumps({"version": f"TRL {trl.__version__}, datasets {datasets.__version__}", "rows": ready}))
