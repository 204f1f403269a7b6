"""Writes `schemas/`: `python -m cotgen.records.schemas FOLDER`. A test keeps the folder equal to the code."""

from __future__ import annotations

import sys
from pathlib import Path

import orjson

from cotgen.records.base import Record
from cotgen.records.manifest import Manifest
from cotgen.records.review import Review
from cotgen.records.sample import Sample

RECORDS: dict[str, type[Record]] = {"sample": Sample, "manifest": Manifest, "review": Review}


def schema_files() -> dict[str, bytes]:
    """File name -> JSON Schema (draft 2020-12)."""
    option = orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
    files = {}
    for name, record in RECORDS.items():
        schema = record.model_json_schema(by_alias=True)
        schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
        schema["$id"] = f"cotgen/{name}/1"
        files[f"{name}.schema.json"] = orjson.dumps(schema, option=option)
    return files


def main() -> None:
    """Write all schemas below the folder that the command line names."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in schema_files().items():
        (folder / name).write_bytes(data)


if __name__ == "__main__":
    main()
