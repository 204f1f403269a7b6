"""Judging what rules cannot: does a look hold in the picture, and do levels 1 and 2 carry the answer and no more.

An accepted chain gives up to four requests. `visual`: its statements of basis visual, with the picture. `recover`: the
question and levels 1 and 2, without the looks, which a researcher may drop. It is asked as far as `support` promises:
`entailed` and `strong` must give the answer where "unclear" may be said, `weak` as the first choice of up to three, and
`asserted` promises nothing. Nor are the criteria of safety asked: their support stands at level 3. `masked`: levels 1 and
2 with all terms, boxes, places and numbers masked; who finds the answer there found it in the wording. `control`: the same
of the template chain of the same question. Nothing here talks to a server.

Verdicts are closed (yes, unsure, no as 1, 0.5, 0) and no numbers: weak models give nearly every statement 0.8 or 0.9, a
closed set is what constrained decoding holds, and the mean over several samples is a number again.

What chance gives. A masked text still tells how many things there are, and base rates do the rest, so an answer that is
recovered proves nothing by itself: a yes or no is guessed half the time, a common set of instruments often. The template
chain tells the same facts in words that depend on nothing else. Where a teacher's words tell no more than those, the answer
is found in just one of the two texts as often in one as in the other. Hence two rules. Over a build, of the n questions
whose answer was found in one text alone, the teacher's share has the null Binomial(n, 1/2); `told` gives both counts with
their exact p. And one chain is refused as leaking only where its masked text gives the answer, that of the template does
not, the answer is no empty set (whose denial is the evidence), and the closed list has at least 1 / `most_chance` answers;
the template's count tells how many such refusals are chance. Likewise, among the looks stands a statement that the labels
prove or disprove, which the judge cannot tell from them, so that a judge that says yes to everything is found out.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from importlib import resources
from typing import Any, Literal

from cotgen.chains.checks import case_of, check_case
from cotgen.chains.checks.base import OFTEN_UNLABELLED, support_of
from cotgen.chains.closed import closed
from cotgen.chains.lexicon import mentions
from cotgen.chains.render import question_text, render_boxes, render_levels
from cotgen.draws import draw, rendezvous, shuffled
from cotgen.errors import CotgenError
from cotgen.ontology import Term, term, vocabulary
from cotgen.ontology.knowledge import known_sentences
from cotgen.ontology.triplets import legal_triplets
from cotgen.records import Finding, Pair, Scene, Statement, canonical_json
from cotgen.surgeries.priors import Priors
from cotgen.tasks import TASKS
from cotgen.tasks.base import Question, offered
from cotgen.tasks.triplet import DOING, SET_ID, TARGET_ID, VERB_ID

#: Raised with the prompts, which are files named after it.
PROMPT_VERSION = 1
SCORES = {"yes": 1.0, "unsure": 0.5, "no": 0.0}
#: A box is copied, so an answer is right or wrong; what is below is a part of it.
WHOLE = 0.99
#: Answers of a count that occur: no frame has more than six kinds.
COUNTS = 7
#: Answers to "where": places and sizes on a grid of tenths are many more.
PLACES = 1000
#: Heads of the parts of a prompt.
_STATEMENTS, _OBSERVED, _FORM = "STATEMENTS", "OBSERVATIONS", "FORM OF THE ANSWER"
_NOTHING = "(none)"

Kind = Literal["visual", "recover", "masked", "control"]
Ruling = Literal["holds", "mended", "refused", "unjudged"]


@dataclass(frozen=True, slots=True)
class JudgeConfig:
    """What is judged, and the thresholds.

    Attributes:
        visual: a look is kept where its score is above; at 0.5 "unsure" is not enough.
        recover: whether the answer must be recovered as far as `support` promises.
        masked: whether masked texts are judged.
        most_chance: of answers of larger chance, 1 / (length of their closed list), no single chain is refused as leaking.
        controls: whether a statement that the labels settle is judged with the looks.
    """

    visual: float = 0.5
    recover: bool = True
    masked: bool = True
    most_chance: float = 0.05
    controls: bool = True

    def __post_init__(self) -> None:
        if not 0 <= self.visual < 1 or not 0 <= self.most_chance <= 0.5:
            raise CotgenError("A judge's threshold for looks lies in 0 to below 1, `most_chance` in 0 to 0.5.")

    def plain(self) -> dict[str, Any]:
        """As part of a build's configuration and fingerprint."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class JudgeRequest:
    """One request to a judge, before it is sent.

    Attributes:
        kind: what is judged.
        system: the rules.
        user: the statements, or observations and question.
        schema: of the reply.
        image: whether the picture is sent with it.
        lines: of `visual`: code -> number of the statement; -1 for a control that is true, -2 for one that is not.
        answers: of the others: how many answers the closed list has.
    """

    kind: Kind
    system: str
    user: str
    schema: Mapping[str, Any]
    image: bool = False
    lines: Mapping[str, int] = field(default_factory=dict)
    answers: int = 0

    def key(self, *, pixels: str = "", size: Sequence[int] = (), **request: Any) -> str:
        """sha256 of all that the reply depends on; equal prompts share it, whatever pair they come from.

        Args:
            pixels: `frame.pixels`; taken only where the picture is sent.
            size: width and height of the picture as sent, likewise.
            request: model, sampling, seed and the server's extras. A seed that depends on the pair ends the sharing.
        """
        shown = {"pixels": pixels, "size": list(size)} if self.image else {}
        parts = {"prompt": [self.system, self.user], "schema": self.schema, **shown, **request}
        return hashlib.sha256(canonical_json(parts)).hexdigest()


