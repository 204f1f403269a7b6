"""Stage 4: the policy's own right chains, checked, become data; it is fine-tuned anew, round by round, until it stalls.

    python recipes/stage4_refine.py --config recipes/configs/stage4/qwen3_vl_8b.yaml \
        --model_name_or_path runs/stage3 --start_from runs/stage2 --data ORG/NAME@v1.0.0 --output_dir runs/stage4

It starts and ends servers and trainings by the commands of its configuration. Run the same command again after an
interruption: what is done is not done again, and no reply is asked for twice.
"""

from cotgen.stages.console import main_of
from cotgen.stages.refine import refine_rounds

if __name__ == "__main__":
    main_of(refine_rounds)
