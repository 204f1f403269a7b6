"""The card of a data set on the Hub: README.md with its pictures, a preview and croissant.json.

All of it is told from the manifest, the index and the records. It is made once for each content, repository, tag and
version of cotgen and then reused, so that another version of Pillow or matplotlib, or another machine that finishes the
publication, changes no byte: the last line of README.md names what it was made for.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

import cotgen
from cotgen.errors import CotgenError
from cotgen.hub.croissant import Told, croissant
from cotgen.hub.header import as_yaml, header
from cotgen.hub.licences import Permission
from cotgen.hub.pictures import Pictures, pictures
from cotgen.hub.preview import LIMIT, Preview, preview
from cotgen.hub.remote import Remote, RemoteFile
from cotgen.hub.samples import Shown, samples, to_table
from cotgen.hub.template import fill
from cotgen.hub.writers import models_of, terms_of_writer
from cotgen.inspect.classes import display
from cotgen.inspect.statistics import Statistics, statistics
from cotgen.records import SPLITS, Manifest, canonical_json
from cotgen.shards import readme
from cotgen.shards.index import scan_index
from cotgen.shards.manifest import CARD_FILE, CROISSANT, PRIORS, README, SUMS, parse_sums, sums_text, with_card
from cotgen.shards.stored import StoredRecords

#: Goes up when the same folder gets another card.
CARD_VERSION = 2
#: Frames that are read for the statistics of a card, about; of more, so many are drawn.
MOST_FRAMES = 20_000

_MARK = re.compile(rb"<!-- cotgen card ([0-9a-f]{64}) -->\n\Z")
_SUPPORT = ("entailed", "strong", "weak", "asserted")
_DESCRIPTION = (
    "Questions about single frames of surgical video, each answered by a chain of thought in three levels: what is seen, "
    "what is done to what, what that means for the question. Each sentence names the label, measurement, earlier sentence, "
    "count or piece of knowledge that it rests on, and a machine resolved it."
)
USES = (
    "Research on vision-language models that answer questions about surgical video and say why.",
    "Not for the care of patients, and no medical advice.",
)
LIMITS = (
    "The labels are those of the sources, with their errors. What nobody labelled is left out, so silence about a thing "
    "says nothing about it.",
    "A sentence about the frame is as true as the label that it cites; general knowledge was checked against its source "
    "and not against the frame.",
    "Single frames: of before and after a chain sees nothing but what its question lists.",
)
BIASES = (
    "The operations come from few hospitals, surgeons and brands of instruments; models may not carry over to others, nor "
    "to other procedures.",
    "Phases, instruments and findings are as frequent as the sources have them: what is rare there is rare here.",
    "Template chains vary in plan and wording, and are still recognisable as templates.",
)


@dataclass(frozen=True, slots=True)
class Release:
    """What a card is made for.

    Attributes:
        folder: a finished folder.
        manifest: its manifest.
        repo: `ORG/NAME`.
        tag: the release whose loading is shown, or "".
        allowed: what the terms of its sources allow.
    """

    folder: Path
    manifest: Manifest
    repo: str
    tag: str
    allowed: Permission = field(repr=False)

    @property
    def key(self) -> str:
        """sha256 over all that the card depends on, but for the versions of the packages that draw it."""
        bare = with_card(self.manifest, {}).to_json()
        parts = [
            CARD_VERSION,
            cotgen.__version__,
            hashlib.sha256(bare).hexdigest(),
            self.repo,
            self.tag,
            self.allowed.licence,
            self.allowed.gated,
        ]
        return hashlib.sha256(canonical_json(parts)).hexdigest()

    def has_card(self) -> bool:
        """Whether the folder holds the card of this release. The folder was verified, so its files are whole."""
        try:
            return key_of((self.folder / README).read_bytes()) == self.key
        except OSError:
            return False


def key_of(card: bytes) -> str:
    """What a README.md was made for, as `Release.key` gives it; "" for one that is no card."""
    found = _MARK.search(card)
    return found[1].decode() if found else ""


def published_card(
    remote: Remote, revision: str, there: Mapping[str, RemoteFile], release: Release
) -> dict[str, bytes]:
    """The files of the card that a commit holds, whole; nothing where it has none or that of another release.

    Args:
        remote: where it is.
        revision: the commit.
        there: its files.
        release: what the card is to be of.

    Raises:
        CotgenError: the Hub refuses or cannot be reached.
    """
    if README not in there or SUMS not in there or key_of(remote.read(README, revision)) != release.key:
        return {}
    raw = remote.read(SUMS, revision)
    try:
        sums = parse_sums(raw)
    except ValueError:
        return {}
    names = [name for name in sums if CARD_FILE.fullmatch(name)]
    if not all(name in there for name in names):
        return {}
    found = {name: remote.read(name, revision) for name in names}
    # What somebody changed on the Hub is not what was published: with this card the folder has these very checksums.
    sealed = with_card(release.manifest, found)
    return found if sums_text(sealed, sealed.to_json()) == raw else {}


def make_card(release: Release) -> dict[str, bytes]:
    """All files of the card: name -> bytes. Nothing is written.

    Raises:
        CotgenError: a shard is damaged, a picture cannot be drawn, or a package of `cotgen[hub]` is missing.
    """
    try:
        with StoredRecords(release.folder) as stored:
            shown = samples(stored)
            small = preview(stored)
        told = statistics(release.folder, most=MOST_FRAMES)
        drawn = pictures(told)
    except CotgenError:
        raise
    except (OSError, ValueError, RuntimeError) as error:
        # Fonts, encoders and drawing libraries raise these, and a card without its pictures would be no card.
        raise CotgenError(
            f"The pictures of the card cannot be made ({type(error).__name__}: {error}). Nothing was published. Install "
            "matplotlib and Pillow again: pip install --force-reinstall 'cotgen[hub]'"
        ) from error
    files = {**small.files, **drawn.files, **{item.file: item.picture for item in shown if item.file}}
    title = _title(release.manifest)
    sums = {name: hashlib.sha256(data).hexdigest() for name, data in small.files.items()}
    about = Told(release.repo, release.tag, title, _DESCRIPTION, release.allowed.licence, LIMITS, BIASES, USES)
    files[CROISSANT] = croissant(release.manifest, sums, about)
    files[README] = (
        f"{_text(release, title, shown, small, drawn, told)}\n<!-- cotgen card {release.key} -->\n".encode()
    )
    return dict(sorted(files.items()))


def _title(manifest: Manifest) -> str:
    subject = readme.listed([source.title for source in manifest.sources]) or "surgical video"
    return f"Three-level chains of thought on {subject}"


def _text(release: Release, title: str, shown: list[Shown], small: Preview, drawn: Pictures, told: Statistics) -> str:
    folder, manifest, tag = release.folder, release.manifest, release.tag
    split = next(split for split in SPLITS if any(shard.split == split for shard in manifest.shards))
    frames = sum(told.samples.values())
    return fill(
        "dataset_card.md.j2",
        header=header(manifest, title.removeprefix("Three-level chains of thought on "), release.allowed, small),
        title=title,
        introduction=readme.INTRODUCTION,
        counts=readme.counts_table(manifest),
        by_source=list(readme.by_source(manifest)),
        tasks=_tasks(folder),
        pictures=bool(manifest.counts.get("images")),
        samples=to_table(shown),
        drawn=drawn,
        preview_limit=LIMIT,
        frames=frames,
        read=told.read,
        guesses=_guesses(told),
        hydrate=_hydrate(release),
        repo=release.repo,
        revision=f', revision="{tag}"' if tag else "",
        first_split=split,
        first_shard=next(shard.file for shard in manifest.shards if shard.split == split),
        kind=manifest.kind,
        parents=manifest.parents,
        fingerprint=manifest.fingerprint,
        config=as_yaml(manifest.config),
        versions=manifest.versions,
        versions_text=", ".join(f"{name} {version}" for name, version in sorted(manifest.versions.items())),
        soft=told.found,
        pairs=told.total,
        split_table=manifest.split_table,
        priors=(folder / PRIORS).is_file(),
        by_a_model=list(readme.by_a_model(manifest)),
        blind=list(readme.blind(manifest)),
        writers=[terms_of_writer(model) for model in dict.fromkeys(model for model, _ in models_of(manifest.config))],
        left_out=readme.left_out_list(manifest),
        sources=[*map(readme.source_terms, manifest.sources), *readme.strictest_terms(manifest.sources)],
        citation=_bibtex(release, title),
        uses=USES,
        limits=LIMITS,
        biases=BIASES,
    )


def _hydrate(release: Release) -> str:
    """The command that puts the pictures back; "" where there are hashes of none."""
    if "reference" not in _frames(release.manifest.config):
        return ""
    return f"cotgen hydrate {release.repo}{f'@{release.tag}' if release.tag else ''} --root DIR --out OUT"


def _frames(config: Mapping[str, Any]) -> set[str]:
    """What was kept of frames: `embed`, `reference` or `none`; a merged data set has what its parents have."""
    if "frames" in config:
        return {str(config["frames"])}
    return {kept for parent in config.get("parents", []) for kept in _frames(parent)}


def _guesses(told: Statistics) -> list[dict[str, Any]]:
    """For each kind of question what the most frequent answer scores in the split that models are measured on."""
    split = next((name for name in ("test", "validation", "train") if told.samples.get(name)), "train")
    return [
        {
            "kind": row.kind,
            "split": split,
            "pairs": row.pairs,
            "answers": row.answers,
            "majority": row.majority,
            "commonest": "; ".join(map(display, row.commonest.split("; "))).replace("|", "/"),
        }
        for row in told.balance
        # An answer that is a box has no most frequent one.
        if row.split == split and row.pairs and row.task != "localization"
    ]


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


def _bibtex(release: Release, title: str) -> str:
    owner = release.repo.partition("/")[0]
    made = f"cotgen {release.manifest.versions.get('cotgen', '')}, fingerprint {release.manifest.fingerprint[:16]}"
    lines = [
        f"@misc{{{re.sub(r'[^A-Za-z0-9]+', '_', release.repo)},",
        f"  title        = {{{title}}},",
        f"  author       = {{{{{owner}}}}},",
        f"  howpublished = {{\\url{{https://huggingface.co/datasets/{release.repo}}}}},",
        *([f"  version      = {{{release.tag}}},"] if release.tag else []),
        f"  note         = {{{made}}}",
        "}",
    ]
    return "\n".join(lines)
