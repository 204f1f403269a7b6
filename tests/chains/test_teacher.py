"""The teacher writer: a request holds what may be said, and a reply becomes a chain with evidence."""

import json
from dataclasses import replace
from typing import Any

import pytest

from cotgen.chains.checks import case_of, check_case
from cotgen.chains.grammar import BLACK, LIT
from cotgen.chains.lexicon import mentions
from cotgen.chains.render import split_sentences
from cotgen.chains.teacher import Draft, ReplyError, _worked, draft, form, objections, pair_of, reply_from, rules
from cotgen.chains.visual import visual
from cotgen.chains.write import write_pair
from cotgen.records import Measured, Pair, Scene, Statement
from cotgen.surgeries.priors import Priors
from cotgen.tasks import TASKS, plan_questions
from tests.chains.conftest import fact, scene_of
from tests.chains.test_worked_chains import WORKED

WRITER = "teacher/stand-in/1"


def asked(scene: Scene, priors: Priors | None, task: str = "phase") -> list[tuple[Draft, Pair]]:
    """Each question about a scene that has a template chain."""
    found = []
    for _, question in plan_questions([scene], [task], 0):
        drafted = write_pair(scene, question, priors, 0)
        if drafted is not None:
            found.append((draft(scene, question, drafted[1]), drafted[1]))
    return found


def grasper_and_hook() -> Scene:
    return scene_of(
        "cholec80/73",
        [
            fact("cholec80.phase.0", "phase.gallbladder_dissection"),
            fact(
                "cholect50.triplet.0",
                "instrument.grasper",
                "verb.retract",
                "anatomy.gallbladder",
                box=(100, 100, 240, 200),
            ),
            fact(
                "cholect50.triplet.1",
                "instrument.hook",
                "verb.dissect",
                "anatomy.gallbladder",
                box=(420, 240, 560, 320),
            ),
        ],
        size=(860, 480),
    )


def reply_for(given: Draft, *rows: tuple[int, str, list[str]]) -> dict[str, Any]:
    return {"statements": [{"level": level, "text": text, "from": codes} for level, text, codes in rows]}


def cited(statement: Statement) -> set[str]:
    """Its evidence; a conclusion rests on sentences that have the boxes, and need not name them again."""
    return {ref for ref in statement.evidence if statement.basis != "follows" or not ref.startswith("box:")}


@pytest.mark.parametrize("name", WORKED)
def test_a_chain_given_back_as_a_reply_is_that_chain(name: str, all_priors: Priors) -> None:
    scene = WORKED[name][1]
    for task in TASKS:
        for given, template in asked(scene, all_priors, task):
            back = pair_of(given, json.loads(json.dumps(reply_from(given, template))), WRITER, all_priors)
            assert [s.text for s in back.statements] == [s.text for s in template.statements]
            assert [s.basis for s in back.statements] == [s.basis for s in template.statements]
            assert [cited(s) for s in back.statements] == [cited(s) for s in template.statements]
            assert (back.boxes, back.answer, back.support) == (template.boxes, template.answer, template.support)


def test_the_prompt_holds_facts_boxes_question_and_answer_and_no_name_of_a_surgery() -> None:
    given, _ = asked(grasper_and_hook(), None)[0]
    assert "act: grasper, retract" in given.user and "<bbox:0>" in given.user
    assert "ANSWER\nGallbladder dissection" in given.user and given.question.text in given.user
    assert "73" not in given.user.replace("EXAMPLE", "") or "cholec80/73" not in given.user
    assert "gallbladder dissection" in given.user.lower() and rules() == given.system


def test_each_example_is_a_reply_whose_codes_were_given() -> None:
    for item in _worked():
        given = [line.partition(" ")[0] for line in item["lines"]]
        assert len(set(given)) == len(given) and not form({"statements": item["reply"]})
        for number, row in enumerate(item["reply"]):
            assert split_sentences(row["text"]) == [row["text"]]
            assert set(row["from"]) <= {*given, *(f"S{n}" for n in range(1, number + 1))}
        levels = [row["level"] for row in item["reply"]]
        assert levels == sorted(levels) and set(levels) == {1, 2, 3}


