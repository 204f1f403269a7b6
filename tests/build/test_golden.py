"""The bytes of every step, so that no step changes them without raising its version.

A unit that is done is never done again as long as its fingerprint is the same. If code changed what a step writes and
its version did not rise, old and new results would stand side by side. `tests/golden.json` holds, for two surgeries that
are written here, what each step made, its version, and a hash of the files in the package that the fingerprint covers
anyway. To record on purpose: `python tests/build/test_golden.py`; it refuses where a version has to be raised first.
Nothing here depends on the version of an encoder: pictures are compared by their numbers and sizes only.
"""

from __future__ import annotations

import hashlib
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from cotgen.build.config import load_config
from cotgen.build.report import Outcome, Reporter
from cotgen.build.run import build
from cotgen.build.units import ASK_VERSION, PRIORS_VERSION, read_facts
from cotgen.chains import stand_in
from cotgen.chains.stand_in import reply
from cotgen.chains.teacher import prompt_sha256
from cotgen.chains.write import CHAINS_VERSION, templates_sha256
from cotgen.frames.extract import FRAMES_VERSION
from cotgen.frames.store import FrameStore
from cotgen.models.stub import StubServer
from cotgen.ontology import ontology_sha256
from cotgen.records import canonical_json
from cotgen.shards.pack import PACK_VERSION
from cotgen.sources.base import FACTS_VERSION
from cotgen.sources.demo import stand_in_video

GOLDEN = Path(__file__).parent.parent / "golden.json"
SECONDS = 40
PHASES = ["Preparation", "CalotTriangleDissection", "ClippingCutting", "GallbladderDissection", "GallbladderPackaging"]
TOOLS = ["Grasper", "Bipolar", "Hook", "Scissors", "Clipper", "Irrigator", "SpecimenBag"]

Golden = dict[str, dict[str, Any]]


def write_download(root: Path) -> None:
    """Surgeries 1 and 5 (train) and 73 (test), their labels by simple rules."""
    for folder in ("videos", "phase_annotations", "tool_annotations"):
        (root / "cholec80" / folder).mkdir(parents=True)
    for number in (1, 5, 73):
        name = f"video{number:02d}"
        phases = [f"{i}\t{PHASES[i * len(PHASES) // (25 * SECONDS + 1)]}" for i in range(25 * SECONDS + 1)]
        tools = []
        for second in range(SECONDS):
            seen = [(second * (tool + 3) + number) % (4 + tool) == 0 for tool in range(len(TOOLS))]
            tools.append("\t".join([str(25 * second), *(str(int(there)) for there in seen)]))
        folder = root / "cholec80"
        (folder / "phase_annotations" / f"{name}-phase.txt").write_text("\n".join(["Frame\tPhase", *phases, ""]))
        (folder / "tool_annotations" / f"{name}-tool.txt").write_text(
            "\n".join(["\t".join(["Frame", *TOOLS]), *tools, ""])
        )
        stand_in_video(folder / "videos" / f"{name}.mp4", SECONDS)


def outcome_of(root: Path, folder: Path, frames: str) -> Outcome:
    given = {"source": "cholec80", "root": [str(root)], "out": folder / frames, "frames": frames, "workers": 1}
    return build(load_config(None, given), Reporter(None), env={"COTGEN_WORK": str(folder / "work")})


def asked_of(root: Path, folder: Path) -> list[str]:
    """What a build without pictures asks the stand-in, by the names of its requests, and what it keeps of the replies."""
    with StubServer(reply) as url:
        given = {"source": "cholec80", "root": [str(root)], "out": folder / "asked", "frames": "none", "workers": 1}
        taught = {"writer": "teacher", "teacher_url": url, "teacher_model": "stub", "no_image": True}
        build(load_config(None, {**given, **taught}), Reporter(None), env={"COTGEN_WORK": str(folder / "asked.work")})
    return sorted(hashlib.sha256(path.read_bytes()).hexdigest() for path in (folder / "asked.work/asked").iterdir())


def stand_in_sha256() -> str:
    """sha256 of the stand-in, whose replies are no part of any step."""
    assert stand_in.__file__
    return hashlib.sha256(Path(stand_in.__file__).read_bytes()).hexdigest()


