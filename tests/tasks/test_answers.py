import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cotgen.ontology import terms_of, vocabulary
from cotgen.tasks import TASKS, Question
from cotgen.tasks.answers import (
    LETTERS,
    extract_answer,
    in_order,
    parse_choice,
    parse_count,
    parse_set,
    parse_term,
    parse_yes_no,
    spellings,
    write_set,
)

OPTIONS = tuple(item.answer for item in vocabulary("cholec80", "phase"))
CLIPPING, BED, EXTRACTION = (
    "phase.clipping_and_cutting",
    "phase.gallbladder_dissection",
    "phase.gallbladder_extraction",
)
GRASPER, HOOK, BAG = "instrument.grasper", "instrument.hook", "instrument.specimen_bag"
QUESTIONS = [
    Question("phase.open", "phase", "?", (), "Gallbladder dissection", (BED,)),
    Question("phase.choice", "phase", "?", OPTIONS, "Gallbladder dissection", (BED,)),
    Question("tool.presence", "tool_presence", "?", (), "grasper\nhook", (GRASPER, HOOK)),
    Question("tool.count", "tool_count", "?", (), "2", ("2",)),
    Question("tool.yesno.instrument.hook", "tool_yesno", "?", (), "Yes", ("yes",), (HOOK,)),
    Question("field.visible", "field_visible", "?", (), "No", ("no",)),
]
THINK = "<think>Level 1: A hook is in view.\nLevel 2: …\nLevel 3: …</think>"


def ids(question: Question) -> str:
    return question.id


# The answer block


@pytest.mark.parametrize(
    ("reply", "answer"),
    [
        (f"{THINK}<answer>Yes</answer>", "Yes"),
        (f"{THINK}\n\n<answer>\n Yes \n</answer>\n", "Yes"),
        ("Level 1: A hook is in view.</think><answer>Yes</answer>", "Yes"),
        ("<answer>grasper\nhook</answer>", "grasper\nhook"),
        ("<answer></answer>", ""),
    ],
)
def test_the_one_answer_block_is_read(reply: str, answer: str) -> None:
    assert extract_answer(reply) == answer


@pytest.mark.parametrize(
    "reply",
    [
        "",
        "   \n\t ",
        "Yes",
        THINK,
        f"{THINK}Yes",
        f"{THINK}<answer>Yes",
        f"{THINK}Yes</answer>",
        f"{THINK}</answer>Yes<answer>",
        f"{THINK}<answer>Yes</answer><answer>No</answer>",
        f"{THINK}<answer>Yes</answer><ANSWER>No</ANSWER>",
        f"{THINK}<answer><answer>Yes</answer></answer>",
        f"{THINK}<answer>Yes</answer></answer>",
        f"{THINK}<ANSWER>Yes</ANSWER>",
        f"{THINK}<answer>Yes</answer> I am sure.",
        f"{THINK}{THINK}<answer>Yes</answer>",
        f"{THINK}</think><answer>Yes</answer>",
        "<think>A hook is in view.<answer>Yes</answer>",
        "<think>A hook.<answer>Yes</answer></think>",
        "<answer>Yes</answer></think>",
        "<answer><think>hm</think>Yes</answer>",
        f"<answer>Yes</answer>{THINK}",
    ],
)
def test_anything_but_one_closed_answer_block_at_the_end_is_no_answer(reply: str) -> None:
    assert extract_answer(reply) is None


# Hostile replies, for every task


@pytest.mark.parametrize("question", QUESTIONS, ids=ids)
@pytest.mark.parametrize(
    "reply",
    [
        "",
        " ",
        "\n\n",
        ".",
        ",",
        "\n".join(OPTIONS),
        ", ".join(OPTIONS),
        "ABCDEFG",
        "A, B, C, D, E, F, G",
        "dissection",
        "It is not gallbladder dissection",
        "It is gallbladder dissection",
        "Gallbladder dissection or clipping and cutting",
        "Yes and no",
        "Yes, a hook is in view",
        "Not no",
        "grasper and hook are in view",
        "2 or 3",
        "There are 2",
        "two kinds",
        "<answer>Yes</answer>",
        "<answer>2</answer>",
        "Ja",
        "Oui",
        "是",
        "Gallenblasendissektion",
        "crochet, pince",
        "Yеs",  # Cyrillic e
        "Nо",  # Cyrillic o
        "hооk",  # Cyrillic o, twice
        "Gallbladder dissectiοn",  # Greek o
        "٢",  # Arabic-Indic two
        "Yes\x00",
        "\x00",
        "\u202eseY",
        "Y\u200bes",
        "2\u200b",
        "Gallbladder\u00addissection",
        "\ud800",
        "{}",
        "null",
        "None of the above",
        "All of the above",
        "2.0",
        "+2",
        "02",
        "Yes..",
        "\\boxed{Yes}",
        "**Yes**",
    ],
)
def test_hostile_replies_score_nothing(question: Question, reply: str) -> None:
    task = TASKS[question.task]
    assert task.parse(reply, question) is None
    assert task.score(reply, question) == 0.0


