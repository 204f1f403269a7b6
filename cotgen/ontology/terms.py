"""Term: a canonical name with its answer name, its closed paraphrases and the spellings of each data set."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib import resources
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field

KINDS = {
    "instrument": "instruments",
    "phase": "phases",
    "step": "steps",
    "verb": "verbs",
    "anatomy": "anatomy",
    "action": "actions",
    "object": "objects",
    "cvs": "cvs",
    "view": "views",
    "side": "sides",
}

#: Operation -> the data set whose words are offered where one's own table labels a kind.
WORDS_OF = {"cholecystectomy": "cholec80", "gastric_bypass": "multibypass140"}


class Term(BaseModel):
    """One entry of the ontology.

    Attributes:
        id: `instrument.grasper`.
        answer: the one name that answers use.
        answers: data set -> the answer name there, where it has its own word for the same thing.
        names: the closed set of words that text may use for it; the first is the display name.
        plural: plural of the display name; "" where text never needs one.
        number: `plural` for words such as scissors, which take no article and a plural verb.
        aliases: spellings per data set, and under `reply` those that only parsers accept.
        definition: what it is.
        never: words that would change the meaning.
        acts: sentences that tell a step, an action or the site of a phase as what is going on, without its name.
        parts: parts that no data set labels.
        observed: in how many of the 80 public operations a phase occurs; 0 for other kinds.
        sources: keys of the references the definition rests on.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    answer: str
    answers: dict[str, str] = {}
    names: tuple[str, ...] = Field(min_length=1)
    plural: str = ""
    number: Literal["singular", "plural"] = "singular"
    aliases: dict[str, tuple[str, ...]]
    definition: str
    never: tuple[str, ...] = ()
    acts: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()
    observed: int = 0
    sources: tuple[str, ...] = Field(min_length=1)
    order: int = 0

    @property
    def kind(self) -> str:
        """The part before the dot."""
        return self.id.partition(".")[0]

    @property
    def name(self) -> str:
        """The display name."""
        return self.names[0]

    def answer_in(self, dataset: str) -> str:
        """The answer name in questions about one data set."""
        return self.answers.get(dataset, self.answer)

    @property
    def phrase(self) -> str:
        """The display name with its indefinite article, if it takes one: `a grasper`, `an irrigator`, `scissors`."""
        if self.number == "plural":
            return self.name
        return f"{'an' if self.name[0].lower() in 'aeiou' else 'a'} {self.name}"


@cache
def _all() -> dict[str, Term]:
    found: dict[str, Term] = {}
    for kind, file in KINDS.items():
        text = (resources.files("cotgen.ontology") / f"{file}.yaml").read_text(encoding="utf-8")
        for order, entry in enumerate(yaml.safe_load(text)):
            item = Term(order=order, **entry)
            if item.kind != kind or item.id in found:
                raise ValueError(f"{file}.yaml: '{item.id}' is out of place or twice there")
            found[item.id] = item
    return found


def term(id: str) -> Term:
    """The term of that id. Raises KeyError for an unknown one."""
    return _all()[id]


@cache
def terms_of(kind: str) -> tuple[Term, ...]:
    """All terms of a kind in ontology order: the order in which sets are written."""
    return tuple(item for item in _all().values() if item.kind == kind)


@cache
def alias(dataset: str, kind: str) -> dict[str, str]:
    """Spelling -> term id for one data set, exactly as its files write it; `reply`: extra spellings of replies."""
    return {spelling: item.id for item in terms_of(kind) for spelling in item.aliases.get(dataset, ())}


@cache
def vocabulary(dataset: str, kind: str) -> tuple[Term, ...]:
    """The terms of a kind that one data set labels, in ontology order."""
    return tuple(item for item in terms_of(kind) if dataset in item.aliases)


@cache
def ontology_sha256() -> str:
    """sha256 over all ontology files: part of the fingerprint of what is made from them."""
    digest = hashlib.sha256()
    for file in sorted(KINDS.values()):
        digest.update((resources.files("cotgen.ontology") / f"{file}.yaml").read_bytes())
    return digest.hexdigest()
