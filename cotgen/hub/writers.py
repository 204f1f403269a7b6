"""What is known of the terms under which the models that wrote chains may be used, and their text.

A server can give a model any name, so all that is said is said of the name; what is not known is said to be unknown.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

#: Pattern of a model's name -> what its publisher states. The first that is found holds.
_KNOWN: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), text)
    for pattern, text in (
        (
            r"qwen2\.5-vl-3b",
            "by its name Qwen2.5-VL-3B, whose weights are under the Qwen Research License: no commercial use",
        ),
        (r"qwen2(\.5)?-vl-72b", "by its name a Qwen-VL of 72B, whose weights are under the Qwen License Agreement"),
        (
            r"qwen(2|2\.5|3)-vl",
            "by its name a Qwen-VL, whose weights are under Apache-2.0, which puts no terms on what a model writes",
        ),
        (
            r"smolvlm|smollm",
            "by its name a SmolLM or SmolVLM, whose weights are under Apache-2.0, which puts no terms on what a model "
            "writes",
        ),
        (
            r"gpt-oss",
            "by its name gpt-oss, whose weights are under Apache-2.0, which puts no terms on what a model writes",
        ),
        (
            r"(^|/)(gpt-|chatgpt|o[1-9]\b)",
            "by its name a model of OpenAI, whose terms of use forbid using its output to develop models that compete "
            "with theirs",
        ),
        (
            r"(^|/)gemini",
            "by its name a Gemini model of Google, whose terms forbid using the service to develop models that compete "
            "with it",
        ),
        (
            r"(^|/)claude",
            "by its name a Claude model of Anthropic, whose terms forbid using the service to train models that compete "
            "with it",
        ),
    )
)


def terms_of_writer(model: str) -> str:
    """One sentence on the licence of a model and on what may be done with its text."""
    for pattern, text in _KNOWN:
        if pattern.search(model):
            return (
                f"`{model}` is {text}. Read the terms that its publisher states now before you train on these chains."
            )
    return (
        f"The licence of `{model}`, and what its publisher allows to be done with its text, is not known to cotgen: find "
        "out before you train on these chains."
    )


def models_of(config: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(model, what it did) for all models that a configuration names; a merged data set has those of its parents."""
    found: list[tuple[str, str]] = []
    if taught := config.get("teacher"):
        found.append((str(taught["model"]), "wrote chains"))
        if judge := taught.get("judge"):
            found.append((str(judge["model"]), "judged chains"))
    if policy := config.get("policy"):
        found.append((str(policy["model"]), "wrote chains"))
    for parent in config.get("parents", []):
        found += models_of(parent)
    return list(dict.fromkeys(found))
