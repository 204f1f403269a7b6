# Shared by the stages: starts one launcher on each node of a job and waits for all of them. Sourced, not run.
# Submit from the repository's folder: paths are relative to it.
set -euo pipefail

# A pull of the data set needs one folder that all nodes see.
export COTGEN_DATASETS=${COTGEN_DATASETS:-$PWD/datasets}
export HF_HUB_OFFLINE=${HF_HUB_OFFLINE:-0}
# A rank that died makes the others end instead of waiting for it.
export TORCH_NCCL_ASYNC_ERROR_HANDLING=1
export NCCL_DEBUG=${NCCL_DEBUG:-WARN}
# One name of a network interface where NCCL or the rendezvous takes the wrong one; empty: theirs to choose.
if [[ -n "${INTERFACE:-}" ]]; then
  export NCCL_SOCKET_IFNAME=$INTERFACE GLOO_SOCKET_IFNAME=$INTERFACE
fi

# launch NODES SCRIPT ARGUMENTS...: NODES are names, the first is where the ranks meet.
launch() {
  local nodes=$1 script=$2
  shift 2
  local count
  count=$(wc -w <<<"$nodes")
  # Quoted once more for the shell on each node; SLURM_PROCID is known only there.
  local arguments
  arguments=$(printf '%q ' "$script" "$@")
  srun --nodes="$count" --ntasks="$count" --ntasks-per-node=1 --nodelist="$(tr ' ' , <<<"$nodes")" --kill-on-bad-exit=1 \
    bash -c "source '$ENVIRONMENT/bin/activate' && exec accelerate launch \
      --config_file '$ACCELERATE' \
      --num_machines $count --num_processes $((count * GPUS)) --machine_rank \$SLURM_PROCID \
      --main_process_ip '${nodes%% *}' --main_process_port $PORT --rdzv_backend c10d \
      --max_restarts $RESTARTS --tee 3 $arguments"
}

names_of_nodes() {
  scontrol show hostnames "$SLURM_JOB_NODELIST" | paste -sd ' '
}
