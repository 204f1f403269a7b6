"""A run with LoRA becomes one model that answers as its adapter did, serves, goes on, and is published with its card."""

import json
from pathlib import Path
from typing import Any

import pytest

from cotgen.errors import CotgenError
from cotgen.hub.checkpoint import push_checkpoint
from cotgen.hub.testing import HubServer
from cotgen.stages.checkpoint_card import Told
from cotgen.stages.export import Export, export

pytestmark = pytest.mark.slow
CONFIG = Path(__file__).parents[2] / "recipes" / "configs" / "stage1" / "tiny_cpu.yaml"


@pytest.fixture(scope="module")
def run(tiny: Path, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two steps of stage 1 with LoRA."""
    from cotgen.stages.sft import fine_tune

    out = tmp_path_factory.mktemp("runs") / "stage1"
    told = {"config": CONFIG, "model_name_or_path": tiny, "data": data, "output_dir": out}
    told |= {"max_steps": 2, "save_steps": 2, "use_peft": "true", "lora_r": 4, "learning_rate": 0.05}
    fine_tune("vqa", "stage1_sft", [part for name, value in told.items() for part in (f"--{name}", str(value))])
    return out


def test_merged_it_answers_as_base_and_adapter_do_and_is_whole(run: Path, data: Path, tmp_path: Path) -> None:
    from transformers import AutoModelForImageTextToText

    from cotgen.stages.arguments import VisionArguments
    from cotgen.stages.merge import logits
    from cotgen.stages.models import boxes_of, load_processor

    told: list[str] = []
    out = tmp_path / "merged"
    export(Export(run, out, dtype="float32"), told.append)
    assert told[0].startswith("merged: over ") and "has one now" in told[1]
    processor = load_processor(str(out), VisionArguments())
    # transformers puts the adapter on its base by itself where a folder holds an adapter.
    beside = logits(AutoModelForImageTextToText.from_pretrained(run, dtype="float32"), processor)
    alone = logits(AutoModelForImageTextToText.from_pretrained(out, dtype="float32"), processor)
    assert float((beside - alone).abs().max()) < 1e-3 * float(beside.abs().max())
    assert boxes_of(str(out), processor).convention == "resized"
    names = {path.name for path in out.iterdir()}
    assert {"serve.sh", "serve.json", "cotgen.json", "cotgen_boxes.json", "processor_config.json"} <= names
    assert not names & {"adapter_config.json", "training_args.bin", "trainer_state.json", "README.md"}
    # TRL's card is gone from the run too.
    assert "python -m recipes.export" in (run / "README.md").read_text()
    with pytest.raises(CotgenError, match="is there; give another --out"):
        export(Export(run, out))


def test_it_is_rounded_for_serving_and_pushed_with_its_card(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hf = pytest.importorskip("huggingface_hub")
    from tests.hub.conftest import TOKEN, use_lfs

    use_lfs(monkeypatch)
    # Models are local here; the Hub of the test is not the network.
    monkeypatch.setattr(hf.constants, "HF_HUB_OFFLINE", False)
    card = Told("lab/surgeon", base="Qwen/Qwen2.5-VL-7B-Instruct", data=["lab/set@v1.0.0"], data_licence="CC BY 4.0")
    export(Export(run, tmp_path / "served", told=card))
    assert json.loads((tmp_path / "served" / "serve.json").read_text())["dtype"] == "bfloat16"
    with HubServer() as hub:
        api: Any = hf.HfApi(endpoint=hub.url, token=TOKEN)
        push_checkpoint(tmp_path / "served", "lab/surgeon", api)
        repo = hub.repos["models/lab/surgeon"]
        assert repo.private
        text = repo.resolve("main").tree["README.md"].data.decode()
    assert "stage1_sft" in text and "huggingface.co/datasets/lab/set" in text and "lora_r: 4" in text
    assert str(tmp_path) not in text and str(run) not in text


def test_what_a_card_lacks_is_told_before_anything_is_merged(run: Path, tmp_path: Path) -> None:
    with pytest.raises(CotgenError, match="say --base ORG/NAME"):
        export(Export(run, tmp_path / "out", told=Told("lab/surgeon")))
    assert not (tmp_path / "out").exists()


def test_an_adapter_of_another_base_is_refused(run: Path, data: Path, tmp_path: Path) -> None:
    import shutil

    from cotgen.stages.tiny import Tiny, texts_of, write

    other = tmp_path / "other"
    write(other, Tiny(family="qwen2_5_vl", width=32, max_pixels=28 * 28 * 9), texts_of(data))
    wrong = tmp_path / "run"
    shutil.copytree(run, wrong)
    told = json.loads((wrong / "adapter_config.json").read_text())
    (wrong / "adapter_config.json").write_text(json.dumps(told | {"base_model_name_or_path": str(other)}))
    with pytest.raises(CotgenError, match="does not go with its base"):
        export(Export(wrong, tmp_path / "out"))
    assert not (tmp_path / "out").exists()
