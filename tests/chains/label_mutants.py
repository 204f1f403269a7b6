"""Errors planted in chains about triplets, boxes, structures, steps, actions and the critical view of safety.

As `mutants.py`, for the kinds of `examples/chains.md` that need more than presence: each function takes a right pair, its
scene and a number to draw from, and returns the wrong pair with its scene, or None where the kind does not apply. Nothing
here is taken from the checks.
"""

import re

from cotgen.ontology import term, terms_of, vocabulary
from cotgen.records import Fact, Measured, Pair, Scene
from tests.chains.mutants import Mutant, Planter, be, changed, one_of, with_sentence, with_text

LABEL_KINDS: dict[str, Planter] = {}
#: One plain sentence per verb, and whether it takes a target.
SAID = {
    "verb.grasp": "{The} {is} grasping {t}.", "verb.retract": "{The} {is} retracting {t}.",
    "verb.dissect": "{The} {is} dissecting at {t}.", "verb.coagulate": "{The} {is} coagulating {t}.",
    "verb.clip": "{The} {is} placing a clip on {t}.", "verb.cut": "{The} {is} cutting {t}.",
    "verb.aspirate": "{The} {is} aspirating {t}.", "verb.irrigate": "{The} {is} irrigating {t}.",
    "verb.null": "{The} {is} idle.",
}  # fmt: skip
STATES = {
    "verb.manipulate_tissue": "handling tissue", "verb.cut": "cutting", "verb.suture": "suturing", "verb.loop": "looping",
    "verb.staple": "stapling at the kidney", "verb.suction": "applying suction", "verb.cauterise": "cauterising",
    "verb.null": "idle", "verb.retract": "retracting", "verb.sense": "scanning with ultrasound",
}  # fmt: skip
TARGETS = ["anatomy.gallbladder", "anatomy.cystic_duct", "anatomy.cystic_artery", "anatomy.liver", "anatomy.omentum",
           "anatomy.cystic_plate", "anatomy.gut"]  # fmt: skip
OPPOSITE = {"left": "right", "right": "left", "upper": "lower", "lower": "upper", "above": "below", "below": "above"}
PLACE = re.compile(
    r"(?:in the (?:upper|lower)(?: left| right)?(?: part)?|on the (?:left|right)|near the centre)(?: of the field)?"
)


def label_kind(function: Planter) -> Planter:
    LABEL_KINDS[function.__name__] = function
    return function


def triplets(scene: Scene) -> list[Fact]:
    return list(scene.of_kind("triplet"))


def instruments(scene: Scene) -> list[str]:
    return list(dict.fromkeys([*scene.terms("instrument"), *(f.terms[0] for f in triplets(scene))]))


def the(id: str) -> str:
    return f"The {term(id).name}"


def said(instrument: str, verb: str, target: str) -> str:
    aim = "fluid" if target == "anatomy.fluid" else f"the {term(target).name}"
    return SAID[verb].format(The=the(instrument), t=aim, **{"is": be(instrument)})


def of_acts(scene: Scene) -> bool:
    return scene.says("triplet") == "cholect50" and bool(triplets(scene))


def at(level: int, pair: Pair) -> list[int]:
    return [n for n, s in enumerate(pair.statements) if s.level == level]


def replaced(pair: Pair, scene: Scene, pattern: str, new, level: int | None = None) -> Mutant | None:  # type: ignore[no-untyped-def]
    """The first sentence in which `pattern` is found, with the match replaced."""
    for n, statement in enumerate(pair.statements):
        if level in (None, statement.level) and re.search(pattern, statement.text):
            text = re.sub(pattern, new, statement.text, count=1)
            return (with_text(pair, n, text), scene) if text != statement.text else None
    return None


