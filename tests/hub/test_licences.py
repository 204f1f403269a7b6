"""What may be published is decided by the terms of every source, and what is not known counts as no."""

from pathlib import Path

import pytest

from cotgen.errors import CotgenError
from cotgen.hub import licences
from cotgen.hub.licences import LicenceError, permission, sources_of
from cotgen.hub.publish import Publication
from cotgen.records import Manifest, SourceTerms
from cotgen.shards.licences import strictest
from cotgen.shards.manifest import load
from cotgen.sources import SOURCES
from tests.shards.samples import Made, write_folder


@pytest.mark.parametrize(
    ("stated", "expected"),
    [
        (["CC BY 4.0"], "cc-by-4.0"),
        (["CC BY-NC 4.0", "CC BY-SA 4.0"], "cc-by-nc-sa-4.0"),
        (["CC0 1.0", "CC BY 4.0"], "cc-by-4.0"),
        (["CC0 1.0"], "cc0-1.0"),
        (["CC BY 4.0", "challenge terms"], ""),
        ([], ""),
    ],
)
def test_the_strictest_licence_has_the_restrictions_of_all(stated: list[str], expected: str) -> None:
    assert strictest(stated) == expected


def test_frames_need_the_word_of_every_source(open_folder: Path) -> None:
    manifest = load(open_folder)
    assert permission(["endoscapes"], manifest, frames=True).licence == "cc-by-nc-sa-4.0"
    with pytest.raises(LicenceError) as caught:
        permission(["cholec80", "endoscapes"], manifest, frames=True)
    assert caught.value.frames
    text = str(caught.value)
    assert "- Cholec80 (CC BY-NC-SA 4.0): its owners hand the videos out on request alone" in text
    assert "--frames reference" in text
    assert "Endoscapes" not in text
    assert permission(["cholec80", "endoscapes"], manifest, frames=False).gated


def test_frames_without_a_licence_count_as_no(open_folder: Path) -> None:
    with pytest.raises(LicenceError, match="unknown counts as no"):
        permission(["sar_rarp50"], load(open_folder), frames=True)
    allowed = permission(["sar_rarp50"], load(open_folder), frames=False)
    assert (allowed.licence, allowed.gated) == ("", True)


@pytest.mark.parametrize("frames", [False, True])
@pytest.mark.parametrize("name", ["table", "my_hospital"])
def test_data_of_unknown_terms_need_the_users_word(open_folder: Path, name: str, frames: bool) -> None:
    with pytest.raises(LicenceError, match="--i-have-the-right") as caught:
        permission([name], load(open_folder), frames=frames)
    assert not caught.value.frames
    allowed = permission([name], load(open_folder), frames=frames, have_the_right=True)
    assert (allowed.licence, allowed.gated, len(allowed.notes)) == ("", True, 1)


def test_the_users_word_is_not_asked_for_the_frames_of_others(open_folder: Path) -> None:
    with pytest.raises(LicenceError, match="--frames reference"):
        permission(["cholec80", "table"], load(open_folder), frames=True, have_the_right=True)


class NoDerivatives:
    """A source whose licence says ND, though it claims that text may be shared."""

    licence = "CC BY-NC-ND 4.0"
    share_text = True

    def describe(self) -> object:
        described = SOURCES["endoscapes"].describe()
        terms = described.terms.model_copy(update={"licence": self.licence, "share_text": self.share_text})

        class Described:
            pass

        found = Described()
        found.terms = terms  # type: ignore[attr-defined]
        return found


@pytest.mark.parametrize(("licence", "share_text"), [("CC BY-NC-ND 4.0", True), ("CC BY 4.0", False)])
def test_what_allows_no_derived_text_is_not_published_at_all(
    open_folder: Path, monkeypatch: pytest.MonkeyPatch, licence: str, share_text: bool
) -> None:
    source = NoDerivatives()
    source.licence, source.share_text = licence, share_text
    monkeypatch.setattr(licences, "SOURCES", {**SOURCES, "endoscapes": source})
    for right in (False, True):
        with pytest.raises(LicenceError, match="may not be published") as caught:
            permission(["endoscapes"], load(open_folder), frames=False, have_the_right=right)
        assert not caught.value.frames


def test_a_manifest_can_only_take_away(open_folder: Path) -> None:
    manifest = load(open_folder)
    (terms,) = manifest.sources

    def stating(**changed: bool) -> list[SourceTerms]:
        return [terms.model_copy(update=changed)]

    with pytest.raises(LicenceError, match="Its frames"):
        permission(["endoscapes"], manifest.model_copy(update={"sources": stating(share_frames=False)}), frames=True)
    with pytest.raises(LicenceError, match="may not be shared"):
        permission(["endoscapes"], manifest.model_copy(update={"sources": stating(share_text=False)}), frames=False)

    def licensed(licence: str) -> Manifest:
        return manifest.model_copy(update={"sources": [terms.model_copy(update={"licence": licence})]})

    with pytest.raises(LicenceError, match=r"CC BY-ND 4\.0. allows no derived work"):
        permission(["endoscapes"], licensed("CC BY-ND 4.0"), frames=False)
    known = SOURCES["endoscapes"].describe().terms.licence
    for licence, expected in ((known, "cc-by-nc-sa-4.0"), ("CC0 1.0", "cc-by-nc-sa-4.0"), ("on request", "")):
        allowed = permission(["endoscapes"], licensed(licence), frames=False)
        assert (allowed.licence, allowed.gated) == (expected, True)
    generous = SOURCES["cholec80"].describe().terms.model_copy(update={"share_frames": True})
    with pytest.raises(LicenceError, match="on request alone"):
        permission(["cholec80"], manifest.model_copy(update={"sources": [generous]}), frames=True)


def test_a_source_that_only_a_sample_names_counts(closed: Made, tmp_path: Path) -> None:
    samples = [sample.model_copy(update={"sources": ["cholec80", "my_hospital"]}) for sample in closed.samples]
    folder = write_folder(Made(samples, closed.pictures), tmp_path / "set")
    assert [source.name for source in load(folder).sources] == ["cholec80"]
    assert sources_of(folder, load(folder)) == ["cholec80", "my_hospital"]


def test_frames_of_a_source_that_was_taken_out_of_the_manifest_are_noticed(closed: Made, tmp_path: Path) -> None:
    """Its labels are of another one, so the index does not name it: the records say whose picture it is."""
    samples = [
        sample.model_copy(update={"frame": sample.frame.model_copy(update={"source": "my_hospital"})})
        for sample in closed.samples
    ]
    folder = write_folder(Made(samples, dict.fromkeys(closed.pictures, b"")), tmp_path / "set")
    with pytest.raises(CotgenError, match="the manifest states no terms of my_hospital"):
        Publication(folder, "lab/set").publish()


def test_data_of_no_source_are_of_unknown_terms(open_folder: Path) -> None:
    with pytest.raises(LicenceError, match="No source is named"):
        permission([], load(open_folder), frames=False, have_the_right=True)
