"""How varied text is, measured where it counts: inside one cell of equal facts and equal question.

Distinct-n over a whole corpus cannot tell one template from many, since terms and numbers dominate it. So plans and
masked skeletons are counted, by their entropy in bits, among chains that all have to say the same.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable
from typing import TypeAlias

from cotgen.chains.lexicon import mentions
from cotgen.records import Pair, Scene

Plan: TypeAlias = tuple[tuple[int, str, tuple[str, ...]], ...]

_FUNCTION_TEXT = """
a an and any are as at be both by can does do for from has have he her here his in into is it its no nor not of off on
one or out so than that the their them themselves then there these they this those thus to too up was were what when
where which while who with itself hence therefore also
"""
_FUNCTION_WORDS = frozenset(_FUNCTION_TEXT.split())
_BOX = re.compile(r"<bbox:\d+>")
_WORD = re.compile(r"[a-z]+|<[a-z]+>")


def plan(pair: Pair) -> Plan:
    """Which facts, in which order, with which move: level, basis and evidence of each sentence, without a judge's scores."""
    kept = [tuple(ref for ref in s.evidence if not ref.startswith("judged:")) for s in pair.statements]
    return tuple((s.level, s.basis, refs) for s, refs in zip(pair.statements, kept, strict=True))


def skeleton(pair: Pair) -> str:
    """The text without what it speaks of: terms, boxes and numbers masked, function words removed."""
    lines = []
    for statement in pair.statements:
        text, shift = statement.text, 0
        for mention in mentions(statement.text):
            mask = f"<{mention.kind.replace('_', '')}>"
            text = text[: mention.start + shift] + mask + text[mention.end + shift :]
            shift += len(mask) - (mention.end - mention.start)
        text = re.sub(r"\d+(?:\.\d+)?", "<number>", _BOX.sub("<box>", text)).lower()
        words = [word for word in _WORD.findall(text) if word not in _FUNCTION_WORDS]
        lines.append(f"{statement.level} {' '.join(words)}")
    return " / ".join(lines)


def entropy_bits(items: Iterable[object]) -> float:
    """Shannon entropy in bits of the relative frequencies of equal items; 0.0 for none."""
    counts = Counter(items)
    total = sum(counts.values())
    return sum(-n / total * math.log2(n / total) for n in sorted(counts.values())) if total else 0.0


def signature(scene: Scene, pair: Pair) -> tuple[str, ...]:
    """The cell of a pair: what is asked, the labelled terms, and the answer."""
    return (pair.id, *sorted(f"{f.source}.{'.'.join(f.terms)}" for f in scene.facts), pair.answer)
