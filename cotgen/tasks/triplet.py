"""Which instrument does what to what: the whole set, one instrument, and yes or no for a named triplet.

Pair ids: `triplet.set`; `triplet.doing.INSTRUMENT`, what one instrument is doing, and to what, asked in the same words of
a busy and of an idle one; `triplet.verb.INSTRUMENT` and `triplet.target.INSTRUMENT`, its action or its target alone, where
the list leaves several of them; `triplet.yesno.INSTRUMENT.VERB.TARGET`. An answer has one triplet a line, `hook, dissect,
cystic duct`, in the order of the data set's list. An idle instrument is a fact and no part of the set; asked what it does
the answer is `hook, no action, no target`. In EndoVis 2018 each instrument has a state, so there the set holds all.

Scores: F1 of the sets of whole triplets; yes or no: 1 if right. `by_parts` scores instrument, verb and target apart.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from cotgen.draws import rendezvous
from cotgen.ontology import alias, term, terms_of, vocabulary
from cotgen.ontology.triplets import Triplet, legal_triplets, rank_of
from cotgen.records import Scene
from cotgen.tasks.answers import NONE, fold, parse_term, parse_yes_no, spellings
from cotgen.tasks.balance import in_hash_order, room_for
from cotgen.tasks.base import Question

SET_ID, DOING, YESNO = "triplet.set", "triplet.doing.", "triplet.yesno."
VERB_ID, TARGET_ID = "triplet.verb.", "triplet.target."
#: Share of the questions for the whole set of one surgery whose answer may be `none`, in percent.
MOST_NONE = 5
#: An answer of more lines is none: no frame of the releases has more than four.
MOST_LINES = 30
SET = (
    "Which instrument, action and target triplets are shown?",
    "Name each instrument with its action and its target.",
    "Which instrument does what to which structure? List every triplet.",
    "List the triplets of instrument, action and target in this image.",
    "Give all instrument, action, target triplets of this view.",
    "What acts are shown? Answer with instrument, action and target.",
    "State every act as instrument, action, target.",
    "Which surgical action triplets does this picture show?",
    "List each act with its instrument and its target.",
    "For this image, write down all triplets of instrument, action and target.",
    "Who does what to what here? Give instrument, action and target.",
    "Identify the instrument, action and target of each act in this view.",
    "Which acts on tissue are shown? Write instrument, action, target for each.",
    "Describe what is being done as triplets of instrument, action and target.",
    "Name all acts in this image, each as instrument, action and target.",
)
STATES = (
    "What is each instrument doing?",
    "Give the state of each instrument.",
    "List every instrument with its action and its target.",
    "Which instrument is in which state? List all.",
    "For each instrument, state its action and its target.",
    "Name each instrument with what it does and to what.",
    "What is the action of each instrument in this image?",
    "Write down instrument, action and target for all instruments.",
    "State for all instruments what they are doing.",
    "Tell of each instrument what it does.",
    "What are the instruments doing, one by one?",
    "Describe the state of each instrument as instrument, action, target.",
    "Which action belongs to each instrument here?",
    "List the instruments with their actions and targets.",
    "Identify the action and the target of each instrument.",
)
ONE = (
    "What {is} {the} doing, and to what?",
    "What {does} {the} do, and to which structure?",
    "Give the action and the target of {the}.",
    "Which action and which target belong to {the}?",
    "What {is} {the} doing? Answer with instrument, action and target.",
    "State what {the} {does}, and to what.",
    "In this view, what {is} {the} doing, and to what?",
    "Name the action of {the} and {its} target.",
    "What action {is} {the} performing, and on what?",
    "Identify what {the} {is} doing, and to what.",
    "Write down instrument, action and target for {the}.",
    "Tell what {the} {is} doing here, and to what.",
    "Looking at {the}: which action, which target?",
    "What is the action of {the}, and what is {its} target?",
    "Which triplet of instrument, action and target describes {the}?",
)
ONE_OF = (
    "{Is} {the} {act}?",
    "Yes or no: {is} {the} {act}?",
    "Does the image show {the} {act}?",
    "In this view, {is} {the} {act}?",
    "{Is} {the} {act} in this image?",
    "Do you see {the} {act} in this view?",
    "At this moment, {is} {the} {act}?",
    "Say whether {the} {is} {act}.",
    "Does this picture show {the} {act}?",
    "Looking at this view, {is} {the} {act}?",
    "Is it so that {the} {is} {act}?",
    "Tell whether {the} {is} {act} here.",
    "Can {the} be seen {act}?",
    "Would you say that {the} {is} {act}?",
    "Here, {is} {the} {act}?",
)
VERB = (
    "What {is} {the} doing? Name the action alone.",
    "Which action {is} {the} performing?",
    "Name the action of {the}.",
    "What is the action of {the} in this view?",
    "State the action of {the}, without its target.",
    "Which verb tells what {the} {is} doing?",
    "Give the action of {the} alone.",
    "In this view, which action belongs to {the}?",
    "Identify the action of {the}.",
    "What does this image show {the} doing? Answer with the action.",
    "Tell the action of {the}, and nothing of its target.",
    "Looking at {the}, which action is shown?",
    "At this moment, what is the action of {the}?",
    "Write down the action of {the}.",
    "Which action describes {the} here?",
)
TARGET = (
    "To which structure is the action of {the} directed?",
    "What is the target of {the}?",
    "Name the target of {the}.",
    "Which structure {is} {the} acting on?",
    "State the target of {the}, without the action.",
    "Give the target of {the} alone.",
    "In this view, which target belongs to {the}?",
    "Identify the target of {the}.",
    "On what {is} {the} acting? Answer with the target.",
    "Tell the target of {the}, and nothing of the action.",
    "Looking at {the}, which target is shown?",
    "At this moment, what is the target of {the}?",
    "Write down the target of {the}.",
    "Which structure is the target of {the} here?",
    "What does {the} act on in this image?",
)
#: Per verb, after "the hook is": an act that is in progress.
ACTING = {
    "verb.grasp": "grasping {t}",
    "verb.retract": "retracting {t}",
    "verb.dissect": "dissecting at {t}",
    "verb.coagulate": "coagulating {t}",
    "verb.clip": "placing a clip on {t}",
    "verb.cut": "cutting {t}",
    "verb.aspirate": "aspirating {t}",
    "verb.irrigate": "irrigating {t}",
    "verb.pack": "putting {t} into the bag",
}
#: The same for EndoVis 2018, where every act is one at the kidney and not upon it.
STATE = {
    "verb.grasp": "grasping",
    "verb.retract": "retracting",
    "verb.manipulate_tissue": "handling tissue",
    "verb.manipulate_tool": "handling another instrument",
    "verb.cut": "cutting",
    "verb.cauterise": "cauterising",
    "verb.suction": "applying suction",
    "verb.loop": "looping thread",
    "verb.suture": "suturing",
    "verb.clip": "clipping at the kidney",
    "verb.staple": "stapling at the kidney",
    "verb.sense": "scanning with ultrasound",
}
#: Structures that are spoken of without an article, or with another one.
_TARGETS = {"anatomy.fluid": "fluid", "anatomy.blood_vessel": "a vessel", "anatomy.adhesion": "an adhesion"}


def target(id: str, verb: str = "") -> str:
    """A structure as the object of an act: `the gallbladder`, `fluid`, `a vessel`."""
    if id == "anatomy.abdominal_wall_cavity":
        return "the abdominal wall" if verb == "verb.coagulate" else "the abdominal cavity"
    return _TARGETS.get(id) or f"the {term(id).name}"


def acting(triplet: Sequence[str], source: str = "") -> str:
    """An act in progress, after "is": `dissecting at the cystic duct`; by EndoVis 2018 `cauterising`."""
    if source == "endovis18":
        return STATE[triplet[1]]
    return ACTING[triplet[1]].format(t=target(triplet[2], triplet[1]))


class TripletTask:
    """The task `triplet`."""

    name = "triplet"
    kinds: tuple[str, ...] = ("triplet",)
    wordings: tuple[str, ...] = SET + STATES + ONE + VERB + TARGET + ONE_OF

    def questions(self, scenes: Sequence[Scene], seed: int) -> Iterator[tuple[int, Question]]:
        """The set of each frame, each instrument that occurs once, and couples of yes and no."""
        asked = [(n, scene, facts) for n, scene in enumerate(scenes) if (facts := triplets(scene)) is not None]
        # "None" would be a riddle where instruments are in view.
        empty = [
            (s.key, n)
            for n, s, _ in asked
            if not whole_set(s) and not s.terms("instrument") and not s.terms("triplet")
        ]
        kept = set(in_hash_order(seed, empty, SET_ID)[: room_for(MOST_NONE, len(asked) - len(empty))])
        for n, scene, facts in asked:
            truth = whole_set(scene)
            if truth or n in kept:
                pool = STATES if scene.says("triplet") == "endovis18" else SET
                text = rendezvous(seed, pool, scene.key, SET_ID)
                yield n, Question(SET_ID, self.name, text, (), write_triplets(truth, scene), _flat(truth))
            for instrument in sorted({fact[0] for fact in facts}, key=lambda id: term(id).order):
                if _hidden(scene, instrument):
                    continue
                own = [fact for fact in facts if fact[0] == instrument]
                # A word that leaves one answer in the list answers itself: the clip applier clips.
                if len(own) == 1 and _choices(scene, instrument) >= 2:
                    id = DOING + instrument
                    text = _about(rendezvous(seed, ONE, scene.key, id), instrument)
                    answer = write_triplets(own, scene)
                    yield n, Question(id, self.name, text, (), answer, _flat(own), (instrument,))
                    yield from ((n, question) for question in self._parts(scene, own[0], seed))
        yield from self._couples(asked, seed)

    def _parts(self, scene: Scene, fact: Triplet, seed: int) -> Iterator[Question]:
        """The action alone and the target alone of one instrument, where the data set's list leaves several."""
        for prefix, pool, part in ((VERB_ID, VERB, 1), (TARGET_ID, TARGET, 2)):
            if _choices(scene, fact[0], part) >= 2:
                id = prefix + fact[0]
                text = _about(rendezvous(seed, pool, scene.key, id), fact[0])
                answer = term(fact[part]).answer_in(scene.says("triplet"))
                yield Question(id, self.name, text, (), answer, (fact[part],), (fact[0],))

    def _couples(
        self, asked: Sequence[tuple[int, Scene, tuple[Triplet, ...]]], seed: int
    ) -> Iterator[tuple[int, Question]]:
        """For each triplet, frames with it and frames where its instrument does another thing, one to one."""
        with_it: dict[Triplet, list[tuple[str, int]]] = defaultdict(list)
        by_instrument: dict[str, list[tuple[str, int, set[Triplet]]]] = defaultdict(list)
        scene_at = {n: scene for n, scene, _ in asked}
        for n, scene, facts in asked:
            shown = {fact for fact in facts if not _hidden(scene_at[n], fact[0])}
            for instrument in {fact[0] for fact in shown}:
                by_instrument[instrument].append((scene.key, n, set(facts)))
            for fact in shown:
                if fact[1] != "verb.null":
                    with_it[fact].append((scene.key, n))
        for fact in sorted(with_it, key=lambda item: (rank_of(item), item)):
            id = YESNO + ".".join(part.partition(".")[2] for part in fact)
            absent = [(key, n) for key, n, own in by_instrument[fact[0]] if fact not in own]
            couples = zip(in_hash_order(seed, with_it[fact], id), in_hash_order(seed, absent, id), strict=False)
            for yes, no in couples:
                scene = scene_at[yes]
                text = _about(rendezvous(seed, ONE_OF, scene.key, id), fact[0], acting(fact, scene.says("triplet")))
                yield yes, Question(id, self.name, text, (), "Yes", ("yes",), fact)
                yield no, Question(id, self.name, text, (), "No", ("no",), fact)

    def subject(self, pair_id: str) -> tuple[str, ...]:
        """Nothing, the instrument, or the triplet that the id names."""
        if pair_id == SET_ID:
            return ()
        found: tuple[str, ...] = ()
        one = next((prefix for prefix in (DOING, VERB_ID, TARGET_ID) if pair_id.startswith(prefix)), "")
        if one:
            found = (pair_id.removeprefix(one),)
        elif pair_id.startswith(YESNO) and pair_id.count(".") == 4:
            parts = pair_id.removeprefix(YESNO).split(".")
            found = (f"instrument.{parts[0]}", f"verb.{parts[1]}", f"anatomy.{parts[2]}")
        known = {item.id for kind in ("instrument", "verb", "anatomy") for item in terms_of(kind)}
        if not found or not set(found) <= known or not found[0].startswith("instrument."):
            raise ValueError(f"'{pair_id}' is no question about triplets")
        return found

    def truth(self, scene: Scene, question: Question) -> tuple[str, ...] | None:
        """The true triplets, one after the other, or yes or no; None where acts are not labelled."""
        facts = triplets(scene)
        if facts is None:
            return None
        if question.id == SET_ID:
            return _flat(whole_set(scene))
        if not question.id.startswith(YESNO):
            own = [fact for fact in facts if fact[0] == question.subject[0]]
            if len(own) != 1:
                return None
            part = _part(question)
            return (own[0][part],) if part else _flat(own)
        if question.subject[0] not in {fact[0] for fact in facts}:
            return None
        return ("yes",) if question.subject in facts else ("no",)

    def parse(self, reply: str, question: Question) -> tuple[str, ...] | None:
        """Triplets one after the other as term ids, or yes or no."""
        if question.id.startswith(YESNO):
            found = parse_yes_no(reply)
            return None if found is None else (found,)
        if part := _part(question):
            one = parse_term(reply, ("instrument", "verb", "anatomy")[part])
            return None if one is None else (one,)
        read = parse_triplets(reply)
        if read is None or (question.id.startswith(DOING) and len(read) != 1):
            return None
        return _flat(read)

    def score(self, reply: str, question: Question) -> float:
        """F1 of the sets of whole triplets, or 1.0 for a right action, target, yes or no."""
        said = self.parse(reply, question)
        if said is None:
            return 0.0
        if question.id.startswith(YESNO) or _part(question):
            return float(said == question.truth)
        return _f1(set(_groups(said)), set(_groups(question.truth)))