@pytest.mark.parametrize("question", QUESTIONS, ids=ids)
@pytest.mark.parametrize("unit", ["Yes", "a", "\n", ",", "<answer>", "</", "hook,", "\ufdfa", "𝟚", "B. ", "("])
def test_ten_megabytes_are_refused_at_once(question: Question, unit: str) -> None:
    reply = unit * (10_000_000 // len(unit))
    started = time.process_time()
    assert extract_answer(reply) is None
    assert TASKS[question.task].parse(reply, question) is None
    assert time.process_time() - started < 0.1


@pytest.mark.parametrize("unit", ["<answer>", "</think>", "<answer", "<", "</answer", "<think><answer>"])
def test_the_longest_reply_that_is_read_is_read_fast(unit: str) -> None:
    reply = (unit * 65_536)[:65_536]
    started = time.process_time()
    assert extract_answer(reply) is None
    assert time.process_time() - started < 0.5


@given(st.text(st.characters()), st.sampled_from(QUESTIONS))
def test_no_text_makes_a_parser_raise(text: str, question: Question) -> None:
    for reply in (text, f"{THINK}<answer>{text}</answer>", f"<answer>{text}"):
        extract_answer(reply)
    task = TASKS[question.task]
    assert 0.0 <= task.score(text, question) <= 1.0
    assert (task.parse(text, question) is None) <= (task.score(text, question) == 0.0)


NAMES = [*OPTIONS, *spellings("instrument"), *"ABCDEFGH", "(B)", "B.", "yes", "no", "none", "0", "2", "two"]
SIGNS = [*" \n,;.-\t", ", ", "\r\n", "<answer>", "</answer>", "<think>", "</think>"]
PIECES = st.sampled_from(NAMES + SIGNS)


@given(st.lists(PIECES, max_size=8).map("".join), st.sampled_from(QUESTIONS))
def test_no_mixture_of_right_pieces_makes_a_parser_raise(text: str, question: Question) -> None:
    extract_answer(text)
    found = TASKS[question.task].parse(text, question)
    assert found is None or len(found) == len(set(found))


# Terms


@pytest.mark.parametrize("kind", ["instrument", "phase"])
def test_every_answer_name_and_alias_is_read_as_its_term(kind: str) -> None:
    for item in terms_of(kind):
        for spelling in (item.answer, *item.aliases.get("reply", ())):
            for variant in (spelling, spelling.upper(), f"  {spelling}.\n"):
                assert parse_term(variant, kind) == item.id


@pytest.mark.parametrize("kind", ["instrument", "phase"])
def test_no_spelling_stands_for_two_terms(kind: str) -> None:
    pairs = {
        (name.lower(), item.id) for item in terms_of(kind) for name in (item.answer, *item.aliases.get("reply", ()))
    }
    assert len(pairs) == len(spellings(kind))


def test_the_name_that_cholec80_gives_the_extraction_is_read_as_extraction() -> None:
    assert parse_term("gallbladder retraction", "phase") == EXTRACTION
    assert parse_term("retraction", "phase") is None


def test_full_width_letters_are_the_same_letters() -> None:
    assert parse_yes_no("Ｙｅｓ") == "yes"
    assert parse_count("２") == "2"
    assert parse_term("Ｇallbladder\u00a0dissection", "phase") == BED


# Choices


@pytest.mark.parametrize(
    "reply", ["C", "c", "C.", "(C)", " (c). ", "C. Clipping and cutting", "(C) clipping & cutting."]
)
def test_a_choice_by_letter(reply: str) -> None:
    assert parse_choice(reply, OPTIONS, "phase") == CLIPPING


def test_a_choice_by_text() -> None:
    assert parse_choice("clipping and cutting", OPTIONS, "phase") == CLIPPING


@pytest.mark.parametrize(
    "reply",
    [
        "B. Clipping and cutting",
        "(A) Clipping and cutting",
        "H",
        "Z.",
        "(C",
        "C)",
        "C.Clipping and cutting",
        "C Clipping and cutting",
        "C and D",
        "CC",
        "C. C",
        "Clipping",
        "C. Clipping",
        "C. Clipping and cutting, D. Gallbladder dissection",
    ],
)
def test_what_chooses_nothing(reply: str) -> None:
    assert parse_choice(reply, OPTIONS, "phase") is None


def test_a_phase_that_is_no_option_is_not_chosen() -> None:
    assert parse_choice("Gallbladder dissection", OPTIONS[:3], "phase") is None
    assert parse_choice("D", OPTIONS[:3], "phase") is None


@pytest.mark.parametrize("position", range(7))
def test_each_letter_chooses_its_option(position: int) -> None:
    assert parse_choice(LETTERS[position], OPTIONS, "phase") == vocabulary("cholec80", "phase")[position].id


# Sets


@pytest.mark.parametrize(
    "reply",
    [
        "grasper\nhook",
        "hook\r\ngrasper",
        "Hook, grasper.",
        "hook;grasper",
        " grasping forceps , l-hook ",
        "hook,\tgrasper",
    ],
)
def test_a_set_in_any_order_and_with_one_separator(reply: str) -> None:
    assert parse_set(reply, "instrument") == (GRASPER, HOOK)


@pytest.mark.parametrize("reply", ["none", "None.", " NONE\n"])
def test_the_empty_set(reply: str) -> None:
    assert parse_set(reply, "instrument") == ()


@pytest.mark.parametrize(
    "reply",
    [
        "hook, hook",
        "hook, monopolar hook",
        "none, hook",
        "hook, none",
        "none, none",
        "hook,",
        "hook,,grasper",
        "hook\n\ngrasper",
        "hook, grasper; scissors",
        "hook, grasper\nscissors",
        "hook and grasper",
        "- hook\n- grasper",
        "1. hook",
        "a hook",
        "hook (monopolar)",
        "hook, trocar",
        "nothing",
        "no instrument",
    ],
)
def test_what_is_no_set(reply: str) -> None:
    assert parse_set(reply, "instrument") is None


@given(st.sets(st.sampled_from([item.id for item in terms_of("instrument")])))
def test_a_set_that_is_written_is_read_again(chosen: set[str]) -> None:
    assert parse_set(write_set(sorted(chosen)), "instrument") == in_order(chosen)


def test_sets_are_written_in_ontology_order() -> None:
    assert write_set([BAG, HOOK, GRASPER]) == "grasper\nhook\nspecimen bag"
    assert write_set([]) == "none"


# Counts, yes and no


@pytest.mark.parametrize(("reply", "count"), [("0", "0"), ("zero", "0"), ("2", "2"), ("Two.", "2"), (" 12 ", "12")])
def test_counts(reply: str, count: str) -> None:
    assert parse_count(reply) == count


@pytest.mark.parametrize("reply", ["none", "no", "a", "one two", "-1", "1e0", "13", "½", "²²", "2,0", "2 kinds", "II"])
def test_what_is_no_count(reply: str) -> None:
    assert parse_count(reply) is None


@pytest.mark.parametrize("reply", ["yes", "Yes", "YES.", " yes\n"])
def test_yes(reply: str) -> None:
    assert parse_yes_no(reply) == "yes"


@pytest.mark.parametrize("reply", ["y", "n", "true", "1", "yes!", "yes, it is", "yes no", "yes\nno", "nope", "'yes'"])
def test_what_is_neither_yes_nor_no(reply: str) -> None:
    assert parse_yes_no(reply) is None


# Scores


@pytest.mark.parametrize("question", QUESTIONS, ids=ids)
def test_the_true_answer_scores_one(question: Question) -> None:
    assert TASKS[question.task].score(question.answer, question) == 1.0


@pytest.mark.parametrize(
    ("said", "true", "score"),
    [
        ("grasper, hook", (GRASPER, HOOK), 1.0),
        ("grasper", (GRASPER, HOOK), 2 / 3),
        ("grasper, scissors", (GRASPER, HOOK), 0.5),
        ("scissors", (GRASPER, HOOK), 0.0),
        ("none", (GRASPER, HOOK), 0.0),
        ("none", (), 1.0),
        ("hook", (), 0.0),
        ("hook, hook", (HOOK,), 0.0),
    ],
)
def test_presence_scores_the_f1_of_the_sets(said: str, true: tuple[str, ...], score: float) -> None:
    question = Question("tool.presence", "tool_presence", "?", (), write_set(true), true)
    assert TASKS["tool_presence"].score(said, question) == pytest.approx(score)


def test_a_reply_that_is_no_answer_is_not_the_empty_set() -> None:
    question = Question("tool.presence", "tool_presence", "?", (), "none", ())
    assert TASKS["tool_presence"].score("I see nothing", question) == 0.0


@pytest.mark.parametrize(
    ("question", "wrong"),
    [
        (QUESTIONS[0], "Preparation"),
        (QUESTIONS[1], "A"),
        (QUESTIONS[3], "3"),
        (QUESTIONS[4], "No"),
        (QUESTIONS[5], "Yes"),
    ],
    ids=lambda value: getattr(value, "id", value),
)
def test_a_wrong_answer_scores_zero(question: Question, wrong: str) -> None:
    assert TASKS[question.task].parse(wrong, question) is not None
    assert TASKS[question.task].score(wrong, question) == 0.0
