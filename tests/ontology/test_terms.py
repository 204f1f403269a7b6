"""Terms: one answer name each, closed words, every spelling of the data sets."""

import pytest

from cotgen.ontology import alias, term, terms_of, vocabulary
from cotgen.ontology.knowledge import entries, entry, known_sentences

KINDS = ("instrument", "phase", "verb", "anatomy")


def test_the_columns_and_names_of_cholec80_are_known() -> None:
    tools = ["Grasper", "Bipolar", "Hook", "Scissors", "Clipper", "Irrigator", "SpecimenBag"]
    assert list(alias("cholec80", "instrument")) == tools
    assert alias("cholec80", "phase")["GallbladderRetraction"] == "phase.gallbladder_extraction"


@pytest.mark.parametrize("kind", KINDS)
def test_answer_names_are_unique_within_a_kind_and_no_alias_is_shared(kind: str) -> None:
    spoken: dict[str, str] = {}
    for item in terms_of(kind):
        spellings = {item.answer, *item.names, *(s for group in item.aliases.values() for s in group)}
        for spelling in {s.lower() for s in spellings}:
            assert spoken.setdefault(spelling, item.id) == item.id, spelling


@pytest.mark.parametrize(
    ("id", "phrase"),
    [
        ("instrument.grasper", "a grasper"),
        ("instrument.irrigator", "an irrigator"),
        ("instrument.scissors", "scissors"),
        ("instrument.bipolar", "bipolar forceps"),
    ],
)
def test_the_article_follows_the_display_name(id: str, phrase: str) -> None:
    assert term(id).phrase == phrase


def test_an_unknown_term_is_an_error() -> None:
    with pytest.raises(KeyError):
        term("instrument.laser")


def test_every_instrument_and_every_phase_has_knowledge() -> None:
    about = {name for item in entries().values() for name in item.about}
    for kind in ("instrument", "phase"):
        assert {item.id for item in vocabulary("cholec80", kind)} <= about


def test_every_step_action_and_phase_of_a_bypass_can_be_told_as_an_act() -> None:
    told = [*vocabulary("multibypass140", "phase"), *vocabulary("sar_rarp50", "action")]
    told += [item for item in vocabulary("multibypass140", "step") if item.id != "step.null_step"]
    sentences = [text for item in told for text in item.acts]
    assert all(item.acts for item in told) and all(text.endswith(".") for text in sentences)
    assert len(set(sentences)) == len(sentences), "an act tells one thing"


def test_a_data_set_may_have_its_own_answer_name() -> None:
    assert term("instrument.bipolar").answer_in("cholec80") == "bipolar"
    assert term("instrument.bipolar").answer_in("endovis18") == "bipolar forceps"
    assert [item.answer for item in vocabulary("endoscapes", "cvs")][:1] == ["two structures"]


def test_a_wording_belongs_to_one_entry() -> None:
    assert len(known_sentences()) == sum(len(item.texts) for item in entries().values())
    assert known_sentences()["An irrigator rinses the field and aspirates fluid."] == "function.irrigator"


def test_knowledge_is_of_a_procedure_and_its_phases_exist() -> None:
    for item in entries().values():
        assert item.procedure in ("cholecystectomy", "gastric_bypass", "prostatectomy", "nephrectomy")
    assert entry("function.hook").status == "C"
