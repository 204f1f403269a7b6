"""Stage 1: fine-tuning on simple answers (view vqa). The model learns the domain and its vocabulary.

    accelerate launch recipes/stage1_sft.py --config recipes/configs/stage1/qwen3_vl_8b.yaml \
        --data ORG/NAME@v1.0.0 --output_dir runs/stage1
"""

from cotgen.stages.console import main_of
from cotgen.stages.sft import fine_tune

if __name__ == "__main__":
    main_of(lambda: fine_tune("vqa", "stage1_sft"))
