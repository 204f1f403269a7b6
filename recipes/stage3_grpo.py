"""Stage 3: reinforcement learning on labels alone (view prompt) with rewards by rules. The model learns to reason right.

    accelerate launch recipes/stage3_grpo.py --config recipes/configs/stage3/qwen3_vl_8b.yaml \
        --model_name_or_path runs/stage2 --data ORG/NAME@v1.0.0 --output_dir runs/stage3
"""

from cotgen.stages.console import main_of
from cotgen.stages.grpo import reinforce

if __name__ == "__main__":
    main_of(lambda: reinforce("stage3_grpo"))
