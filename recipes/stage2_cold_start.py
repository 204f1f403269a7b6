"""Stage 2: fine-tuning on three-level chains (view cot). The model learns to reason in the form.

    accelerate launch recipes/stage2_cold_start.py --config recipes/configs/stage2/qwen3_vl_8b.yaml \
        --model_name_or_path runs/stage1 --data ORG/NAME@v1.0.0 --output_dir runs/stage2
"""

from cotgen.stages.console import main_of
from cotgen.stages.sft import fine_tune

if __name__ == "__main__":
    main_of(lambda: fine_tune("cot", "stage2_cold_start"))
