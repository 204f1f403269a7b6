"""Slurm jobs and accelerate configurations: shell that parses, no cluster's paths, and the command lines that come out.

Slurm itself is stood in for: `srun` runs the command once for each node, `accelerate` prints what it is given.
"""

import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml

RECIPES = Path(__file__).parents[2] / "recipes"
SCRIPTS = sorted([*(RECIPES / "slurm").glob("*.sbatch"), *(RECIPES / "slurm").glob("*.sh")])
LAUNCHERS = sorted((RECIPES / "accelerate").glob("*.yaml"))

_SRUN = """#!/bin/bash
nodes=1 ; list=
for each in "$@"; do
  case $each in --ntasks=*) nodes=${each#*=} ;; --nodelist=*) list=${each#*=} ;; esac
done
while [[ $1 == --* ]]; do shift; done
echo "nodes $list"
for ((rank = 0; rank < nodes; rank++)); do SLURM_PROCID=$rank "$@" || exit 1; done
"""
_TOLD = '#!/bin/bash\necho "{name} $*"\n'


@pytest.fixture
def cluster(tmp_path: Path) -> dict[str, str]:
    """The environment of a job on three nodes."""
    tools, activate = tmp_path / "tools", tmp_path / "venv" / "bin" / "activate"
    tools.mkdir()
    activate.parent.mkdir(parents=True)
    activate.write_text("")
    for name, text in {
        "srun": _SRUN,
        "scontrol": "#!/bin/bash\nprintf 'gpu1\\ngpu2\\ngpu3\\n'\n",
        "curl": "#!/bin/bash\nexit 0\n",
        **{name: _TOLD.format(name=name) for name in ("accelerate", "vllm", "python")},
    }.items():
        (tools / name).write_text(text)
        (tools / name).chmod(0o755)
    return {
        "PATH": f"{tools}:{os.environ['PATH']}",
        "ENVIRONMENT": str(activate.parents[1]),
        "SLURM_JOB_NODELIST": "gpu[1-3]",
        "DATA": "lab/set@v1.0.0",
    }


def told(script: str, environment: dict[str, str], **more: str) -> list[str]:
    done = subprocess.run(
        ["bash", str(RECIPES / "slurm" / script)],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=RECIPES.parent,
        env={**environment, **more},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_each_parses_and_names_no_place_of_a_cluster(script: Path) -> None:
    subprocess.run(["bash", "-n", str(script)], check=True)
    text = script.read_text()
    assert not re.search(r"(?<![\w$}.])/(?!bin/|dev/null|health)\w+/", re.sub(r"https?://\S+", "", text))
    assert not re.search(r"#SBATCH --(partition|account|qos|constraint)", text)


def test_all_nodes_meet_at_the_first_with_a_rank_each(cluster: dict[str, str]) -> None:
    lines = told("stage1.sbatch", cluster, GPUS="4", EXTRA="--learning_rate 2e-5")
    assert lines[0] == "nodes gpu1,gpu2,gpu3"
    for rank, line in enumerate(lines[1:]):
        for part in (
            f"--num_machines 3 --num_processes 12 --machine_rank {rank} --main_process_ip gpu1 --main_process_port 29500",
            "--rdzv_backend c10d",
            "recipes/stage1_sft.py --config recipes/configs/stage1/qwen3_vl_8b.yaml --data lab/set@v1.0.0",
            "--resume_from_checkpoint true --learning_rate 2e-5",
        ):
            assert part in line
    assert len(lines) == 4


def test_a_value_with_blanks_reaches_the_script_whole(cluster: dict[str, str]) -> None:
    lines = told("stage2.sbatch", cluster, DATA="my data/set one")
    assert all("--data my data/set one --output_dir runs/stage2" in line for line in lines[1:])


def test_the_last_node_can_serve_and_the_others_train(cluster: dict[str, str]) -> None:
    lines = told("stage3.sbatch", cluster, SERVER="1", GPUS="8")
    served = [line for line in lines if line.startswith("vllm serve")]
    trained = [line for line in lines if line.startswith("accelerate launch")]
    # The server's own output goes to a file on a cluster; here all of it comes out.
    assert "nodes gpu3" in lines and "nodes gpu1,gpu2" in lines
    assert "--enable-scale-out" in served[0] and "--weight-transfer-config" in served[0]
    assert len(trained) == 2
    assert all("--num_processes 16" in line for line in trained)
    assert all("--vllm_mode server --vllm_server_base_url http://gpu3:8000" in line for line in trained)
    alone = told("stage3.sbatch", cluster)
    assert not any("vllm" in line for line in alone) and sum("accelerate" in line for line in alone) == 3


def test_stage_four_and_the_server_run_on_one_node(cluster: dict[str, str], tmp_path: Path) -> None:
    [line] = told("stage4.sbatch", cluster)
    assert "recipes/stage4_refine.py --config recipes/configs/stage4/qwen3_vl_8b.yaml" in line
    (tmp_path / "serve.sh").write_text('echo "served $*"\n')
    [line] = told("serve.sbatch", cluster, MODEL=str(tmp_path), PORT="8123")
    assert line.startswith("served --host 0.0.0.0 --port 8123")


@pytest.mark.parametrize("file", LAUNCHERS, ids=lambda path: path.stem)
def test_launchers_say_what_they_are_for(file: Path) -> None:
    text = file.read_text()
    told = yaml.safe_load(text)
    assert text.startswith("# ") and "Not run here" in text
    assert told["mixed_precision"] == "bf16" and told["num_machines"] == 1
    assert told["num_processes"] == (1 if file.stem == "one_gpu" else 8)


@pytest.mark.slow
@pytest.mark.parametrize("file", LAUNCHERS, ids=lambda path: path.stem)
def test_accelerate_reads_them_without_an_unknown_key(file: Path) -> None:
    args = pytest.importorskip("accelerate.commands.config.config_args")
    assert args.load_config_from_file(str(file)).num_processes >= 1