def _part(question: Question) -> int:
    """Which part of a triplet is asked for alone: 1 the action, 2 the target, 0 neither."""
    return 1 if question.id.startswith(VERB_ID) else 2 if question.id.startswith(TARGET_ID) else 0


def triplets(scene: Scene) -> tuple[Triplet, ...] | None:
    """All labelled triplets of a frame, idle ones included, in the order of the list; None where acts are not asked."""
    if not scene.has_field or not scene.says("triplet") or "triplet" in scene.disputed:
        return None
    found = [(fact.terms[0], fact.terms[1], fact.terms[2]) for fact in scene.of_kind("triplet")]
    return tuple(sorted(found, key=lambda item: (rank_of(item), item)))


def whole_set(scene: Scene) -> list[Triplet]:
    """The answer to "which triplets": acts without repeats; of EndoVis 2018 the states, idle ones included."""
    facts = triplets(scene) or ()
    states = scene.says("triplet") == "endovis18"
    return list(dict.fromkeys(fact for fact in facts if states or fact[1] != "verb.null"))


def write_triplets(facts: Sequence[Triplet], scene: Scene) -> str:
    """One `instrument, verb, target` a line, in the data set's words; `none` for the empty set."""
    source = scene.says("triplet")
    return "\n".join(", ".join(term(id).answer_in(source) for id in fact) for fact in facts) or NONE


