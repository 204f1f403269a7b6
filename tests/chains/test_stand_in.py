"""The stand-in for a teacher: its chains are accepted, the errors planted in them are not, and both are drawn."""

import json
import subprocess
import sys
import urllib.request
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cotgen.chains.checks import case_of, check_case
from cotgen.chains.planted import KINDS, Planted
from cotgen.chains.stand_in import answering, read, reply, told_by
from cotgen.chains.teacher import Draft, ReplyError, draft, objections, pair_of
from cotgen.chains.write import write_pair
from cotgen.cli.teacher import teacher_app
from cotgen.errors import CotgenError
from cotgen.models.stub import Asked
from cotgen.records import Scene
from cotgen.surgeries.priors import Priors
from cotgen.tasks import TASKS, plan_questions
from tests.chains.conftest import make_scene
from tests.chains.scenes import FRAMES, frames_of
from tests.chains.test_worked_chains import WORKED

WRITER = "teacher/stub/1"


def request(given: Draft, seed: int = 0, *more: tuple[str, str]) -> Asked:
    """What a client sends for a draft; `more` are the turns after it."""
    turns = [("system", given.system), ("user", given.user), *more]
    body = {"messages": [{"role": role, "content": text} for role, text in turns], "seed": seed}
    return Asked(body, f"{given.scene.key}#{given.question.id}", 0)


def findings(given: Draft, answer: Any, priors: Priors | None) -> list[str]:
    """What is wrong with a reply; empty where it would be kept."""
    try:
        pair = pair_of(given, answer, WRITER, priors)
    except ReplyError as error:
        return [str(error)]
    found = check_case(case_of(pair, given.scene, priors, given.question), pair)
    return [finding.text for finding in found if finding.severity == "hard"]


def drafts(scenes: Sequence[Scene], priors: Priors | None) -> list[Draft]:
    """One request for each question that has a template chain."""
    found = []
    for position, question in plan_questions(scenes, list(TASKS), 0):
        drafted = write_pair(scenes[position], question, priors, 0)
        if drafted is not None:
            found.append(draft(scenes[position], question, drafted[1]))
    return found


@pytest.fixture(scope="module")
def asked(surgeries: list[list[Scene]], all_priors: Priors) -> list[Draft]:
    """Requests about frames of every source, for every task, with and without statistics."""
    first = surgeries[0]
    dark = [make_scene(first[0].surgery, 25 * len(first) + n, "preparation", [], black=True) for n in range(3)]
    sets: list[list[Scene]] = [frames_of(source, 14) for source in FRAMES]
    sets += [[*first[::8], *dark], *([scene] for _, scene, *_ in WORKED.values())]
    return [given for scenes in sets for given in drafts(scenes, all_priors)] + drafts(sets[0], None)


def test_its_chains_are_accepted_for_every_task(asked: list[Draft], all_priors: Priors) -> None:
    made: Counter[str] = Counter()
    kept: Counter[str] = Counter()
    looks = 0
    refused = []
    for n, given in enumerate(asked):
        request_ = request(given, n)
        assert told_by(request_).task == given.question.task, given.question.text
        answer = reply(request_)
        assert len(answer["statements"]) <= 12 and max(len(row["from"]) for row in answer["statements"]) <= 12
        wrong = findings(given, answer, all_priors)
        made[given.question.task] += 1
        kept[given.question.task] += not wrong
        refused += [(given.question.id, wrong[:1], answer)] if wrong else []
        looks += any("visual" in row["from"] for row in answer["statements"])
    assert set(made) == set(TASKS)
    assert [task for task in made if kept[task] < 0.95 * made[task]] == [], refused[:3]
    assert kept.total() >= 0.99 * made.total() >= 500, refused[:3]
    assert looks >= 0.1 * made.total()