@label_kind
def target_not_in_facts(pair: Pair, scene: Scene, n: int) -> Mutant | None:
    acting = [f for f in triplets(scene) if f.terms[1] in SAID and f.terms[1] != "verb.null"]
    if not of_acts(scene) or not acting:
        return None
    own = acting[n % len(acting)]
    true = {f.terms[2] for f in triplets(scene) if f.terms[:2] == own.terms[:2]}
    other = one_of([t for t in TARGETS if t not in true], n // 3)
    return with_sentence(pair, 2, said(own.terms[0], own.terms[1], other)), scene


@label_kind
def verb_not_in_facts(pair: Pair, scene: Scene, n: int) -> Mutant | None:
    if not of_acts(scene):
        return None
    own = triplets(scene)[n % len(triplets(scene))]
    true = {f.terms[1] for f in triplets(scene) if f.terms[0] == own.terms[0]}
    verb = one_of([v for v in SAID if v not in true and v != "verb.null"], n // 3)
    target = own.terms[2] if own.terms[2] != "anatomy.null" else "anatomy.liver"
    return with_sentence(pair, 2, said(own.terms[0], verb, target)), scene


@label_kind
def pairing_exchanged(pair: Pair, scene: Scene, n: int) -> Mutant | None:
    """Verbs and targets are all labelled, and each is another instrument's."""
    acting = [f.terms for f in triplets(scene) if f.terms[1] in SAID and f.terms[1] != "verb.null"]
    wrong = [
        (a[0], *b[1:]) for a in acting for b in acting if a[0] != b[0] and [a[0], *b[1:]] not in acting
    ]  # fmt: skip
    if not of_acts(scene) or not wrong:
        return None
    return with_sentence(pair, 2, said(*wrong[n % len(wrong)])), scene


@label_kind
def act_in_an_accepted_paraphrase_by_another(pair: Pair, scene: Scene, n: int) -> Mutant | None:
    texts = ["has hold of the gallbladder", "keeps the gallbladder on traction", "is setting a clip on the cystic duct",
             "holds the liver aside", "works in dissection at the cystic artery"]  # fmt: skip
    verbs = ["verb.grasp", "verb.retract", "verb.clip", "verb.retract", "verb.dissect"]
    k = n % len(texts)
    ids = [f.terms[0] for f in triplets(scene) if term(f.terms[0]).number == "singular"]
    wrong = [id for id in ids if not any(f.terms[0] == id and f.terms[1] == verbs[k] for f in triplets(scene))]
    if not of_acts(scene) or not wrong:
        return None
    return with_sentence(pair, 2, f"{the(wrong[0])} {texts[k]}."), scene


@label_kind
def roles_of_two_exchanged(pair: Pair, scene: Scene, n: int) -> Mutant | None:
    """The upper one does what the lower one does."""
    twins = [(a, b) for a in triplets(scene) for b in triplets(scene)
             if a.id < b.id and a.terms[0] == b.terms[0] and a.terms[1:] != b.terms[1:]]  # fmt: skip
    if not twins or ("upper" not in str(pair.statements) and "left" not in str(pair.statements)):
        return None
    pattern = rf"\b(upper|lower|left|right)(?= {term(twins[0][0].terms[0]).name}\b)"
    for k in at(2, pair):
        if pair.statements[k].basis == "label" and re.search(pattern, pair.statements[k].text):
            text = re.sub(pattern, lambda m: OPPOSITE[m[1]], pair.statements[k].text, count=1)
            return with_text(pair, k, text), scene
    return None


@label_kind
def synonym_that_changes_an_act(pair: Pair, scene: Scene, n: int) -> Mutant | None:
    if not of_acts(scene):
        return None
    words = {"verb.retract": ["lifts", "pulls up", "exposes"], "verb.dissect": ["burns", "strips", "frees"],
             "verb.coagulate": ["seals", "burns"], "verb.clip": ["ligates", "secures"], "verb.cut": ["transects"],
             "verb.grasp": ["pinches", "lifts"]}  # fmt: skip
    acting = [f.terms for f in triplets(scene) if f.terms[1] in words]
    if not acting:
        return None
    a, verb, target = acting[n % len(acting)]
    return with_sentence(pair, 2, f"{the(a)} {one_of(words[verb], n)} the {term(target).name}."), scene


@label_kind
def duct_or_artery_dissected(pair: Pair, scene: Scene, n: int) -> Mutant | None:
    own = [f for f in triplets(scene) if f.terms[1] == "verb.dissect" and f.terms[2].endswith(("duct", "artery"))]
    if not own:
        return None
    a, _, target = own[0].terms
    return with_sentence(pair, 2, f"{the(a)} {be(a)} dissecting the {term(target).name}."), scene


@label_kind
def act_of_a_triplet_told_as_done(pair: Pair, scene: Scene, n: int) -> Mutant | None:
    texts = ["The {i} has cut the {t}.", "The {t} has been clipped.", "The divided {t} is in view.",
             "The {t} was cut by the {i}.", "The {i} has freed the {t}."]  # fmt: skip
    if not of_acts(scene) or triplets(scene)[0].terms[2] == "anatomy.null":
        return None
    a, _, target = triplets(scene)[0].terms
    return with_sentence(pair, 2, one_of(texts, n).format(i=term(a).name, t=term(target).name)), scene


@label_kind
def part_of_a_target(pair: Pair, scene: Scene, n: int) -> Mutant | None:
    if not of_acts(scene):
        return None
    a = triplets(scene)[0].terms[0]
    part = one_of(["infundibulum", "fundus", "neck of the gallbladder"], n)
    return with_sentence(pair, 2, f"{the(a)} {be(a)} retracting the {part}."), scene


@label_kind
def negated_act(pair: Pair, scene: Scene, n: int) -> Mutant | None:
    if not triplets(scene):
        return None
    a = triplets(scene)[0].terms[0]
    texts = [f"{the(a)} {be(a)} not cutting.", f"{the(a)} {be(a)} not retracting the liver.", "Nothing is being cut."]
    return with_sentence(pair, 2, one_of(texts[:2], n)), scene


@label_kind
def at_work_told_as_in_view(pair: Pair, scene: Scene, n: int) -> Mutant | None:
    hidden = {f.terms[0] for f in triplets(scene) if not f.box and f.terms[1] != "verb.null"}
    hidden -= {f.terms[0] for f in triplets(scene) if f.box or f.terms[1] == "verb.null"}
    hidden -= set(scene.terms("instrument"))
    if not hidden:
        return None
    id = sorted(hidden)[0]
    phrase = term(id).phrase
    texts = [f"{phrase} {be(id)} in view.", f"The view shows {phrase}.", f"{phrase} can be seen.",
             f"There {be(id)} {phrase} in view."]  # fmt: skip
    text = one_of(texts, n)
    return with_sentence(pair, 1, text[0].upper() + text[1:]), scene


@label_kind
def idle_told_as_at_work(pair: Pair, scene: Scene, n: int) -> Mutant | None:
    idle = {f.terms[0] for f in triplets(scene) if f.terms[1] == "verb.null"}
    idle -= {f.terms[0] for f in triplets(scene) if f.terms[1] != "verb.null"}
    if not idle:
        return None
    id = sorted(idle)[0]
    return with_sentence(pair, 1, f"{term(id).phrase[0].upper()}{term(id).phrase[1:]} {be(id)} at work."), scene


@label_kind
def state_exchanged(pair: Pair, scene: Scene, n: int) -> Mutant | None:
    if scene.says("triplet") != "endovis18":
        return None
    own = triplets(scene)[n % len(triplets(scene))]
    states = [
        s for v, s in STATES.items() if v not in {f.terms[1] for f in triplets(scene) if f.terms[0] == own.terms[0]}
    ]
    return with_sentence(pair, 2, f"{the(own.terms[0])} {be(own.terms[0])} {one_of(states, n)}."), scene


@label_kind
def organ_that_is_not_labelled(pair: Pair, scene: Scene, n: int) -> Mutant | None:
    if scene.says("triplet") != "endovis18":
        return None
    a = triplets(scene)[0].terms[0]
    texts = [
        f"{the(a)} {be(a)} at work at the liver.",
        "The renal vein is in view.",
        f"{the(a)} {be(a)} cutting the bowel.",
    ]
    return with_sentence(pair, 2, one_of(texts, n)), scene


@label_kind
def boxes_swapped(pair: Pair, scene: Scene, n: int) -> Mutant | None:
    text = " ".join(s.text for s in pair.statements)
    if not {"<bbox:0>", "<bbox:1>"} <= set(re.findall(r"<bbox:\d>", text)):
        return None
    owners = [{f.terms[0] for f in scene.facts if f.box == pair.boxes[k]} for k in (0, 1)]
    if owners[0] & owners[1]:
        return None
    swap = {"<bbox:0>": "<bbox:1>", "<bbox:1>": "<bbox:0>"}
    statements = [
        s.model_copy(update={"text": re.sub(r"<bbox:[01]>", lambda m: swap[m[0]], s.text)}) for s in pair.statements
    ]
    return changed(pair, statements), scene


@label_kind
def boxes_of_twins_swapped(pair: Pair, scene: Scene, n: int) -> Mutant | None:
    """Two of one kind whose boxes are exchanged, so that each is told to be where the other is."""
    for k, statement in enumerate(pair.statements):
        match = re.search(r"one (.+?) <bbox:(\d)>, the other (.+?) <bbox:(\d)>", statement.text)
        if match and match[1] != match[3]:
            swap = {match[2]: match[4], match[4]: match[2]}
            return with_text(
                pair, k, re.sub(r"<bbox:(\d)>", lambda m, swap=swap: f"<bbox:{swap[m[1]]}>", statement.text)
            ), scene
    return None


@label_kind
def box_that_does_not_exist(pair: Pair, scene: Scene, n: int) -> Mutant | None:
    return replaced(pair, scene, r"<bbox:\d+>", f"<bbox:{len(pair.boxes) + n % 3}>")


@label_kind
def position_wrong(pair: Pair, scene: Scene, n: int) -> Mutant | None:
    places = ["on the left", "on the right", "in the upper left of the field", "in the lower right of the field",
              "in the upper part of the field", "in the lower part of the field", "near the centre of the field",
              "in the upper right of the field", "in the lower left of the field"]  # fmt: skip

    def other(match: re.Match[str]) -> str:
        words = set(match[0].split()) & set(OPPOSITE)
        return one_of([p for p in places if not set(p.split()) & words and ("centre" not in p or words)], n)

    return replaced(pair, scene, PLACE.pattern, other, level=1)


@label_kind
def position_in_the_dead_zone(pair: Pair, scene: Scene, n: int) -> Mutant | None:
    """One more word of place than the box has."""
    more = {"on the left": "in the upper left", "on the right": "in the lower right",
            "in the upper part of the field": "in the upper left", "in the lower part of the field": "in the lower right",
            "near the centre of the field": "on the left"}  # fmt: skip
    return replaced(pair, scene, "|".join(map(re.escape, more)), lambda m: more[m[0]], level=1)


@label_kind
def position_of_a_large_box(pair: Pair, scene: Scene, n: int) -> Mutant | None:
    """A box over 30 % of the field has no place."""
    boxed = [f for f in scene.facts if f.box and f.terms[0] in str(pair.boxes) + str(scene.terms(f.kind))]
    if not scene.size[0] or not any(f.kind in ("instrument", "anatomy", "object") for f in boxed):
        return None
    own = next(f for f in boxed if f.kind in ("instrument", "anatomy", "object"))
    if (
        sum(f.terms[0] == own.terms[0] for f in scene.facts if f.kind == own.kind) > 1
        or own.terms[0] == "instrument.unnamed"
    ):
        return None
    w, h = scene.size
    large = [0, 0, w * 7 // 10, h * 6 // 10]
    facts = tuple(f.model_copy(update={"box": large}) if f.terms[0] == own.terms[0] else f for f in scene.facts)
    other = Scene(**{k: getattr(scene, k) for k in scene.__slots__} | {"facts": facts})
    return with_sentence(pair, 1, f"{the(own.terms[0])} {be(own.terms[0])} in the upper left of the field."), other


@label_kind
def comparison_reversed(pair: Pair, scene: Scene, n: int) -> Mutant | None:
    return replaced(pair, scene, r"\b(above|below)\b|(?<=to the )(left|right)(?= of)", lambda m: OPPOSITE[m[0]])


@label_kind
def contact_not_measured(pair: Pair, scene: Scene, n: int) -> Mutant | None:
    things = [f for kind in ("anatomy", "instrument", "object") for f in scene.of_kind(kind)
              if f.terms[0] != "instrument.unnamed" and f.source != "cholec80"]  # fmt: skip
    near = {tuple(m.of) for m in scene.measured if m.name == "gap" and m.value <= 3}
    pairs = [(a, b) for a in things for b in things if a.terms[0] != b.terms[0]]
    apart = [
        (a, b) for a, b in pairs
        if not any({x.terms[0], y.terms[0]} == {a.terms[0], b.terms[0]} and tuple(sorted((x.id, y.id))) in near
                   for x, y in pairs)
    ]  # fmt: skip
    shown = " ".join(s.text for s in pair.statements if s.level == 1)
    apart = [(a, b) for a, b in apart if all(term(x.terms[0]).name.lower() in shown.lower() for x in (a, b))]
    if not apart:
        return None
    a, b = apart[n % len(apart)]
    one, other = term(a.terms[0]), term(b.terms[0])
    many = one.number == "plural"
    texts = [f"The {one.name} touch{'' if many else 'es'} the {other.name}.",
             f"The {one.name} {be(one.id)} next to the {other.name}.",
             f"The {one.name} lie{'' if many else 's'} at the edge of the {other.name}."]  # fmt: skip
    return with_sentence(pair, 2, one_of(texts, n)), scene


@label_kind
def relation_that_nobody_measures(pair: Pair, scene: Scene, n: int) -> Mutant | None:
    ids = [*instruments(scene), *scene.terms("anatomy"), *scene.terms("object")]
    if not ids:
        return None
    texts = ["behind", "beside", "in front of", "close to", "on top of"]
    return with_sentence(pair, 2, f"{the(ids[0])} {be(ids[0])} {one_of(texts, n)} the {term(ids[-1]).name}."), scene


@label_kind
def instruments_miscounted(pair: Pair, scene: Scene, n: int) -> Mutant | None:
    return replaced(
        pair, scene, r"\b([Oo]ne|[Tt]wo|[Tt]hree)(?= instruments?)", lambda m: "Five" if m[1].istitle() else "five"
    )


@label_kind
def twins_told_of_one(pair: Pair, scene: Scene, n: int) -> Mutant | None:
    ids = [id for id in instruments(scene) if id not in ("instrument.specimen_bag", "instrument.unnamed")]
    own = [id for id in ids if len({tuple(f.box) for f in scene.facts if f.terms[0] == id and f.box}) == 1
           and sum(f.terms[0] == id for f in scene.facts if f.kind == "triplet") < 2]  # fmt: skip
    if not own:
        return None
    return with_sentence(pair, 1, f"Two {term(own[0]).plural} are in view."), scene


@label_kind
def completeness_of_labels_that_give_none(pair: Pair, scene: Scene, n: int) -> Mutant | None:
    if scene.says("instrument") in ("endovis17", "endovis18") or not instruments(scene):
        return None
    id = instruments(scene)[0]
    texts = [
        f"Only the {term(id).name} {be(id)} in view.",
        "Nothing else is in view.",
        "No other instrument is in view.",
    ]
    return with_sentence(pair, 1, one_of(texts, n)), scene


@label_kind
def completeness_that_is_wrong(pair: Pair, scene: Scene, n: int) -> Mutant | None:
    ids = [id for id in instruments(scene) if id != "instrument.unnamed"]
    if scene.says("instrument") not in ("endovis17", "endovis18") or len(set(ids)) < 2:
        return None
    return with_sentence(pair, 1, f"Only the {term(ids[0]).name} {be(ids[0])} in view."), scene


@label_kind
def unlabelled_structure_denied(pair: Pair, scene: Scene, n: int) -> Mutant | None:
    if scene.procedure != "cholecystectomy" or scene.says("anatomy"):
        return None
    there = {f.terms[2] for f in triplets(scene)}
    name = term(one_of([t for t in TARGETS if t not in there], n)).name
    texts = [f"The {name} is not identified.", f"No {name} is in view.", f"The {name} is not in view."]
    return with_sentence(pair, 1, one_of(texts, n)), scene


@label_kind
def outlined_structure_denied(pair: Pair, scene: Scene, n: int) -> Mutant | None:
    ids = scene.terms("anatomy")
    if not ids:
        return None
    name = term(one_of(list(ids), n)).name
    return with_sentence(pair, 1, one_of([f"The {name} is not identified.", f"No {name} is in view."], n)), scene


@label_kind
def structure_that_is_not_outlined(pair: Pair, scene: Scene, n: int) -> Mutant | None:
    if scene.says("anatomy") != "endoscapes":
        return None
    absent = [item for item in vocabulary("endoscapes", "anatomy") if item.id not in scene.terms("anatomy")]
    if not absent:
        return None
    name = absent[n % len(absent)].name
    return with_sentence(pair, 1, one_of([f"The {name} is in view.", f"The view shows the {name}."], n)), scene


@label_kind
def kind_of_an_unnamed_instrument(pair: Pair, scene: Scene, n: int) -> Mutant | None:
    if scene.says("instrument") != "endoscapes":
        return None
    return with_sentence(
        pair, 1, one_of(["A grasper is in view.", "A hook is at work.", "A clip applier is seen."], n)
    ), scene


@label_kind
def act_where_none_is_labelled(pair: Pair, scene: Scene, n: int) -> Mutant | None:
    if scene.says("triplet") or scene.procedure == "gastric_bypass":
        return None
    texts = ["An instrument is dissecting at the cystic duct.", "The gallbladder is retracted.", "The tissue is being cut.",
             "The duct is being clipped."]  # fmt: skip
    return with_sentence(pair, 2, one_of(texts, n)), scene


VOTES = {
    "cvs.two_structures": ["It is not shown that only two structures enter the gallbladder.",
                           "That only two structures enter the gallbladder is doubtful, and rather not the case.",
                           "Two structures seem to enter the gallbladder and no more, with some doubt.",
                           "Two structures, and no more, are seen to enter the gallbladder."],
    "cvs.hepatocystic_triangle": ["The triangle is not cleared.",
                                  "That the triangle is cleared is doubtful, and rather not the case.",
                                  "The triangle seems cleared, with some doubt.",
                                  "The hepatocystic triangle is cleared of fat and fibrous tissue."],
    "cvs.cystic_plate": ["The lower third of the gallbladder is not shown to be off the liver.",
                         "That the lower third is off the liver is doubtful, and rather not the case.",
                         "The lower third seems to be off the liver, with some doubt.",
                         "The lower third of the gallbladder is off the liver, so that the cystic plate shows."],
}  # fmt: skip


@label_kind
def votes_exchanged(pair: Pair, scene: Scene, n: int) -> Mutant | None:
    facts = {f.terms[0]: f for f in scene.of_kind("cvs")}
    if pair.task != "cvs" or not facts:
        return None
    for k, statement in enumerate(pair.statements):
        own = next(
            (f for f in facts.values() if f"fact:{f.id}" in statement.evidence and statement.basis == "label"), None
        )
        if own is not None:
            wrong = [v for v in range(4) if v != round(3 * own.value)]
            return with_text(pair, k, VOTES[own.terms[0]][wrong[n % 3]]), scene
    return None


@label_kind
def criterion_argued_from_presence(pair: Pair, scene: Scene, n: int) -> Mutant | None:
    if scene.procedure != "cholecystectomy" or not scene.says("anatomy"):
        return None
    texts = ["Duct and artery are both seen, so only two structures enter the gallbladder.",
             "There are three structures, so the first criterion fails.",
             "The duct and the artery are in view, so the first criterion is met.",
             "Since the cystic plate is outlined, the third criterion is met."]  # fmt: skip
    return with_sentence(pair, 3, one_of(texts, n)), scene


@label_kind
def criteria_miscounted(pair: Pair, scene: Scene, n: int) -> Mutant | None:
    if pair.task != "cvs" or not scene.of_kind("cvs"):
        return None
    met = sum(round(3 * f.value) >= 2 for f in scene.of_kind("cvs"))
    words = [w for k, w in enumerate(["None of the criteria is met.", "One criterion is met.", "Two criteria are met.",
                                      "All three criteria are met."]) if k != met]  # fmt: skip
    return with_sentence(pair, 3, one_of(words, n)), scene


@label_kind
def whole_told_the_other_way(pair: Pair, scene: Scene, n: int) -> Mutant | None:
    """Also where the votes do not settle it."""
    if pair.task != "cvs":
        return None
    whole = scene.of_kind("cvs_overall")
    yes = bool(whole) and 2 * whole[0].value >= 1
    no = "" if not yes else "not "
    return with_sentence(pair, 3, f"So the critical view of safety is {no}achieved in this view."), scene


@label_kind
def whole_without_in_this_view(pair: Pair, scene: Scene, n: int) -> Mutant | None:
    if pair.task != "cvs":
        return None
    texts = ["The critical view of safety is achieved.", "The critical view is not achieved.", "It is safe to clip."]
    return with_sentence(pair, 3, one_of(texts, n)), scene


@label_kind
def criterion_before_level_3(pair: Pair, scene: Scene, n: int) -> Mutant | None:
    if pair.task != "cvs":
        return None
    fact = scene.of_kind("cvs")[n % 3]
    return with_sentence(pair, 1 + n % 2, VOTES[fact.terms[0]][round(3 * fact.value)]), scene


@label_kind
def step_or_action_before_level_3(pair: Pair, scene: Scene, n: int) -> Mutant | None:
    if pair.task not in ("step", "action"):
        return None
    own = term(scene.terms(pair.task)[0])
    texts = [*own.acts, f"This is the {own.name}."] if own.id != "action.other" else list(own.acts)
    return (with_sentence(pair, 1 + n % 2, one_of(texts, n // 2)), scene) if texts else None


@label_kind
def phase_before_level_3(pair: Pair, scene: Scene, n: int) -> Mutant | None:
    if pair.task != "phase":
        return None
    own = term(scene.terms("phase")[0])
    return with_sentence(pair, 1 + n % 2, f"This is {own.name}."), scene


@label_kind
def number_before_level_3(pair: Pair, scene: Scene, n: int) -> Mutant | None:
    if pair.task != "count":
        return None
    words = {
        "1": "One instrument is in view.",
        "2": "Two instruments are in view.",
        "3": "Three instruments are in view.",
    }
    return (with_sentence(pair, 1 + n % 2, words[pair.answer]), scene) if pair.answer in words else None


@label_kind
def rank_of_the_two_the_other_way(pair: Pair, scene: Scene, n: int) -> Mutant | None:
    other = {"higher": "lower", "lower": "higher", "left": "right", "right": "left"}
    pattern = r"(?<=is the )(?:higher|lower)(?= of the two)|(?<=further to the )(?:left|right)"
    return replaced(pair, scene, pattern, lambda match: other[match[0]], level=2)


@label_kind
def direction_before_level_3(pair: Pair, scene: Scene, n: int) -> Mutant | None:
    if pair.task != "position":
        return None
    last = pair.statements[-1].text.removeprefix("So ").replace(" thus", "")
    return with_sentence(pair, 2, last[0].upper() + last[1:]), scene


@label_kind
def another_step_or_action(pair: Pair, scene: Scene, n: int) -> Mutant | None:
    """At the level where it may be told, and wrong."""
    kind = "step" if scene.says("step") else "action"
    if not scene.of_kind(kind):
        return None
    items = [item for item in terms_of(kind) if item.acts and item.id not in scene.terms(kind)]
    own = {text for id in scene.terms(kind) for text in term(id).acts}
    texts = [text for item in items for text in item.acts if text not in own]
    return with_sentence(pair, 3, one_of(texts, n)), scene


@label_kind
def camera_elsewhere(pair: Pair, scene: Scene, n: int) -> Mutant | None:
    if not scene.says("view"):
        texts = ["The camera is inside the abdomen.", "This is a view from outside the body."]
        return with_sentence(pair, 1, one_of(texts, n)), scene
    outside = bool(scene.of_kind("view"))
    return with_sentence(
        pair, 1, "The camera is inside the abdomen." if outside else "The camera is outside the body."
    ), scene


@label_kind
def thing_of_a_bypass_that_nobody_labelled(pair: Pair, scene: Scene, n: int) -> Mutant | None:
    if scene.procedure != "gastric_bypass":
        return None
    texts = ["A stapler is in view.", "The jejunum is in view.", "A needle is at work here.", "Two instruments are in view.",
             "The suture is in view."]  # fmt: skip
    return with_sentence(pair, 1, one_of(texts, n)), scene


@label_kind
def thing_that_is_not_outlined(pair: Pair, scene: Scene, n: int) -> Mutant | None:
    if scene.says("object") != "sar_rarp50":
        return None
    absent = [item for item in vocabulary("sar_rarp50", "object") if item.id not in scene.terms("object")]
    if not absent:
        return None
    item = absent[n % len(absent)]
    verb = "are" if item.number == "plural" else "is"
    return with_sentence(pair, 1, f"{item.name[0].upper()}{item.name[1:]} {verb} in view."), scene


@label_kind
def knowledge_of_another_operation(pair: Pair, scene: Scene, n: int) -> Mutant | None:
    texts = {
        "cholecystectomy": ["The pouch takes two staple lines.", "A needle at the jaws may be on its way to the tissue, "
                            "going through it or coming out of it.", "The prostate is often at the centre."],
        "gastric_bypass": ["Calot's triangle is opened first.",
                           "Clips close the cystic duct and artery before the two are cut.",
                           "A grasper holds tissue and keeps it on tension."],
    }  # fmt: skip
    other = texts.get(scene.procedure, ["In cholecystectomy, Calot's triangle is usually opened first.",
                                        "The cystic duct leads from the neck of the gallbladder to the common hepatic duct.",
                                        "A hook takes up a little tissue and divides it with current."])  # fmt: skip
    return with_sentence(pair, 3, one_of(other, n)), scene


@label_kind
def answer_of_labels_wrong(pair: Pair, scene: Scene, n: int) -> Mutant | None:
    lines = pair.answer.split("\n")
    if pair.task == "triplet" and pair.answer not in ("Yes", "No"):
        other = "hook, dissect, omentum" if scene.says("triplet") == "cholect50" else "stapler, staple, kidney"
        answer = "\n".join(lines[1:]) if len(lines) > 1 and n % 2 else other
        if answer == pair.answer:
            return None
    elif pair.answer in ("Yes", "No"):
        answer = "No" if pair.answer == "Yes" else "Yes"
    elif pair.task == "localization":
        answer = "not visible" if "<bbox" in pair.answer and not pair.id.endswith("all") else "<bbox:0>"
    elif pair.task == "count":
        answer = str(int(pair.answer) + 1 + n % 2)
    elif pair.task == "position":
        answer = OPPOSITE[pair.answer]
    elif pair.task == "cvs":
        flip = {"yes": "no", "no": "yes", "achieved": "not achieved", "not achieved": "achieved"}
        name, _, value = lines[n % len(lines)].partition(": ")
        lines[n % len(lines)] = f"{name}: {flip[value]}"
        answer = "\n".join(lines)
    elif pair.task == "anatomy":
        answer = "\n".join(lines[1:]) if len(lines) > 1 else "none" if pair.answer != "none" else "gallbladder"
    elif pair.task in ("step", "action", "phase"):
        own = scene.terms(pair.task)[0]
        source = scene.says(pair.task)
        answer = one_of([item.answer for item in vocabulary(source, pair.task) if item.id != own], n)
    else:
        return None
    return pair.model_copy(update={"answer": answer}), scene


@label_kind
def seconds_before_that_nobody_gave(pair: Pair, scene: Scene, n: int) -> Mutant | None:
    if not of_acts(scene):
        return None
    a = triplets(scene)[0].terms[0]
    were = "were" if term(a).number == "plural" else "was"
    return with_sentence(
        pair, 2, f"In the seconds before, the {term(a).name} {were} cutting the cystic artery."
    ), scene


@label_kind
def not_shown_before(pair: Pair, scene: Scene, n: int) -> Mutant | None:
    """An instrument that acts at level 2 and that level 1 left out."""
    shown = " ".join(s.text for s in pair.statements if s.level == 1).lower()
    hidden = [f for f in triplets(scene) if not any(name.lower() in shown for name in term(f.terms[0]).names)]
    hidden = [f for f in hidden if f.terms[1] in SAID and f.terms[1] != "verb.null" and of_acts(scene)]
    if not hidden:
        return None
    return with_sentence(pair, 2, said(*hidden[n % len(hidden)].terms)), scene


@label_kind
def share_of_the_picture_not_measured(pair: Pair, scene: Scene, n: int) -> Mutant | None:
    ids = scene.terms("anatomy")
    if not ids:
        return None
    text = f"The {term(ids[0]).name} takes up more than {one_of(['half', 'a third'], n)} of the picture."
    return with_sentence(pair, 1, text), scene


@label_kind
def anything_on_a_black_picture(pair: Pair, scene: Scene, n: int) -> Mutant | None:
    if scene.measure("black") is None or pair.task == "camera":
        return None
    dark = (Measured(name="brightness", value=0.3), Measured(name="black", value=1.0))
    return pair, Scene(**{k: getattr(scene, k) for k in scene.__slots__} | {"measured": dark})


@label_kind
def nothing_to_read_from_a_lit_picture(pair: Pair, scene: Scene, n: int) -> Mutant | None:
    if scene.of_kind("view"):
        return None
    texts = ["So nothing about the operation is to be read from it.", "The picture is black.",
             "So the operative field is not visible."]  # fmt: skip
    return with_sentence(pair, 3, one_of(texts, n)), scene


@label_kind
def evidence_of_a_box_or_a_number(pair: Pair, scene: Scene, n: int) -> Mutant | None:
    statements = list(pair.statements)
    for k, statement in enumerate(statements):
        refs = [e for e in statement.evidence if e.startswith(("box:", "pixel:gap"))]
        if refs:
            ref = refs[n % len(refs)]
            wrong = "box:77" if ref.startswith("box:") else re.sub(r"=.*", "=2.5", ref)
            evidence = [wrong if e == ref else e for e in statement.evidence]
            statements[k] = statement.model_copy(update={"evidence": evidence})
            return changed(pair, statements), scene
    return None


@label_kind
def fact_of_an_act_not_cited(pair: Pair, scene: Scene, n: int) -> Mutant | None:
    statements = list(pair.statements)
    for k in at(2, pair):
        facts = [e for e in statements[k].evidence if re.match(r"fact:\w+\.triplet", e)]
        if statements[k].basis == "label" and len(facts) == 1 and statements[0].evidence:
            others = [f for f in scene.facts if f.kind == "phase" or f.id != facts[0][5:]]
            if not others:
                return None
            statements[k] = statements[k].model_copy(update={"evidence": [f"fact:{others[0].id}"]})
            return changed(pair, statements), scene
    return None