def parse_triplets(answer: str) -> list[Triplet] | None:
    """The triplets of an answer, one a line; None where a line is none or stands there twice."""
    text = fold(answer)
    if not text:
        return None
    if text == NONE:
        return []
    lines = text.split("\n")
    if len(lines) > MOST_LINES:
        return None
    found: list[Triplet] = []
    for line in lines:
        cells = [cell.strip() for cell in line.strip().removesuffix(".").split(",")]
        if len(cells) != 3:
            return None
        ids = [spellings(kind).get(cell) for kind, cell in zip(("instrument", "verb", "anatomy"), cells, strict=True)]
        instrument, verb, target = ids
        if instrument is None or verb is None or target is None or (instrument, verb, target) in found:
            return None
        found.append((instrument, verb, target))
    return sorted(found, key=lambda item: (rank_of(item), item))


def by_parts(said: Sequence[str], truth: Sequence[str]) -> tuple[float, float, float]:
    """F1 of the sets of instruments, of verbs and of targets, from flat triplets."""
    one, other = _groups(said), _groups(truth)
    scores = [_f1({item[n] for item in one}, {item[n] for item in other}) for n in range(3)]
    return scores[0], scores[1], scores[2]


def _f1(said: set[Triplet] | set[str], truth: set[Triplet] | set[str]) -> float:
    if not said and not truth:
        return 1.0
    return 2 * len(set(said) & set(truth)) / (len(said) + len(truth))


