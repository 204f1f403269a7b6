"""Judging: looks in the picture, the answer from levels 1 and 2, and words that leak, each beside what chance gives."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import jsonschema
import pytest

from cotgen.chains.checks import case_of, check_case
from cotgen.chains.judge import (
    JudgeConfig,
    Judgement,
    JudgeRequest,
    answer_form,
    form,
    judge,
    judge_sha256,
    leak_p,
    mask,
    masked,
    promises,
    requests_of,
    settle,
    told,
    without,
)
from cotgen.chains.judge_standin import StandInJudge
from cotgen.chains.lexicon import mentions
from cotgen.chains.teacher import pair_of, reply_from
from cotgen.chains.write import write_pair
from cotgen.errors import CotgenError
from cotgen.models.request import Reply, Request
from cotgen.models.stub import StubServer
from cotgen.models.thread import ClientThread
from cotgen.records import Pair, Scene, Statement
from cotgen.surgeries.priors import Priors
from cotgen.tasks import TASKS
from cotgen.tasks.base import Question
from tests.chains.conftest import fact, make_scene
from tests.chains.test_teacher import WRITER, asked, coloured, grasper_and_hook
from tests.chains.test_worked_chains import WORKED
from tests.models.conftest import endpoint

JUDGE = "judge/stand-in/1"
SENT = (840, 476)


def looked(
    scene: Scene, *looks: tuple[str, list[str]], on_first: bool = False, task: str = "phase"
) -> tuple[Pair, Question, Pair]:
    """A teacher's chain with these looks before the template's sentences, its question, and the template chain.

    Args:
        scene: the facts of the frame.
        looks: sentence and codes.
        on_first: whether the last sentence rests on the first look as well.
        task: what is asked.
    """
    given, template = asked(scene, None, task)[0]
    reply = reply_from(given, template)
    rows = [{"level": 1, "text": text, "from": codes} for text, codes in looks]
    for row in reply["statements"]:
        row["from"] = [f"S{int(code[1:]) + len(looks)}" if code[0] == "S" else code for code in row["from"]]
    if on_first:
        reply["statements"][-1]["from"].append("S1")
    pair = pair_of(given, {"statements": [*rows, *reply["statements"]]}, WRITER, None)
    return pair, given.question, template


def ask(
    requests: Sequence[JudgeRequest], priors: Priors | None = None, doubts: Sequence[str] = ()
) -> dict[str, list[Any]]:
    stand_in = StandInJudge(priors, doubts)
    return {request.kind: [stand_in.reply(request.system, request.user)] for request in requests}


SHINY = ("The hook is shiny and straight.", ["F3", "visual"])
SMOKE = ("Smoke is seen in the field.", ["visual"])


@pytest.mark.parametrize("name", WORKED)
def test_levels_1_and_2_give_the_answer_as_far_as_support_promises(name: str, all_priors: Priors) -> None:
    scene = WORKED[name][1]
    for task in TASKS:
        for given, template in asked(scene, all_priors, task):
            requests = requests_of(template, scene, given.question, template=template)
            found = judge(template, given.question, requests, ask(requests, all_priors))
            assert found.recovered is (True if promises(template) else None), (template.id, requests[0].user)
            assert (found.verdict, found.findings) == ("holds", ())
            assert ("recover" in {request.kind for request in requests}) == promises(template)
            for request in requests:
                reply = StandInJudge(all_priors).reply(request.system, request.user)
                jsonschema.validate(reply, dict(request.schema))
                assert not form(request, reply) and "Level 3" not in request.user and not request.image


def test_only_what_support_promises_is_asked() -> None:
    pair, question, _ = looked(grasper_and_hook())
    kinds = {
        support: [
            r.kind for r in requests_of(pair.model_copy(update={"support": support}), grasper_and_hook(), question)
        ]
        for support in ("entailed", "strong", "weak", "asserted")
    }
    assert kinds["entailed"] == kinds["strong"] == kinds["weak"] == ["recover", "masked", "control"]
    assert kinds["asserted"] == ["masked", "control"]
    assert not requests_of(pair, grasper_and_hook(), question, JudgeConfig(recover=False, masked=False))
    assert not promises(pair.model_copy(update={"task": "cvs", "support": "entailed"}))


def promised(support: str) -> tuple[Pair, Question, tuple[JudgeRequest, ...]]:
    pair, question, template = looked(grasper_and_hook(), SMOKE)
    pair = pair.model_copy(update={"support": support})
    return pair, question, requests_of(pair, grasper_and_hook(), question, template=template)


@pytest.mark.parametrize(
    ("support", "reply", "recovered"),
    [
        ("strong", {"answer": "gallbladder dissection."}, True),
        ("strong", {"answer": "unclear"}, False),
        ("strong", {"answer": "It may be the gallbladder dissection"}, False),
        ("weak", {"answers": ["Gallbladder dissection", "Preparation"]}, True),
        ("weak", {"answers": ["Preparation", "Gallbladder dissection"]}, False),
        ("weak", {"answers": []}, None),
        ("strong", "Gallbladder dissection", None),
    ],
)
def test_the_first_answer_is_read_and_scored_by_the_task(support: str, reply: Any, recovered: bool | None) -> None:
    pair, question, requests = promised(support)
    found = judge(pair, question, requests, {"recover": [reply]})
    assert found.recovered is recovered
    assert found.verdict == {True: "holds", False: "refused", None: "unjudged"}[recovered]
    if recovered is False:
        assert [finding.check for finding in found.findings] == ["judge_recover"]
        assert found.reasons[0].startswith("Levels 1 and 2 do not lead to the answer")
    kept = settle(pair, found, JUDGE, grasper_and_hook(), question, None)
    assert kept is None or recovered
    several = judge(
        pair, question, requests, {"recover": [reply, {"answer": "Preparation"}, {"answer": "Preparation"}]}
    )
    assert several.recovered is False


def test_a_look_is_no_ground_of_an_answer_and_may_not_be_read_for_it() -> None:
    _, _, requests = promised("strong")
    users = {request.kind: request.user for request in requests}
    assert "Smoke" not in users["recover"] and "[thing] is seen in the field." in users["masked"]


def test_a_chain_that_leaves_out_what_carries_the_answer_is_refused(all_priors: Priors) -> None:
    pair, question, _ = looked(grasper_and_hook(), task="triplet")
    rows = [statement for statement in pair.statements if statement.level != 2]
    for chain, recovered in ((pair, True), (pair.model_copy(update={"statements": rows}), False)):
        requests = requests_of(chain, grasper_and_hook(), question)
        found = judge(chain, question, requests, ask(requests, all_priors))
        assert found.recovered is recovered and (found.verdict == "refused") is not recovered


def test_the_number_of_a_box_is_no_answer_and_its_pixels_are() -> None:
    scene = grasper_and_hook()
    given, template = next(
        (given, pair) for given, pair in asked(scene, None, "localization") if pair.id == "loc.instrument.hook"
    )
    requests = requests_of(template, scene, given.question)
    assert "[420, 240, 560, 320]" in requests[0].user and "<bbox" not in "".join(r.user for r in requests)
    for reply, recovered in (("<bbox:0>", False), ("[420, 240, 560, 320]", True), ("[400, 240, 560, 320]", False)):
        assert judge(template, given.question, requests, {"recover": [{"answer": reply}]}).recovered is recovered


def test_looks_are_judged_with_the_boxes_of_the_picture_that_is_sent() -> None:
    scene = coloured(grey=0.4)
    pair, question, _ = looked(scene, SHINY, SMOKE)
    request = requests_of(pair, scene, question, size=(430, 240))[0]
    assert request.kind == "visual" and request.image and sorted(request.lines.values()) == [0, 1]
    assert "430 x 240 pixels" in request.user and "(hook: [210, 120, 280, 160])" in request.user
    assert request.schema["required"] == list(request.lines)
    assert requests_of(pair, scene, question)[0].kind != "visual"


def test_a_look_that_does_not_hold_goes_and_the_rest_is_counted_anew() -> None:
    scene = coloured(grey=0.4)
    pair, question, template = looked(scene, SHINY, SMOKE, task="triplet")
    requests = requests_of(pair, scene, question, size=SENT, template=template)
    found = judge(pair, question, requests, ask(requests, doubts=["shiny"]))
    assert (found.verdict, found.dropped, found.scores) == ("mended", (0,), {0: 0.0, 1: 1.0})
    kept = settle(pair, found, JUDGE, scene, question, None)
    assert kept is not None and kept.statements[0].text == SMOKE[0]
    assert [s.text for s in kept.statements[1:]] == [s.text for s in template.statements]
    assert kept.statements[0].evidence == [f"seen:{WRITER}", f"judged:{JUDGE}=1.00"]
    shifted = [[r for r in s.evidence if r.startswith("statement:")] for s in template.statements]
    assert [[r for r in s.evidence if r.startswith("statement:")] for s in kept.statements[1:]] == [
        [f"statement:{int(ref[10:]) + 1}" for ref in refs] for refs in shifted
    ]
    assert any(shifted) and kept.boxes == pair.boxes and kept.support == pair.support
    assert check_case(case_of(kept, scene, None, question), kept) == []
    assert found.counts()["looks judged"] == 2 and found.counts()["looks dropped"] == 1


def test_a_look_that_another_sentence_rests_on_takes_the_chain_with_it() -> None:
    scene = coloured(grey=0.4)
    pair, question, _ = looked(scene, SHINY, on_first=True)
    requests = requests_of(pair, scene, question, JudgeConfig(masked=False), size=SENT)
    found = judge(pair, question, requests, ask(requests, doubts=["shiny"]))
    assert found.dropped == (0,) and without(pair, found.dropped) is None
    assert settle(pair, found, JUDGE, scene, question, None) is None


def test_boxes_that_a_dropped_sentence_alone_names_go_with_it() -> None:
    pair, _, _ = looked(grasper_and_hook(), SMOKE)
    first = pair.statements[0].model_copy(update={"text": "Fat covers part of the gallbladder <bbox:0>."})
    rows = [statement for statement in pair.statements if statement.level > 1]
    boxed = rows[0].model_copy(update={"text": "The hook <bbox:1> is at work.", "evidence": ["box:1"]})
    short = pair.model_copy(update={"statements": [first, boxed], "boxes": [[1, 1, 9, 9], [2, 2, 8, 8]]})
    kept = without(short, [0])
    assert kept is not None and kept.boxes == [[2, 2, 8, 8]]
    assert (kept.statements[0].text, kept.statements[0].evidence) == ("The hook <bbox:0> is at work.", ["box:0"])


@pytest.mark.parametrize(
    ("verdicts", "visual", "kept"),
    [
        (["unsure"], 0.5, False),
        (["unsure"], 0.4, True),
        (["yes", "yes", "no"], 0.5, True),
        (["yes", "no", "no"], 0.5, False),
    ],
)
def test_the_score_of_a_look_is_the_mean_of_the_samples(verdicts: list[str], visual: float, kept: bool) -> None:
    pair, question, _ = looked(grasper_and_hook(), SMOKE)
    config = JudgeConfig(visual=visual, masked=False)
    requests = requests_of(pair, grasper_and_hook(), question, config, size=SENT)
    found = judge(pair, question, requests, {"visual": [{"V1": verdict} for verdict in verdicts]}, config)
    assert (found.dropped == ()) is kept


def test_a_verdict_that_is_missing_is_not_a_verdict() -> None:
    pair, question, _ = looked(grasper_and_hook(), SMOKE)
    requests = requests_of(pair, grasper_and_hook(), question, JudgeConfig(masked=False), size=SENT)
    for replies in ({}, {"visual": [{"V2": "yes"}]}, {"visual": [{"V1": "perhaps"}]}, {"visual": [None]}):
        found = judge(pair, question, requests, replies)
        assert found.verdict == "unjudged" and settle(pair, found, JUDGE, grasper_and_hook(), question, None) is None
    assert "no verdict on V1" in form(requests[0], {"V2": "yes"})


def test_a_score_without_a_look_is_no_evidence() -> None:
    pair, question, _ = looked(grasper_and_hook(), SMOKE)
    last = pair.statements[-1]
    forged = last.model_copy(update={"evidence": [*last.evidence, f"judged:{JUDGE}=1.00"], "basis": "visual"})
    pair = pair.model_copy(update={"statements": [*pair.statements[:-1], forged]})
    found = check_case(case_of(pair, grasper_and_hook(), None, question), pair)
    assert any("scores what no model says that it sees" in finding.text for finding in found)
    for wrong in ("judged:m=1.50", "judged:m=0.5", "judged:m"):
        with pytest.raises(ValueError, match="no evidence reference"):
            Statement(level=1, text="A.", basis="visual", evidence=["seen:m", wrong])


@pytest.mark.parametrize("name", WORKED)
def test_a_masked_text_names_nothing(name: str, all_priors: Priors) -> None:
    scene = WORKED[name][1]
    for task in TASKS:
        for _, template in asked(scene, all_priors, task):
            text = masked(template)
            assert [m for m in mentions(text) if f"[{text[m.start : m.end]}]" not in text] == []
            assert not any(character.isdigit() for character in text.replace("Level 1:", "").replace("Level 2:", ""))


def test_a_mask_does_not_tell_one_from_many() -> None:
    told_alike = {mask(text) for text in ("A hook is in view.", "Scissors are in view.", "A grasper is in view.")}
    assert told_alike == {"[instrument] is in view."}
    assert mask("The right grasper has hold of the liver <bbox:1>.") == "[place] [instrument] [act] [structure] [box]."
    assert mask("The defect in the join of gastric pouch and jejunum is being closed.") == "[act]."


def busy() -> tuple[Scene, Pair, Question]:
    scene = grasper_and_hook()
    given, template = next(
        (given, pair) for given, pair in asked(scene, None, "triplet") if pair.id == "triplet.doing.instrument.hook"
    )
    return scene, template, given.question


RIGHT, WRONG = {"answers": ["hook, dissect, gallbladder"]}, {"answers": ["hook, cut, liver"]}


@pytest.mark.parametrize(
    ("by_words", "by_template", "chance", "refused"),
    [
        (RIGHT, WRONG, 0.1, True),
        (RIGHT, WRONG, 0.01, False),
        (RIGHT, RIGHT, 0.1, False),
        (WRONG, RIGHT, 0.1, False),
        (RIGHT, None, 0.1, False),
    ],
)
def test_words_leak_where_they_tell_more_than_the_template_s(
    by_words: Any, by_template: Any, chance: float, refused: bool
) -> None:
    scene, pair, question = busy()
    config = JudgeConfig(recover=False, most_chance=chance)
    requests = requests_of(pair, scene, question, config, template=pair)
    assert requests[0].answers == answer_form(question, scene)[1] >= 10
    found = judge(pair, question, requests, {"masked": [by_words], "control": [by_template]}, config)
    assert (found.verdict == "refused") is refused
    assert [finding.check for finding in found.findings] == ["judge_masked"] * refused


def test_what_may_be_guessed_refuses_no_chain_and_counts_in_the_pool(all_priors: Priors) -> None:
    pair, question, template = looked(grasper_and_hook())
    config = JudgeConfig(recover=False)
    requests = requests_of(pair, grasper_and_hook(), question, config, template=template)
    right, wrong = {"answers": [question.answer]}, {"answers": ["Preparation"]}
    found = judge(pair, question, requests, {"masked": [right], "control": [wrong]}, config)
    assert found.masked_recovered and not found.control_recovered and found.verdict == "holds"
    assert found.counts()["leak teacher alone"] == 1
    scene = make_scene("cholec80/42", 1150, "preparation", [])
    empty = Question("tool.presence", "tool_presence", "Which instruments are in view?", (), "none", ())
    written = write_pair(scene, empty, all_priors, 0)
    assert written is not None
    requests = requests_of(written[1], scene, empty, config)
    replies = {"masked": [{"answers": ["none"]}], "control": [{"answers": ["hook"]}]}
    found = judge(written[1], empty, requests, replies, config)
    assert found.masked_recovered and requests[0].answers == 128 and found.verdict == "holds"


def test_the_pool_has_its_null() -> None:
    assert leak_p(0, 0) == leak_p(0, 7) == 1.0
    assert leak_p(5, 0) == 1 / 32 and leak_p(8, 2) == 56 / 1024
    sums: Counter[str] = Counter()
    for one, other in [(True, False)] * 8 + [(False, True)] * 2 + [(True, True)] * 5:
        sums.update(Judgement(masked_recovered=one, control_recovered=other, recovered=True).counts())
    assert told(sums) == [
        "Levels 1 and 2 gave the answer in 1.00 of 15 chains that promise it, masked chains in 0.87.",
        "With terms masked, 8 answers were found from the teacher's words alone and 2 from the template's alone, of 15 "
        "(p = 0.0547, one-sided; equal where the words tell nothing).",
    ]
    assert told({}) == []


def in_view(index: int) -> Scene:
    scene = grasper_and_hook()
    own = [fact("cholec80.instrument.0", "instrument.grasper"), fact("cholec80.instrument.1", "instrument.hook")]
    labelled = scene.labelled | {"cholec80.instrument"}
    return replace(scene, key=f"cholec80-73-{index:06d}", facts=(*scene.facts, *own), labelled=labelled)


def test_a_judge_that_says_yes_to_everything_is_found_out() -> None:
    sums: Counter[str] = Counter()
    for index in range(60):
        scene = in_view(index)
        pair, question, _ = looked(scene, SMOKE)
        request = requests_of(pair, scene, question, size=SENT)[0]
        code, number = next((code, number) for code, number in request.lines.items() if number < 0)
        said = next(line for line in request.user.splitlines() if line.startswith(code))
        assert (("grasper" in said or "hook" in said) and "in view" in said) == (number == -1)
        replies = ask([request])
        sums.update(judge(pair, question, [request], replies).counts())
    assert 20 <= sums["true statements"] <= 40 and sums["true statements"] + sums["false statements"] == 60
    assert "saw 1.00 of" in told(sums)[1] and "and 1.00 of" in told(sums)[1]
    assert sums["looks judged"] == 60 and not sums["looks dropped"]
    config = JudgeConfig(controls=False)
    assert list(requests_of(pair, scene, question, config, size=SENT)[0].lines.values()) == [0]


def test_the_place_of_the_control_among_the_looks_is_drawn() -> None:
    firsts = Counter()
    for index in range(60):
        scene = in_view(index)
        pair, question, _ = looked(scene, SMOKE)
        firsts[requests_of(pair, scene, question, size=SENT)[0].lines["V1"] < 0] += 1
    assert min(firsts[True], firsts[False]) >= 15


def test_equal_prompts_share_a_reply_and_a_picture_has_its_own() -> None:
    pair, question, template = looked(grasper_and_hook(), SMOKE)
    requests = {r.kind: r for r in requests_of(pair, grasper_and_hook(), question, size=SENT, template=template)}
    other = replace(grasper_and_hook(), key="cholec80-73-000025")
    again = {r.kind: r for r in requests_of(pair, other, question, size=SENT, template=template)}
    text, picture = requests["control"], requests["visual"]
    assert text.key(pixels="a", model="m") == again["control"].key(pixels="b", model="m")
    assert text.key(model="m") != text.key(model="n") and text.key(seed=0) != text.key(seed=1)
    keys = {picture.key(pixels=p, size=s) for p in "ab" for s in (SENT, (430, 240))}
    assert len(keys) == 4
    assert requests["masked"].key() != text.key() and judge_sha256() == judge_sha256() != ""


@pytest.mark.parametrize("values", [{"visual": 1.0}, {"visual": -0.1}, {"most_chance": 0.6}])
def test_thresholds_that_mean_nothing_are_refused(values: dict[str, float]) -> None:
    with pytest.raises(CotgenError, match="threshold"):
        JudgeConfig(**values)  # type: ignore[arg-type]


def test_a_stub_server_serves_the_judge(all_priors: Priors) -> None:
    scene = coloured(grey=0.4)
    pair, question, template = looked(scene, SHINY, SMOKE, task="triplet")
    requests = requests_of(pair, scene, question, size=SENT, template=template)
    stand_in = StandInJudge(all_priors, ["smoke"])
    stub = StubServer(lambda asked: stand_in.reply(asked.body["messages"][0]["content"], asked.text) or {})
    assert stand_in.reply("You write chains of thought.", "NOW THIS FRAME") is None
    with stub as url, ClientThread(endpoint(url), fits=lambda sent, parsed: form(sent.tag, parsed)) as client:
        sent = [
            Request(r.key(model="m"), (("system", r.system), ("user", r.user)), schema=r.schema, tag=r)
            for r in requests
        ]
        outcomes = list(client.outcomes(sent))
    replies = {o.request.tag.kind: [o.best.parsed] for o in outcomes if isinstance(o, Reply)}
    found = judge(pair, question, requests, replies)
    assert len(replies) == 4 and found.recovered and found.scores == {0: 1.0, 1: 0.0}
    kept = settle(pair, found, JUDGE, scene, question, None)
    assert kept is not None and SMOKE[0] not in [statement.text for statement in kept.statements]
    assert found.plain()["scores"] == {"0": 1.0, "1": 0.0} and found.plain()["verdict"] == "mended"
