"""A balanced build: what it asks of train, what it leaves alone, and that it is the same wherever it runs."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from math import isqrt
from pathlib import Path

import pytest

import cotgen
from cotgen.build import balance
from cotgen.build.balance import Limits, kind_of, settle, sift, tally
from cotgen.build.report import Outcome, Reporter
from cotgen.build.run import estimate
from cotgen.draws import draw
from cotgen.records import Fact, Manifest, Scene, sample_key
from cotgen.surgeries.priors import given_set
from cotgen.surgeries.usual import Usual
from cotgen.tasks import TASKS, plan_questions
from cotgen.tasks.base import Question
from cotgen.tasks.boxes import NOT_VISIBLE
from tests.build.conftest import config
from tests.tasks.conftest import surgery

CLOCK = Fraction(25)
HOOK, GRASPER = "instrument.hook", "instrument.grasper"
RETRACT = (GRASPER, "verb.retract", "anatomy.gallbladder")
DISSECT = (HOOK, "verb.dissect", "anatomy.gallbladder")
IDLE = (HOOK, "verb.null", "anatomy.null")
DUCT = (HOOK, "verb.dissect", "anatomy.cystic_duct")
USUAL = Usual(triplets={GRASPER: list(RETRACT), HOOK: list(DISSECT)})

Asked = list[tuple[int, Question]]
Surgeries = Sequence[Sequence[Scene]]


def frame(name: str, second: int, facts: Iterable[Fact], *labelled: str) -> Scene:
    return Scene(
        key=sample_key(name, 25 * second),
        surgery=name,
        index=25 * second,
        labelled=frozenset(labelled),
        facts=tuple(facts),
        size=(800, 400),
    )


def fact(source: str, n: int, *terms: str, kind: str = "", box: Sequence[int] = (), value: float = 1.0) -> Fact:
    kind = kind or terms[0].partition(".")[0]
    return Fact(id=f"{source}.{kind}.{n}", kind=kind, terms=list(terms), box=list(box), value=value, source=source)


def acting(name: str, seconds: int, usual_in_percent: int) -> list[Scene]:
    """CholecT50: grasper and hook; in so many of a hundred seconds both do what they usually do. Some show nothing."""
    scenes = []
    for second in range(0, seconds * 5, 5):
        number = draw(0, name, str(second)) % 100
        acts = (RETRACT, DISSECT) if number < usual_in_percent else (RETRACT, (DUCT, IDLE)[second % 2])
        shown = () if number % 7 == 0 else acts
        facts = [fact("cholect50", n, *act, kind="triplet") for n, act in enumerate(shown)]
        scenes.append(frame(name, second, facts, "cholect50.triplet"))
    return scenes


def judged(name: str, seconds: int) -> list[Scene]:
    """Endoscapes: nine of ten views meet no criterion; every structure has a box, and one of them is often missing."""
    scenes = []
    for second in range(0, seconds * 5, 5):
        number = draw(0, name, str(second)) % 10
        votes = dict.fromkeys(("cvs.two_structures", "cvs.hepatocystic_triangle", "cvs.cystic_plate"), 0.0)
        if number == 0:
            votes[list(votes)[second % 3]] = 1.0
        facts = [fact("endoscapes", n, term, value=value) for n, (term, value) in enumerate(votes.items())]
        facts.append(fact("endoscapes", 0, "anatomy.gallbladder", box=(10, 10, 90, 90)))
        if number < 6:
            facts.append(fact("endoscapes", 1, "anatomy.cystic_duct", box=(200, 300, 260, 340)))
        scenes.append(frame(name, second, facts, "endoscapes.cvs", "endoscapes.anatomy"))
    return scenes


def balanced(surgeries: Surgeries, usual: Usual, tasks: Sequence[str] = tuple(TASKS)) -> tuple[list[Asked], Limits]:
    """What is asked of each of these train surgeries, and the limits."""
    planned = [list(plan_questions(scenes, tasks, 0)) for scenes in surgeries]
    tallies = [tally(scenes, own, 0, CLOCK, usual) for scenes, own in zip(surgeries, planned, strict=True)]
    limits = settle(tallies, usual)
    assert settle(reversed(tallies), usual) == limits
    assert Limits.from_json(limits.to_json()) == limits
    found = zip(surgeries, planned, strict=True)
    return [sift(scenes, own, 0, CLOCK, limits)[0] for scenes, own in found], limits


def counts(asked: Iterable[Asked]) -> dict[str, Counter[str]]:
    """Kind of question -> answer -> how many."""
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for own in asked:
        for _, question in own:
            kind, said = kind_of(question)
            found[kind][said] += 1
    return found


def not_written(manifest: Manifest) -> int:
    """Questions without a chain, or with one that a check refused."""
    pairs = [item for item in manifest.left_out if item.what == "pair"]
    return sum(item.count for item in pairs if not item.reason.startswith("--balance"))


@pytest.fixture(scope="module")
def corpus() -> list[list[Scene]]:
    return [surgery(f"cholec80/{number}") for number in (1, 2, 4, 5)]


@pytest.fixture(scope="module")
def of_corpus(corpus: list[list[Scene]]) -> tuple[list[Asked], Limits]:
    return balanced(corpus, Usual())


def test_five_seconds_have_one_question_of_a_kind_and_answer(
    corpus: list[list[Scene]], of_corpus: tuple[list[Asked], Limits]
) -> None:
    asked, limits = of_corpus
    for scenes, own in zip(corpus, asked, strict=True):
        places: Counter[tuple[str, ...]] = Counter()
        for position, question in own:
            kind, said = kind_of(question)
            if said not in limits.rare.get(kind, ()):
                stretch = scenes[position].index // (5 * 25)
                # Of yes and no each one for each instrument; open and offered phases are one kind.
                places[kind, said, question.answer if question.couple else "", str(stretch)] += 1
        assert max(places.values()) == 1


def test_rare_answers_are_all_asked_but_at_borders(
    corpus: list[list[Scene]], of_corpus: tuple[list[Asked], Limits]
) -> None:
    asked, limits = of_corpus
    before = counts(list(plan_questions(scenes, TASKS, 0)) for scenes in corpus)
    after = counts(asked)
    rare = [(kind, said) for kind, answers in limits.rare.items() for said in answers]
    assert rare
    # Six changes of phase, a second on either side, in four surgeries of 1,400 seconds.
    assert all(before[kind][said] - after[kind][said] <= 48 for kind, said in rare)
    assert sum(after[kind][said] for kind, said in rare) > 0.95 * sum(before[kind][said] for kind, said in rare)


def test_a_frequent_answer_is_cut_to_the_root_of_its_count_and_none_below_the_mean(
    corpus: list[list[Scene]], of_corpus: tuple[list[Asked], Limits]
) -> None:
    asked, limits = of_corpus
    without = limits.model_copy(update={"limits": {}, "usual_limits": {}})
    apart = counts(sift(scenes, list(plan_questions(scenes, TASKS, 0)), 0, CLOCK, without)[0] for scenes in corpus)
    after = counts(asked)
    assert limits.limits
    for kind, answers in apart.items():
        couples = 2 if kind in ("tool.yesno", "field.visible") else 1
        there = {said: count // couples for said, count in answers.items()}
        total, classes = sum(there.values()), len(there)
        for said, count in there.items():
            kept = after[kind][said] // couples
            assert kept <= max(isqrt(count * total // classes), -(-total // classes)), (kind, said)
            if (kind, said) not in balance.MOST_SHARE and kind != "field.visible":
                assert kept >= min(count, total // classes), (kind, said)


def test_every_wording_keeps_as_many_yes_as_no(of_corpus: tuple[list[Asked], Limits]) -> None:
    wordings: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for own in of_corpus[0]:
        for _, question in own:
            if question.couple:
                wordings[question.id, question.text][question.answer] += 1
    assert len(wordings) > 50
    assert all(answers["Yes"] == answers["No"] for answers in wordings.values())


def test_empty_answers_and_black_pictures_stay_few(of_corpus: tuple[list[Asked], Limits]) -> None:
    after = counts(of_corpus[0])
    total = sum(sum(answers.values()) for answers in after.values())
    for kind, said in (("tool.presence", ""), ("tool.count", "0")):
        assert 0 < 100 * after[kind][said] <= 5 * sum(after[kind].values())
    assert 0 < 100 * sum(after["field.visible"].values()) <= total


@pytest.mark.parametrize("usual_in_percent", [50, 80, 97])
def test_forty_of_a_hundred_triplets_are_not_the_usual_ones(usual_in_percent: int) -> None:
    surgeries = [acting(f"cholec80/{number}", 600, usual_in_percent) for number in (1, 2)]
    asked, limits = balanced(surgeries, USUAL, ["triplet"])
    shares: dict[str, Counter[bool]] = defaultdict(Counter)
    for scenes, own in zip(surgeries, asked, strict=True):
        for position, question in own:
            acts = [(f.terms[0], f.terms[1], f.terms[2]) for f in scenes[position].of_kind("triplet")]
            # A model that knows the instruments and nothing else says this.
            habit = {tuple(USUAL.triplets[instrument]) for instrument, _, _ in acts}
            shares[kind_of(question)[0]][habit == set(acts)] += 1
    assert set(shares) == {"triplet.set", "triplet.doing", "triplet.verb", "triplet.target", "triplet.yesno"}
    for kind, count in shares.items():
        assert 100 * count[False] >= 40 * count.total() > 0, kind
    assert limits.usual_limits
    empty = counts(asked)["triplet.set"]
    assert 100 * empty[""] <= 5 * empty.total()


def test_thirty_of_a_hundred_phases_are_not_the_usual_ones_of_the_instruments(corpus: list[list[Scene]]) -> None:
    seen: dict[str, Counter[str]] = defaultdict(Counter)
    for scenes in corpus:
        for scene in scenes:
            seen[given_set(scene.terms("instrument"))][scene.terms("phase")[0]] += 1
    usual = Usual(phases={given: row.most_common(1)[0][0] for given, row in seen.items()})
    asked, _ = balanced(corpus, usual, ["phase"])
    right = Counter(
        question.truth == (usual.phases[given_set(scenes[position].terms("instrument"))],)
        for scenes, own in zip(corpus, asked, strict=True)
        for position, question in own
    )
    assert 100 * right[False] >= 30 * right.total() > 0


def test_three_times_no_is_no_more_than_a_third_of_the_critical_views() -> None:
    surgeries = [judged(f"endoscapes/{number}", 500) for number in (1, 2)]
    before = counts(list(plan_questions(scenes, ["cvs"], 0)) for scenes in surgeries)["cvs.criteria"]
    after = counts(balanced(surgeries, Usual(), ["cvs"])[0])["cvs.criteria"]
    (nothing,) = [said for kind, said in balance.MOST_SHARE if kind == "cvs.criteria"]
    assert before[nothing] > 0.85 * before.total()
    assert 0 < 100 * after[nothing] <= 33 * after.total()
    assert all(after[said] == count for said, count in before.items() if said != nothing)


def test_what_is_not_visible_stays_one_for_seven_that_are() -> None:
    surgeries = [judged(f"endoscapes/{number}", 500) for number in (1, 2)]
    after = counts(balanced(surgeries, Usual(), ["localization"])[0])["loc.anatomy"]
    absent = {said for said in after if said.endswith(NOT_VISIBLE)}
    assert absent
    for said in absent:
        assert 7 * after[said] <= after[said.removesuffix(f" {NOT_VISIBLE}")]


def test_nothing_is_asked_within_a_second_of_a_change_of_phase_or_a_disagreement() -> None:
    phases = ["phase.preparation"] * 30 + ["phase.calot_triangle_dissection"] * 30
    scenes = []
    for second, phase in enumerate(phases):
        other = "phase.preparation" if second == 45 else phase
        facts = [fact("cholec80", 0, phase), fact("cholect50", 0, other)]
        scene = frame("cholec80/1", second, facts, "cholec80.phase", "cholect50.phase")
        disputed = frozenset({"phase"}) if other != phase else frozenset[str]()
        scenes.append(Scene(**{**{n: getattr(scene, n) for n in Scene.__slots__}, "disputed": disputed}))
    planned = list(plan_questions(scenes, ["phase"], 0))
    rare = {"phase": ["phase.preparation", "phase.calot_triangle_dissection"]}
    kept, lost = sift(scenes, planned, 0, CLOCK, Limits(rare=rare))
    assert {position for position, _ in planned} - {position for position, _ in kept} == {29, 30, 44, 46}
    assert lost == {"phase": {balance.BORDER: 8}}


def test_a_balanced_build_thins_out_train_and_says_what_it_left_out(
    built: Path, demo: Path, tmp_path: Path, run: Callable[..., Outcome], sums_of: Callable[[Path], dict[str, str]]
) -> None:
    one = run(demo, tmp_path / "one", balance=True, work=tmp_path / "work-1")
    run(demo, tmp_path / "two", balance=True, work=tmp_path / "work-2", workers=2)
    assert sums_of(tmp_path / "one") == sums_of(tmp_path / "two")
    assert one.executed["tally"] == one.executed["balance"] == 1
    assert one.manifest is not None
    before, after = cotgen.open(built).manifest, one.manifest
    lost = {task: sum(whys.values()) for task, whys in after.counts["left_out_by_balance"].items()}
    assert set(lost) == {"phase", "tool_count", "tool_presence", "tool_yesno"}
    assert after.counts["pairs"] + not_written(after) + sum(lost.values()) == before.counts["pairs"] + not_written(
        before
    )
    rows = {item.reason: item.count for item in after.left_out if item.what == "pair"}
    assert sum(count for why, count in rows.items() if why.startswith("--balance: ")) == sum(lost.values())
    # Test has its natural distribution, in the very same bytes.
    assert after.counts["pairs_by_split"]["test"] == before.counts["pairs_by_split"]["test"]
    assert [s.sha256 for s in after.shards if s.split == "test"] == [
        s.sha256 for s in before.shards if s.split == "test"
    ]
    assert after.config == {**before.config, "balance": True}
    again = run(demo, tmp_path / "one", balance=True, work=tmp_path / "work-1")
    assert again.unchanged
    assert not again.executed


def test_without_the_option_nothing_changes(
    built: Path, demo: Path, tmp_path: Path, copy: Callable[[], Path], run: Callable[..., Outcome]
) -> None:
    work = copy()
    balanced = run(demo, tmp_path / "balanced", balance=True, work=work)
    assert balanced.executed["chains"] == 1
    plain = run(demo, tmp_path / "plain", work=work)
    assert set(plain.executed) == {"pack"}
    assert plain.manifest == cotgen.open(built).manifest
    assert "balance" not in plain.manifest.config | plain.manifest.versions | plain.manifest.counts


def test_a_dry_run_counts_what_a_balanced_build_asks(demo: Path, tmp_path: Path, run: Callable[..., Outcome]) -> None:
    work = tmp_path / "work"
    given = {"balance": True, "work": work, "frames": "none"}
    found = estimate(config(demo, tmp_path / "out", **given), Reporter(None), env={})
    outcome = run(demo, tmp_path / "out", **given)
    assert outcome.manifest is not None
    assert sum(found.pairs.values()) == outcome.manifest.counts["pairs"] + not_written(outcome.manifest)
    assert outcome.reused["balance"] == 1


def test_a_build_without_train_has_nothing_to_balance(
    demo: Path, tmp_path: Path, run: Callable[..., Outcome], built: Path
) -> None:
    outcome = run(demo, tmp_path / "out", balance=True, surgeries="73", frames="none")
    assert any(text.startswith("--balance changes nothing here") for text in outcome.warnings)
    assert outcome.manifest is not None
    assert outcome.manifest.counts["left_out_by_balance"] == {}
