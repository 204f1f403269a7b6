"""ShamPolicy: a policy for tests, that knows which stored pair a request asks about and answers as it is told to."""

from collections.abc import Callable
from pathlib import Path

from cotgen.chains.boxes import BoxFormat
from cotgen.chains.render import render_boxes, render_chain
from cotgen.models.images import ImageMaker
from cotgen.models.stub import Asked
from cotgen.training.portions import Portion
from cotgen.training.sampler import Prompt, prompts_of
from cotgen.training.selection import Selection

HINTED = "The right answer is:"


class ShamPolicy:
    """Finds the prompt of a request by its picture and question, and has `answers` write the reply.

    Args:
        folder: the data set that is asked about.
        boxes: how boxes are written.
        answers: the prompt, the number of the sample, and whether a hint came with it -> the reply.
        maker: of pictures as they are sent; by default those of the client.
    """

    def __init__(
        self,
        folder: Path,
        boxes: BoxFormat,
        answers: Callable[[Prompt, int, bool], str],
        maker: ImageMaker | None = None,
    ) -> None:
        selection = Selection(view="prompt", splits=("train", "validation"))
        maker = maker or ImageMaker()
        self._known: dict[tuple[str, str], Prompt] = {}
        for prompt in prompts_of([Portion(folder)], selection, boxes):
            url = maker.image(prompt.pixels, lambda p=prompt: p.jpeg).url
            self._known[url, prompt.turns[-1][1]] = prompt
        self._answers = answers

    def __call__(self, asked: Asked) -> str:
        url = next(
            part["image_url"]["url"]
            for message in asked.body["messages"]
            if isinstance(message["content"], list)
            for part in message["content"]
            if part["type"] == "image_url"
        )
        hinted = HINTED in asked.text
        question = asked.text.partition("\n\nThis question was answered wrongly.")[0]
        return self._answers(self._known[url, question], asked.sample, hinted)


def gold(prompt: Prompt, boxes: BoxFormat) -> str:
    """The stored chain with its answer, as a policy writes it."""
    return render_boxes(render_chain(prompt.pair), prompt.pair.boxes, boxes, prompt.size)


def saying(text: str, answer: str) -> str:
    """The same levels with another answer."""
    return f"{text.partition('<answer>')[0]}<answer>{answer}</answer>"


def wrong(prompt: Prompt, boxes: BoxFormat) -> str:
    """The stored chain with an answer that is not that of the frame."""
    other = {"yes": "no", "no": "yes"}.get(prompt.pair.answer, "specimen bag\nscissors\nclipper\nbipolar")
    return saying(gold(prompt, boxes), other)
