"""Models are loaded with the box convention and the pixel budget that they are trained with, or not at all."""

import json
from pathlib import Path

import pytest

from cotgen.chains.boxes import BoxFormat
from cotgen.errors import CotgenError
from cotgen.stages.arguments import VisionArguments
from cotgen.stages.models import BOXES_FILE, LORA_TARGETS, boxes_of, freeze, load_processor, write_boxes
from cotgen.stages.run import completion_guard
from cotgen.stages.tiny import Tiny, build, write
from tests.training.needs import TRAINERS

pytestmark = [pytest.mark.slow, TRAINERS]

TEXTS = ["Is a hook in view? Yes. No. system user assistant <think> </think>"]


@pytest.fixture(scope="module")
def qwen25(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("qwen25")
    write(folder, Tiny(family="qwen2_5_vl", min_pixels=3136, max_pixels=1003520), TEXTS)
    return folder


def test_the_family_says_how_boxes_are_written_and_the_checkpoint_more(qwen25: Path, tmp_path: Path) -> None:
    processor = load_processor(str(qwen25), VisionArguments())
    assert boxes_of(str(qwen25), processor) == BoxFormat("resized", 3136, 1003520)
    assert boxes_of(str(qwen25), processor, "per_mille") == BoxFormat("per_mille")
    small = load_processor(str(qwen25), VisionArguments(max_pixels=401408))
    assert boxes_of(str(qwen25), small) == BoxFormat("resized", 3136, 401408)
    try:
        write_boxes(qwen25, BoxFormat("resized", 3136, 401408))
        assert boxes_of(str(qwen25), small).max_pixels == 401408
        with pytest.raises(CotgenError, match=r"max_pixels 401408.* would now be given .*max_pixels 1003520"):
            boxes_of(str(qwen25), processor)
    finally:
        (qwen25 / BOXES_FILE).unlink()


def test_a_family_that_nobody_knows_is_asked_about(qwen25: Path, tmp_path: Path) -> None:
    processor = load_processor(str(qwen25), VisionArguments())
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "llava"}))
    with pytest.raises(CotgenError, match="how models of the family llava write boxes is not known here; say --boxes"):
        boxes_of(str(tmp_path), processor)


def test_lora_names_layers_of_the_language_model_alone() -> None:
    import re

    for family in ("qwen2_5_vl", "qwen3_vl"):
        model, _ = build(Tiny(family=family), TEXTS)  # type: ignore[arg-type]
        layers = [name for name, _ in model.named_modules() if re.fullmatch(LORA_TARGETS, name)]
        assert len(layers) == 2 * 7
        assert not any("visual" in name for name in layers)


def test_freezing_leaves_what_is_said_to_learn() -> None:
    model, _ = build(Tiny(), TEXTS)
    freeze(model, VisionArguments(freeze_vision=True, freeze_projector=False))
    learns = {name for name, weight in model.named_parameters() if weight.requires_grad}
    assert any(".merger." in name for name in learns)
    assert not any("visual.blocks" in name or "patch_embed" in name for name in learns)
    freeze(model, VisionArguments(freeze_vision=True, freeze_projector=True))
    assert not any("visual" in name for name, weight in model.named_parameters() if weight.requires_grad)


def test_only_the_answer_carries_loss_and_a_cut_one_is_refused() -> None:
    from PIL import Image
    from trl.trainer.sft_trainer import DataCollatorForVisionLanguageModeling

    _, processor = build(Tiny(), TEXTS)
    row = {
        "images": [Image.new("RGB", (96, 64))],
        "prompt": [{"role": "user", "content": "Is a hook in view?"}],
        "completion": [{"role": "assistant", "content": "Yes"}],
        "name": "cholec80-01-000000#tool.yesno.instrument.hook",
    }
    guarded = completion_guard(
        DataCollatorForVisionLanguageModeling(processor, max_length=None, completion_only_loss=True), processor
    )
    batch = guarded([dict(row), dict(row)])
    supervised = [int(token) for token in batch["labels"][0] if token != -100]
    assert processor.tokenizer.decode(supervised) == "Yes<|im_end|>\n"

    class Cuts:
        """A collator that takes the end of each row away, as a limit of length does."""

        def __call__(self, rows: list[dict[str, object]]) -> dict[str, object]:
            whole = DataCollatorForVisionLanguageModeling(processor, max_length=None, completion_only_loss=True)(rows)
            return {name: value[:, :-3] if value.ndim == 2 else value for name, value in whole.items()}

    with pytest.raises(CotgenError, match=r"the answer of cholec80-01-000000#\S+ is cut off or carries no loss"):
        completion_guard(Cuts(), processor)([dict(row)])
    with pytest.raises(CotgenError, match="tokens, more than --most_tokens 10"):
        completion_guard(
            DataCollatorForVisionLanguageModeling(processor, max_length=None, completion_only_loss=True), processor, 10
        )([dict(row)])
