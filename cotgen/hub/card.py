"""The card: README.md of a data set on the Hub, told from its manifest and its index alone.

The head has the features and splits that loaders read, so that nothing is ever inferred, and the questions of the gate
where readers have to accept the terms first.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import yaml

from cotgen.errors import CotgenError
from cotgen.hub.licences import Permission
from cotgen.records import SPLITS, Manifest
from cotgen.resources import shared_folder
from cotgen.shards import readme
from cotgen.shards.index import scan_index
from cotgen.shards.manifest import PRIORS, README, load, load_priors, seal

_SUPPORT = ("entailed", "strong", "weak", "asserted")


def write_card(folder: Path, repo: str, tag: str, allowed: Permission) -> Manifest:
    """Put the card of a repository into a finished folder; writes nothing where it is there.

    The caller holds the folder. README.md, SHA256SUMS and manifest.json change, the shards do not.

    Args:
        folder: a finished folder.
        repo: `ORG/NAME`.
        tag: the release whose loading is shown, or "".
        allowed: what the terms of its sources allow.

    Raises:
        CotgenError: the folder is not finished, or it cannot be written.
    """
    manifest = load(folder)
    text = card(folder, manifest, repo, tag, allowed)
    if (folder / README).is_file() and (folder / README).read_bytes() == text.encode():
        return manifest
    return seal(folder, manifest, load_priors(folder), text)


def card(folder: Path, manifest: Manifest, repo: str, tag: str, allowed: Permission) -> str:
    """The text of the card. Raises CotgenError without the packages of `cotgen[hub]`."""
    try:
        from jinja2 import FileSystemLoader, StrictUndefined
        from jinja2.sandbox import SandboxedEnvironment
    except ImportError as error:
        raise CotgenError("The card needs jinja2: pip install 'cotgen[hub]'") from error

    title = readme.listed([source.title for source in manifest.sources]) or "surgical video"
    # No escaping: the text is Markdown, and nothing of it comes from strangers.
    environment = SandboxedEnvironment(
        loader=FileSystemLoader(shared_folder("cards")),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )
    split = next(split for split in SPLITS if any(shard.split == split for shard in manifest.shards))
    return environment.get_template("dataset_card.md.j2").render(
        header=_yaml(
            {**readme.card_header(manifest, title), **_licence(manifest, allowed), **_gate(manifest, allowed)}
        ),
        title=f"Three-level chains of thought on {title}",
        introduction=readme.INTRODUCTION,
        counts=readme.counts_table(manifest),
        by_source=list(readme.by_source(manifest)),
        tasks=_tasks(folder),
        pictures=bool(manifest.counts.get("images")),
        hydrate=_hydrate(manifest, repo, tag),
        repo=repo,
        revision=f', revision="{tag}"' if tag else "",
        first_split=split,
        first_shard=next(shard.file for shard in manifest.shards if shard.split == split),
        kind=manifest.kind,
        fingerprint=manifest.fingerprint,
        config=_yaml(manifest.config),
        versions=manifest.versions,
        versions_text=", ".join(f"{name} {version}" for name, version in sorted(manifest.versions.items())),
        soft=scan_index(folder).filter(pl.col("findings").list.len() > 0).select(pl.len()).collect().item(),
        split_table=manifest.split_table,
        priors=(folder / PRIORS).is_file(),
        by_a_model=list(readme.by_a_model(manifest)),
        left_out=readme.left_out_list(manifest),
        sources=[*map(readme.source_terms, manifest.sources), *readme.strictest_terms(manifest.sources)],
    )


def _hydrate(manifest: Manifest, repo: str, tag: str) -> str:
    """The command that puts the pictures back; "" where there are hashes of none."""
    known = manifest.config.get("frames") == "reference"
    return f"cotgen hydrate {repo}{f'@{tag}' if tag else ''} --root DIR --out OUT" if known else ""


def _yaml(value: Any) -> str:
    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=1000)


def _tasks(folder: Path) -> list[dict[str, Any]]:
    """Surgeries and pairs by split, task and writer, with the pairs by support."""
    order = pl.Enum(SPLITS)
    table = (
        scan_index(folder)
        .with_columns(pl.col("split").cast(order))
        .group_by("split", "task", "writer")
        .agg(
            pl.col("surgery").n_unique().alias("surgeries"),
            pl.len().alias("pairs"),
            *((pl.col("support") == name).sum().alias(name) for name in _SUPPORT),
        )
        .sort("split", "task", "writer")
        .collect()
    )
    return list(table.iter_rows(named=True))


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
