"""Read an export with LLaMA-Factory's own loader: `python read_llamafactory.py OUT`. Prints what it found as JSON."""

import importlib.machinery
import json
import sys
import tempfile
import types
from types import SimpleNamespace

try:
    import torchaudio  # noqa: F401
except ImportError:
    # The loader imports it for sound, of which an export has none; its wheels want a torch with CUDA.
    stand_in = types.ModuleType("torchaudio")
    stand_in.__spec__ = importlib.machinery.ModuleSpec("torchaudio", None)
    sys.modules["torchaudio"] = stand_in

from importlib.metadata import version

from llamafactory.data.loader import _load_single_dataset
from llamafactory.data.mm_plugin import get_mm_plugin
from llamafactory.data.parser import get_dataset_list
from llamafactory.hparams import DataArguments
from PIL import Image

out = sys.argv[1]
with tempfile.TemporaryDirectory() as cache:
    data = DataArguments(dataset="cotgen_train", dataset_dir=out, media_dir=out, overwrite_cache=True)
    (entry,) = get_dataset_list(["cotgen_train"], out)
    model = SimpleNamespace(cache_dir=cache, hf_hub_token=None)
    rows = _load_single_dataset(entry, model, data, SimpleNamespace(dataloader_num_workers=0, local_process_index=0))
    plugin = get_mm_plugin("qwen2_vl", image_token="<|image_pad|>")
    ready = 0
    for row in rows:
        (prompt,), (response,), (picture,) = row["_prompt"], row["_response"], row["_images"]
        assert (prompt["role"], response["role"]) == ("user", "assistant")
        plugin._validate_messages([prompt, response], [picture], [], [])
        Image.open(picture).load()
        ready += 1
print(json.dumps({"version": f"LLaMA-Factory {version('llamafactory')}", "rows": ready}))
