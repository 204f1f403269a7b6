"""The wheel alone is enough: installed into an empty environment, it works from another folder."""

import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

PROJECT = Path(__file__).parent.parent


@pytest.mark.slow
def test_the_wheel_builds_a_data_set_in_an_empty_environment(tmp_path: Path) -> None:
    def run(*command: object, cwd: Path = tmp_path) -> str:
        done = subprocess.run([str(part) for part in command], cwd=cwd, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
        return done.stdout

    run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", tmp_path / "dist", PROJECT)
    (wheel,) = (tmp_path / "dist").glob("cotgen-*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    for wanted in (
        "cotgen/build/run.py",
        "cotgen/_shared/schemas/sample.schema.json",
        "cotgen/ontology/knowledge.yaml",
        "cotgen/inspect/static/index.html",
        "cotgen/inspect/static/app.js",
    ):
        assert wanted in names
    assert not [name for name in names if name.startswith(("tests/", "recipes/"))]

    venv.create(tmp_path / "env", with_pip=True)
    python, cotgen = tmp_path / "env/bin/python", tmp_path / "env/bin/cotgen"
    run(python, "-m", "pip", "install", "--quiet", wheel)
    away = tmp_path / "elsewhere"
    away.mkdir()
    run(cotgen, "demo", "data", "--surgeries", "2", "--seconds", "12", "-q", cwd=away)
    run(cotgen, "build", "--source", "cholec80", "--root", "data", "--out", "out", "-q", cwd=away)
    assert "is whole" in run(cotgen, "verify", "out", cwd=away)
    code = "import cotgen; ds = cotgen.open('out'); print(len(ds), ds[0].image().size, ds[0].pairs[0].render('vqa'))"
    assert "(854, 480)" in run(python, "-c", code, cwd=away)
