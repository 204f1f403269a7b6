"""A run as a folder that serves, goes into the next stage, and can be published: merged, with its card.

    python -m recipes.export runs/stage1 --out runs/stage1-merged
    python -m recipes.export runs/stage3 --out runs/stage3-serve --scores scores.json --push ORG/NAME

Any machine with the memory for the model in 32 bit (35 GB for 8B); no GPU is needed. A new repository is private.
"""

from cotgen.stages.console import main_of
from cotgen.stages.export import main

if __name__ == "__main__":
    main_of(main)
