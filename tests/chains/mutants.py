"""Errors planted in chains that are otherwise right: one function per kind of `examples/chains.md` that applies.

Each takes a right pair, its scene and a number to draw from, and returns the wrong pair with its scene, or None where the
kind does not apply. Nothing here is taken from the checks.
"""

from collections.abc import Callable

from cotgen.ontology import term, vocabulary
from cotgen.records import Measured, Pair, Scene, Statement

Mutant = tuple[Pair, Scene]
Planter = Callable[[Pair, Scene, int], Mutant | None]
KINDS: dict[str, Planter] = {}
INSTRUMENTS = [item.id for item in vocabulary("cholec80", "instrument")]
PHASES = [item.id for item in vocabulary("cholec80", "phase")]


def kind(function: Planter) -> Planter:
    KINDS[function.__name__] = function
    return function


def changed(pair: Pair, statements: list[Statement], **other: object) -> Pair:
    return pair.model_copy(update={"statements": statements, **other})


def with_sentence(pair: Pair, level: int, text: str, *, first: bool = False, **kw: object) -> Pair:
    """The chain with one more sentence at the end (or the start) of a level, resting on its first statement."""
    extra = Statement(
        level=level, text=text, basis=kw.get("basis", "follows"), evidence=kw.get("evidence", ["statement:0"])
    )  # type: ignore[arg-type]
    before = [s for s in pair.statements if s.level < level or (s.level == level and not first)]
    return changed(pair, [*before, extra, *pair.statements[len(before):]])  # fmt: skip


def with_text(pair: Pair, n: int, text: str) -> Pair:
    statements = list(pair.statements)
    statements[n] = statements[n].model_copy(update={"text": text})
    return changed(pair, statements)


def one_of(items: list[str], n: int) -> str:
    return items[n % len(items)]


def present(scene: Scene) -> list[str]:
    return list(scene.terms("instrument"))


def absent(scene: Scene) -> list[str]:
    return [id for id in INSTRUMENTS if id not in scene.terms("instrument")]


def phrase(id: str, n: int = 0) -> str:
    text = term(id).phrase
    return text[0].upper() + text[1:] if n else text


def be(id: str) -> str:
    return "are" if term(id).number == "plural" else "is"