@pytest.mark.slow
def test_planted_errors_are_refused(asked: list[Draft], all_priors: Priors) -> None:
    """At least 1,000 errors, at least 40 of each kind, and none is kept."""
    made: Counter[str] = Counter()
    kept = []
    for n, given in enumerate(asked):
        for k in range(3):
            kind = list(KINDS)[(5 * n + k) % len(KINDS)]
            planted = Planted({kind: 1.0}, seed=n)
            answer = planted(request(given, n))
            (told,) = planted.planted.values()
            made[told[0]] += 1
            if not findings(given, answer, all_priors):
                kept.append((told[0], given.question.id, answer))
    assert kept == []
    assert made.total() >= 1000 and min(made[kind] for kind in KINDS) >= 40, made


def test_it_reads_the_request_alone_and_draws_from_its_seed(asked: list[Draft]) -> None:
    given = next(item for item in asked if item.question.id == "triplet.set")
    assert reply(request(given, 3)) == reply(request(given, 3))
    assert len({json.dumps(reply(request(given, seed))) for seed in range(10)}) >= 4


def test_asked_again_it_writes_another_chain_that_is_accepted(asked: list[Draft], all_priors: Priors) -> None:
    for given in asked[::10]:
        first = json.dumps(reply(request(given)))
        again = request(given, 0, ("assistant", first), ("user", objections("Statement 1 rests on nothing.", None)))
        assert findings(given, reply(again), all_priors) == []


def test_a_prompt_that_changed_a_little_is_read_all_the_same(asked: list[Draft]) -> None:
    given = next(item for item in asked if item.question.id == "loc.all")
    told = read(given.user.replace("FACTS AND WHAT MAY BE USED", "FACTS").replace("NOW THIS FRAME", "THIS FRAME"))
    assert told.task == "localization"
    assert [fact.terms for fact in told.scene.facts] == [fact.terms for fact in read(given.user).scene.facts]


def test_a_question_in_other_words_is_answered_in_plain_ones(asked: list[Draft]) -> None:
    given = next(item for item in asked if item.question.id == "phase.open")
    user = given.user.replace(given.question.text, "How would you call what goes on?")
    body = {"messages": [{"role": "user", "content": user}]}
    levels = [row["level"] for row in reply(Asked(body, "k", 0))["statements"]]
    assert set(levels) == {1, 2, 3}


def test_a_request_that_lacks_lines_gets_an_answer(asked: list[Draft]) -> None:
    for given in asked[::7]:
        user = "\n".join(line for line in given.user.split("\n") if not line.startswith(("F1", "F2", "N")))
        lacking = Asked({"messages": [{"role": "user", "content": user}]}, "k", 0)
        for answer in (reply(lacking), Planted(dict.fromkeys(KINDS, 1 / len(KINDS)))(lacking)):
            assert {row["level"] for row in answer["statements"]} == {1, 2, 3}
            assert all(row["text"] and row["from"] for row in answer["statements"])


def test_errors_come_at_their_rate_and_are_known_afterwards(asked: list[Draft], tmp_path: Path) -> None:
    log = tmp_path / "replies.jsonl"
    planted = Planted({"hallucination": 0.1, "colour": 0.1}, seed=4, log=log)
    given = asked[:600]
    replies = [planted(request(item)) for item in given]
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [line["reply"] for line in lines] == replies
    assert {line["key"]: line["planted"] for line in lines if line["planted"]} == planted.planted
    # 120 of 600 are expected, with a standard deviation of 10.
    assert 80 <= sum(bool(line["planted"]) for line in lines) <= 160


def test_an_error_heals_when_asked_again_unless_it_is_stubborn(asked: list[Draft]) -> None:
    again = ("assistant", "{}"), ("user", "Write the whole chain again.")
    for stubborn in (False, True):
        planted = Planted({"leak_phrase": 0.3}, seed=1, stubborn=stubborn)
        healed = 0
        for given in asked[:200]:
            planted.planted.clear()
            planted(request(given))
            if planted.planted:
                planted.planted.clear()
                planted(request(given, 0, *again))
                healed += not planted.planted
        assert healed == 0 if stubborn else healed >= 20