def digest(value: Any) -> str:
    return hashlib.sha256(canonical_json(value)).hexdigest()


def measure(folder: Path) -> Golden:
    """Build the surgeries and hash what each step wrote."""
    root, work = folder / "data", folder / "work"
    write_download(root)
    outcome = outcome_of(root, folder, "none")
    assert outcome.manifest is not None
    facts = [read_facts(path) for path in sorted((work / "facts").iterdir())]
    priors = [path.read_bytes().decode() for path in (work / "priors").iterdir()]
    chains = [path.read_bytes() for path in sorted((work / "chains").iterdir())]
    tables = [[found.facts.rows(), found.labelled.rows(), [str(odd) for odd in found.oddities]] for found in facts]
    index = pl.read_parquet(folder / "none" / "index.parquet")
    outcome_of(root, folder, "embed")
    frames = []
    for path in sorted((work / "frames").iterdir()):
        with FrameStore.open(path) as store:
            rows = store.rows().values()
            shown = [[r.index, r.file, r.native_index, r.width, r.height, list(r.crop)] for r in rows]
            names = sorted({measured.name for row in rows for measured in row.measured})
            frames.append([store.report.mode, sorted(store.report.missing.items()), shown, names])
    frames.sort(key=str)
    shards = [[shard.file, shard.sha256] for shard in outcome.manifest.shards]
    # A record is named by what went into it, so the fingerprints in file names say nothing new.
    return {
        "facts": {"version": FACTS_VERSION, "reads": ontology_sha256(), "sha256": digest(tables)},
        "priors": {"version": PRIORS_VERSION, "reads": ontology_sha256(), "sha256": digest(priors)},
        "frames": {"version": FRAMES_VERSION, "reads": "", "sha256": digest(frames)},
        "chains": {
            "version": CHAINS_VERSION,
            "reads": templates_sha256(),
            "sha256": digest([hashlib.sha256(data).hexdigest() for data in chains]),
        },
        "ask": {
            "version": ASK_VERSION,
            "reads": digest([templates_sha256(), prompt_sha256(), stand_in_sha256()]),
            "sha256": digest(asked_of(root, folder)),
        },
        "pack": {
            "version": PACK_VERSION,
            "reads": digest([hashlib.sha256(data).hexdigest() for data in chains]),
            "sha256": digest([shards, [str(row) for row in index.rows()]]),
        },
    }


def changed(before: Golden, now: Golden) -> list[str]:
    """The steps whose bytes changed although nothing that their fingerprint covers did."""
    return [
        step
        for step, entry in now.items()
        if step in before
        and all(before[step][name] == entry[name] for name in ("version", "reads"))
        and before[step]["sha256"] != entry["sha256"]
    ]


@pytest.fixture(scope="module")
def now(tmp_path_factory: pytest.TempPathFactory) -> Golden:
    return measure(tmp_path_factory.mktemp("golden"))


@pytest.mark.parametrize("step", ["facts", "priors", "frames", "chains", "ask", "pack"])
def test_a_step_changes_no_byte_without_its_version(step: str, now: Golden) -> None:
    before: Golden = json.loads(GOLDEN.read_text())
    assert step not in changed(before, now), "its bytes changed: raise its version, then record as below"
    assert before[step] == now[step], "its version or what it reads changed: run `python tests/build/test_golden.py`"


def test_a_change_without_a_version_is_noticed() -> None:
    before = {"facts": {"version": 1, "reads": "a", "sha256": "x"}}
    assert changed(before, {"facts": {"version": 1, "reads": "a", "sha256": "y"}}) == ["facts"]
    assert changed(before, {"facts": {"version": 2, "reads": "a", "sha256": "y"}}) == []
    assert changed(before, {"facts": {"version": 1, "reads": "b", "sha256": "y"}}) == []


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        found = measure(Path(name))
    unraised = changed(json.loads(GOLDEN.read_text()) if GOLDEN.exists() else {}, found)
    if unraised:
        sys.exit(f"{', '.join(unraised)}: bytes changed; raise the version first")
    GOLDEN.write_text(json.dumps(found, indent=2) + "\n")
