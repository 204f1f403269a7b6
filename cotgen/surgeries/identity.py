"""Identity: one id for one operation, whatever data sets label it; and which sources share its clock."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from importlib import resources

import yaml
from pydantic import BaseModel, ConfigDict

from cotgen.errors import CotgenError


class Family(BaseModel):
    """Sources that share one number space.

    Attributes:
        sources: the sources whose numbers are those of the family.
        aligned: the sources whose labels share the family's clock, so that their facts can be joined.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    sources: tuple[str, ...]
    aligned: tuple[str, ...]


class _Set(BaseModel):
    """Numbers of one source that are, in an order nobody published, these operations."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    numbers: tuple[int, ...]
    operations: tuple[str, ...]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    families: dict[str, Family]
    mapped: dict[str, dict[int, str]]
    parts: tuple[str, ...] = ()
    sets: dict[str, tuple[_Set, ...]] = {}


@cache
def _table() -> _Table:
    text = (resources.files("cotgen.surgeries") / "identity.yaml").read_text(encoding="utf-8")
    return _Table.model_validate(yaml.safe_load(text))


def family_of(source: str) -> str:
    """`cholect50` -> `cholec80`. Raises CotgenError for a source that the table does not hold."""
    for name, family in _table().families.items():
        if source in family.sources:
            return name
    known = sorted(source for family in _table().families.values() for source in family.sources)
    raise CotgenError(f"no surgery numbers are known for the source '{source}'; known are {', '.join(known)}")


def surgery_id(source: str, number: int | str) -> str:
    """The id of the operation that `source` calls so.

    `cholect50`, 73 -> `cholec80/73`; `endoscapes`, 1 -> `cholec80/67`; `endoscapes`, 5 -> `endoscapes/5`.
    """
    return canonical(f"{family_of(source)}/{number}")


def canonical(surgery: str) -> str:
    """The operation that a clock belongs to: the unit of splits and of withdrawn consent.

    `cholec80/01` is `cholec80/1`; `endoscapes/2` is `cholec80/68`, since the two data sets show one operation;
    `sar_rarp50/7_1` is a part of `sar_rarp50/7`.
    """
    family, _, number = surgery.partition("/")
    if family in _table().parts:
        number = number.partition("_")[0]
    if not (number.isascii() and number.isdecimal()):
        return f"{family}/{number}"
    return _table().mapped.get(family, {}).get(int(number), f"{family}/{int(number)}")


def clock_of(surgery: str) -> str:
    """Whose clock the labels of a data set's surgery count on: `cholect50/073` -> `cholec80/73`, others their own."""
    source, _, number = surgery.partition("/")
    families = _table().families.items()
    family = next((name for name, family in families if source in family.aligned or source == name), source)
    return f"{family}/{int(number)}" if number.isascii() and number.isdecimal() else f"{family}/{number}"


def candidates(source: str, number: int) -> tuple[str, ...]:
    """The operations that a number may be: one, or several where only sets are known to be the same."""
    for entry in _table().sets.get(source, ()):
        if number in entry.numbers:
            return entry.operations
    return (surgery_id(source, number),)


def known_sources() -> tuple[str, ...]:
    """All sources of the table, by family."""
    return tuple(source for family in _table().families.values() for source in family.sources)


def mapped() -> dict[str, dict[int, str]]:
    """Source -> its number -> the operation of another family that it is."""
    return {source: dict(rows) for source, rows in _table().mapped.items()}


def aligned(sources: Iterable[str]) -> bool:
    """Whether the labels of these sources share one clock; a single source always does."""
    names = set(sources)
    return len(names) <= 1 or any(names <= set(family.aligned) for family in _table().families.values())


def order_of(surgery: str) -> tuple[str, int, str]:
    """Sort key: by family, then by number as a number (`cholec80/92` before `cholec80/103`)."""
    family, _, number = surgery.partition("/")
    digits = "".join(c if c.isdecimal() and c.isascii() else " " for c in number).split()
    plain = number.isascii() and number.isdecimal()
    return (family, int(number) if plain else int(digits[0]) if digits else -1, "" if plain else number)
