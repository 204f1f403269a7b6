"""The head of a card: the YAML that the Hub and `load_dataset` read.

It names two configurations, `default` (the shards) and `preview` (some pairs with small pictures), with the types of
their columns, so that nothing is ever inferred.
"""

from __future__ import annotations

from typing import Any

import yaml

from cotgen.hub.licences import OWN, Permission
from cotgen.hub.preview import Preview, preview_header
from cotgen.records import SPLITS, Manifest
from cotgen.shards import readme

#: Names of the Hub for a number of rows, with the first number that is too many.
_SIZES = (
    ("n<1K", 1_000),
    ("1K<n<10K", 10_000),
    ("10K<n<100K", 100_000),
    ("100K<n<1M", 1_000_000),
    ("1M<n<10M", 10_000_000),
    ("10M<n<100M", 100_000_000),
)


def header(manifest: Manifest, title: str, allowed: Permission, small: Preview) -> str:
    """The YAML between the lines of dashes.

    Args:
        manifest: of the folder.
        title: what the data are of.
        allowed: what the terms of its sources allow.
        small: the preview.
    """
    told = readme.card_header(manifest, title)
    config, info = preview_header(small, pictures=bool(manifest.counts.get("images")))
    shards = {split: [shard for shard in manifest.shards if shard.split == split] for split in SPLITS}
    samples = {split: sum(shard.samples for shard in of) for split, of in shards.items()}
    default = {
        **told["dataset_info"],
        # Without num_bytes `datasets` passes over the counts, with a warning. It compares the counts alone and looks for
        # so much room on the disk; the tables that it makes differ from one version to the next, the shards do not.
        "splits": [
            {"name": split, "num_bytes": sum(shard.bytes for shard in of), "num_examples": samples[split]}
            for split, of in shards.items()
            if samples[split]
        ],
        "download_size": sum(shard.bytes for shard in manifest.shards),
    }
    return as_yaml(
        {
            **told,
            **_licence(manifest, allowed),
            "annotations_creators": _annotators(manifest),
            "language_creators": ["machine-generated"],
            "multilinguality": ["monolingual"],
            "source_datasets": [f"extended|other-{source.name}" for source in manifest.sources] or ["original"],
            "size_categories": [size_of(sum(samples.values()))],
            "configs": [{"default": True, **told["configs"][0]}, config],
            "dataset_info": [default, info],
            **_gate(manifest, allowed),
        }
    )


def as_yaml(value: Any) -> str:
    """YAML in the order given, long lines unbroken."""
    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=1000)


def size_of(rows: int) -> str:
    """The Hub's name for a number of rows."""
    return next((name for name, limit in _SIZES if rows < limit), "n>100M")


def _annotators(manifest: Manifest) -> list[str]:
    # Chains are made by a machine; who labelled one's own table is not known.
    labelled = [] if all(source.name == OWN for source in manifest.sources) else ["expert-generated"]
    return ["machine-generated", *labelled]


def _licence(manifest: Manifest, allowed: Permission) -> dict[str, str]:
    # The terms of a source that only a sample names count as well, so the manifest alone does not decide.
    if allowed.licence:
        return {"license": allowed.licence}
    stated = sorted({source.licence for source in manifest.sources})
    return {"license": "other", "license_name": "; ".join(stated) or "unstated"}


def _gate(manifest: Manifest, allowed: Permission) -> dict[str, Any]:
    """What readers are asked before they get a file."""
    if not allowed.gated:
        return {}
    sources = "; ".join(f"{source.title}: {source.licence}" for source in manifest.sources)
    fields = {"I use these data for non-commercial research only": {"type": "checkbox"}}
    if "-sa" in allowed.licence or not allowed.licence:
        fields["I pass on what I make of them under the same terms only"] = {"type": "checkbox"}
    fields["I do not try to find out who the patients are"] = {"type": "checkbox"}
    return {
        "extra_gated_heading": "Accept the terms of the sources",
        "extra_gated_prompt": f"These data are made from surgical videos of patients. {sources}.",
        "extra_gated_fields": fields,
    }
