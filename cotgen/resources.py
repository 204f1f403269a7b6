"""Finds the files that live beside the package in a checkout and travel inside it in a wheel."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).parent


def shared_folder(name: str) -> Path:
    """The folder `schemas` or `cards`: of the wheel if it is there, else of the checkout."""
    for folder in (_PACKAGE / "_shared" / name, _PACKAGE.parent / name):
        if folder.is_dir():
            return folder
    raise FileNotFoundError(f"{name}/ is neither in the installed package nor beside it; install cotgen again")
