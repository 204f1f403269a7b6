"""Rendering of a chain to text and back. `parse(render_chain(pair))` gives the sentences of `pair` again.

The form is Surg-R1's (arXiv 2603.12430): `<think>Level 1: …\nLevel 2: …\nLevel 3: …</think><answer>…</answer>`.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from cotgen.chains.boxes import BoxConvention, BoxFormat
from cotgen.records import Pair, Statement

View = Literal["vqa", "cot", "prompt"]
VIEWS: tuple[str, ...] = get_args(View)

_LEVEL = re.compile(r"^Level ([1-9])(?: \([A-Za-z ]{1,40}\))?:[ \t]*(.*)$")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z0-9<\"'(])")
_CHAIN = re.compile(r"\A\s*<think>(.*?)</think>\s*<answer>(.*?)</answer>\s*\Z", re.DOTALL)

#: No chain comes near this; a longer reply is refused before any pattern runs over it.
MAX_CHARACTERS = 20_000
#: Nor any sentence near this; it bounds the time that a check may take.
MAX_SENTENCE = 600


@dataclass(frozen=True, slots=True)
class ParsedChain:
    """What text says, level by level.

    Attributes:
        sentences: (level, sentence) in reading order.
        answer: the text between the answer tags, stripped.
        problems: deviations from the form, in words; empty for a well-formed chain.
    """

    sentences: tuple[tuple[int, str], ...]
    answer: str
    problems: tuple[str, ...] = ()

    def level(self, number: int) -> list[str]:
        """The sentences of one level."""
        return [text for level, text in self.sentences if level == number]

    @classmethod
    def of(cls, pair: Pair) -> ParsedChain:
        """The chain of a stored pair, read from its rendered text as any other text is."""
        return parse(render_chain(pair))


def split_sentences(text: str) -> list[str]:
    """Sentences of a paragraph. cotgen's own text has no abbreviations with a stop, so a stop and a capital end one."""
    return [part.strip() for part in _SENTENCE_END.split(text.strip()) if part.strip()]


def render_levels(statements: Sequence[Statement]) -> str:
    """The text between the think tags."""
    return _levels((statement.level, statement.text) for statement in statements)


def _levels(sentences: Iterable[tuple[int, str]]) -> str:
    texts: dict[int, list[str]] = {1: [], 2: [], 3: []}
    for level, text in sentences:
        texts[level].append(text)
    return "\n".join([f"Level {level}: {' '.join(found)}" for level, found in texts.items()])


def render_chain(pair: Pair) -> str:
    """The chain and answer of a pair, boxes as `<bbox:n>`."""
    return Words.of(pair).chain


def parse(text: str) -> ParsedChain:
    """Read a chain. Never raises: what deviates from the form is listed in `problems`."""
    if len(text) > MAX_CHARACTERS:
        return ParsedChain((), "", (f"the text is longer than {MAX_CHARACTERS:,} characters",))
    match = _CHAIN.match(text)
    if not match or any(text.count(tag) != 1 for tag in ("<think>", "</think>", "<answer>", "</answer>")):
        return ParsedChain((), "", ("the text is not one <think>…</think> followed by one <answer>…</answer>",))
    problems = []
    sentences: list[tuple[int, str]] = []
    seen: list[int] = []
    for line in match[1].strip().split("\n"):
        head = _LEVEL.match(line)
        if head:
            seen.append(int(head[1]))
            line = head[2]
        elif not seen:
            problems.append("text stands before level 1")
            continue
        sentences += [(seen[-1], sentence) for sentence in split_sentences(line)]
    if seen != [1, 2, 3]:
        problems.append("the levels are not 1, 2, 3, once each and in order")
    problems += [f"level {n} is empty" for n in (1, 2, 3) if n in seen and not any(lv == n for lv, _ in sentences)]
    if any(len(sentence) > MAX_SENTENCE for _, sentence in sentences):
        return ParsedChain((), match[2].strip(), (f"a sentence is longer than {MAX_SENTENCE} characters",))
    answer = match[2].strip()
    if not answer:
        problems.append("the answer is empty")
    return ParsedChain(tuple(sentences), answer, tuple(problems))


def render_boxes(
    text: str, boxes: Sequence[Sequence[int]], convention: BoxConvention | BoxFormat, size: tuple[int, int]
) -> str:
    """Replace each `<bbox:n>` by its numbers; see `BoxFormat.write`."""
    return BoxFormat.of(convention).write(text, boxes, size)


def question_text(pair: Pair) -> str:
    """The question as shown: the wording, and one lettered line for each option."""
    # A question that has no chain yet is asked of a teacher.
    return Words(pair.question, pair.options, (), (), "").asked


def in_view(support: str, writer: str, view: View, asserted: bool = False) -> bool:
    """Whether a view takes a pair: `cot` takes chains of templates that give no reason only on request (`asserted`)."""
    return view != "cot" or asserted or support != "asserted" or not writer.startswith("template/")


def render(
    pair: Pair, view: View = "cot", boxes: BoxConvention | BoxFormat = "pixels", size: tuple[int, int] = (0, 0)
) -> Any:
    """A pair as a use needs it.

    `vqa`: question and bare answer; `cot`: question and chain; `prompt`: the question alone, with what rewards need.

    Returns:
        A dict with `prompt` and, except for `prompt`, `response`; for `prompt` also `options`, `answer` and `boxes`.

    Raises:
        ValueError: unknown view.
    """
    return Words.of(pair).render(view, BoxFormat.of(boxes), size)


@dataclass(frozen=True, slots=True)
class Words:
    """The texts of a pair as plain values, for who reads many and needs no more of them.

    Attributes:
        question: the wording, without the options.
        options: the choices in the order shown.
        boxes: `[x1, y1, x2, y2]` in pixels of the stored picture; `<bbox:n>` is an index into this list.
        sentences: (level, sentence) in reading order.
        answer: the answer.
    """

    question: str
    options: Sequence[str]
    boxes: Sequence[Sequence[int]]
    sentences: Sequence[tuple[int, str]]
    answer: str

    @classmethod
    def of(cls, pair: Pair) -> Words:
        """The texts of a stored pair."""
        sentences = [(statement.level, statement.text) for statement in pair.statements]
        return cls(pair.question, pair.options, pair.boxes, sentences, pair.answer)

    @property
    def asked(self) -> str:
        """The question as shown: the wording, and one lettered line for each option."""
        if not self.options:
            return self.question
        lines = [f"{letter}. {option}" for letter, option in zip(string.ascii_uppercase, self.options, strict=False)]
        return "\n".join([self.question, *lines])

    @property
    def chain(self) -> str:
        """The chain and the answer, boxes as `<bbox:n>`."""
        return f"<think>{_levels(self.sentences)}</think><answer>{self.answer}</answer>"

    def render(self, view: View, boxes: BoxFormat, size: tuple[int, int]) -> Any:
        """As `render` of the pair."""
        if view not in VIEWS:
            raise ValueError(f"'{view}' is no view; use one of {', '.join(VIEWS)}")
        prompt = boxes.write(self.asked, self.boxes, size)
        if view == "cot":
            return {"prompt": prompt, "response": boxes.write(self.chain, self.boxes, size)}
        answer = boxes.write(self.answer, self.boxes, size)
        if view == "vqa":
            return {"prompt": prompt, "response": answer}
        held = [list(box) for box in self.boxes]
        return {"prompt": prompt, "options": list(self.options), "answer": answer, "boxes": held}