def _flat(facts: Sequence[Triplet]) -> tuple[str, ...]:
    return tuple(id for fact in facts for id in fact)


def _groups(flat: Sequence[str]) -> list[Triplet]:
    return [(flat[n], flat[n + 1], flat[n + 2]) for n in range(0, len(flat) - 2, 3)]


def _choices(scene: Scene, instrument: str, part: int = 0) -> int:
    """How many answers the data set's list leaves for an instrument: triplets, or verbs (1) or targets (2) alone."""
    if scene.says("triplet") == "endovis18":
        # There is one target, the kidney.
        return 1 if part == 2 else len(vocabulary("endovis18", "verb"))
    if instrument not in alias("cholect50", "instrument").values():
        return 0
    own = [item for item in legal_triplets() if item[0] == instrument]
    return len({item[part] for item in own}) if part else len(own)


def _hidden(scene: Scene, instrument: str) -> bool:
    """Whether an instrument has no box and another source says that it is not in view: nobody could see what it does."""
    if scene.says("instrument") != "cholec80" or instrument in scene.terms("instrument"):
        return False
    boxed = [f for f in scene.facts if f.kind in ("triplet", "boxed_triplet") and f.terms[0] == instrument and f.box]
    return not boxed


def _about(wording: str, instrument: str, act: str = "") -> str:
    """The wording with its instrument, and with words that agree with it."""
    item = term(instrument)
    many = item.number == "plural"
    is_, does, its = ("are", "do", "their") if many else ("is", "does", "its")
    slots = {"the": f"the {item.name}", "is": is_, "Is": is_.capitalize(), "does": does, "its": its, "act": act}
    return wording.format_map(slots)


TRIPLET = TripletTask()
