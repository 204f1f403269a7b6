"""Blind score of the questions about real label files, every second surgery of each family held back."""

import os
from collections import Counter
from pathlib import Path

from cotgen.evaluation.blind import Asked, score_blind
from tests.benchmarks.real_questions import SIZE, real_surgeries


def run() -> str:
    real = os.environ.get("COTGEN_REAL_DATA", "")
    if not real:
        return "COTGEN_REAL_DATA is not set."
    number = Counter[str]()
    train: list[Asked] = []
    validation: list[Asked] = []
    for surgery in real_surgeries(Path(real)):
        family = surgery.surgery.partition("/")[0]
        sides = (family, *surgery.sources)
        number[str(sides)] += 1
        side = train if number[str(sides)] % 2 else validation
        # Every tenth second of the long bypass operations says as much.
        every = 10 if family == "multibypass140" else 1
        side += [Asked(q, surgery.surgery, family, SIZE) for n, q, _ in surgery.questions if n % every == 0]
    lines = [
        "| questions | train | validation | operations | constant | blind | gain | |",
        "|---|" + "---:|" * 6 + "---|",
    ]
    for score in score_blind(train, validation):
        shares = f"{100 * score.constant:.1f} | {100 * score.blind:.1f} | {100 * score.gain:+.1f} ± {100 * score.margin:.1f}"
        counts = f"{score.train:,} | {score.validation:,} | {score.surgeries}"
        lines.append(f"| {score.name} | {counts} | {shares} | {score.verdict} |")
    return "\n".join(lines)
