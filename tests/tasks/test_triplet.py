"""Triplets: whole sets, one instrument, yes and no; strict replies; hacks that score nothing."""

from dataclasses import replace

import pytest

from cotgen.ontology import term
from cotgen.ontology.triplets import legal_triplets, rank_of
from cotgen.records import Fact, Scene
from cotgen.tasks.base import Question
from cotgen.tasks.triplet import TRIPLET, by_parts, parse_triplets, whole_set

RETRACT = ("instrument.grasper", "verb.retract", "anatomy.gallbladder")
GRASP = ("instrument.grasper", "verb.grasp", "anatomy.specimen_bag")
DISSECT = ("instrument.hook", "verb.dissect", "anatomy.cystic_duct")
IDLE = ("instrument.hook", "verb.null", "anatomy.null")

CLIP = ("instrument.clipper", "verb.clip", "anatomy.cystic_duct")


def scene(
    n: int, *triplets: tuple[str, str, str], source: str = "cholect50", disputed: frozenset[str] = frozenset()
) -> Scene:
    facts = [
        Fact(id=f"{source}.triplet.{k}", kind="triplet", terms=list(terms), source=source)
        for k, terms in enumerate(triplets)
    ]
    return Scene(
        f"cholec80-73-{n:06d}", "cholec80/73", n, frozenset({f"{source}.triplet"}), tuple(facts), disputed=disputed
    )  # fmt: skip


def asked(scenes: list[Scene], id: str) -> list[tuple[int, Question]]:
    return [(n, question) for n, question in TRIPLET.questions(scenes, 0) if question.id.startswith(id)]


def test_the_set_has_every_act_once_in_the_order_of_the_list_and_no_idle_instrument() -> None:
    ((_, question),) = asked([scene(0, DISSECT, RETRACT, RETRACT)], "triplet.set")
    assert question.answer == "grasper, retract, gallbladder\nhook, dissect, cystic duct"
    assert question.truth == (*RETRACT, *DISSECT)
    assert whole_set(scene(0, IDLE, RETRACT)) == [RETRACT]
    assert [rank_of(item) for item in legal_triplets()] == list(range(100))


def test_a_busy_and_an_idle_instrument_are_asked_about_in_the_same_words() -> None:
    scenes = [scene(n, DISSECT if n % 2 else IDLE) for n in range(200)]
    answers = {question.answer for _, question in asked(scenes, "triplet.doing.instrument.hook")}
    assert answers == {"hook, dissect, cystic duct", "hook, no action, no target"}
    words = [
        {q.text for _, q in asked(scenes, "triplet.doing") if ("no action" in q.answer) == idle}
        for idle in (True, False)
    ]
    assert words[0] == words[1]


def test_two_of_one_kind_are_not_asked_about_alone() -> None:
    assert asked([scene(0, RETRACT, GRASP)], "triplet.doing") == []
    assert len(asked([scene(0, RETRACT, DISSECT)], "triplet.doing")) == 2


def test_yes_and_no_come_in_couples_from_frames_that_show_the_instrument() -> None:
    scenes = [scene(n, RETRACT) for n in range(6)] + [scene(n, GRASP) for n in range(6, 10)] + [scene(10, DISSECT)]
    found = asked(scenes, "triplet.yesno.grasper.retract")
    assert sorted(q.answer for _, q in found) == ["No"] * 4 + ["Yes"] * 4
    assert all(n < 6 if q.answer == "Yes" else 6 <= n < 10 for n, q in found)
    texts = [q.text for _, q in found]
    assert texts[::2] == texts[1::2], "both of a couple are asked alike"


def test_frames_whose_sources_contradict_one_another_and_unlabelled_ones_are_not_asked() -> None:
    assert list(TRIPLET.questions([scene(0, RETRACT, disputed=frozenset({"triplet"}))], 0)) == []
    assert list(TRIPLET.questions([Scene("k-1-000000", "cholec80/73", 0, frozenset(), ())], 0)) == []


def test_few_questions_have_the_answer_none() -> None:
    scenes = [scene(n, RETRACT) for n in range(95)] + [scene(n) for n in range(95, 195)]
    answers = [question.answer for _, question in asked(scenes, "triplet.set")]
    assert answers.count("none") == 5


def test_each_instrument_of_endovis_18_has_its_state_in_the_words_of_the_data_set() -> None:
    forceps = ("instrument.bipolar", "verb.null", "anatomy.null")
    scissors = ("instrument.monopolar_curved_scissors", "verb.manipulate_tissue", "anatomy.kidney")
    ((_, question),) = asked([scene(0, scissors, forceps, source="endovis18")], "triplet.set")
    assert set(question.answer.split("\n")) == {
        "bipolar forceps, idle, no target",
        "monopolar curved scissors, tissue manipulation, kidney",
    }
    assert TRIPLET.parse(question.answer, question) == question.truth
    assert TRIPLET.score(question.answer, question) == 1.0


