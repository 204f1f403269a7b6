"""A checkpoint behind the local server answers the client as another server does."""

import asyncio
import base64
import io
import json
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest
from PIL import Image

from cotgen.models.client import Client
from cotgen.models.endpoint import Endpoint
from cotgen.models.request import Failure, Outcome, Reply, Request
from cotgen.stages.serve import Policy, server
from cotgen.stages.tiny import Tiny, write
from tests.training.needs import TRAINERS

pytestmark = [pytest.mark.slow, TRAINERS]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("policy")
    write(folder, Tiny(), ["Is a hook in view? Yes. No. system user assistant"])
    running = server(Policy(str(folder)), "policy")
    threading.Thread(target=running.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{running.server_address[1]}/v1"
    running.shutdown()


def picture() -> str:
    file = io.BytesIO()
    Image.new("RGB", (320, 180), (120, 30, 30)).save(file, "JPEG")
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()


def ask(url: str, requests: list[Request], model: str = "policy") -> list[Outcome]:
    async def all_of_them() -> list[Outcome]:
        async with Client(Endpoint(url, model, resends=0)) as client:
            return list(await asyncio.gather(*(client.ask(request) for request in requests)))

    return asyncio.run(all_of_them())


def request(number: int, **options: object) -> Request:
    told = {"seed": number, "temperature": 1.0, "max_tokens": 300, "samples": 2, "image": picture(), **options}
    return Request(f"{number:064d}", (("system", "Think."), ("user", "Is a hook in view?")), **told)  # type: ignore[arg-type]


def texts(outcome: Outcome) -> list[str]:
    return [choice.text for choice in outcome.choices] if isinstance(outcome, Reply) else []


def test_a_reply_depends_on_its_request_and_not_on_those_beside_it(url: str) -> None:
    many = ask(url, [request(number) for number in range(6)])
    [alone] = ask(url, [request(3)])
    assert texts(alone) == texts(many[3]) != texts(many[4])
    assert len(set(texts(many[3]))) == 2
    assert isinstance(alone, Reply)
    assert alone.usage.prompt_tokens > 12


def test_without_temperature_replies_are_equal_and_a_cut_one_says_so(url: str) -> None:
    [greedy] = ask(url, [request(1, temperature=0.0)])
    assert len(set(texts(greedy))) <= 1
    [cut] = ask(url, [request(2, max_tokens=1, samples=1)])
    assert isinstance(cut, Failure)
    assert cut.problem.kind in ("length", "empty")


def test_a_picture_that_cannot_be_read_is_refused_in_words(url: str) -> None:
    [outcome] = ask(url, [request(5, image="data:image/jpeg;base64,AAAA")])
    assert isinstance(outcome, Failure)
    assert "a picture cannot be decoded" in outcome.problem.text


def post(url: str, body: dict[str, object]) -> int:
    sent = urllib.request.Request(f"{url}/chat/completions", json.dumps(body).encode())
    try:
        with urllib.request.urlopen(sent, timeout=60) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_a_request_that_cannot_be_answered_is_refused_and_takes_no_other_with_it(url: str) -> None:
    asked = {"model": "policy", "messages": [{"role": "user", "content": "Is a hook in view?"}], "max_tokens": 4}
    for wrong in ({"n": -1}, {"max_tokens": -1}, {"seed": 2**63}, {"messages": [1]}):
        assert post(url, asked | wrong) == 400
    lost = Request(f"{7:064d}", (("user", "<|image_pad|> Is a hook in view?"),), seed=7, max_tokens=300)
    found = ask(url, [request(1), lost, request(2)])
    assert [isinstance(outcome, Failure) for outcome in found] == [False, True, False]