@dataclass(frozen=True)
class Judgement:
    """What a judge said of one chain.

    Attributes:
        scores: number of a look -> 0 to 1, the mean over the samples.
        recovered: whether levels 1 and 2 give the answer; None where it was not asked or not answered.
        masked_recovered: whether they do so masked; likewise.
        control_recovered: whether the masked template chain does; likewise.
        controls: (whether a statement is true, whether the judge said yes) of what the labels settle.
        verdict: `holds`; `mended` where looks have to go; `refused`; `unjudged` where a reply is missing.
        dropped: numbers of the looks that have to go.
        findings: why, as the checks tell it, to be quoted to the teacher; those of dropped looks are soft.
    """

    scores: Mapping[int, float] = field(default_factory=dict)
    recovered: bool | None = None
    masked_recovered: bool | None = None
    control_recovered: bool | None = None
    controls: tuple[tuple[bool, bool], ...] = ()
    verdict: Ruling = "holds"
    dropped: tuple[int, ...] = ()
    findings: tuple[Finding, ...] = ()

    @property
    def reasons(self) -> list[str]:
        """Why it is not as it was, in sentences."""
        return [f"{finding.text[0].upper()}{finding.text[1:]}." for finding in self.findings]

    def counts(self) -> Counter[str]:
        """What to add to the counts of a build, which `told` reads."""
        found = Counter({f"chains {self.verdict}": 1})
        found["looks judged"] += len(self.scores)
        found["looks dropped"] += len(self.dropped)
        for name, value in (("recovered", self.recovered), ("masked", self.masked_recovered)):
            if value is not None:
                found[f"{name} asked"] += 1
                found[f"{name} yes"] += value
        if self.masked_recovered is not None and self.control_recovered is not None:
            found["leak pairs"] += 1
            found["leak teacher alone"] += self.masked_recovered and not self.control_recovered
            found["leak template alone"] += self.control_recovered and not self.masked_recovered
        for true, said in self.controls:
            found[f"{'true' if true else 'false'} statements"] += 1
            found[f"{'true' if true else 'false'} statements yes"] += said
        return +found

    def plain(self) -> dict[str, Any]:
        """As plain values, for a row of rejected.jsonl."""
        return {
            "scores": {str(number): score for number, score in sorted(self.scores.items())},
            "recovered": self.recovered,
            "masked_recovered": self.masked_recovered,
            "control_recovered": self.control_recovered,
            "verdict": self.verdict,
            "reasons": self.reasons,
        }


