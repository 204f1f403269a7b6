"""Pass rates before stage 3: which prompts a policy passes sometimes, and not as often without the picture.

    vllm serve runs/stage2 --served-model-name policy
    python recipes/pass_rate.py --data ORG/NAME@v1.0.0 --checkpoint runs/stage2 \
        --policy-url http://localhost:8000/v1 --out runs/pass_rate.parquet
    accelerate launch recipes/stage3_grpo.py ... --difficulty runs/pass_rate.parquet
"""

import sys

from cotgen.stages.console import main_of
from cotgen.stages.pass_rate import pass_rate

if __name__ == "__main__":
    main_of(lambda: sys.exit(pass_rate()))
