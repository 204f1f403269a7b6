"""Identity: one id for one operation, whatever data sets label it; and which sources share its clock."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cache
from importlib import resources

import yaml
from pydantic import BaseModel, ConfigDict

from cotgen.errors import CotgenError

_RANGE = re.compile(r"([a-z]*)([0-9]+)-([0-9]+)")
_NAME = re.compile(r"([a-z]*)([0-9]*)")


class Family(BaseModel):
    """Sources that share one number space.

    Attributes:
        sources: the sources whose numbers are those of the family, and the surgeries that each labels.
        aligned: the sources whose labels share the family's clock, so that their facts can be joined.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    sources: dict[str, tuple[int | str, ...]]
    aligned: tuple[str, ...]


class _Set(BaseModel):
    """Numbers of one family that are, in an order nobody published, these operations."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    numbers: tuple[int | str, ...]
    operations: tuple[str, ...]


class Untraced(BaseModel):
    """A source that shares operations with a family, nobody published which.

    Attributes:
        of: the family.
        operations: its operations that are known to be among them; others may be.
        what: what of the source is from there, for a sentence.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    of: str
    operations: tuple[int | str, ...]
    what: str


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    families: dict[str, Family]
    mapped: dict[str, dict[int, str]]
    parts: tuple[str, ...]
    sets: dict[str, tuple[_Set, ...]]
    untraced: dict[str, Untraced]


@cache
def _table() -> _Table:
    text = (resources.files("cotgen.surgeries") / "identity.yaml").read_text(encoding="utf-8")
    return _Table.model_validate(yaml.safe_load(text))


def numbers(items: Sequence[int | str]) -> list[int | str]:
    """`[7, "1-3", "bbp08-10", "test1"]` -> `[7, 1, 2, 3, "bbp08", "bbp09", "bbp10", "test1"]`."""
    found: list[int | str] = []
    for item in items:
        match = _RANGE.fullmatch(str(item))
        if match is None:
            found.append(item)
        elif match[1]:
            found.extend(f"{match[1]}{n:0{len(match[2])}d}" for n in range(int(match[2]), int(match[3]) + 1))
        else:
            found.extend(range(int(match[2]), int(match[3]) + 1))
    return found


def family_of(source: str) -> str:
    """`cholect50` -> `cholec80`. Raises CotgenError for a source whose numbers the table does not hold."""
    for name, family in _table().families.items():
        if source in family.sources:
            return name
    if (entry := _table().untraced.get(source)) is not None:
        raise CotgenError(
            f"'{source}' can be in no split: {entry.what} are from {entry.of}, and nobody published which is which"
        )
    raise CotgenError(
        f"no surgery numbers are known for the source '{source}'; known are {', '.join(known_sources())}"
    )


def surgery_id(source: str, number: int | str) -> str:
    """The id of the operation that `source` calls so.

    `cholect50`, 73 -> `cholec80/73`; `endoscapes`, 1 -> `cholec80/67`; `endoscapes`, 5 -> `endoscapes/5`.
    """
    return canonical(f"{family_of(source)}/{number}")


def canonical(surgery: str) -> str:
    """The operation that a clock belongs to: the unit of splits and of withdrawn consent.

    `cholec80/01` is `cholec80/1`, and so is `cholect50/1`; `endoscapes/2` is `cholec80/68`, since the two data sets show
    one operation; `sar_rarp50/7_1` is a part of `sar_rarp50/7`; names are in lower case.
    """
    source, _, number = surgery.lower().partition("/")
    family = _families().get(source, source)
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


def candidates(surgery: str) -> tuple[str, ...]:
    """The operations that a surgery may be: one, or several where only sets are known to be the same.

    `m2cai16_tool/11` is one of Cholec80's 61, 62, 64, 65 and 66.
    """
    name = canonical(surgery)
    family, _, number = name.partition("/")
    for entry in _table().sets.get(family, ()):
        if number in map(str, numbers(entry.numbers)):
            return entry.operations
    return (name,)


def check_known(surgery: str) -> None:
    """Refuse a surgery that no data set has, such as `cholec80/173`; of one's own, `table/...`, any may be.

    Raises:
        CotgenError: says which names there are.
    """
    source, _, name = surgery.partition("/")
    if source == "table":
        return
    entry = _table().untraced.get(source)
    if entry is not None and source not in _families():
        raise CotgenError(
            f"nobody published which operation '{surgery}' is: {entry.what} are from {entry.of}. Name the operation by "
            f"its number there, such as {entry.of}/1"
        )
    family = family_of(source)
    number = str(int(name)) if name.isascii() and name.isdecimal() else name
    if family in _table().parts:
        number = number.partition("_")[0]
    every = {str(n) for items in _table().families[family].sources.values() for n in numbers(items)}
    if number not in every:
        shown = sorted(every, key=lambda n: order_of(f"{family}/{n}"))
        raise CotgenError(f"no data set has a surgery '{surgery}'; {source} has {shown[0]} to {shown[-1]}")


def known_sources() -> tuple[str, ...]:
    """All sources whose surgeries have known numbers, by family."""
    return tuple(source for family in _table().families.values() for source in family.sources)


def members(source: str) -> list[int | str]:
    """The numbers or names of the surgeries that a source labels. Raises CotgenError for an unknown source."""
    return numbers(_table().families[family_of(source)].sources[source])


def untraced() -> dict[str, Untraced]:
    """The sources that are known to share operations with others, nobody published which."""
    return dict(_table().untraced)


def aligned(sources: Iterable[str]) -> bool:
    """Whether the labels of these sources share one clock; a single source always does."""
    names = set(sources)
    return len(names) <= 1 or any(names <= set(family.aligned) for family in _table().families.values())


def order_of(surgery: str) -> tuple[str, str, int, str]:
    """Sort key: by family, then by the letters of the name, then by its number as a number.

    `cholec80/92`, `cholec80/103`; `endovis18/16`, `endovis18/test1`; `multibypass140/bbp70`, `multibypass140/sbp01`;
    `sar_rarp50/7`, `sar_rarp50/7_1`, `sar_rarp50/8`.
    """
    family, _, name = surgery.partition("/")
    match = _NAME.match(name)
    assert match is not None  # it matches any text, if only its empty beginning
    return family, match[1], int(match[2] or -1), name


@cache
def _families() -> dict[str, str]:
    """Source -> its family."""
    return {source: name for name, family in _table().families.items() for source in family.sources}
