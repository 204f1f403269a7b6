"""What a folder says of how it is served is what the server gets, and a processor without its part for videos gets one."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from cotgen.errors import CotgenError
from cotgen.stages.serving import CONFIG, Serving, complete_processor, write_serving

SERVING = Serving("lab/surgeon", "bfloat16", 4096, 65536, 1310720, boxes="per_mille")


def test_the_script_gives_the_server_the_pixels_of_training(tmp_path: Path) -> None:
    folder, tools = tmp_path / "a model", tmp_path / "tools"
    folder.mkdir()
    tools.mkdir()
    (folder / "chat_template.jinja").write_text("{{ messages }}")
    # Each argument on a line, so that one with blanks is told from two.
    (tools / "vllm").write_text('#!/bin/bash\npwd\nprintf "%s\\n" "$@"\n')
    (tools / "vllm").chmod(0o755)
    write_serving(folder, SERVING, {"torch": "2.13.0"})
    done = subprocess.run(
        [str(folder / "serve.sh"), "--port", "8000"],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
        env={"PATH": f"{tools}:{os.environ['PATH']}"},
    )
    place, *given = done.stdout.splitlines()
    assert Path(place) == folder
    assert given[:2] == ["serve", "."] and given[-2:] == ["--port", "8000"]
    flags = dict(zip(given[2::2], given[3::2], strict=True))
    assert json.loads(flags["--mm-processor-kwargs"]) == {"min_pixels": 65536, "max_pixels": 1310720}
    assert json.loads(flags["--limit-mm-per-prompt"]) == {"image": 1, "video": 0}
    assert flags["--served-model-name"] == "lab/surgeon" and flags["--chat-template"] == "chat_template.jinja"
    told = json.loads((folder / "serve.json").read_text())
    assert told["flags"] == given[2:-2] and told["boxes"] == "per_mille"
    assert str(tmp_path) not in (folder / "serve.sh").read_text() + json.dumps(told)


def test_the_part_for_videos_is_that_of_the_base_or_that_of_the_family(tmp_path: Path) -> None:
    folder, base = tmp_path / "model", tmp_path / "base"
    for each in (folder, base):
        each.mkdir()
    (folder / CONFIG).write_text('{"processor_class": "Qwen3VLProcessor"}')
    assert complete_processor(folder, "qwen3_vl", [base])
    told = json.loads((folder / CONFIG).read_text())
    assert told["video_processor"] == {"video_processor_type": "Qwen3VLVideoProcessor"}
    assert not complete_processor(folder, "qwen3_vl", [base]), "it is whole by now"
    (folder / CONFIG).write_text("{}")
    (base / "video_preprocessor_config.json").write_text('{"fps": 2, "video_processor_type": "Own"}')
    assert complete_processor(folder, "qwen2_5_vl", [base])
    assert json.loads((folder / CONFIG).read_text())["video_processor"] == {"fps": 2, "video_processor_type": "Own"}
    (folder / CONFIG).write_text("{}")
    assert not complete_processor(folder, "internvl", [base]), "whose processor is another"


def test_a_damaged_processor_is_told(tmp_path: Path) -> None:
    (tmp_path / CONFIG).write_text("{")
    with pytest.raises(CotgenError, match=r"processor_config\.json cannot be read"):
        complete_processor(tmp_path, "qwen3_vl", [])
