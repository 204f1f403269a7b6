"""croissant.json: the data set in the vocabulary of Croissant 1.1, for search engines and `mlcroissant`.

It describes the shards (files in tar files), the index, the previews, the splits, licence, citations and checksums, where
the data come from and what they should be used for. Addresses of files are relative to it, so it holds for the
repository, a release of it and a copy on disk. It states no date: the same data and tag give the same bytes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
import polars as pl

from cotgen.hub.preview import COLUMNS, THUMBNAIL
from cotgen.hub.writers import models_of
from cotgen.records import SPLITS, Manifest
from cotgen.shards.index import INDEX, INDEX_SCHEMA
from cotgen.shards.manifest import PREVIEW

#: The versions that `mlcroissant` takes: no `v` before the number.
_VERSION = re.compile(r"v?([0-9]+\.[0-9]+\.[0-9]+(?:[-+][0-9A-Za-z.+-]+)?)")
_SPLIT_URLS = {"train": "cr:TrainingSplit", "validation": "cr:ValidationSplit", "test": "cr:TestSplit"}
#: What the context maps into the vocabulary of Croissant.
_TERMS = (
    "arrayShape",
    "citeAs",
    "column",
    "containedIn",
    "equivalentProperty",
    "extract",
    "field",
    "fileObject",
    "fileProperty",
    "fileSet",
    "format",
    "includes",
    "isArray",
    "isLiveDataset",
    "jsonPath",
    "key",
    "md5",
    "parentField",
    "path",
    "recordSet",
    "references",
    "regex",
    "repeated",
    "replace",
    "samplingRate",
    "separator",
    "source",
    "subField",
    "transform",
)
_CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "conformsTo": "dct:conformsTo",
    "description": {"@container": "@language"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "name": {"@container": "@language"},
    "prov": "http://www.w3.org/ns/prov#",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "sc": "https://schema.org/",
    **{name: f"cr:{name}" for name in _TERMS},
}
_LICENCE_URLS = {
    "cc0-1.0": "https://creativecommons.org/publicdomain/zero/1.0/",
    **{
        f"cc-{parts}-4.0": f"https://creativecommons.org/licenses/{parts}/4.0/"
        for parts in ("by", "by-sa", "by-nc", "by-nc-sa")
    },
}


@dataclass(frozen=True, slots=True)
class Told:
    """What croissant.json tells besides the manifest.

    Attributes:
        repo: `ORG/NAME`.
        tag: of the release, or "".
        title: the data set in words.
        description: in some sentences.
        licence: the Hub's name of the licence, or "" where one is not known.
        limits: what the data cannot tell, a sentence each.
        biases: a sentence each.
        uses: what they are for, a sentence each.
    """

    repo: str
    tag: str
    title: str
    description: str
    licence: str
    limits: tuple[str, ...]
    biases: tuple[str, ...]
    uses: tuple[str, ...]


def croissant(manifest: Manifest, previews: Mapping[str, str], told: Told) -> bytes:
    """The bytes of croissant.json.

    Args:
        manifest: of the folder.
        previews: file of the preview -> sha256.
        told: see `Told`.
    """
    pictures = bool(manifest.counts.get("images"))
    tables = [name for split in SPLITS if (name := f"{PREVIEW}/{split}.parquet") in previews]
    version = _VERSION.fullmatch(told.tag)
    head = {
        "@context": dict(sorted(_CONTEXT.items())),
        "@type": "sc:Dataset",
        "conformsTo": ["http://mlcommons.org/croissant/1.1", "http://mlcommons.org/croissant/RAI/1.0"],
        # No white space and nothing that is not a letter, for the name is a part of paths.
        "name": told.repo.replace("/", "__"),
        "alternateName": told.title,
        "description": told.description,
        "url": f"https://huggingface.co/datasets/{told.repo}",
        "license": _LICENCE_URLS.get(told.licence, f"https://huggingface.co/datasets/{told.repo}"),
        "inLanguage": "en",
        "keywords": ["surgery", "chain-of-thought", "visual question answering", "WebDataset"],
        "creator": {"@type": "sc:Organization", "name": told.repo.partition("/")[0]},
        "citeAs": "\n".join(source.citation for source in manifest.sources if source.citation) or told.title,
        **({"version": version[1]} if version else {}),
    }
    return orjson.dumps(
        {
            **head,
            **_responsible(manifest, told),
            **_provenance(manifest),
            "distribution": _distribution(manifest, previews, pictures),
            "recordSet": [
                _splits(manifest),
                _records(),
                *([_frames()] if pictures else []),
                _index(),
                *(_preview(table, pictures) for table in tables),
            ],
        },
        option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE,
    )


def _responsible(manifest: Manifest, told: Told) -> dict[str, Any]:
    """What the RAI vocabulary asks for and the manifest answers."""
    protocol = [
        "Questions, answers and chains are made by cotgen from the labels of the sources; each sentence names its "
        "evidence, a machine resolved it, and a chain that a check refuses is left out."
    ]
    models = dict.fromkeys(model for model, _ in models_of(manifest.config))
    tools = [f"cotgen {manifest.versions.get('cotgen', '')}".strip(), *models]
    titles = ", ".join(source.title for source in manifest.sources)
    return {
        "rai:dataCollection": f"Labels{' and frames' if manifest.counts.get('images') else ''} of {titles}, as their "
        "owners released them; nothing was collected anew.",
        "rai:dataCollectionType": ["Secondary data analysis"],
        "rai:dataAnnotationProtocol": protocol,
        "rai:machineAnnotationTools": tools,
        "rai:dataUseCases": list(told.uses),
        "rai:dataLimitations": list(told.limits),
        "rai:dataBiases": list(told.biases),
        "rai:personalSensitiveInformation": [
            "Frames of operations inside the body, without names or dates; made from recordings of patients."
        ],
    }


def _provenance(manifest: Manifest) -> dict[str, Any]:
    """What it was derived from, by what activities and which agents, in the terms of W3C PROV-O."""
    agents = [{"@type": "prov:SoftwareAgent", "prov:label": f"cotgen {manifest.versions.get('cotgen', '')}".strip()}]
    for model, did in models_of(manifest.config):
        agents.append({"@type": "prov:SoftwareAgent", "prov:label": f"{model} ({did})"})
    return {
        "prov:wasDerivedFrom": [
            {
                "@id": source.homepage or f"urn:dataset:{source.name}",
                "@type": "prov:Entity",
                "prov:label": f"{source.title} ({source.licence})",
            }
            for source in manifest.sources
        ],
        "prov:wasGeneratedBy": [
            {
                "@type": "prov:Activity",
                "prov:label": f"cotgen {manifest.kind}, fingerprint {manifest.fingerprint}",
                "prov:wasAssociatedWith": agents,
            },
            {
                "@type": "prov:Activity",
                "prov:label": "Machine checks of every chain against the labels of its frame, again before publication",
                "prov:wasAssociatedWith": agents[:1],
            },
        ],
    }


def _distribution(manifest: Manifest, previews: Mapping[str, str], pictures: bool) -> list[dict[str, Any]]:
    shards = [shard.file for shard in manifest.shards]
    sums = {shard.file: (shard.sha256, "application/x-tar") for shard in manifest.shards}
    sums[INDEX] = (manifest.files[INDEX], "application/x-parquet")
    for name, sha256 in previews.items():
        sums[name] = (sha256, "application/x-parquet" if name.endswith(".parquet") else "application/x-tar")
    files = [
        {
            "@type": "cr:FileObject",
            "@id": name,
            "name": name,
            "contentUrl": name,
            "encodingFormat": encoding,
            "sha256": sha256,
        }
        for name, (sha256, encoding) in sorted(sums.items())
    ]
    inside = [{"@id": name} for name in shards]
    sets = [("record-files", "json", "application/json", "The records, one for each frame: KEY.json.")]
    if pictures:
        sets.append(("frame-files", "jpg", "image/jpeg", "The frames: KEY.jpg."))
    return files + [
        {
            "@type": "cr:FileSet",
            "@id": name,
            "name": name,
            "description": text,
            "containedIn": inside,
            "encodingFormat": encoding,
            "includes": f"*.{ending}",
        }
        for name, ending, encoding, text in sets
    ]


def _splits(manifest: Manifest) -> dict[str, Any]:
    there = [split for split in SPLITS if any(shard.split == split for shard in manifest.shards)]
    return {
        **_record_set("splits", "One operation is in one split, whichever data set labels it."),
        "dataType": "cr:Split",
        "key": {"@id": "splits/name"},
        "field": [
            _field("splits", "name", "sc:Text", "Name of the split."),
            _field("splits", "url", "sc:URL", "What the split is for."),
        ],
        "data": [{"splits/name": split, "splits/url": _SPLIT_URLS[split]} for split in there],
    }


def _records() -> dict[str, Any]:
    return _files(
        "records",
        "record-files",
        "json",
        "Frame, labels, questions, chains and answers; schema cotgen/sample/1.",
        _field("records", "json", "sc:Text", "The record as JSON."),
    )


def _frames() -> dict[str, Any]:
    return _files(
        "frames",
        "frame-files",
        "jpg",
        "The stored pictures, by the key of their record, which has the sha256 of each.",
        _field("frames", "image", "sc:ImageObject", "The frame."),
    )


def _files(name: str, files: str, ending: str, text: str, content: dict[str, Any]) -> dict[str, Any]:
    """One record for each member of the shards: its key and its content."""
    source = {"fileSet": {"@id": files}}
    stem = {"regex": rf"([^/]*)\.{ending}$"}
    return {
        **_record_set(name, text),
        "key": {"@id": f"{name}/key"},
        "field": [
            {
                **_field(name, "key", "sc:Text", "Name of the sample; KEY#ID is the name of a pair."),
                "source": {**source, "extract": {"fileProperty": "filename"}, "transform": stem},
            },
            {**content, "source": {**source, "extract": {"fileProperty": "content"}}},
        ],
    }


_INDEX_TEXTS = {
    "key": "Name of the sample.",
    "id": "What is asked; KEY#ID is the name of the pair.",
    "shard": "File that holds the sample.",
    "offset": "First byte of the sample's first header in its shard.",
    "surgery": "The operation, which is the unit of splits.",
    "split": "train, validation or test.",
    "task": "The kind of question.",
    "writer": "Who wrote the chain.",
    "answer": "The answer; a set has one item a line.",
    "support": "How far levels 1 and 2 of the chain carry the answer.",
    "sources": "The data sets that say something of the frame.",
    "terms": "All terms of the frame's labels.",
    "findings": "Soft findings of the checks, where labels are unlikely beside each other.",
}


def _index() -> dict[str, Any]:
    fields = []
    for name, dtype in INDEX_SCHEMA.items():
        field = {
            **_field("index", name, "cr:Int64" if dtype == pl.Int64 else "sc:Text", _INDEX_TEXTS[name]),
            "source": {"fileObject": {"@id": INDEX}, "extract": {"column": name}},
        }
        if isinstance(dtype, pl.List):
            field |= {"isArray": True, "arrayShape": "-1"}
        if name == "split":
            field["references"] = {"field": {"@id": "splits/name"}}
        fields.append(field)
    return {**_record_set("index", "A row for each question."), "field": fields}


def _preview(table: str, pictures: bool) -> dict[str, Any]:
    name = table.removesuffix(".parquet").replace("/", "-")
    fields = []
    for column in [*COLUMNS, *([THUMBNAIL] if pictures else [])]:
        kind = "sc:ImageObject" if column == THUMBNAIL else "sc:Text"
        extract: dict[str, Any] = {"extract": {"column": column}}
        if column == THUMBNAIL:
            extract["transform"] = {"jsonPath": "bytes"}
        field = {
            **_field(name, column, kind, f"Column {column} of the preview."),
            "source": {"fileObject": {"@id": table}, **extract},
        }
        if column == "options":
            field |= {"isArray": True, "arrayShape": "-1"}
        fields.append(field)
    return {**_record_set(name, "Some pairs, with their chains as text, to look at first."), "field": fields}


def _record_set(name: str, text: str) -> dict[str, Any]:
    return {"@type": "cr:RecordSet", "@id": name, "name": name, "description": text}


def _field(parent: str, name: str, kind: str, text: str) -> dict[str, Any]:
    return {
        "@type": "cr:Field",
        "@id": f"{parent}/{name}",
        "name": f"{parent}/{name}",
        "description": text,
        "dataType": kind,
    }
