"""README.md of an export: how its reader takes it, what its boxes mean, and the terms that travel with the pictures."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import yaml

from cotgen.chains.boxes import BoxFormat
from cotgen.chains.render import View
from cotgen.inspect.export_files import features_of
from cotgen.inspect.export_rows import IMAGES, Layout
from cotgen.records import Manifest
from cotgen.shards.readme import by_a_model, listed, source_terms, strictest_terms

WHY = {
    "split": "of another split",
    "task": "of another task",
    "writer": "of another writer",
    "asserted": "whose template chain gives no reason for its answer (`--asserted` takes them)",
}
_BOXES = {
    "bare": "Boxes are `<bbox>` in the text, and their pixels of the stored picture stand in `objects`; ms-swift writes "
    "them as its model needs them. With `QWENVL_BBOX_FORMAT=new` Qwen models get `[x1, y1, x2, y2]`.",
    "pixels": "Boxes are `[x1, y1, x2, y2]` in pixels of the picture as stored.",
    "per_mille": "Boxes are `[x1, y1, x2, y2]` in thousandths of width and height, 0 to 1000, as Qwen2-VL and Qwen3-VL "
    "have them.",
    "normalised": "Boxes are `[x1, y1, x2, y2]` in parts of width and height, 0 to 1.",
}


def notes(
    manifest: Manifest,
    layout: Layout,
    view: View,
    boxes: BoxFormat,
    pairs: Mapping[str, int],
    left_out: Mapping[str, int],
) -> str:
    """The text of README.md; depends on its arguments alone.

    Args:
        manifest: of the data set.
        layout: the format.
        view: what the pairs are for.
        boxes: how boxes are written.
        pairs: split -> rows.
        left_out: why -> pairs that are not in it.
    """
    title = listed([source.title for source in manifest.sources]) or "surgical video"
    lines = [f"- {split}: {count:,} rows" for split, count in pairs.items()]
    lines += [f"- left out: {count:,} pairs {WHY[why]}" for why, count in left_out.items()]
    parts = [
        *_head(layout, view, list(pairs)),
        f"# {title}: chains of thought for {layout.reader}",
        f"View `{view}` of the data set with fingerprint `{manifest.fingerprint}` (split table `{manifest.split_table}`), "
        "written by `cotgen export`. Train on the train split alone: an operation is in one split, whatever data set "
        "labels it.",
        "\n".join(lines),
        box_sentence(boxes),
        *([_SOLUTION] if view == "prompt" and boxes.convention == "bare" else []),
        "## How to load it",
        f"OUT is this folder.\n\n```{_LANGUAGE[layout.name]}\n{_loading(layout, view, list(pairs))}\n```",
        *([_CACHE] if layout.name == "parquet" else []),
        *by_a_model(manifest),
        "## Licence and citation",
        "The pictures and the text keep the terms of their sources, in this form as well.",
        *(source_terms(source) for source in manifest.sources),
        *strictest_terms(manifest.sources),
        "The chains are generated text. They are for research and no medical advice.",
    ]
    return "\n\n".join(parts) + "\n"


def box_sentence(boxes: BoxFormat) -> str:
    """What the numbers of a box mean."""
    if boxes.convention == "resized":
        return (
            "Boxes are `[x1, y1, x2, y2]` in pixels of the picture as Qwen2.5-VL's processor resizes it with min_pixels "
            f"{boxes.min_pixels} and max_pixels {boxes.max_pixels}. With other limits they are wrong: set these in "
            "training, serving and evaluation."
        )
    return _BOXES[boxes.convention]


def dataset_info(splits: Sequence[str]) -> str:
    """LLaMA-Factory's `dataset_info.json`: an entry `cotgen_SPLIT` for each split."""
    columns = {"messages": "conversations", "images": "images"}
    entries = {
        f"cotgen_{split}": {"file_name": f"{split}.jsonl", "formatting": "sharegpt", "columns": columns}
        for split in splits
    }
    return json.dumps(entries, indent=2) + "\n"


def _head(layout: Layout, view: View, splits: Sequence[str]) -> list[str]:
    """What `load_dataset(OUT)` reads, for the formats that `datasets` loads by folder."""
    paths = {"trl": f"{IMAGES}/{{split}}/**", "parquet": "data/{split}-*.parquet"}
    if layout.name not in paths:
        return []
    files = [{"split": split, "path": paths[layout.name].format(split=split)} for split in splits]
    features = [{"name": name, **_column(kind)} for name, kind in features_of(view).items()]
    head = {
        "configs": [{"config_name": "default", "data_files": files}],
        "dataset_info": {"config_name": "default", "features": features},
    }
    return [f"---\n{yaml.safe_dump(head, sort_keys=False, width=1000)}---"]


def _column(kind: Mapping[str, object]) -> dict[str, object]:
    """A column in the YAML form of `datasets`."""
    if kind["_type"] == "Value":
        return {"dtype": kind["dtype"]}
    inner = kind["feature"]
    assert isinstance(inner, Mapping)
    if inner.get("_type") == "Image":
        return {"list": "image"}
    return {"list": [{"name": name, "dtype": part["dtype"]} for name, part in inner.items()]}


def _loading(layout: Layout, view: View, splits: Sequence[str]) -> str:
    split = splits[0]
    file = layout.file.format(split=split, shard="")
    if layout.name == "swift":
        command = "rlhf --rlhf_type grpo" if view == "prompt" else "sft"
        return f"ROOT_IMAGE_DIR=OUT QWENVL_BBOX_FORMAT=new swift {command} --model MODEL --dataset OUT/{file}"
    if layout.name == "llava":
        return f"python llava/train/train_mem.py --data_path OUT/{file} --image_folder OUT ..."
    if layout.name == "sharegpt":
        return f"llamafactory-cli train sft.yaml dataset_dir=OUT media_dir=OUT dataset=cotgen_{split}"
    trainer = "GRPOTrainer" if view == "prompt" else "SFTTrainer"
    return (
        "from datasets import load_dataset\n\n"
        f'ds = load_dataset("OUT", split="{split}")  # streaming=True works alike; rows go to TRL\'s {trainer} as they are'
    )


_LANGUAGE = {"swift": "bash", "llava": "bash", "sharegpt": "bash", "trl": "python", "parquet": "python"}
_CACHE = (
    "The files hold a picture once for all its rows of a group; the cache of `load_dataset` without streaming holds it "
    "again for each row. Stream, or use `cotgen export --format trl`, where the cache holds paths."
)
_SOLUTION = "`solution` has its boxes in pixels of the picture as stored, whose size is `width` x `height`."
