"""The rows of each format for one pair of each kind: yes or no, options, boxes in question, chain and answer, a set."""

import json
from pathlib import Path
from typing import Any

import pytest

from cotgen.chains.boxes import BoxConvention, BoxFormat
from cotgen.chains.render import View
from cotgen.inspect.export import Wanted, export
from cotgen.inspect.export_rows import LAYOUTS, FormatName
from tests.inspect.handmade import SEEN, SO, handmade

ACCEPTED = Path(__file__).parent / "accepted"
Rows = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return handmade(tmp_path_factory.mktemp("rows") / "set")[0]


def rows(folder: Path, out: Path, name: FormatName, view: View = "cot", boxes: BoxConvention | None = None) -> Rows:
    """The exported rows of train by the id of their pair, without the id itself."""
    layout = LAYOUTS[name]
    export(folder, out, Wanted(layout, view, BoxFormat.of(boxes or layout.boxes[0])))
    if name == "parquet":
        pq = pytest.importorskip("pyarrow.parquet")
        found = pq.read_table(out / "data").to_pylist()
    else:
        text = (out / layout.file.format(split="train")).read_text(encoding="utf-8")
        found = json.loads(text) if layout.array else [json.loads(line) for line in text.splitlines()]
    return {row.pop("id").partition("#")[2]: row for row in found}


YES, CHOICE, PLACES, SET = "tool.yesno.instrument.hook", "phase.choice", "loc.all", "tool.presence"
PICTURE = "images/train/cholec80-1/cholec80-1-000000.jpg"


def test_swift(folder: Path, tmp_path: Path) -> None:
    found = rows(folder, tmp_path / "out", "swift")
    assert found[YES] == {
        "messages": [
            {"role": "user", "content": "<image>Is a hook in view?"},
            {"role": "assistant", "content": f"{SO}<answer>yes</answer>"},
        ],
        "images": [PICTURE],
        # No text names it: it is there so that readers know the type of the column from the first row on.
        "objects": {"ref": [], "bbox": [[0, 0, 48, 36]]},
    }
    assert found[SET]["objects"] == {"ref": [], "bbox": []}
    assert found[CHOICE]["messages"][0]["content"] == "<image>Which?\nA. Preparation\nB. Clipping and cutting"
    assert found[PLACES] == {
        "messages": [
            {"role": "user", "content": "<image>What is in <bbox>?"},
            {
                "role": "assistant",
                "content": "<think>Level 1: A hook lies right <bbox>.\nLevel 2: It touches <bbox>.\nLevel 3: It is at "
                "<bbox>.</think><answer>hook <bbox>\ngrasper <bbox></answer>",
            },
        ],
        "images": [PICTURE],
        # In the order in which <bbox> stands in the messages: question, chain, answer.
        "objects": {
            "ref": [],
            "bbox": [
                [12, 9, 24, 18], [24, 18, 48, 36], [12, 9, 24, 18], [24, 18, 48, 36], [24, 18, 48, 36], [12, 9, 24, 18],
            ],
        },
    }  # fmt: skip
    assert found[SET]["messages"][0]["content"] == "<image>Näher: what is in view – “all”?"
    assert found[SET]["messages"][1]["content"] == f"{SO}<answer>grasper\nhook</answer>"