def requests_of(
    pair: Pair,
    scene: Scene,
    question: Question,
    config: JudgeConfig | None = None,
    *,
    size: tuple[int, int] = (0, 0),
    template: Pair | None = None,
) -> tuple[JudgeRequest, ...]:
    """What is to be asked about a chain that the checks let pass; nothing where nothing is to be judged.

    Args:
        pair: the chain.
        scene: the facts of its frame.
        question: what was asked, with its truth.
        config: what is judged.
        size: width and height of the picture as sent; (0, 0) where none is sent, and then no look is judged.
        template: the template chain of the same question, the control of the masked text; the question alone where None.
    """
    config = config or JudgeConfig()
    found: list[JudgeRequest] = []
    looks = [number for number, statement in enumerate(pair.statements) if statement.basis == "visual"]
    if looks and size != (0, 0):
        found.append(_visual(pair, scene, looks, size, config.controls))
    if config.recover and promises(pair):
        told = [statement for statement in pair.statements if statement.level < 3 and statement.basis != "visual"]
        text = render_boxes(_levels(told), pair.boxes, "pixels", scene.size)
        found.append(_recover("recover", text, question, scene, ranked=pair.support == "weak"))
    if config.masked:
        found.append(_recover("masked", masked(pair), question, scene, ranked=True))
        control = masked(template) if template is not None else _NOTHING
        found.append(_recover("control", control, question, scene, ranked=True))
    return tuple(found)


def promises(pair: Pair) -> bool:
    """Whether levels 1 and 2 promise the answer; those of the criteria of safety leave them to the votes of level 3."""
    return pair.support != "asserted" and pair.task != "cvs"


def judge(
    pair: Pair,
    question: Question,
    requests: Sequence[JudgeRequest],
    replies: Mapping[str, Sequence[Any]],
    config: JudgeConfig | None = None,
) -> Judgement:
    """The judgement of a chain.

    Args:
        pair: the chain.
        question: as for `requests_of`.
        requests: what that gave.
        replies: kind of request -> the JSON of each sample; a kind that is missing or empty was not answered.
        config: as for `requests_of`.
    """
    config = config or JudgeConfig()
    read = {r.kind: [reply for reply in replies.get(r.kind, ()) if not form(r, reply)] for r in requests}
    missing = [kind for kind, found in read.items() if not found and kind in ("visual", "recover")]
    scores: dict[int, float] = {}
    controls: list[tuple[bool, bool]] = []
    for request in requests:
        if request.kind == "visual" and read["visual"]:
            for code, number in request.lines.items():
                score = math.fsum(SCORES[reply[code]] for reply in read["visual"]) / len(read["visual"])
                if number >= 0:
                    scores[number] = score
                else:
                    controls.append((number == -1, score > 0.5))
    recovered, by_words, by_template = (
        _recovered(question, read.get(kind, [])) for kind in ("recover", "masked", "control")
    )
    dropped = tuple(sorted(number for number, score in scores.items() if score <= config.visual))
    findings = [
        Finding(
            check="judge_visual",
            severity="soft",
            statement=number,
            text=f"a second look at the picture does not bear this out (score {scores[number]:.2f})",
        )
        for number in dropped
    ]
    if recovered is False:
        said = _said(read["recover"][0])
        findings.append(_against("judge_recover", f"levels 1 and 2 do not lead to the answer: read alone, '{said}'"))
    answers = max((request.answers for request in requests if request.kind == "masked"), default=0)
    if by_words and by_template is False and answers * config.most_chance >= 1 and question.truth:
        text = "the words of levels 1 and 2 give the answer away even with all terms, boxes and numbers masked"
        findings.append(_against("judge_masked", text))
    verdict: Ruling = "mended" if dropped else "holds"
    if any(finding.severity == "hard" for finding in findings):
        verdict = "refused"
    elif missing:
        verdict = "unjudged"
    return Judgement(scores, recovered, by_words, by_template, tuple(controls), verdict, dropped, tuple(findings))


def _against(check: str, text: str) -> Finding:
    return Finding(check=check, text=" ".join(text.split()))


