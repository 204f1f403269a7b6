"""What may be published: the terms of every source that a sample names, and the strictest of them holds for the whole.

A source's terms are those that this installation knows (`describe()`) and those that the manifest states; both must
allow a thing, so an edited manifest allows nothing. What is not known counts as no.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from cotgen.errors import CotgenError
from cotgen.records import Manifest, SourceTerms
from cotgen.shards.index import INDEX, scan_index
from cotgen.shards.licences import parts_of, strictest
from cotgen.sources import SOURCES

#: The source whose owner is the user.
OWN = "table"


class LicenceError(CotgenError):
    """Something that may not be published. `frames` says whether the annotations alone may be."""

    def __init__(self, message: str, *, frames: bool) -> None:
        self.frames = frames
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class Permission:
    """What the terms of all sources together allow.

    Attributes:
        licence: the Hub's name of the strictest licence, or "" where one is not known.
        gated: whether readers have to accept the terms before they get a file.
        sources: whose terms these are, sorted.
        notes: what the user should know, in sentences.
    """

    licence: str
    gated: bool
    sources: tuple[str, ...]
    notes: tuple[str, ...]


def sources_of(folder: Path, manifest: Manifest) -> list[str]:
    """All sources that a sample or the manifest names, sorted. Raises CotgenError where the index is damaged."""
    try:
        named = scan_index(folder).select(pl.col("sources").explode().unique()).collect().to_series()
    except (OSError, pl.exceptions.PolarsError) as error:
        raise CotgenError(f"{folder / INDEX} cannot be read; run `cotgen verify {folder}`") from error
    return sorted({*named.drop_nulls().to_list(), *(source.name for source in manifest.sources)})


def permission(names: Sequence[str], manifest: Manifest, *, frames: bool, have_the_right: bool = False) -> Permission:
    """What may be published of these sources.

    Args:
        names: of the sources, as `sources_of` gives them.
        manifest: states terms as well.
        frames: whether pictures are to be published.
        have_the_right: the user's word that data which cotgen does not know the terms of are theirs to publish.

    Raises:
        LicenceError: they may not be, with the reason for every source.
    """
    stated = {source.name: source for source in manifest.sources}
    reasons: list[str] = [] if names else ["- No source is named, so no terms are known, and unknown counts as no."]
    notes: list[str] = []
    about_frames: list[str] = []
    for name in names:
        known = SOURCES[name].describe().terms if name in SOURCES and name != OWN else None
        if known is None:
            title = stated[name].title if name in stated else name
            if have_the_right:
                notes.append(f"{title} ({name}) is published on your word that you have the right to.")
            else:
                reasons.append(_unknown(name, title))
            continue
        terms = [known, *([stated[name]] if name in stated else [])]
        if refusal := _no_text(terms):
            reasons.append(refusal)
        elif frames and not all(item.share_frames for item in terms):
            about_frames.append(_no_frames(known))
    if reasons:
        raise LicenceError("\n".join(["This data set may not be published.", *reasons]), frames=False)
    if about_frames:
        advice = (
            "The annotations may be published without frames: give --frames reference. Whoever has the videos puts the "
            "frames back from them; the hash of each is in its record."
        )
        raise LicenceError("\n".join(["Its frames may not be published.", *about_frames, advice]), frames=True)
    licence = strictest([licence for name in names for licence in _licences_of(name, stated)])
    return Permission(licence, not licence or "-nc" in licence, tuple(names), tuple(notes))


def _licences_of(name: str, stated: dict[str, SourceTerms]) -> list[str]:
    """What is known and what the manifest states; an owner may have changed it between two versions of cotgen."""
    found = [SOURCES[name].describe().terms.licence] if name in SOURCES else []
    return [*found, *([stated[name].licence] if name in stated else [])] or [""]


def _unknown(name: str, title: str) -> str:
    if name == OWN:
        return (
            f"- {title}: only the owner of these data, and the patients' consent, can say that they may be published. "
            "If you have that right, give --i-have-the-right."
        )
    return (
        f"- {title} ({name}): this cotgen has no such source, so its terms are not known, and unknown counts as no. "
        "If the data are yours to publish, give --i-have-the-right."
    )


def _no_text(terms: Sequence[SourceTerms]) -> str:
    first = terms[0]
    for item in terms:
        if "nd" in (parts_of(item.licence) or ()):
            return f"- {first.title}: its licence ({item.licence}) allows no derived work, and chains are one."
    if not all(item.share_text for item in terms):
        return (
            f"- {first.title}: text derived from its labels may not be shared ({first.licence}); see {first.homepage}."
        )
    return ""


def _no_frames(terms: SourceTerms) -> str:
    if parts_of(terms.licence) is None:
        return f"- {terms.title}: {terms.licence}. No licence lets its frames be passed on, and unknown counts as no."
    return (
        f"- {terms.title} ({terms.licence}): its owners hand the videos out on request alone, so the frames are not yours "
        f"to pass on; see {terms.homepage}."
    )