def test_rows_with_boxes_may_come_late(folder: Path, tmp_path: Path) -> None:
    """`datasets` takes the types from the first ten megabytes, and a trainer must not fail on the first box after them."""
    datasets = pytest.importorskip("datasets")
    datasets.disable_progress_bars()
    rows(folder, tmp_path / "out", "swift")
    first, *others = (tmp_path / "out" / "train.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    boxless = next(line for line in others if '"bbox":[]' in line)
    boxed = next(line for line in others if '"bbox":[[' in line)
    late = tmp_path / "late.jsonl"
    late.write_text("".join([first, *[boxless] * (11_000_000 // len(boxless)), boxed]), encoding="utf-8")
    loaded = datasets.load_dataset("json", data_files=str(late), split="train", cache_dir=str(tmp_path / "cache"))
    assert loaded[-1]["objects"]["bbox"] == json.loads(boxed)["objects"]["bbox"]


@pytest.mark.parametrize("name", ["swift", "trl", "sharegpt", "llava"])
def test_rows_have_the_form_that_the_trainers_accepted(folder: Path, tmp_path: Path, name: FormatName) -> None:
    """`accepted/` holds rows of the look-alike as ms-swift 4.6.0, TRL 1.16.0 and LLaMA-Factory 0.9.5 read them.

    LLaVA has no package whose reader could be run; its row is that of its documentation.
    """
    text = (ACCEPTED / f"{name}.{'json' if name == 'llava' else 'jsonl'}").read_text(encoding="utf-8")
    accepted = json.loads(text) if name == "llava" else [json.loads(line) for line in text.splitlines()]
    ours = [{"id": id, **row} for id, row in rows(folder, tmp_path / "out", name).items()]
    assert {form(row) for row in ours} == {form(row) for row in accepted}
    if name == "sharegpt":
        info, held = (json.loads((at / "dataset_info.json").read_text()) for at in (ACCEPTED, tmp_path / "out"))
        assert info["cotgen_train"] == held["cotgen_train"]


def form(value: Any) -> str:
    """Keys and types of a row; of a list, those that its elements have; whether a text marks the place of the picture."""
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {form(part)}' for key, part in sorted(value.items()))}}}"
    if isinstance(value, list):
        return f"[{' | '.join(sorted({form(part) for part in value}))}]"
    if isinstance(value, str):
        return "picture, text" if value.startswith("<image>") else "text"
    return type(value).__name__


def test_swift_with_numbers_in_the_text_has_no_objects(folder: Path, tmp_path: Path) -> None:
    found = rows(folder, tmp_path / "out", "swift", "vqa", "per_mille")
    assert found[PLACES] == {
        "messages": [
            {"role": "user", "content": "<image>What is in [250, 250, 500, 500]?"},
            {"role": "assistant", "content": "hook [500, 500, 1000, 1000]\ngrasper [250, 250, 500, 500]"},
        ],
        "images": [PICTURE],
    }


def test_swift_for_rewards_has_a_solution_in_pixels_of_the_stored_picture(folder: Path, tmp_path: Path) -> None:
    found = rows(folder, tmp_path / "out", "swift", "prompt")
    assert found[PLACES] == {
        "messages": [{"role": "user", "content": "<image>What is in <bbox>?"}],
        "images": [PICTURE],
        "objects": {"ref": [], "bbox": [[12, 9, 24, 18]]},
        "task": "localization",
        "solution": "hook [24, 18, 48, 36]\ngrasper [12, 9, 24, 18]",
        "width": 48,
        "height": 36,
    }


def test_llava(folder: Path, tmp_path: Path) -> None:
    found = rows(folder, tmp_path / "out", "llava", boxes="normalised")
    assert found[YES] == {
        "image": PICTURE,
        "conversations": [
            {"from": "human", "value": "<image>\nIs a hook in view?"},
            {"from": "gpt", "value": f"{SO}<answer>yes</answer>"},
        ],
    }
    one, other = "[0.2500, 0.2500, 0.5000, 0.5000]", "[0.5000, 0.5000, 1.0000, 1.0000]"
    chain = SEEN.replace("<bbox:0>", one).replace("<bbox:1>", other)
    assert found[PLACES]["conversations"] == [
        {"from": "human", "value": f"<image>\nWhat is in {one}?"},
        {"from": "gpt", "value": f"{chain}<answer>hook {other}\ngrasper {one}</answer>"},
    ]
    assert found[CHOICE]["conversations"][0]["value"] == "<image>\nWhich?\nA. Preparation\nB. Clipping and cutting"
    assert found[SET]["conversations"][1]["value"] == f"{SO}<answer>grasper\nhook</answer>"


def test_sharegpt(folder: Path, tmp_path: Path) -> None:
    found = rows(folder, tmp_path / "out", "sharegpt")
    assert found[YES] == {
        "images": [PICTURE],
        "conversations": [
            {"from": "human", "value": "<image>Is a hook in view?"},
            {"from": "gpt", "value": f"{SO}<answer>yes</answer>"},
        ],
    }
    chain = SEEN.replace("<bbox:0>", "[12, 9, 24, 18]").replace("<bbox:1>", "[24, 18, 48, 36]")
    assert found[PLACES]["conversations"] == [
        {"from": "human", "value": "<image>What is in [12, 9, 24, 18]?"},
        {"from": "gpt", "value": f"{chain}<answer>hook [24, 18, 48, 36]\ngrasper [12, 9, 24, 18]</answer>"},
    ]
    assert json.loads((tmp_path / "out" / "dataset_info.json").read_text()) == {
        "cotgen_train": {
            "file_name": "train.jsonl",
            "formatting": "sharegpt",
            "columns": {"messages": "conversations", "images": "images"},
        }
    }


def test_trl(folder: Path, tmp_path: Path) -> None:
    found = rows(folder, tmp_path / "out", "trl", boxes="resized")
    assert found[YES] == {
        "images_file_names": ["cholec80-1/cholec80-1-000000.jpg"],
        "prompt": [{"role": "user", "content": "Is a hook in view?"}],
        "completion": [{"role": "assistant", "content": f"{SO}<answer>yes</answer>"}],
    }
    # Qwen2.5-VL's processor makes 84 x 56 of 48 x 36.
    chain = SEEN.replace("<bbox:0>", "[21, 14, 42, 28]").replace("<bbox:1>", "[42, 28, 84, 56]")
    assert found[PLACES]["prompt"][0]["content"] == "What is in [21, 14, 42, 28]?"
    assert (
        found[PLACES]["completion"][0]["content"]
        == f"{chain}<answer>hook [42, 28, 84, 56]\ngrasper [21, 14, 42, 28]</answer>"
    )
    assert found[SET]["completion"][0]["content"] == f"{SO}<answer>grasper\nhook</answer>"


def test_trl_for_rewards(folder: Path, tmp_path: Path) -> None:
    found = rows(folder, tmp_path / "out", "trl", "prompt", "per_mille")
    assert found[PLACES] == {
        "images_file_names": ["cholec80-1/cholec80-1-000000.jpg"],
        "prompt": [{"role": "user", "content": "What is in [250, 250, 500, 500]?"}],
        "task": "localization",
        "solution": "hook [500, 500, 1000, 1000]\ngrasper [250, 250, 500, 500]",
        "width": 48,
        "height": 36,
    }
    assert found[CHOICE]["solution"] == "Preparation"


def test_parquet_has_the_columns_of_trl_and_the_pictures(folder: Path, tmp_path: Path) -> None:
    beside, inside = rows(folder, tmp_path / "a", "trl"), rows(folder, tmp_path / "b", "parquet")
    picture = (tmp_path / "a" / PICTURE).read_bytes()
    assert list(beside) == list(inside)
    for id, row in inside.items():
        assert row.pop("images") == [{"bytes": picture, "path": "cholec80-1-000000.jpg"}]
        assert row == {name: value for name, value in beside[id].items() if name != "images_file_names"}


def test_bare_answers(folder: Path, tmp_path: Path) -> None:
    found = rows(folder, tmp_path / "out", "sharegpt", "vqa")
    assert {id: row["conversations"][1]["value"] for id, row in found.items()} == {
        YES: "yes",
        CHOICE: "Preparation",
        PLACES: "hook [24, 18, 48, 36]\ngrasper [12, 9, 24, 18]",
        SET: "grasper\nhook",
        "phase.open": "Preparation",
        "phase.taught": "Preparation",
    }