def form(request: JudgeRequest, reply: Any) -> str:
    """What is wrong with the form of a reply, as a `FormCheck` tells it; "" where it has the one that was asked for."""
    if not isinstance(reply, dict):
        return "it is no object"
    if request.kind == "visual":
        wrong = [code for code in request.lines if not isinstance(reply.get(code), str) or reply[code] not in SCORES]
        return f"it has no verdict on {wrong[0]}" if wrong else ""
    return "" if _said(reply) is not None else "it has no answer"


def _said(reply: Mapping[str, Any]) -> str | None:
    """The answer, or the first of several."""
    found = reply.get("answer")
    if found is None and isinstance(reply.get("answers"), list) and reply["answers"]:
        found = reply["answers"][0]
    return found if isinstance(found, str) else None


def _recovered(question: Question, replies: Sequence[Mapping[str, Any]]) -> bool | None:
    """Whether more than half of the samples give the answer, by the task's own parser and score."""
    if not replies:
        return None
    # The boxes of the question are those of its answer: `<bbox:0>` would be right without being known.
    asked = replace(question, boxes=())
    right = [TASKS[question.task].score(_said(reply) or "", asked) >= WHOLE for reply in replies]
    return 2 * sum(right) > len(right)


def settle(
    pair: Pair,
    judgement: Judgement,
    judge_name: str,
    scene: Scene,
    question: Question,
    priors: Priors | None,
) -> Pair | None:
    """The chain as it is kept: without the looks that do not hold, the others with their scores as evidence.

    Args:
        pair: the chain that was judged.
        judgement: what `judge` gave.
        judge_name: `judge/MODEL/1`.
        scene: the facts of its frame, with the colours of its boxes measured.
        question: what was asked.
        priors: statistics of the train surgeries, or None.

    Returns:
        None where it is refused or could not be judged, a sentence rests on a look that goes, or the rest does not pass
        the checks; the findings of the judgement say why.
    """
    if judgement.verdict in ("refused", "unjudged"):
        return None
    scored = [
        statement.model_copy(
            update={"evidence": [*statement.evidence, f"judged:{judge_name}={judgement.scores[number]:.2f}"]}
        )
        if number in judgement.scores
        else statement
        for number, statement in enumerate(pair.statements)
    ]
    kept = without(pair.model_copy(update={"statements": scored}), judgement.dropped)
    if kept is None:
        return None
    # A look may have been the one sentence that names a thing.
    kept = kept.model_copy(update={"support": support_of(case_of(kept, scene, priors, question))})
    findings = check_case(case_of(kept, scene, priors, question), kept)
    if any(finding.severity == "hard" for finding in findings) or kept.support != pair.support:
        return None
    return kept.model_copy(update={"findings": findings})


def without(pair: Pair, numbers: Sequence[int]) -> Pair | None:
    """The chain without these sentences, its evidence and boxes counted anew; None where another rests on one of them."""
    gone = set(numbers)
    if not gone:
        return pair
    left = [number for number in range(len(pair.statements)) if number not in gone]
    places = {f"statement:{old}": f"statement:{new}" for new, old in enumerate(left)}
    rows = [pair.statements[number] for number in left]
    cited = {ref for row in rows for ref in row.evidence}
    if not rows or any(f"statement:{number}" in cited for number in gone):
        return None
    texts = [pair.question, pair.answer, *pair.options, *(row.text for row in rows), *cited]
    used = sorted({int(number) for text in texts for number in re.findall(r"(?:<bbox|^box):(\d+)", text)})
    boxes = {f"box:{old}": f"box:{new}" for new, old in enumerate(used)}

    def counted(text: str) -> str:
        return re.sub(r"<bbox:(\d+)>", lambda match: f"<b{boxes[f'box:{match[1]}']}>", text)

    return pair.model_copy(
        update={
            "question": counted(pair.question),
            "answer": counted(pair.answer),
            "options": [counted(text) for text in pair.options],
            "boxes": [pair.boxes[number] for number in used],
            "statements": [
                row.model_copy(
                    update={
                        "text": counted(row.text),
                        "evidence": [places.get(ref, boxes.get(ref, ref)) for ref in row.evidence],
                    }
                )
                for row in rows
            ],
        }
    )


