"""Filling a template of `cards/`: whatever it names must be given."""

from __future__ import annotations

from typing import Any

from cotgen.errors import CotgenError
from cotgen.resources import shared_folder


def fill(name: str, **values: Any) -> str:
    """The text of a template. Raises CotgenError without the packages of `cotgen[hub]`."""
    try:
        from jinja2 import FileSystemLoader, StrictUndefined
        from jinja2.sandbox import SandboxedEnvironment
    except ImportError as error:
        raise CotgenError("The card needs jinja2: pip install 'cotgen[hub]'") from error

    # No escaping: the text is Markdown, and nothing of it comes from strangers.
    environment = SandboxedEnvironment(
        loader=FileSystemLoader(shared_folder("cards")),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )
    return environment.get_template(name).render(**values)
