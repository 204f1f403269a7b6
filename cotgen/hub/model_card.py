"""The card of a checkpoint: what it was trained on, how, how well it does beside a null model, and what it is not for."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from cotgen.hub.header import as_yaml
from cotgen.hub.template import fill
from cotgen.records.base import Record
from cotgen.shards.licences import HUB_LICENCES, parts_of

#: How a model writes boxes -> in words.
_BOXES = {
    "resized": "`[x1, y1, x2, y2]` in pixels of the picture as the processor resizes it",
    "pixels": "`[x1, y1, x2, y2]` in pixels of the picture as it is stored",
    "per_mille": "`[x1, y1, x2, y2]` in thousandths of width and height",
    "normalised": "`[x1, y1, x2, y2]` from 0 to 1 of width and height",
    "none": "none; it was trained without",
}
_ID = r"^[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*$"


class Metric(Record):
    """One figure, and what answering without the picture reaches.

    Attributes:
        name: what was measured, `phase: accuracy over operations`.
        split: of the data.
        value: as a text with its unit, `71.4 %`.
        low: lower end of the 95 % interval over operations, or "".
        high: upper end, or "".
        null_name: which null model, `most frequent phase of train`.
        null_value: what it reaches by the same metric.
        samples: how many were asked.
    """

    name: str = Field(min_length=1)
    split: Literal["train", "validation", "test"]
    value: str = Field(min_length=1)
    low: str = ""
    high: str = ""
    null_name: str = Field(min_length=1)
    null_value: str = Field(min_length=1)
    samples: int = Field(ge=1)

    @property
    def has_interval(self) -> bool:
        """Whether an interval was measured."""
        return bool(self.low and self.high)


class ModelCard(Record):
    """What a card tells.

    Attributes:
        name: of the checkpoint, `ORG/NAME`.
        description: in a sentence or two.
        stage: of the recipe, `stage1_sft`.
        base_model: `ORG/NAME`.
        base_revision: commit of the base model, or "".
        base_licence: as its publisher states it.
        data: `ORG/NAME` of the data set.
        data_revision: the commit that was read, or a tag such as v1.0.0; never a branch.
        data_fingerprint: of its manifest.
        data_licence: as its card states it.
        boxes: how the model writes boxes.
        config: of the recipe, without paths and hosts.
        metrics: each with its null model; empty where nothing was measured.
        limits: what else is known of it, a sentence each.
        versions: package -> version.
    """

    name: str = Field(pattern=_ID)
    description: str
    stage: str
    base_model: str = Field(pattern=_ID)
    base_revision: str = ""
    base_licence: str = Field(min_length=1)
    data: str = Field(pattern=_ID)
    data_revision: str = Field(pattern=r"^([0-9a-f]{40}|v?[0-9][\w.+-]*)$")
    data_fingerprint: str = Field(pattern=r"^[0-9a-f]{32,64}$")
    data_licence: str = Field(min_length=1)
    boxes: Literal["resized", "pixels", "per_mille", "normalised", "none"]
    config: dict[str, Any]
    metrics: list[Metric] = []
    limits: list[str] = []
    versions: dict[str, str]


def model_card(card: ModelCard) -> str:
    """The text of README.md. Raises CotgenError without the packages of `cotgen[hub]`."""
    return fill(
        "model_card.md.j2",
        card=card,
        header=as_yaml(_header(card)),
        boxes=_BOXES[card.boxes],
        config=as_yaml(card.config),
        versions=", ".join(f"{name} {version}" for name, version in sorted(card.versions.items())),
        data_terms=_terms(card.data_licence),
    )


def _header(card: ModelCard) -> dict[str, Any]:
    # The licence of weights that were trained on these data is for their publisher to state: it is never guessed.
    return {
        "license": "other",
        "license_name": f"base model: {card.base_licence}; data: {card.data_licence}",
        "language": ["en"],
        "library_name": "transformers",
        "pipeline_tag": "image-text-to-text",
        "base_model": card.base_model,
        "datasets": [card.data],
        "tags": ["medical", "surgery", "chain-of-thought", "cotgen", card.stage],
    }


def _terms(licence: str) -> str:
    hub = {name: stated for stated, name in HUB_LICENCES.items()}
    parts = parts_of(hub.get(licence, licence))
    if parts is None:
        return "What it says of models that are trained on the data is for their owners to tell."
    told = [
        *(["no commercial use"] if "nc" in parts else []),
        *(["what is made of them under the same terms only"] if "sa" in parts else []),
        *(["the sources are to be cited"] if "by" in parts else []),
    ]
    return f"For the data that means: {', '.join(told)}." if told else "The data are free of conditions."
