"""Answer texts: what a reply must look like, and the strict readers that all tasks share.

A reader takes the text between the answer tags. It returns None for whatever is not wholly of its form: it never
searches a sentence for a word. Forgiven are letter case, white space around the answer, one final full stop, and
compatibility forms of the same characters (NFKC: full-width letters, ligatures). Letters that merely look alike
(Cyrillic for Latin) are other letters. The length is looked at first, so a huge reply costs nothing.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from functools import cache

from cotgen.ontology import term, terms_of

#: Longest reply that is read, in characters; the longest chain is a twentieth of it.
MOST_REPLY = 65_536
#: Longest answer that is read, in characters: all instruments by their longest names are a fifth of it.
MOST_ANSWER = 1_000
NONE = "none"
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

_TAG = re.compile(r"</?(?:think|answer)>", re.IGNORECASE | re.ASCII)
_TAG_ORDERS = {
    ("<answer>", "</answer>"),
    ("</think>", "<answer>", "</answer>"),  # the chat template has opened the think block in the prompt
    ("<think>", "</think>", "<answer>", "</answer>"),
}
_LETTER = re.compile(r"\(([a-z])\)|([a-z])")
_LETTER_AND_TEXT = re.compile(r"(?:\(([a-z])\)|([a-z])\.) (\S.*)")
_NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_COUNTS = {spelling: str(n) for n, word in enumerate(_NUMBERS) for spelling in (word, str(n))}


def extract_answer(text: str) -> str | None:
    """The text of the one answer block of a reply, without white space around it; None where there is not just one.

    Of the tags `<think>`, `</think>`, `<answer>`, `</answer>` the reply has each at most once and in this order, the
    answer block is closed, a think block that is opened is closed before it, and only white space follows.
    """
    if len(text) > MOST_REPLY:
        return None
    tags = list(_TAG.finditer(text))
    if tuple(tag.group() for tag in tags) not in _TAG_ORDERS or text[tags[-1].end() :].strip():
        return None
    return text[tags[-2].end() : tags[-1].start()].strip()


def fold(answer: str) -> str | None:
    """The form in which answers are compared; None for one that is too long or has control or invisible characters.

    Lower case, NFKC, no white space around it, one final full stop taken off.
    """
    if len(answer) > MOST_ANSWER:
        return None
    text = unicodedata.normalize("NFKC", answer.replace("\r\n", "\n"))
    for character in text:
        category = unicodedata.category(character)
        if character not in "\n\t" and (category[0] == "C" or category in ("Zl", "Zp")):
            return None
    return text.strip().lower().removesuffix(".")


@cache
def spellings(kind: str) -> dict[str, str]:
    """Folded spelling -> term id: the answer names and the `reply` aliases of each term of that kind."""
    return {
        spelling.lower(): item.id
        for item in terms_of(kind)
        for spelling in (item.answer, *item.answers.values(), *item.aliases.get("reply", ()))
    }


def in_order(ids: Iterable[str]) -> tuple[str, ...]:
    """Term ids of one kind without repeats, in ontology order: the order in which sets are written."""
    return tuple(sorted(set(ids), key=lambda id: term(id).order))


def write_set(ids: Sequence[str], source: str = "") -> str:
    """One answer name a line, as the data set has it; `none` for the empty set."""
    return "\n".join(term(id).answer_in(source) for id in in_order(ids)) or NONE


def parse_term(answer: str, kind: str) -> str | None:
    """The term that the whole answer names."""
    text = fold(answer)
    return None if text is None else spellings(kind).get(text)


def parse_set(answer: str, kind: str) -> tuple[str, ...] | None:
    """A set of terms: one a line, or separated by commas, or by semicolons; `none` for the empty set.

    None for an unknown item, an item twice (also under two names), an empty item, `none` among others.
    """
    text = fold(answer)
    if not text:
        return None
    if text == NONE:
        return ()
    separator = next((mark for mark in "\n;," if mark in text), "\n")
    ids = [spellings(kind).get(item.strip()) for item in text.split(separator)]
    known = [id for id in ids if id is not None]
    return in_order(known) if len(set(known)) == len(ids) else None


def parse_count(answer: str) -> str | None:
    """A count as digits, from digits or the English number word, 0 to 12."""
    text = fold(answer)
    return None if text is None else _COUNTS.get(text)


def parse_yes_no(answer: str) -> str | None:
    """`yes` or `no`, from exactly that word."""
    text = fold(answer)
    return text if text in ("yes", "no") else None


def parse_choice(answer: str, options: Sequence[str], kind: str) -> str | None:
    """The term of the option that is chosen.

    An option is chosen by its letter (`B`, `B.`, `(B)`), by letter and text (`B. Clipping and cutting`), or by its
    text. A letter whose text is another option's, or a term that is no option, chooses nothing.
    """
    text = fold(answer)
    if text is None:
        return None
    offered = [spellings(kind).get(option.lower()) for option in options]
    letter, words = _LETTER.fullmatch(text), _LETTER_AND_TEXT.fullmatch(text)
    by_letter = letter or words
    if by_letter is None:
        named = spellings(kind).get(text)
        return named if named in offered else None
    position = ord(by_letter.group(1) or by_letter.group(2)) - ord("a")
    if position >= len(offered):
        return None
    chosen = offered[position]
    return chosen if words is None or spellings(kind).get(words.group(3)) == chosen else None