@pytest.mark.parametrize("rates", [{"lie": 0.1}, {"leak": 0.6, "count": 0.6}, {"leak": -0.1}])
def test_rates_that_cannot_be_are_refused(rates: dict[str, float]) -> None:
    with pytest.raises(CotgenError, match=r"can be planted|are shares"):
        Planted(rates)


def test_what_is_no_request_for_a_chain_goes_elsewhere(asked: list[Draft]) -> None:
    answer = answering(other=lambda asked: "a judgement")
    assert answer(request(asked[0])) == reply(request(asked[0]))
    body = {"messages": [{"role": "system", "content": "You judge."}, {"role": "user", "content": "Does it hold?"}]}
    assert answer(Asked(body, "k", 0)) == "a judgement"


@pytest.mark.parametrize("text", ["So there is nothing to mark.", "No structures are thus to be named."])
def test_a_false_end_is_found(asked: list[Draft], all_priors: Priors, text: str) -> None:
    task = "localization" if "mark" in text else "anatomy"
    there = [
        item for item in asked
        if item.question.task == task and item.question.answer not in ("not visible", "none")
    ]  # fmt: skip
    for given in there[:10]:
        answer = reply(request(given))
        answer["statements"][-1]["text"] = text
        assert any("concluded" in wrong for wrong in findings(given, answer, all_priors)), answer


@pytest.mark.parametrize(
    ("task", "at", "letter", "said"),
    [
        ("phase", 0, "N", "instruments are denied without a 'none:' reference"),
        ("camera", 0, "N", "where the camera is is told without what labels it"),
        ("action", 0, "F", "no cited fact holds it"),
        ("phase", -2, "P", "needs a statistic of the train surgeries"),
    ],
)
def test_evidence_of_something_else_is_found(
    asked: list[Draft], all_priors: Priors, task: str, at: int, letter: str, said: str
) -> None:
    """A denial, a thing or a statistic that rests on a fact that says another thing."""
    found: list[str] = []
    for given in (item for item in asked if item.question.task == task):
        answer = reply(request(given))
        row = answer["statements"][at]
        facts = [code for code in given.pool if code[0] == "F" and code not in row["from"]]
        if row["from"][0][0] == letter and facts:
            row["from"] = facts[-1:]
            wrong = findings(given, answer, all_priors)
            assert wrong, answer
            found += wrong
    assert any(said in text for text in found), found


def test_a_statistic_of_another_act_is_found(asked: list[Draft], all_priors: Priors) -> None:
    tried = 0
    for given in asked:
        answer = reply(request(given))
        told = [row for row in answer["statements"] if row["from"][0][0] == "P"]
        if len(told) == 2 and "|triplet" in given.pool["P1"][0] and "|triplet" in given.pool["P2"][0]:
            told[0]["from"], told[1]["from"] = told[1]["from"], told[0]["from"]
            assert any("of something else" in wrong for wrong in findings(given, answer, all_priors)), answer
            tried += 1
    assert tried


def test_the_command_serves_it(tmp_path: Path, asked: list[Draft], all_priors: Priors) -> None:
    log = tmp_path / "log.jsonl"
    code = "from cotgen.cli.teacher import teacher_app; teacher_app()"
    command = [sys.executable, "-c", code, "stub", "--model", "m", "--planted", "leak=0.0", "--log", str(log)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout
        url = process.stdout.readline().strip()
        body = json.dumps({**request(asked[0], 5).body, "model": "m"}).encode()
        with urllib.request.urlopen(f"{url}/chat/completions", body, timeout=10) as response:  # a server of our own
            answer = json.loads(json.load(response)["choices"][0]["message"]["content"])
    finally:
        process.terminate()
        process.wait()
    assert answer == reply(request(asked[0], 5)) and findings(asked[0], answer, all_priors) == []
    assert json.loads(log.read_text())["reply"] == answer


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [("--planted", "leak", "NAME=RATE"), ("--fault", "503=often", "NAME=RATE")],
)
def test_a_rate_that_is_none_is_said(option: str, value: str, said: str) -> None:
    result = CliRunner().invoke(teacher_app, ["stub", option, value])
    assert result.exit_code == 2 and said in result.output
