"""One sample in the terminal: what every sentence says, and in words what it rests on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.text import Text

from cotgen import dataset
from cotgen.cli.console import harmless
from cotgen.draws import draw
from cotgen.errors import CotgenError
from cotgen.inspect.words import spell, words_of
from cotgen.records import LEVEL_NAMES, Pair, Sample
from cotgen.shards.manifest import load_priors
from cotgen.surgeries.priors import Priors


def show_sample(console: Console, folder: Path, key: str, seed: int) -> None:
    """Print one sample.

    Args:
        console: where to.
        folder: a finished data set.
        key: its key; "" draws one.
        seed: of the draw.

    Raises:
        CotgenError: the folder is no finished data set, or has no such sample.
    """
    found = dataset.open(folder)
    if not key:
        keys = found.keys()
        if not keys:
            raise CotgenError(f"{folder} holds no sample.")
        key = min(keys, key=lambda name: (draw(seed, "show", name), name))
    priors = load_priors(folder)
    for style, line in lines_of(found[key].record, priors):
        console.print(Text(harmless(line), style=style), soft_wrap=True)


def lines_of(sample: Sample, priors: Priors | None) -> Iterator[tuple[str, str]]:
    """(style, line) of a sample."""
    frame = sample.frame
    yield "bold", f"{sample.key}  ({sample.surgery}, {sample.split}, {frame.time_s:g} s, {frame.width}x{frame.height})"
    for name in sample.labelled:
        said = [words_of(fact) for fact in sample.facts if f"{fact.source}.{fact.kind}" == name]
        yield "", f"  {name}: {', '.join(said) or 'none'}"
    for measured in sample.measured:
        yield "dim", f"  measured {measured.name}: {measured.value:g}{f' {measured.box}' if measured.box else ''}"
    for pair in sample.pairs:
        yield "", ""
        yield from _pair(pair, sample, priors)


def _pair(pair: Pair, sample: Sample, priors: Priors | None) -> Iterator[tuple[str, str]]:
    yield "bold", f"{pair.id}  ({pair.support}, {pair.writer})"
    yield "", f"  Q: {pair.question}"
    for option in pair.options:
        yield "", f"     - {option}"
    level = 0
    for number, statement in enumerate(pair.statements):
        if statement.level != level:
            level = statement.level
            yield "cyan", f"  Level {level}: {LEVEL_NAMES[level]}"
        yield "", f"    [{number}] {statement.text}  ({statement.basis})"
        for reference in statement.references():
            yield "dim", f"        {spell(reference, sample, pair, priors)}"
    yield "green", f"  A: {' / '.join(pair.answer.splitlines())}"
    for finding in pair.findings:
        yield "yellow", f"  {finding.severity} finding, {finding.check}: {finding.text}"
