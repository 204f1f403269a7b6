"""What all records share: strict types, no unknown fields, and one byte form."""

from __future__ import annotations

from typing import Any, TypeVar

import orjson
from pydantic import BaseModel, ConfigDict

R = TypeVar("R", bound="Record")


class Record(BaseModel):
    """A value that is written to disk. Its byte form is JSON with sorted keys, so equal records are equal bytes."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, populate_by_name=True)

    def to_json(self) -> bytes:
        """JSON with sorted keys and no white space."""
        return canonical_json(self.model_dump(by_alias=True))

    @classmethod
    def from_json(cls: type[R], data: bytes) -> R:
        """Read what `to_json` wrote. Raises `pydantic.ValidationError` on anything else."""
        return cls.model_validate_json(data)


def canonical_json(value: Any) -> bytes:
    """JSON of plain values with sorted keys and no white space: the byte form that all hashes and files use."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
