"""Hint: a question asked again with its right answer, where no sample was right (path B of the refinement).

Surg-R1 does not tell how its second pathway works; this reading is ours, after STaR's rationalisation (Zelikman et al.
2022). The chain that comes of it passes the same checks, so nothing of the hint may stand in it.
"""

from __future__ import annotations

import hashlib
import re
from functools import cache
from importlib import resources

from cotgen.chains.boxes import BoxFormat
from cotgen.chains.teacher import facts_told
from cotgen.records import Pair, Scene

#: Raised with the prompt, which is a file named after it.
HINT_VERSION = 1
_FACTS = re.compile(r"<facts>\n(.*?)</facts>\n", re.DOTALL)


def hint(scene: Scene, asked: Pair, boxes: BoxFormat, facts: bool) -> str:
    """What follows the question.

    Args:
        scene: the facts of the frame.
        asked: the stored pair, with the right answer.
        boxes: how the policy writes boxes.
        facts: whether the facts are told beside the answer: those that its sources do not dispute.
    """
    used = [tuple(box) for box in asked.boxes]
    told = "\n".join(facts_told(scene, used)) if facts else ""
    text = _FACTS.sub(lambda match: match[1] if facts else "", _prompt())
    text = text.replace("{facts}", told).replace("{answer}", asked.answer)
    return boxes.write(text, used, scene.size).strip()


@cache
def _prompt() -> str:
    name = f"policy-hint-{HINT_VERSION}.md"
    return resources.files("cotgen.chains").joinpath("prompts", name).read_text(encoding="utf-8")


@cache
def hint_sha256() -> str:
    """sha256 of the prompt: part of the fingerprint of a round."""
    return hashlib.sha256(_prompt().encode()).hexdigest()
