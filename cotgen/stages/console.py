"""Console: how a recipe ends. What a user can mend is a sentence, not a traceback."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

from cotgen.errors import CotgenError

#: What `cotgen[train]` brings.
_TRAINING = frozenset({"torch", "transformers", "tokenizers", "trl", "accelerate", "peft", "datasets"})


def main_of(run: Callable[[], None]) -> None:
    """Call the run; a CotgenError, or a package of training that is missing, ends it with a sentence and status 1."""
    try:
        run()
    except (CotgenError, ModuleNotFoundError) as error:
        if isinstance(error, ModuleNotFoundError):
            if (error.name or "").partition(".")[0] not in _TRAINING:
                raise
            error = CotgenError(
                f"{error.name} is not installed: pip install 'cotgen[train]', in a checkout '.[train]'"
            )
        rank = os.environ.get("RANK", "0")
        print(f"{'' if rank == '0' else f'rank {rank}: '}{error}", file=sys.stderr)
        # Other ranks wait in a collective, and threads of theirs would keep this process from ending.
        sys.stderr.flush()
        os._exit(1) if "RANK" in os.environ else sys.exit(1)