def test_the_action_and_the_target_of_one_instrument_are_asked_alone() -> None:
    ((_, verb),) = asked([scene(0, DISSECT)], "triplet.verb.instrument.hook")
    ((_, what),) = asked([scene(0, DISSECT)], "triplet.target.instrument.hook")
    assert (verb.answer, verb.truth) == ("dissect", ("verb.dissect",))
    assert (what.answer, what.truth) == (term(DISSECT[2]).answer, (DISSECT[2],))
    for question, wrong in ((verb, "coagulate"), (what, "liver")):
        assert TRIPLET.score(question.answer, question) == 1.0
        assert TRIPLET.score(wrong, question) == TRIPLET.score("", question) == TRIPLET.score("hook", question) == 0.0
        assert TRIPLET.truth(scene(0, DISSECT), question) == question.truth


def test_a_part_that_the_list_leaves_no_choice_for_is_not_asked() -> None:
    ids = {question.id for _, question in TRIPLET.questions([scene(0, CLIP)], 0)}
    verbs = {item[1] for item in legal_triplets() if item[0] == CLIP[0]}
    assert ("triplet.verb.instrument.clipper" in ids) == (len(verbs) >= 2)


def test_a_named_act_is_asked_for_in_a_sentence() -> None:
    found = asked(
        [scene(0, DISSECT), scene(1, ("instrument.hook", "verb.coagulate", "anatomy.liver"))], "triplet.yesno."
    )
    texts = [question.text for _, question in found]
    assert texts and all("hook" in text and ("dissecting at" in text or "coagulating" in text) for text in texts)


def test_an_instrument_that_presence_denies_and_no_box_shows_is_not_asked_about() -> None:
    seen = scene(0, DISSECT)
    hidden = replace(seen, labelled=seen.labelled | {"cholec80.instrument"})
    assert not [q.id for _, q in TRIPLET.questions([hidden], 0) if "instrument.hook" in q.id]
    hook = Fact(id="cholec80.instrument.0", kind="instrument", terms=["instrument.hook"], source="cholec80")
    shown = replace(hidden, facts=(*hidden.facts, hook))
    assert [q for _, q in TRIPLET.questions([shown], 0) if q.id == "triplet.doing.instrument.hook"]


SET = Question("triplet.set", "triplet", "?", (), "", (*RETRACT, *DISSECT))


@pytest.mark.parametrize(
    ("reply", "score"),
    [
        ("grasper, retract, gallbladder\nhook, dissect, cystic duct", 1.0),
        ("Hook, Dissect, Cystic Duct.\nGrasper,retract,gallbladder", 1.0),
        ("grasper, retract, gallbladder", 2 / 3),
        ("grasper, dissect, gallbladder\nhook, retract, cystic duct", 0.0),
        ("none", 0.0),
        ("", 0.0),
        ("The grasper retracts the gallbladder.", 0.0),
        ("grasper, retract", 0.0),
        ("grasper, retract, gallbladder\ngrasper, retract, gallbladder", 0.0),
        ("grasper, retract, gallbladder; hook, dissect, cystic duct", 0.0),
    ],
)
def test_the_score_is_the_f1_of_whole_triplets(reply: str, score: float) -> None:
    assert TRIPLET.score(reply, SET) == pytest.approx(score)


def test_listing_every_triplet_is_no_answer_and_pays_nothing() -> None:
    from cotgen.ontology import term

    every = [
        "",
        *("\n".join(", ".join(term(id).answer for id in item) for item in legal_triplets()[:n]) for n in (30, 31)),
    ]
    assert TRIPLET.score(every[1], SET) < 0.1
    assert parse_triplets(every[2]) is None


def test_parts_are_scored_apart() -> None:
    assert by_parts((*RETRACT,), (*RETRACT, *DISSECT)) == pytest.approx((2 / 3, 2 / 3, 2 / 3))
    assert by_parts((), ()) == (1.0, 1.0, 1.0)


@pytest.mark.parametrize(
    "id", ["triplet.other", "triplet.doing.verb.cut", "triplet.yesno.grasper.retract", "phase.open"]
)
def test_other_ids_are_refused(id: str) -> None:
    with pytest.raises(ValueError, match="no question about triplets"):
        TRIPLET.subject(id)
