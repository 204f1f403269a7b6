"""README.md as a reader runs it: every `cotgen` line and every Python block of a section, word for word and in order.

The reader has a look-alike instead of the real data, and the test Hub instead of the real one.
"""

import re
import shlex
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cotgen.build.config import load_config
from cotgen.build.report import Reporter
from cotgen.build.run import build
from cotgen.hub.testing import HubServer
from cotgen.shards.manifest import load
from cotgen.shards.verify import verify
from cotgen.sources.demo.look_alikes import make_look_alike

pytest.importorskip("huggingface_hub")
pytest.importorskip("datasets")

ROOT = Path(__file__).parents[2]
#: Where the README has the real data.
REAL = "/data/cholec80"
BLOCK = re.compile(r"^```(bash|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
Program = Callable[..., "subprocess.Popen[str]"]


def steps(section: str) -> Iterator[tuple[str, str]]:
    """`cotgen` and a command line, or `python` and a block, in the order of the section."""
    text = (ROOT / "README.md").read_text().split(f"\n## {section}\n")[1].split("\n## ")[0]
    for language, block in BLOCK.findall(text):
        if language == "python":
            yield "python", block
            continue
        for line in block.replace("\\\n", " ").splitlines():
            if line.startswith("cotgen "):
                yield "cotgen", line


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `out/cholec80-cot`, built of a look-alike in `demo`, as with the real download."""
    home = tmp_path_factory.mktemp("reader")
    make_look_alike("cholec80", home / "demo", surgeries=4, seconds=12, seed=0, progress=lambda done, total: None)
    given = {"source": "cholec80", "root": [str(home / "demo")], "out": home / "out/cholec80-cot", "workers": 1}
    assert build(load_config(None, given), Reporter(None), env={}).exit_code == 0
    return home


@pytest.fixture
def run(program: Program, reader: Path) -> Callable[[str, str], str]:
    """Do one step where the reader would; returns what it prints."""

    def take(kind: str, text: str) -> str:
        if kind == "cotgen":
            words = shlex.split(text.replace(REAL, str(reader / "demo")), comments=True)
            child = program("-m", *words, folder=reader)
        else:
            child = program("-c", text, folder=reader)
        out, err = child.communicate()
        assert child.returncode == 0, f"{text}\n{out}{err}"
        return out

    return take


@pytest.mark.slow
def test_what_the_readme_says_of_the_hub_runs(hub: HubServer, run: Callable[[str, str], str], reader: Path) -> None:
    found = list(steps("On the Hub"))
    assert [kind for kind, _ in found].count("cotgen") >= 2
    assert "python" in dict(found)
    said = [run(*step) for step in found]
    repo = hub.repos["ORG/NAME"]
    assert repo.tags == {"v1.0.0": repo.branches["main"]}
    assert verify(reader / "out/cholec80-cot-reference").ok
    printed = next(
        text for (_, line), text in zip(found, said, strict=True) if " publish " in line and "dry" not in line
    )
    loading = "\n".join([*printed.splitlines()[-3:], "print(sample['json']['key'])"])
    assert run("python", loading).startswith("cholec80-")


@pytest.mark.slow
def test_what_the_readme_says_of_loading_runs(run: Callable[[str, str], str], reader: Path) -> None:
    found = list(steps("What comes out"))
    assert len(found) == 2
    chains, loaded = (text for _, text in found)
    assert run("python", chains).startswith("<think>Level ")
    count = 'print(sum(len(load_dataset("out/cholec80-cot", split=s)) for s in ("train", "validation", "test")))'
    more = f'first = next(iter(ds))\nprint(first["__key__"], first["jpg"].size)\n{count}'
    lines = run("python", f"{loaded}{more}").splitlines()
    assert lines[0].startswith("cholec80-")
    assert int(lines[-1]) == load(reader / "out/cholec80-cot").counts["samples"]


def test_the_readme_is_read_as_bash_reads_it() -> None:
    words = [shlex.split(text, comments=True) for kind, text in steps("On the Hub") if kind == "cotgen"]
    assert ["cotgen", "publish", "out/cholec80-cot", "--repo", "ORG/NAME"] in [line[:5] for line in words]
    assert not any("#" in word for line in words for word in line)
