"""cotgen: three-level chain-of-thought data sets from surgical video annotations."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cotgen.dataset import Dataset

__version__ = "0.1.0"
__all__ = ["FEATURES", "__version__", "open"]


def open(folder: str | Path) -> Dataset:
    """Open a finished data set: `cotgen.open("DIR")[0].pairs[0].render("cot")`.

    No tar file is opened until a sample is asked for.

    Args:
        folder: what `cotgen build --out` wrote.

    Raises:
        CotgenError: it is no finished data set.
    """
    from cotgen import dataset

    return dataset.open(folder)


def __getattr__(name: str) -> Any:
    """`cotgen.FEATURES`, made on access because it needs `datasets`."""
    if name == "FEATURES":
        from cotgen import dataset

        return dataset.features()
    raise AttributeError(f"module 'cotgen' has no attribute '{name}'")
