"""A look-alike of Endoscapes2023: drawn structures, masks and COCO boxes of the same shapes, votes that disagree.

As in the release the files of boxes hold the outlines of instances as run lengths, the files of votes may list no box,
and the pictures of the `_seg` folders are what becomes of a link where links are unpacked as texts.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from cotgen.draws import draw
from cotgen.sources.demo.shapes import Thing, blob, classes, extent, paint, rod, save, write
from cotgen.sources.endoscapes import CLASSES

SIZE = (427, 240)
#: Public numbers of videos in the train, validation and test folders.
VIDEOS = ((5, "train"), (6, "train"), (8, "train"), (122, "val"), (123, "val"), (162, "test"), (163, "test"))
FRAMES = 12
COLOURS = {
    "gallbladder": (96, 132, 84), "cystic_duct": (196, 178, 92), "cystic_artery": (190, 62, 58),
    "cystic_plate": (214, 190, 168), "calot_triangle": (168, 120, 92), "tool": (176, 178, 184),
}  # fmt: skip


def make_endoscapes(folder: Path, surgeries: int = 6, seed: int = 0) -> None:
    """Write the tree; a picture each 30 seconds with boxes, masks and votes, and one each 5 s between with votes alone."""
    records: dict[str, list[dict[str, object]]] = {"train": [], "val": [], "test": []}
    boxes: dict[str, list[dict[str, object]]] = {"train": [], "val": [], "test": []}
    rows = [
        "vid,frame,C1,C2,C3,avg_cvs,is_ds_keyframe,is_det_keyframe,cvs_annotator_1,cvs_annotator_2,cvs_annotator_3"
    ]
    for video, split in VIDEOS[: max(1, min(surgeries, len(VIDEOS)))]:
        for n in range(FRAMES):
            frame = 750 + 125 * n
            key = f"{video}_{frame}"
            things = _scene(video, n, seed)
            outlined = n % 6 == 0 or n % 3 == 1
            save(paint(SIZE, things), folder / split / f"{key}.jpg")
            raters = [
                [draw(seed, "cvs", key, str(rater), str(c)) % 5 < 2 + (n + c) % 3 for c in range(3)]
                for rater in range(3)
            ]
            votes = [sum(row[c] for row in raters) / 3 for c in range(3)]
            record = {
                "file_name": f"{key}.jpg", "height": SIZE[1], "width": SIZE[0], "id": int(f"{video}0{frame}"),
                "is_det_keyframe": outlined, "ds": votes, "video_id": video, "is_ds_keyframe": True,
            }  # fmt: skip
            records[split].append(record)
            cells = ",".join('"[' + ", ".join(str(int(v)) for v in row) + ']"' for row in raters)
            rows.append(f"{video},{frame},{votes[0]},{votes[1]},{votes[2]},0,True,{outlined},{cells}")
            if outlined:
                mask = classes(SIZE, things, {name: n for n, name in enumerate(CLASSES)})
                seen = np.asarray(mask).copy()
                if n % 6 == 0 and n:
                    mask.paste(255, (0, 0, 40, 40))
                save(mask, folder / "semseg" / f"{key}.png")
                write(folder / f"{split}_seg" / f"{key}.jpg", f"../{split}/{key}.jpg")
                for thing in things:
                    x1, y1, x2, y2 = extent(SIZE, thing.shape)
                    category = CLASSES.index(thing.name) - 1
                    boxes[split].append(
                        {
                            "image_id": record["id"],
                            "category_id": category,
                            "bbox": [x1, y1, x2 - x1, y2 - y1],
                            "segmentation": {"size": [SIZE[1], SIZE[0]], "counts": runs(seen == category + 1)},
                        }
                    )
    categories = [{"id": n, "name": name} for n, name in enumerate(CLASSES[1:])]
    for split, images in records.items():
        if images:
            boxed = [image for image in images if image["is_det_keyframe"]]
            content = {"images": boxed, "annotations": boxes[split], "categories": categories}
            write(folder / split / "annotation_coco.json", json.dumps(content))
            write(
                folder / split / "annotation_ds_coco.json",
                json.dumps({**content, "images": images, "annotations": []}),
            )
    write(folder / "all_metadata.csv", "\n".join(rows) + "\n")
    write(folder / "train_vids.txt", "".join(f"{video:.18e}\n" for video, split in VIDEOS if split == "train"))


def runs(mask: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> str:
    """A mask as COCO keeps it: lengths of runs down the columns, each from the fourth on less the last but one."""
    flat = np.concatenate(([False], mask.T.ravel()))
    edges = np.flatnonzero(flat[1:] != flat[:-1])
    lengths = np.diff(np.concatenate(([0], edges, [mask.size]))).tolist()
    text = []
    for n, length in enumerate(lengths):
        value, more = length - lengths[n - 2] if n > 2 else length, True
        while more:
            code = value & 31
            value >>= 5
            more = value != (-1 if code & 16 else 0)
            text.append(chr(48 + code + (32 if more else 0)))
    return "".join(text)


def _scene(video: int, n: int, seed: int) -> list[Thing]:
    """Which structures are there differs from picture to picture."""

    def at(name: str, least: float, most: float) -> float:
        return least + (most - least) * (draw(seed, "at", str(video), str(n), name) % 1000) / 1000

    x, y = at("x", 0.3, 0.5), at("y", 0.22, 0.36)
    shapes = [("gallbladder", blob(x, y, 0.42, 0.46, str(video), str(n), seed=seed))]
    if n % 4 != 3:
        shapes.append(("cystic_plate", blob(x + 0.2, y - 0.08, 0.1, 0.22, str(video), "plate", seed=seed)))
    shapes.append(("calot_triangle", blob(x + 0.12, y + 0.26, 0.16, 0.16, str(video), "triangle", seed=seed)))
    shapes.append(("cystic_duct", rod(x + 0.06, y + 0.2, x + 0.04, y + 0.52, 0.045)))
    if n % 3:
        shapes.append(("cystic_artery", rod(x + 0.16, y + 0.18, x + 0.3, y + 0.44, 0.03)))
    if n % 5:
        shapes.append(("tool", rod(1.02, at("tool", 0.6, 0.98), x + 0.2, y + 0.4, 0.07)))
    return [Thing(name, COLOURS[name], shape) for name, shape in shapes]
