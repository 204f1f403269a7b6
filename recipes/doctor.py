"""What a run will meet, before it is paid for: versions, batch, tokens, pictures, boxes, memory, disk, rewards, time.

    python -m recipes.doctor --stage 1 --config recipes/configs/stage1/qwen3_vl_8b.yaml --data ORG/NAME@v1.0.0 \
        --launcher recipes/accelerate/zero3.yaml --gpu_memory 80 [--measure 5]

Any machine; without a GPU it says what it could not compare. Exit status 1 where something would fail.
"""

import sys

from cotgen.stages.console import main_of
from cotgen.stages.doctor import examine

if __name__ == "__main__":
    main_of(lambda: sys.exit(1 if examine() else 0))