def test_the_key_knows_all_that_matters_and_no_server() -> None:
    given, _ = asked(grasper_and_hook(), None)[0]
    key = given.key(model="m", seed=0, pixels="p")
    assert key == given.key(model="m", seed=0, pixels="p")
    assert key != given.key(model="n", seed=0, pixels="p") and key != given.key(model="m", seed=1, pixels="p")
    other = replace(given, question=replace(given.question, text="Another wording?"))
    assert key != other.key(model="m", seed=0, pixels="p")


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ("chain", 'a list "statements"'),
        ([], 'a list "statements"'),
        ([{"level": 1, "text": "A hook is in view."}], 'has not the fields "level", "text" and "from"'),
        ([{"level": 2, "text": "A.", "from": ["F1"]}, {"level": 1, "text": "A.", "from": ["F1"]}], "in this order"),
        ([{"level": True, "text": "A hook is in view.", "from": ["F1"]}], "in this order"),
        ([{"level": 1, "text": "A hook is in view. So is a grasper.", "from": ["F1"]}], "not one sentence"),
        ([{"level": 1, "text": "A hook is in view", "from": ["F1"]}], "not one sentence"),
        ([{"level": 1, "text": "A hook is in view.", "from": []}], "rests on nothing"),
        ([{"level": 1, "text": "A hook is in view.", "from": ["F9"]}], "'F9' is no code"),
        ([{"level": 1, "text": "A hook is in view.", "from": ["S1"]}], "S1 is no earlier sentence"),
        ([{"level": 1, "text": "A hook is here <bbox:7>.", "from": ["F1"]}], "<bbox:7> is no box"),
        ([{"level": 1, "text": "", "from": ["F1"]}], "not one sentence"),
        ([None], "has not the fields"),
    ],
)
def test_a_reply_that_is_no_chain_is_named(rows: Any, sentence: str) -> None:
    given, _ = asked(grasper_and_hook(), None)[0]
    with pytest.raises(ReplyError, match=sentence):
        pair_of(given, {"statements": rows}, WRITER, None)


def checked(scene: Scene, *looks: tuple[str, list[str]]) -> list[str]:
    """Findings of a template chain with these looks put before it."""
    given, template = asked(scene, None)[0]
    reply = reply_from(given, template)
    shift = len(looks)
    rows = [{"level": 1, "text": text, "from": codes} for text, codes in looks]
    for row in reply["statements"]:
        row["from"] = [f"S{int(code[1:]) + shift}" if code[0] == "S" else code for code in row["from"]]
    pair = pair_of(given, {"statements": [*rows, *reply["statements"]]}, WRITER, None)
    return [finding.check for finding in check_case(case_of(pair, scene, None, given.question), pair)]


def coloured(**shares: float) -> Scene:
    scene = grasper_and_hook()
    measured = tuple(
        Measured(name=f"colour_{name}", value=value, of=["cholect50.triplet.1"]) for name, value in shares.items()
    )
    return replace(scene, measured=measured)


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("The hook is shiny and straight.", ["F3", "visual"]),
        ("The hook is grey.", ["F3", "visual"]),
        ("Smoke is seen in the field.", ["visual"]),
        ("Blood is visible on the gallbladder.", ["F3", "visual"]),
        ("A metal clip is seen on the gallbladder.", ["F3", "visual"]),
        ("The picture is slightly blurred.", ["visual"]),
        ("Fat covers part of the gallbladder.", ["F3", "visual"]),
    ],
)
def test_a_look_is_told_in_closed_forms_of_what_facts_name(text: str, codes: list[str]) -> None:
    assert checked(coloured(grey=0.4, yellow=0.3), (text, codes)) == []


@pytest.mark.parametrize(
    ("text", "codes", "check"),
    [
        ("The hook is yellow.", ["F3", "visual"], "colour"),
        ("The grasper is grey.", ["F2", "visual"], "colour"),
        ("The scissors are shiny.", ["visual"], "entity"),
        ("The liver is shiny.", ["visual"], "entity"),
        ("The hook is shiny.", ["visual"], "evidence"),
        ("The hook is shiny.", ["F3"], "visual"),
        ("The hook is cutting fat.", ["F3", "visual"], "visual"),
        ("The gallbladder is well exposed.", ["F3", "visual"], "visual"),
        ("Massive bleeding is seen in the field.", ["visual"], "visual"),
        ("Two clips are seen on the cystic duct.", ["visual"], "visual"),
        ("The hook is shiny and safe.", ["F3", "visual"], "visual"),
    ],
)
def test_a_look_that_says_more_is_refused(text: str, codes: list[str], check: str) -> None:
    assert check in checked(coloured(grey=0.4, yellow=0.02), (text, codes))


def test_a_model_does_not_sign_for_another_writer() -> None:
    scene = grasper_and_hook()
    given, template = asked(scene, None)[0]
    pair = pair_of(given, reply_from(given, template), WRITER, None)
    first = pair.statements[0]
    look = first.model_copy(
        update={"text": "Smoke is seen in the field.", "basis": "visual", "evidence": ["seen:another/model"]}
    )
    forged = pair.model_copy(update={"statements": [*pair.statements[:1], look, *pair.statements[1:]]})
    found = check_case(case_of(forged, scene, None, given.question), forged)
    assert any("names another model" in finding.text for finding in found)


def test_what_is_asked_again_quotes_the_findings() -> None:
    scene = grasper_and_hook()
    given, template = asked(scene, None)[0]
    reply = reply_from(given, template)
    reply["statements"][0]["text"] = "Scissors are in view."
    pair = pair_of(given, reply, WRITER, None)
    findings = check_case(case_of(pair, scene, None, given.question), pair)
    text = objections(findings, pair)
    assert '"Scissors are in view.": ' in text and "Write the whole chain again" in text
    assert "rests on nothing" in objections("Statement 1 rests on nothing.", None)


@pytest.mark.parametrize("text", [*BLACK[0], *LIT[0]])
def test_what_a_template_says_of_light_is_no_look(text: str) -> None:
    told = text.format(a="a hook", is_="is", **{"is": "is"})
    assert visual(told, tuple(mentions(told))) is None
