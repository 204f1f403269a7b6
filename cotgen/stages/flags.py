"""Flags: dataclasses from a YAML file and a command line, for scripts that need no trainer and so no torch.

The same rules as TrlParser's, so that all recipes are told alike: each field is a flag and a key of the file, a flag wins,
and a name that no class has is an error. `--max-tokens` and `--max_tokens` are the same flag.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import MISSING, Field, field, fields
from pathlib import Path
from typing import Any, get_type_hints

import yaml

from cotgen.errors import CotgenError


def flag(help: str, default: Any = "") -> Any:
    """A field of a dataclass with what `--help` says of it."""
    if isinstance(default, list):
        return field(default_factory=lambda: list(default), metadata={"help": help})
    return field(default=default, metadata={"help": help})


def parse_flags(classes: Sequence[type], description: str, arguments: Sequence[str] | None = None) -> tuple[Any, ...]:
    """The instances of these dataclasses.

    Args:
        classes: dataclasses with fields of `str`, `int`, `float`, `bool` and `list[str]`, none of which share a name; the
            `help` of a field's metadata is shown by `--help`.
        description: what `--help` says first.
        arguments: without, those of the command line.

    Raises:
        CotgenError: the file cannot be read, has a name that no class has, or a value of another kind.
    """
    parser = argparse.ArgumentParser(description=description, argument_default=argparse.SUPPRESS, allow_abbrev=False)
    parser.add_argument("--config", type=Path, help="YAML file of these flags; the command line wins")
    kinds: dict[str, type] = {}
    for cls in classes:
        hints = get_type_hints(cls)
        for item in fields(cls):
            kinds[item.name] = hints[item.name]
            _add(parser, item, hints[item.name])
    given = vars(parser.parse_args(list(sys.argv[1:] if arguments is None else arguments)))
    file = given.pop("config", None)
    told = {**(_read(file, kinds) if file else {}), **given}
    return tuple(cls(**{f.name: told[f.name] for f in fields(cls) if f.name in told}) for cls in classes)


def _add(parser: argparse.ArgumentParser, item: Field[Any], kind: type) -> None:
    names = list(dict.fromkeys([f"--{item.name.replace('_', '-')}", f"--{item.name}"]))
    options: dict[str, Any] = {"dest": item.name, "help": _help(item)}
    if kind is bool:
        options["action"] = "store_true"
        if not item.name.startswith("no_"):
            opposite = f"--no-{item.name.replace('_', '-')}"
            parser.add_argument(opposite, dest=item.name, action="store_false", help=argparse.SUPPRESS)
    elif kind == list[str]:
        options |= {"action": "extend", "nargs": "+", "metavar": item.name.upper()}
    else:
        options |= {"type": kind, "metavar": item.name.upper()}
    parser.add_argument(*names, **options)


def _help(item: Field[Any]) -> str:
    told = str(item.metadata.get("help", ""))
    default = "" if item.default is MISSING else item.default
    return (f"{told} (default: {default})" if default not in ("", False) else told).replace("%", "%%")


def _read(file: Path, kinds: dict[str, type]) -> dict[str, Any]:
    try:
        found = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise CotgenError(f"{file} cannot be read: {error}") from error
    if not isinstance(found, dict):
        raise CotgenError(f"{file} is no mapping of names to values")
    for name, value in found.items():
        if name not in kinds:
            raise CotgenError(f"{file}: there is no '{name}'; names are {', '.join(sorted(kinds))}")
        found[name] = _value(file, name, value, kinds[name])
    return found


def _value(file: Path, name: str, value: Any, kind: type) -> Any:
    if kind == list[str]:
        items = value if isinstance(value, list) else [value]
        return [str(item) for item in items]
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) is not kind:
        raise CotgenError(f"{file}: {name} takes a value of the kind {kind.__name__}, and '{value}' is none")
    return value
