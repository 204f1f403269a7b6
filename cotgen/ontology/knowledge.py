"""Knowledge: sentences that are true whatever the picture shows, each with its source and status."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib import resources
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field

from cotgen.ontology.terms import term


class Knowledge(BaseModel):
    """One piece of knowledge.

    Attributes:
        id: `function.hook`; evidence names it as `knowledge:function.hook`.
        procedure: the operation it is true of; never used in another one.
        about: the terms that must be at hand before a writer may use it.
        status: L stated in a data set, loader or prompt file; C clinical text, paraphrased; B known by citation;
            A authored, needs review.
        sources: keys of the references.
        texts: closed wordings, at most 30 words each, without a word that points at the picture.
        citation: the reference in full, needed for status B.
        reviewed: whether a surgeon has read it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    procedure: str
    about: tuple[str, ...]
    status: Literal["L", "C", "B", "A"]
    sources: tuple[str, ...] = Field(min_length=1)
    texts: tuple[str, ...] = Field(min_length=1)
    citation: str = ""
    reviewed: bool = False

    @property
    def usable(self) -> bool:
        """Whether a writer may state it as fact."""
        return self.status in ("L", "C") or self.reviewed or (self.status == "B" and bool(self.citation))


@cache
def entries() -> dict[str, Knowledge]:
    """All entries by id, in file order."""
    text = (resources.files("cotgen.ontology") / "knowledge.yaml").read_text(encoding="utf-8")
    found: dict[str, Knowledge] = {}
    for raw in yaml.safe_load(text):
        item = Knowledge(**raw)
        if item.id in found:
            raise ValueError(f"knowledge.yaml: '{item.id}' is there twice")
        for name in item.about:
            term(name)
        found[item.id] = item
    return found


def entry(id: str) -> Knowledge:
    """The entry of that id. Raises KeyError for an unknown one."""
    return entries()[id]


@cache
def known_sentences() -> dict[str, str]:
    """Sentence -> id of the entry whose wording it is."""
    return {text: item.id for item in entries().values() for text in item.texts}


@cache
def knowledge_sha256() -> str:
    """sha256 of the file: part of the fingerprint of every chain."""
    return hashlib.sha256((resources.files("cotgen.ontology") / "knowledge.yaml").read_bytes()).hexdigest()