def told(counts: Mapping[str, int]) -> list[str]:
    """What the counts of a build say, each number beside what chance gives."""

    def of(name: str) -> int:
        return counts.get(name, 0)

    lines = []
    if of("looks judged"):
        lines.append(f"{of('looks judged'):,} looks judged, {of('looks dropped'):,} dropped.")
    if of("true statements") and of("false statements"):
        hits, alarms = (of(f"{kind} statements yes") / of(f"{kind} statements") for kind in ("true", "false"))
        lines.append(
            f"The judge saw {hits:.2f} of {of('true statements'):,} statements that the labels prove, and "
            f"{alarms:.2f} of {of('false statements'):,} that they disprove; a judge that does not look says yes to both "
            "equally often."
        )
    if of("recovered asked"):
        share = of("recovered yes") / of("recovered asked")
        line = f"Levels 1 and 2 gave the answer in {share:.2f} of {of('recovered asked'):,} chains that promise it"
        masked_share = of("masked yes") / of("masked asked") if of("masked asked") else None
        lines.append(line + (f", masked chains in {masked_share:.2f}." if masked_share is not None else "."))
    if of("leak pairs"):
        teacher, template = of("leak teacher alone"), of("leak template alone")
        lines.append(
            f"With terms masked, {teacher:,} answers were found from the teacher's words alone and {template:,} from the "
            f"template's alone, of {of('leak pairs'):,} (p = {leak_p(teacher, template):.3g}, one-sided; equal where the "
            "words tell nothing)."
        )
    return lines


def leak_p(teacher: int, template: int) -> float:
    """P(at least `teacher` of both together) under Binomial(n, 1/2): McNemar's exact test, one-sided."""
    total = teacher + template
    return sum(math.comb(total, k) for k in range(teacher, total + 1)) / (1 << total)


# The requests.


@cache
def _prompt(name: str, *passages: str) -> str:
    """A prompt as written in the package, with these of its passages."""
    file = resources.files("cotgen.chains").joinpath("prompts", f"judge-{name}-{PROMPT_VERSION}.md")
    text = re.sub(
        r"<(masked|one|ranked)>\n(.*?)</\1>\n",
        lambda match: match[2] if match[1] in passages else "",
        file.read_text(encoding="utf-8"),
        flags=re.DOTALL,
    )
    return text.strip()


@cache
def judge_sha256() -> str:
    """sha256 of the prompts and of this module, with its schemas, masks and rules: part of the fingerprint of a build."""
    digest = hashlib.sha256(resources.files("cotgen.chains").joinpath("judge.py").read_bytes())
    digest.update((_prompt("visual") + _prompt("recover", "masked", "one", "ranked")).encode())
    return digest.hexdigest()


def _visual_schema(codes: Sequence[str]) -> dict[str, Any]:
    """One property a code, so that no statement can be passed over."""
    verdict = {"type": "string", "enum": list(SCORES)}
    return {
        "type": "object",
        "additionalProperties": False,
        "required": list(codes),
        "properties": dict.fromkeys(codes, verdict),
    }


def _answer_schema(ranked: bool) -> dict[str, Any]:
    text = {"type": "string", "maxLength": 600}
    several = {"type": "array", "minItems": 1, "maxItems": 3, "items": text}
    name = "answers" if ranked else "answer"
    return {
        "type": "object",
        "additionalProperties": False,
        "required": [name],
        "properties": {name: several if ranked else text},
    }


def _visual(pair: Pair, scene: Scene, looks: Sequence[int], size: tuple[int, int], controls: bool) -> JudgeRequest:
    rows = [(number, _pointed(pair.statements[number], pair, scene, size)) for number in looks]
    if controls and (control := _settled(scene, pair.id)):
        rows.append(control)
    rows = shuffled(0, rows, "judge", scene.key, pair.id)
    lines = {f"V{n}": number for n, (number, _) in enumerate(rows, start=1)}
    listed = "\n".join(f"{code} {text}" for code, (_, text) in zip(lines, rows, strict=True))
    user = f"PICTURE\n{size[0]} x {size[1]} pixels\n\n{_STATEMENTS}\n{listed}"
    return JudgeRequest("visual", _prompt("visual"), user, _visual_schema(list(lines)), True, lines)


