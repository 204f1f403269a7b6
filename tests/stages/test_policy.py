"""A checkpoint is told by its weights and by how it is asked, so that no reply of another is taken for its own."""

from pathlib import Path

import pytest

from cotgen.errors import CotgenError
from cotgen.stages.policy import Policy, weights_of


def checkpoint(folder: Path) -> Path:
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(bytes(range(256)) * 40_000)
    (folder / "config.json").write_text("{}")
    return folder


def test_one_byte_of_the_weights_makes_another_checkpoint(tmp_path: Path) -> None:
    one, two = checkpoint(tmp_path / "one"), checkpoint(tmp_path / "two")
    assert weights_of(one) == weights_of(two)
    with (two / "model.safetensors").open("r+b") as file:
        file.seek(5_000_003)
        file.write(b"x")
    assert weights_of(one) != weights_of(two)


@pytest.mark.parametrize(
    "name",
    ["config.json", "adapter_config.json", "generation_config.json", "tokenizer_config.json", "cotgen_boxes.json"],
)
def test_so_does_another_way_to_ask_it(tmp_path: Path, name: str) -> None:
    one, two = checkpoint(tmp_path / "one"), checkpoint(tmp_path / "two")
    (two / name).write_text('{"more": 1}')
    assert weights_of(one) != weights_of(two)


def test_its_public_name_holds_no_path(tmp_path: Path) -> None:
    folder = checkpoint(tmp_path / "one")
    policy = Policy.of(str(folder))
    assert policy.name == f"policy@{weights_of(folder)[:12]}"
    assert Policy.of(str(folder), "mine").name.startswith("mine@")
    assert Policy.of("ORG/NAME") == Policy("ORG/NAME", "ORG/NAME", "ORG/NAME")


def test_a_folder_without_weights_is_refused(tmp_path: Path) -> None:
    (tmp_path / "training_args.bin").write_bytes(b"no weights")
    with pytest.raises(CotgenError, match="holds no weights"):
        weights_of(tmp_path)
