"""Read an export with ms-swift's own loader: `python read_swift.py OUT`. Prints what it found as JSON.

Boxes go through the template's own `normalize_bbox` and `replace_bbox`, so what is printed is what a model would get.
"""

import json
import os
import sys
from importlib.metadata import version
from types import SimpleNamespace

os.environ["ROOT_IMAGE_DIR"] = sys.argv[1]

from PIL import Image
from swift.dataset import load_dataset
from swift.template.base import Template
from swift.template.templates.qwen import Qwen2VLTemplate
from swift.template.vision_utils import load_image

rows, _ = load_dataset([f"{sys.argv[1]}/train.jsonl"], strict=True, load_from_cache_file=False)
template = SimpleNamespace(norm_bbox="norm1000", bbox_format="new")
told = []
for row in rows:
    (picture,) = row["images"]
    image = load_image(picture["path"])
    assert isinstance(image, Image.Image)
    objects = {**row["objects"], "width": [image.width], "height": [image.height]}
    Template.normalize_bbox(template, SimpleNamespace(objects=objects, images=[image]))
    texts = [turn["content"] for turn in row["messages"]]
    written = [Qwen2VLTemplate.replace_bbox(template, box, 0, None)[0] for box in objects["bbox"]]
    pieces = "\0".join(texts).split("<bbox>")
    named = written[: len(pieces) - 1]
    # The first row of a file has a box that no text names.
    assert written in (named, [str([0, 0, 1000, 1000])])
    texts = "".join(a + b for a, b in zip(pieces, [*named, ""], strict=True)).split("\0")
    told.append(texts)
print(json.dumps({"version": f"ms-swift {version('ms-swift')}", "rows": len(told), "texts": told}))