def _pointed(statement: Statement, pair: Pair, scene: Scene, size: tuple[int, int]) -> str:
    """A sentence with the boxes that it names and those of the facts that it cites, in pixels of the picture as sent."""
    facts = {fact.id: fact for fact in scene.facts}
    text = render_boxes(statement.text, [_scaled(box, scene.size, size) for box in pair.boxes], "pixels", size)
    cited = [facts[ref.target] for ref in statement.references() if ref.kind == "fact" and ref.target in facts]
    if "<bbox:" in statement.text:
        return text
    spots = [f"{term(fact.terms[0]).name}: {_scaled(fact.box, scene.size, size)}" for fact in cited if fact.box]
    return f"{text} ({'; '.join(spots)})" if spots else text


def _scaled(box: Sequence[int], stored: tuple[int, int], sent: tuple[int, int]) -> list[int]:
    if 0 in stored:
        return list(box)
    return [value * sent[n % 2] // stored[n % 2] for n, value in enumerate(box)]


def _settled(scene: Scene, id: str) -> tuple[int, str] | None:
    """A statement that the labels prove (-1) or disprove (-2), drawn by frame and question; None where they cannot.

    Where every kind of instrument is labelled in view or not. The grasper is often there without its label, and an
    instrument that acts by another source may be, so neither is told as a falsehood.
    """
    if not scene.knows_all_instruments or "instrument" in scene.disputed:
        return None
    there = set(scene.terms("instrument"))
    named = {id for fact in scene.facts for id in fact.terms}
    absent = [item.id for item in offered(scene, "instrument") if item.id not in named | OFTEN_UNLABELLED]
    true = draw(0, "control", scene.key, id) % 2 == 0
    pool = sorted(there) if true else absent
    if not pool:
        return None
    item = term(rendezvous(0, pool, "control", scene.key, id))
    verb = "are" if item.number == "plural" else "is"
    return -1 if true else -2, f"{item.phrase[0].upper()}{item.phrase[1:]} {verb} in view."


def _levels(statements: Sequence[Statement]) -> str:
    """The text of levels 1 and 2."""
    return render_levels(statements).rpartition("\nLevel 3:")[0]


def _recover(kind: Kind, observed: str, question: Question, scene: Scene, *, ranked: bool) -> JudgeRequest:
    asked = Pair.model_construct(question=question.text, options=list(question.options))
    blind = () if kind == "recover" else ("masked",)
    how, answers = answer_form(question, scene)
    user = f"{_OBSERVED}\n{observed}\n\nQUESTION\n{question_text(asked)}\n\n{_FORM}\n{how}"
    passages = (*blind, "ranked" if ranked else "one")
    return JudgeRequest(kind, _prompt("recover", *passages), user, _answer_schema(ranked), answers=answers)


def answer_form(question: Question, scene: Scene) -> tuple[str, int]:
    """How an answer is to be written, and how many answers there are: the length of the closed list.

    It depends on the question and on what is labelled, never on the answer, so that it tells nothing of it.
    """
    task = question.task
    if question.options:
        return "One of the options, by its text.", len(question.options)
    if question.truth in (("yes",), ("no",)):
        return "Yes or No.", 2
    if task in ("phase", "step", "action"):
        names = _names(offered(scene, task))
        return f"One of: {', '.join(names)}.", len(names)
    if task in ("tool_presence", "anatomy"):
        kind = "anatomy" if task == "anatomy" else "instrument"
        names = _names(offered(scene, kind), scene.says(kind))
        return f"One a line, or none, of: {', '.join(names)}.", 2 ** len(names)
    if task in ("count", "tool_count"):
        return "A number in digits.", COUNTS
    if task == "triplet":
        return _triplet_form(question, scene)
    if task == "localization":
        if question.subject:
            return "Its box or boxes as [x1, y1, x2, y2], one a line; not visible if there is none.", PLACES
        source = scene.says("instrument") or scene.says("triplet")
        names = _names(vocabulary(source, "instrument"), source)
        return f"A line for each instrument: name [x1, y1, x2, y2]. Names: {', '.join(names)}.", PLACES
    rows = [
        f"{term(f'cvs.{name}').answer}: yes or no"
        for name in ("two_structures", "hepatocystic_triangle", "cystic_plate")
    ]
    rows.append(f"{term('cvs.critical_view').answer}: achieved or not achieved")
    return "A line each: " + "; ".join(rows) + ".", 8


def _triplet_form(question: Question, scene: Scene) -> tuple[str, int]:
    source = scene.says("triplet")
    words = {kind: vocabulary(source, kind) for kind in ("instrument", "verb", "anatomy")}
    legal = legal_triplets() if source == "cholect50" else ()
    own = [item for item in legal if not question.subject or item[0] == question.subject[0]]
    verbs, targets = (_names(words[kind], source) for kind in ("verb", "anatomy"))
    if question.id.startswith(VERB_ID):
        return f"One action of: {', '.join(verbs)}.", len({item[1] for item in own}) or len(verbs)
    if question.id.startswith(TARGET_ID):
        return f"One target of: {', '.join(targets)}.", len({item[2] for item in own}) or len(targets)
    lists = (
        f"Instruments: {', '.join(_names(words['instrument'], source))}. Actions: {', '.join(verbs)}. "
        f"Targets: {', '.join(targets)}."
    )
    if source == "endovis18":
        # Acts are told without it: "the forceps are cauterising".
        lists += " Where no target is told, it is the kidney."
    if question.id.startswith(DOING):
        return f"instrument, action, target. {lists}", len(own) or len(verbs)
    assert question.id == SET_ID
    return f"A line for each: instrument, action, target; none if there is no act. {lists}", 10 * len(legal) or PLACES


def _names(terms: Sequence[Term], source: str = "") -> list[str]:
    return [item.answer_in(source) for item in terms]


# The mask.

_MASKS = {
    "instrument": "[instrument]",
    "any_instrument": "[instrument]",
    "anatomy": "[structure]",
    "part": "[structure]",
    "object": "[thing]",
    "act": "[act]",
    "cvs": "[thing]",
    "phase": "[phase]",
    "step": "[phase]",
    "action": "[phase]",
    "locus": "[phase]",
}
_SPOTS = re.compile(
    r"<bbox:\d+>|\b(?:left|right|upper|lower|above|below|centre|center|middle|higher|top|bottom)\b", re.IGNORECASE
)
_HOW_MANY = re.compile(
    r"\b(?:\d+(?:\.\d+)?|one|two|three|four|five|six|seven|eight|nine|ten|both|another|other|second|third|several)\b",
    re.IGNORECASE,
)
_ARTICLE = re.compile(r"\b(?:an?|the|some) (?=\[)", re.IGNORECASE)
#: Words that agree with a number, which would tell scissors from a hook.
_AGREE = {"are": "is", "lie": "lies", "have": "has", "their": "its", "they": "it", "them": "it", "do": "does"}
_AGREEING = re.compile(rf"\b(?:{'|'.join(_AGREE)})\b", re.IGNORECASE)


def masked(pair: Pair) -> str:
    """Levels 1 and 2 with terms, acts, boxes, places and numbers masked; a wording of the knowledge base is left out.

    A sentence of the knowledge base is cotgen's own text: what it tells is chosen by what it cites, and its words are the
    same whoever writes.
    """
    rows = [
        statement.model_copy(update={"text": mask(statement.text)})
        for statement in pair.statements
        if statement.level < 3 and statement.text not in known_sentences()
    ]
    return _levels(rows)


def mask(text: str) -> str:
    """One sentence with terms, acts, boxes, places and numbers masked."""
    form = closed(text)
    if form is not None and form.kind == "act":
        # The whole sentence is a term's: a step or an action by its own words.
        return "[act]."
    for mention in reversed(mentions(text)):
        text = text[: mention.start] + _MASKS[mention.kind] + text[mention.end :]
    text = _SPOTS.sub(lambda match: "[box]" if match.group().startswith("<") else "[place]", text)
    text = _HOW_MANY.sub("[number]", text)
    text = _ARTICLE.sub("", text)
    return _AGREEING.sub(lambda match: _AGREE[match.group().lower()], text)
