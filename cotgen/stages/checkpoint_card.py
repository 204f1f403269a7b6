"""The card of a run: `cotgen.json` says what was trained on what, `scores.json` how well it does, and the caller the rest.

What the record does not know is asked for and never guessed: a base model that lay in a folder, data that were on disk.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pydantic

from cotgen.errors import CotgenError
from cotgen.hub.model_card import Metric, ModelCard
from cotgen.hub.pull import named
from cotgen.stages.policy import RECORD

#: Base model -> its licence as its publisher states it.
LICENCES = {"Qwen/Qwen3-VL-8B-Instruct": "Apache-2.0", "Qwen/Qwen2.5-VL-7B-Instruct": "Apache-2.0"}
_STAGES = {
    "stage1_sft": "Gives short answers to questions about a frame of an operation.",
    "stage2_cold_start": "Answers questions about a frame of an operation and says why, in three levels.",
    "stage3_grpo": "Answers questions about a frame of an operation and says why, in three levels; rewarded by rules.",
    "stage4_refine": "Answers questions about a frame of an operation and says why, in three levels; refined on its own "
    "checked chains.",
}


@dataclass(frozen=True, slots=True)
class Told:
    """What the caller says of a run; "" leaves it to the record.

    Attributes:
        name: `ORG/NAME` of the checkpoint.
        base: `ORG/NAME` or `ORG/NAME@COMMIT` of the base model.
        base_licence: as its publisher states it.
        data: `ORG/NAME@REVISION` of each data set, in the order of the record.
        data_licence: as its card states it.
        limits: what else is known, a sentence each.
        scores: a file: `scores.json` of an evaluation, or a list of `Metric`.
    """

    name: str
    base: str = ""
    base_licence: str = ""
    data: Sequence[str] = ()
    data_licence: str = ""
    limits: Sequence[str] = ()
    scores: Path | None = None


def read_record(run: Path) -> dict[str, Any]:
    """`cotgen.json` of a run. Raises CotgenError where it is missing or damaged."""
    try:
        found = orjson.loads((run / RECORD).read_bytes())
    except FileNotFoundError:
        raise CotgenError(f"{run} has no {RECORD}; name the output folder of a stage, or a checkpoint in it") from None
    except (OSError, ValueError) as error:
        raise CotgenError(f"{run / RECORD} cannot be read; copy the run again") from error
    if not isinstance(found, dict) or "stage" not in found:
        raise CotgenError(f"{run / RECORD} is no record of a run; copy the run again")
    return found


def card_of(record: dict[str, Any], told: Told) -> ModelCard:
    """The card.

    Args:
        record: as `read_record` gives it.
        told: by the caller.

    Raises:
        CotgenError: something is known neither to the record nor to the caller; the sentence names the option.
    """
    model = record.get("model", {})
    base, _, revision = (
        told.base.partition("@") if told.base else (model.get("base", ""), "", model.get("revision", ""))
    )
    if not base:
        raise CotgenError(
            "the record does not say which model was trained, since it lay in a folder; say --base ORG/NAME"
        )
    licence = told.base_licence or LICENCES.get(base, "")
    if not licence:
        raise CotgenError(f"the licence of {base} is not known here; say --base_licence, as its publisher states it")
    sets = _data(record, told.data)
    first = sets[0]
    licences = sorted({licence for item in record["data"] for licence in item.get("licences", [])})
    more = [f"It was trained on {name} at {rev} too (fingerprint {mark})." for name, rev, mark in sets[1:]]
    more += [f"Before, it went through {item['stage']}." for item in model.get("after", [])]
    try:
        return ModelCard(
            name=told.name,
            description=_STAGES.get(record["stage"], "Answers questions about a frame of an operation."),
            stage=record["stage"],
            base_model=base,
            base_revision=revision,
            base_licence=licence,
            data=first[0],
            data_revision=first[1],
            data_fingerprint=first[2],
            data_licence=told.data_licence or "; ".join(licences),
            boxes=record["boxes"]["convention"],
            config=settings(record),
            metrics=_metrics(told.scores),
            limits=[*more, *told.limits],
            versions=record["versions"],
        )
    except pydantic.ValidationError as error:
        first_error = error.errors()[0]
        place = ".".join(map(str, first_error["loc"]))
        raise CotgenError(f"the card cannot be made: {place}: {first_error['msg']}") from error


def settings(record: dict[str, Any]) -> dict[str, Any]:
    """What a run was told, as one mapping; what says nothing is left out."""
    found: dict[str, Any] = {}
    for part in record.get("config", {}).values():
        found |= {name: value for name, value in part.items() if value not in ("", [], {}, None)}
    return dict(sorted(found.items()))


def _data(record: dict[str, Any], told: Sequence[str]) -> list[tuple[str, str, str]]:
    """(name, revision, fingerprint) of each data set."""
    items = record["data"]
    if told and len(told) != len(items):
        raise CotgenError(
            f"the run read {len(items)} data sets; say --data ORG/NAME@REVISION for each, in their order"
        )
    found = []
    for number, item in enumerate(items):
        if told:
            both = named(told[number])
            if both is None or "@" not in told[number]:
                raise CotgenError(f"'{told[number]}' is no ORG/NAME@REVISION of a data set")
        else:
            both = item.get("name", ""), item.get("revision", "")
        if not both[0]:
            raise CotgenError(
                "the data were read from a folder, so the card cannot name them; publish them (cotgen publish) and say "
                "--data ORG/NAME@v1.0.0"
            )
        found.append((*both, item["fingerprint"]))
    return found


def _metrics(file: Path | None) -> list[Metric]:
    if file is None:
        return []
    try:
        found = orjson.loads(file.read_bytes())
        told = found if isinstance(found, dict) else {"metrics": found}
        if not isinstance(told.get("metrics"), list):
            raise ValueError("it has no list 'metrics'")
        metrics = [Metric.model_validate(item) for item in told["metrics"]]
    except (OSError, ValueError) as error:
        raise CotgenError(
            f"{file} is no scores.json of recipes/evaluate.py, and no list of figures, each with its null model "
            f"(cotgen.hub.model_card.Metric): {error}"
        ) from error
    if told.get("failed"):
        raise CotgenError(
            f"{file} lacks {told['failed']:,} prompts that got no reply; run the same evaluation again, which asks these, "
            "before its figures stand on a card"
        )
    if told.get("missing"):
        raise CotgenError(
            f"{file} was scored on replies that lack {told['missing']:,} of the prompts; choose the same prompts as were "
            "asked (--tasks, --sources, --most, --seed), or ask for the others"
        )
    if told.get("sampling", {}).get("image") is False:
        raise CotgenError(
            f"the replies of {file} were given without the picture; score the model with it for its card"
        )
    return metrics
