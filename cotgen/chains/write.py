"""Writing all chains of one surgery: questions, chains, checks. What a check refuses is counted, never stored."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import resources

from cotgen.chains.checks import check_case
from cotgen.chains.checks.base import Case, support_of
from cotgen.chains.render import ParsedChain
from cotgen.chains.template import WRITER, compose
from cotgen.ontology import ontology_sha256
from cotgen.ontology.knowledge import knowledge_sha256
from cotgen.records import Pair, Scene
from cotgen.surgeries.priors import Priors
from cotgen.tasks import TASKS, plan_questions
from cotgen.tasks.base import Question

#: Raised whenever the bytes of a chain change for another reason than its wordings (whose hash is taken anyway).
CHAINS_VERSION = 5
#: How many refused chains are kept as examples.
KEPT_EXAMPLES = 20


@dataclass
class Written:
    """The pairs of one surgery.

    Attributes:
        pairs: parallel to the scenes; only pairs without a hard finding.
        refused: name of the check -> how many chains it kept out.
        unwritten: questions without a chain, since the frame has no label that level 1 could show.
        examples: `key#id: what was wrong`, the first few.
    """

    pairs: list[list[Pair]]
    refused: Counter[str] = field(default_factory=Counter)
    unwritten: int = 0
    examples: list[str] = field(default_factory=list)


def write_pair(scene: Scene, question: Question, priors: Priors | None, seed: int) -> tuple[Case, Pair] | None:
    """One pair with a template chain, before any check; None where the labels give level 1 nothing to say."""
    chain = compose(scene, question, priors, seed)
    if not chain.statements:
        return None
    pair = Pair(
        id=question.id,
        task=question.task,
        question=question.text,
        options=list(question.options),
        boxes=chain.boxes,
        support="asserted",
        statements=chain.statements,
        answer=question.answer,
        writer=WRITER,
    )
    case = Case(ParsedChain.of(pair), scene, question, priors, tuple(tuple(box) for box in pair.boxes))
    return case, pair.model_copy(update={"support": support_of(case)})


def write_surgery(scenes: Sequence[Scene], *, tasks: Sequence[str], seed: int, priors: Priors | None) -> Written:
    """All questions about one surgery with their chains, checked.

    Args:
        scenes: the frames of one surgery in time order.
        tasks: names of tasks.
        seed: seed of the build.
        priors: statistics of the train surgeries, or None: then no sentence of basis `prior` is written.
    """
    written = Written([])
    for pairs in write_scenes(scenes, tasks=tasks, seed=seed, priors=priors, written=written):
        written.pairs.append(pairs)
    return written


def write_scenes(
    scenes: Sequence[Scene],
    *,
    tasks: Sequence[str],
    seed: int,
    priors: Priors | None,
    written: Written,
    questions: Iterable[tuple[int, Question]] | None = None,
) -> Iterator[list[Pair]]:
    """As `write_surgery`, one scene at a time, so that no more than its pairs are in memory.

    Args:
        scenes: the frames of one surgery in time order.
        tasks: names of tasks.
        seed: seed of the build.
        priors: statistics of the train surgeries, or None.
        written: takes the counts; its `pairs` are left alone.
        questions: those of the planned questions that are to be written, in their order; all where it is None.

    Yields:
        The pairs of each scene, in the order of the scenes; an empty list where it has none.
    """
    pairs: list[Pair] = []
    current = 0
    for position, question in plan_questions(scenes, tasks, seed) if questions is None else questions:
        while current < position:
            yield pairs
            pairs, current = [], current + 1
        scene = scenes[position]
        drafted = write_pair(scene, question, priors, seed)
        if drafted is None:
            written.unwritten += 1
            continue
        case, pair = drafted
        findings = check_case(case, pair)
        hard = [finding for finding in findings if finding.severity == "hard"]
        if hard:
            written.refused[hard[0].check] += 1
            if len(written.examples) < KEPT_EXAMPLES:
                written.examples.append(f"{scene.key}#{pair.id}: {hard[0].text}")
            continue
        pairs.append(pair.model_copy(update={"findings": findings}) if findings else pair)
    for _ in range(current, len(scenes)):
        yield pairs
        pairs = []


@cache
def templates_sha256() -> str:
    """sha256 over all that chains are made of besides their inputs: grammar, checks, wordings, ontology, knowledge."""
    digest = hashlib.sha256(f"{ontology_sha256()}{knowledge_sha256()}{WRITER}".encode())
    folder = resources.files("cotgen.chains")
    names = [
        "claims.py",
        "closed.py",
        "grammar.py",
        "lexicon.py",
        "places.py",
        "reading.py",
        "template.py",
        "visual.py",
    ]
    names += [f"plans/{name}.py" for name in ("action", "boxes", "bypass", "context", "cvs", "triplet", "words")]
    checks = ("base", "evidence", "facts", "labels", "look", "matching", "reasoning", "vocabulary", "wording")
    names += [f"checks/{name}.py" for name in checks]
    for name in names:
        digest.update(folder.joinpath(name).read_bytes())
    for name in sorted(TASKS):
        digest.update("\n".join(TASKS[name].wordings).encode())
    return digest.hexdigest()
