"""Scores of a checkpoint on surgeries that it never saw, beside what is reached without looking.

    vllm serve runs/stage2 --served-model-name policy
    python recipes/evaluate.py --data ORG/NAME@v1.0.0 --checkpoint runs/stage2 \
        --policy-url http://localhost:8000/v1 --view cot --split validation --out runs/stage2-scores
"""

import sys

from cotgen.stages.console import main_of
from cotgen.stages.evaluate import evaluate

if __name__ == "__main__":
    main_of(lambda: sys.exit(evaluate()))