@kind
def instrument_not_in_facts(pair: Pair, scene: Scene, n: int) -> Mutant | None:
    id = one_of(absent(scene), n)
    a = phrase(id)
    texts = [f"{phrase(id, 1)} {be(id)} in view.", f"The view shows {a}.", f"In the field there {be(id)} {a}.",
             f"{phrase(id, 1)} {be(id)} at work.", f"{phrase(id, 1)} can be seen as well."]  # fmt: skip
    return with_sentence(pair, 1, one_of(texts, n // 7)), scene


@kind
def instrument_exchanged(pair: Pair, scene: Scene, n: int) -> Mutant | None:
    for i, statement in enumerate(pair.statements):
        for id in present(scene):
            name = term(id).name
            if statement.level == 1 and statement.basis == "label" and name in statement.text:
                other = term(one_of(absent(scene), n)).name
                return with_text(pair, i, statement.text.replace(name, other)), scene
    return None


@kind
def act_that_no_label_holds(pair: Pair, scene: Scene, n: int) -> Mutant | None:
    texts = ["The hook dissects the cystic artery.", "The grasper retracts the gallbladder.", "The hook is dissecting.",
             "The scissors are cutting the cystic duct.", "It is coagulating the liver bed.",
             "The clip applier is placing a clip on the cystic duct.", "The irrigator aspirates fluid here.",
             "The grasper keeps the gallbladder on traction."]  # fmt: skip
    return with_sentence(pair, 2, one_of(texts, n)), scene


@kind
def level_not_monotone(pair: Pair, scene: Scene, n: int) -> Mutant | None:
    texts = [
        "The scissors divide the duct.",
        "The clip applier is at work here.",
        "The bipolar forceps are in use here.",
    ]
    names = {"scissors": "instrument.scissors", "clip": "instrument.clipper", "bipolar": "instrument.bipolar"}
    text = one_of(texts, n)
    return (
        None
        if any(k in text and v in present(scene) for k, v in names.items())
        else (with_sentence(pair, 2, text), scene)
    )


@kind
def level_1_forgets_one(pair: Pair, scene: Scene, n: int) -> Mutant | None:
    """Level 3 names two instruments, level 1 only one of them."""
    ids = present(scene)
    if pair.task not in ("tool_presence", "tool_count") or len(ids) < 2:
        return None
    keep, drop = ids[n % 2], ids[1 - n % 2]
    if not any(term(drop).name in s.text for s in pair.statements if s.level == 3 and s.basis == "follows"):
        return None
    rest = [s for s in pair.statements if s.level > 1]
    fact = next(f for f in scene.facts if f.terms[0] == keep)
    first = Statement(
        level=1, text=f"{phrase(keep, 1)} {be(keep)} in view.", basis="label", evidence=[f"fact:{fact.id}"]
    )
    return changed(pair, [first, *rest]), scene


@kind
def leak_phrase(pair: Pair, scene: Scene, n: int) -> Mutant | None:
    i = n % len(pair.statements)
    text = pair.statements[i].text
    low = text[0].lower() + text[1:]
    texts = [f"According to the annotation, {low}", f"As given in the prompt, {low}", f"{text[:-1]}, as labelled.",
             f"The ground truth says that {low}", f"Since the answer is known, {low}", f"In Cholec80, {low}",
             f"The label shows that {low}", f"We are told that {low}", f"In frame 1275, {low}"]  # fmt: skip
    return with_text(pair, i, one_of(texts, n // 5)), scene


@kind
def wrong_answer(pair: Pair, scene: Scene, n: int) -> Mutant | None:
    if pair.task == "phase":
        right = scene.terms("phase")[0]
        answer = term(one_of([p for p in PHASES if p != right], n)).answer
    elif pair.task in ("tool_yesno", "field_visible"):
        answer = "No" if pair.answer == "Yes" else "Yes"
    elif pair.task == "tool_count":
        answer = str((int(pair.answer) + 1 + n % 3) % 7)
    else:
        answer = one_of(["grasper\nscissors\nclipper", "bipolar", "none", "hook\nirrigator"], n)
        if answer.split("\n") == pair.answer.split("\n"):
            return None
    return pair.model_copy(update={"answer": answer}), scene


@kind
def incomplete_set(pair: Pair, scene: Scene, n: int) -> Mutant | None:
    lines = pair.answer.split("\n")
    if pair.task != "tool_presence" or len(lines) < 2:
        return None
    return pair.model_copy(update={"answer": "\n".join(x for i, x in enumerate(lines) if i != n % len(lines))}), scene


@kind
def future(pair: Pair, scene: Scene, n: int) -> Mutant | None:
    i = n % len(pair.statements)
    tail = [", which will then be divided.", ", soon to be cut.", ", and the next step is the cut.",
            ", which is about to be closed.", ", and clips are going to follow.", ", and later the bag."]  # fmt: skip
    return with_text(pair, i, pair.statements[i].text[:-1] + one_of(tail, n // 3)), scene


@kind
def hidden_past_or_future(pair: Pair, scene: Scene, n: int) -> Mutant | None:
    texts = ["The dissection still goes on here.", "The duct is not yet in view.", "The work continues here.",
             "The field has already been cleared.", "The gallbladder remains to be removed.",
             "The cut has just begun."]  # fmt: skip
    return with_sentence(pair, 1 + n % 3, one_of(texts, n)), scene


@kind
def act_told_as_done(pair: Pair, scene: Scene, n: int) -> Mutant | None:
    texts = ["The scissors have cut the duct.", "The clipped duct is in view.", "The gallbladder has been freed.",
             "The artery was divided.", "The triangle has been opened.", "The detached gallbladder is in view."]  # fmt: skip
    return with_sentence(pair, 1 + n % 3, one_of(texts, n)), scene


@kind
def colour_without_a_measurement(pair: Pair, scene: Scene, n: int) -> Mutant | None:
    texts = ["A bluish cystic duct is in view.", "The instrument is shiny.", "The tissue is dark red here.",
             "The picture is blurred.", "There is smoke in the field.", "A metallic tip is in view.",
             "The view is bloody.", "What is seen has a yellow colour."]  # fmt: skip
    return with_sentence(pair, 1, one_of(texts, n)), scene


@kind
def phase_and_verb_confused(pair: Pair, scene: Scene, n: int) -> Mutant | None:
    texts = [
        "This is the retraction phase.",
        "So this is gallbladder retraction.",
        "The phase of retraction is shown.",
    ]
    return with_sentence(pair, 3, one_of(texts, n)), scene


@kind
def labelled_fact_denied(pair: Pair, scene: Scene, n: int) -> Mutant | None:
    ids = present(scene)
    if not ids:
        return None
    id = one_of(ids, n)
    name = term(id).name
    texts = [f"No {name} {be(id)} in view.", f"{phrase(id, 1)} {be(id)} not in view.", f"There {be(id)} no {name} in view.",
             f"The view is without {phrase(id)}.", "No instrument is in view.", f"The {name} {be(id)} absent."]  # fmt: skip
    return with_sentence(pair, 1 + n % 3, one_of(texts, n // 3)), scene


@kind
def unlabelled_thing_denied(pair: Pair, scene: Scene, n: int) -> Mutant | None:
    texts = ["No bleeding is seen.", "No bile duct is in view.", "There is no smoke.", "No clip is in view.",
             "The liver is not in view.", "No stone can be seen.", "The view holds no suture."]  # fmt: skip
    return with_sentence(pair, 1 + n % 2, one_of(texts, n)), scene


@kind
def grasper_denied(pair: Pair, scene: Scene, n: int) -> Mutant | None:
    """It is often there without a label, so its absence is never claimed."""
    if "instrument.grasper" in present(scene):
        return None
    return with_sentence(pair, 1, one_of(["No grasper is in view.", "A grasper is not in view."], n)), scene


@kind
def denied_then_acting(pair: Pair, scene: Scene, n: int) -> Mutant | None:
    id = one_of([i for i in absent(scene) if i != "instrument.grasper"], n)
    name = term(id).name
    mutant = with_sentence(pair, 1, f"No {name} {be(id)} in view.")
    return with_sentence(
        mutant, 2, one_of([f"The {name} {be(id)} at work.", f"The {name} {be(id)} in use here."], n // 5)
    ), scene


@kind
def completeness(pair: Pair, scene: Scene, n: int) -> Mutant | None:
    ids = present(scene)
    if not ids:
        return None
    a = phrase(ids[0])
    texts = [f"Only {a} {be(ids[0])} in view.", f"{phrase(ids[0], 1)} {be(ids[0])} the sole instrument.",
             "No other instrument is in view.", "Nothing else is in view.", "These are all the instruments in view.",
             f"{phrase(ids[0], 1)} {be(ids[0])} alone in the view here."]  # fmt: skip
    return with_sentence(pair, 1, one_of(texts, n)), scene


@kind
def kinds_counted_as_instances(pair: Pair, scene: Scene, n: int) -> Mutant | None:
    texts = ["Two instruments are visible.", "Three tools are in view.", "Two graspers are in view.",
             "A second grasper is in view.", "Both instruments are in view.",
             "There is one instrument in view."]  # fmt: skip
    return with_sentence(pair, 1 + 2 * (n % 2), one_of(texts, n // 2)), scene


@kind
def wrong_number_of_kinds(pair: Pair, scene: Scene, n: int) -> Mutant | None:
    right = len([i for i in present(scene) if i != "instrument.specimen_bag"])
    words = [w for k, w in enumerate(["no", "one", "two", "three", "four", "five"]) if k != right]
    return with_sentence(pair, 3, f"That makes {one_of(words, n)} kinds."), scene


@kind
def relation_not_measured(pair: Pair, scene: Scene, n: int) -> Mutant | None:
    ids = present(scene)
    if not ids:
        return None
    name = term(ids[0]).name
    texts = [f"The {name} {be(ids[0])} in view beside the liver.", f"The {name} {be(ids[0])} behind the hook.",
             f"The {name} {be(ids[0])} between two folds.", f"The {name} touches the tissue.",
             f"The {name} {be(ids[0])} close to the tissue.", f"The {name} {be(ids[0])} above the rest."]  # fmt: skip
    return with_sentence(pair, 1 + n % 2, one_of(texts, n // 2)), scene


@kind
def entry_direction(pair: Pair, scene: Scene, n: int) -> Mutant | None:
    texts = ["An instrument enters from the right.", "It comes in from the left.", "The shaft is inserted through the port.",
             "The instrument is withdrawn.", "The tip approaches the tissue.", "It reaches into the field."]  # fmt: skip
    return with_sentence(pair, 1 + n % 2, one_of(texts, n)), scene


@kind
def position_without_a_box(pair: Pair, scene: Scene, n: int) -> Mutant | None:
    ids = present(scene)
    if not ids:
        return None
    where = ["in the upper left", "on the right", "in the centre of the picture", "in the lower part of the field",
             "at the left edge", "in the middle", "in the top corner"]  # fmt: skip
    return with_sentence(pair, 1, f"{phrase(ids[0], 1)} lies {one_of(where, n)}."), scene


@kind
def purpose(pair: Pair, scene: Scene, n: int) -> Mutant | None:
    texts = ["The tissue is held to expose the triangle.", "It is there in order to keep clear of the bile duct.",
             "This is so that the field is seen.", "It is used here to protect the duct.",
             "The tip is turned to gain access.", "It is aimed at the vessel."]  # fmt: skip
    return with_sentence(pair, 2, one_of(texts, n)), scene


@kind
def judgement(pair: Pair, scene: Scene, n: int) -> Mutant | None:
    i = n % len(pair.statements)
    tail = [", which is safe.", " with adequate exposure.", " with good traction.", ", handled carefully.",
            ", in proper order.", ", and the view is excellent."]  # fmt: skip
    return with_text(pair, i, pair.statements[i].text[:-1] + one_of(tail, n // 3)), scene


@kind
def operator(pair: Pair, scene: Scene, n: int) -> Mutant | None:
    texts = ["It is in the surgeon's left hand.", "The assistant is at work here.", "The operator is in control.",
             "The right hand is at work.", "We see this here.", "The patient lies here."]  # fmt: skip
    return with_sentence(pair, 1 + n % 3, one_of(texts, n)), scene


@kind
def part_not_labelled(pair: Pair, scene: Scene, n: int) -> Mutant | None:
    texts = ["The infundibulum is in view.", "The fundus is in view.", "Hartmann's pouch is in view.",
             "The neck of the gallbladder can be seen."]  # fmt: skip
    return with_sentence(pair, 1 + n % 2, one_of(texts, n)), scene


@kind
def synonym_that_changes_the_act(pair: Pair, scene: Scene, n: int) -> Mutant | None:
    texts = ["The hook cauterises here.", "The hook burns the tissue.", "The forceps seal the tissue here.",
             "The hook is dividing the tissue.", "The tube aspirates blood.", "The clip applier is ligating.",
             "The grasper lifts the organ here."]  # fmt: skip
    return with_sentence(pair, 2, one_of(texts, n)), scene


@kind
def reversed_conditional(pair: Pair, scene: Scene, n: int) -> Mutant | None:
    if pair.task != "phase":
        return None
    right = term(scene.terms("phase")[0])
    name = right.names[-1].removeprefix("the ")
    seen = phrase(present(scene)[0]) if present(scene) else "no instrument"
    texts = [f"Half of all {name} views show {seen}, so this is {right.name}.",
             f"In {name} a view often holds {seen}, so this is {right.name}.",
             f"Most views of {name} show {seen}, therefore this is {right.name}."]  # fmt: skip
    return with_sentence(pair, 3, one_of(texts, n)), scene


@kind
def conclusion_stronger_than_support(pair: Pair, scene: Scene, n: int) -> Mutant | None:
    if pair.task != "phase" or pair.support not in ("weak", "asserted"):
        return None
    name = term(scene.terms("phase")[0]).name
    texts = [f"So this is {name}.", f"This must be {name}.", f"Therefore {name} is the phase.", f"This means {name}.",
             f"Clearly, {name} is shown."]  # fmt: skip
    if pair.support == "asserted":
        texts += [f"{name[0].upper()}{name[1:]} fits best.", f"Most likely, this is {name}."]
    kept = [s for s in pair.statements if f"fact:{scene.of_kind('phase')[0].id}" not in s.evidence]
    return with_sentence(changed(pair, kept), 3, one_of(texts, n)), scene


@kind
def one_instrument_means_a_phase(pair: Pair, scene: Scene, n: int) -> Mutant | None:
    if pair.task != "phase" or pair.support == "strong" or not present(scene):
        return None
    texts = [f"{phrase(present(scene)[0], 1)} alone means {term(scene.terms('phase')[0]).name}.",
             f"{phrase(present(scene)[0], 1)} proves {term(scene.terms('phase')[0]).name}."]  # fmt: skip
    return with_sentence(pair, 3, one_of(texts, n)), scene


@kind
def answer_before_level_3(pair: Pair, scene: Scene, n: int) -> Mutant | None:
    if pair.task != "phase":
        return None
    name = term(scene.terms("phase")[0]).name
    texts = [f"This is {name}.", f"Such instruments belong to {name}.", f"The view belongs to {name}."]
    return with_sentence(pair, 1 + n % 2, one_of(texts, n // 2)), scene


@kind
def wrong_phase_claimed(pair: Pair, scene: Scene, n: int) -> Mutant | None:
    wrong = term(one_of([p for p in PHASES if p not in scene.terms("phase")], n))
    texts = [f"This view belongs to {wrong.name}.", f"The phase shown is {wrong.name}.", f"This is {wrong.name}."]
    return with_sentence(pair, 3, one_of(texts, n // 6)), scene


@kind
def claim_about_the_frame_as_knowledge(pair: Pair, scene: Scene, n: int) -> Mutant | None:
    texts = ["Clips usually close a duct here, as in this view.", "A hook often dissects, as it does here.",
             "Graspers hold tissue, and this one does."]  # fmt: skip
    refs = {"basis": "knowledge", "evidence": ["knowledge:function.grasper"]}
    return with_sentence(pair, 2, one_of(texts, n), **refs), scene


@kind
def thing_told_as_visual(pair: Pair, scene: Scene, n: int) -> Mutant | None:
    texts = ["A clip is visible on the duct.", "A suture is in view.", "A gauze is seen here.", "Blood is visible."]
    return with_sentence(pair, 1, one_of(texts, n), basis="visual", evidence=["statement:0"]), scene


@kind
def another_procedure(pair: Pair, scene: Scene, n: int) -> Mutant | None:
    texts = ["The gastric pouch is made first in a bypass.", "The jejunum is often closed with staples.",
             "In nephrectomy the kidney is often freed first.", "The prostate is often at the centre.",
             "An anastomosis is often tested."]  # fmt: skip
    return with_sentence(pair, 2 + n % 2, one_of(texts, n)), scene


@kind
def claim_on_a_black_picture(pair: Pair, scene: Scene, n: int) -> Mutant | None:
    if not present(scene):
        return None
    dark = (Measured(name="brightness", value=0.3), Measured(name="black", value=1.0))
    black = Scene(scene.key, scene.surgery, scene.index, scene.labelled, scene.facts, dark, scene.procedure)
    return pair, black


@kind
def number_in_the_text(pair: Pair, scene: Scene, n: int) -> Mutant | None:
    texts = [
        "In 95 % of operations this is so.",
        "A hook is met here in 3 of 4 cases.",
        "Often, by 59 percent, it is so.",
    ]
    return with_sentence(pair, 3, one_of(texts, n)), scene


@kind
def other_language_or_markup(pair: Pair, scene: Scene, n: int) -> Mutant | None:
    texts = ["**A hook** is in view.", "视野中有器械。", "# Level", "`hook` is in view."]
    return with_sentence(pair, 1, one_of(texts, n)), scene


@kind
def frequency_word_exchanged(pair: Pair, scene: Scene, n: int) -> Mutant | None:
    words = ["almost always", "typically", "often", "sometimes", "rarely"]
    for i, statement in enumerate(pair.statements):
        used = [
            w
            for w in words
            if statement.basis == "prior" and f" {w} " in statement.text and "instrument" not in statement.text
        ]
        if used and "rarely" not in used:
            other = one_of([w for w in words if w not in statement.text], n)
            return with_text(pair, i, statement.text.replace(f" {used[0]} ", f" {other} ", 1)), scene
    return None


@kind
def basis_upgraded(pair: Pair, scene: Scene, n: int) -> Mutant | None:
    weaker = [i for i, s in enumerate(pair.statements) if s.basis != "label"]
    if not weaker:
        return None
    statements = list(pair.statements)
    i = weaker[n % len(weaker)]
    statements[i] = statements[i].model_copy(update={"basis": "label"})
    return changed(pair, statements), scene


@kind
def evidence_that_does_not_resolve(pair: Pair, scene: Scene, n: int) -> Mutant | None:
    wrong = ["fact:cholec80.instrument.9", "knowledge:function.laser", "statement:9", "box:0", "prior:phase|instrument=x>y",
             "none:cholect50.triplet", "pixel:brightness=12.0"]  # fmt: skip
    statements = list(pair.statements)
    i = n % len(statements)
    statements[i] = statements[i].model_copy(update={"evidence": [*statements[i].evidence, one_of(wrong, n // 4)]})
    return changed(pair, statements), scene


@kind
def fact_not_cited(pair: Pair, scene: Scene, n: int) -> Mutant | None:
    for i, statement in enumerate(pair.statements):
        facts = [e for e in statement.evidence if e.startswith("fact:cholec80.instrument")]
        if statement.basis == "label" and statement.level == 1 and len(facts) >= 2:
            statements = list(pair.statements)
            kept = [e for e in statement.evidence if e != facts[n % len(facts)]]
            statements[i] = statement.model_copy(update={"evidence": kept})
            return changed(pair, statements), scene
    return None


@kind
def level_missing(pair: Pair, scene: Scene, n: int) -> Mutant | None:
    return changed(pair, [s for s in pair.statements if s.level != 1 + n % 3]), scene


@kind
def support_overstated(pair: Pair, scene: Scene, n: int) -> Mutant | None:
    order = ["entailed", "strong", "weak", "asserted"]
    better = order[: order.index(pair.support)]
    return (pair.model_copy(update={"support": one_of(better, n)}), scene) if better else None
