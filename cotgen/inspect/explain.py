"""Explain: each sentence of a stored chain with what it rests on, resolved for a page to show.

Evidence resolves here as `verify` resolves it; what does not, says why.
"""

from __future__ import annotations

from typing import Any

from cotgen.inspect.words import name_of, spell
from cotgen.ontology.knowledge import entry
from cotgen.records import EvidenceRef, Pair, Sample, disputes, marked_sha256
from cotgen.shards.evidence import resolve_evidence
from cotgen.surgeries.priors import Priors


def explain(sample: Sample, priors: Priors | None) -> dict[str, Any]:
    """A sample as plain values, with what a page needs beside the record.

    Returns:
        The record; `names`, term -> display name; `disputed`, kinds of fact that its sources contradict one another in;
        in each pair `evidence`, a list for each sentence (`_cited`), and `sha256`, of each sentence and, last, of the chain.
    """
    plain = sample.model_dump(by_alias=True)
    said = [*sample.facts, *(fact for context in sample.context for fact in context.facts)]
    plain["names"] = {item: name_of(item) for fact in said for item in fact.terms}
    plain["disputed"] = sorted(disputes(sample.facts, sample.labelled))
    for pair, shown in zip(sample.pairs, plain["pairs"], strict=True):
        shown["evidence"] = [
            [_cited(sample, pair, number, reference, priors) for reference in statement.references()]
            for number, statement in enumerate(pair.statements)
        ]
        shown["sha256"] = [marked_sha256(pair, number) for number in (*range(len(pair.statements)), -1)]
    return plain


def _cited(
    sample: Sample, pair: Pair, statement: int, reference: EvidenceRef, priors: Priors | None
) -> dict[str, Any]:
    """One reference.

    Returns:
        `kind`, `words`, `problem` ("" where it resolves), and what a page lights: `facts` by id, `boxes` of the pair by
        number, `areas` in pixels, `labels` (`source.kind`), `statement` (-1 for none); `knowledge` or `prior` in full.
    """
    mark = f"'{reference.kind}:{reference.target}' "
    problems = resolve_evidence(sample, pair, statement, priors)
    own = [text.removeprefix(mark) for text in problems if text.startswith(mark)]
    found: dict[str, Any] = {
        "kind": reference.kind,
        "target": reference.target,
        "words": spell(reference, sample, pair, priors),
        "problem": own[0] if own else "",
        "facts": [],
        "boxes": [],
        "areas": [],
        "labels": [],
        "statement": -1,
    }
    target = reference.target
    match reference.kind:
        case "fact":
            found["facts"] = [target]
        case "none" | "all":
            name = target.partition("/")[0]
            found["labels"] = [name]
            if reference.kind == "all":
                found["facts"] = [fact.id for fact in sample.facts if f"{fact.source}.{fact.kind}" == name]
        case "box" if int(target) < len(pair.boxes):
            box = pair.boxes[int(target)]
            found["boxes"] = [int(target)]
            found["facts"] = [fact.id for fact in sample.facts if fact.box == box]
        case "pixel":
            name, _, ids = target.partition("=")[0].partition("/")
            of = ids.split("+") if ids else []
            found["facts"] = of
            found["areas"] = [item.box for item in sample.measured if item.name == name and item.of == of and item.box]
        case "statement":
            found["statement"] = int(target)
        case "knowledge" if not own:
            known = entry(target)
            found["knowledge"] = known.model_dump(include={"id", "status", "sources", "texts", "citation", "reviewed"})
        case "prior" if not own and priors is not None:
            frames, total, surgeries = priors.resolve(target)
            found["prior"] = {"frames": frames, "total": total, "surgeries": surgeries, "split": priors.split_table}
    return found
