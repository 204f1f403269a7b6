"""Replies are sampled over HTTP: in order, cached, resumable, cut ones among them, and pictures stay where they may be."""

import base64
import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from cotgen.chains.boxes import BoxFormat
from cotgen.draws import draw
from cotgen.errors import CotgenError
from cotgen.models.cache import ReplyCache
from cotgen.models.endpoint import Endpoint
from cotgen.models.stub import Asked, Faults, StubServer
from cotgen.training.portions import Portion
from cotgen.training.sampler import Prompt, Sampled, Sampling, closed_sources, prompts_of, sample
from cotgen.training.selection import Selection
from tests.shards.samples import Made

PROMPTS = Selection(view="prompt", tasks=("phase", "tool_yesno"))
FOUR = Sampling("stub", samples=4, max_tokens=64)


def prompts(folder: Path, most: int = 30, **other: Any) -> list[Prompt]:
    return list(prompts_of([Portion(folder)], PROMPTS, BoxFormat("per_mille"), most=most, **other))


def where(url: str, **other: Any) -> Endpoint:
    return Endpoint(**({"url": url, "model": "stub", "role": "policy", "timeout_s": 5.0, "patience_s": 5.0} | other))


def tells(asked: Asked) -> str:
    """The question and the number of the sample, so that a mix-up would show."""
    return f"<think>{asked.text}</think><answer>{asked.sample}</answer>"


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[ReplyCache]:
    with ReplyCache(tmp_path / "replies.sqlite") as opened:
        yield opened


def test_each_prompt_gets_its_replies_in_the_servers_order(folder: Path, cache: ReplyCache) -> None:
    asked = prompts(folder)
    with StubServer(tells) as url:
        found = list(sample(asked, where(url), cache, FOUR))
    assert [each.prompt for each in found] == asked
    for each in found:
        question = each.prompt.turns[-1][1]
        assert each.texts == tuple(f"<think>{question}</think><answer>{n}</answer>" for n in range(4))
        assert each.failed == ""


def test_results_come_in_order_whatever_takes_longest(folder: Path, cache: ReplyCache) -> None:
    """Twenty requests are in flight, and those drawn to be slow or refused come back late."""
    faults = Faults({"slow": 0.2, "503": 0.2}, slow_s=0.3)
    asked = prompts(folder, most=60)
    with StubServer(tells, faults=faults) as url:
        found = list(sample(asked, where(url, concurrency=10), cache, replace(FOUR, samples=1)))
    assert [each.prompt.name for each in found] == [prompt.name for prompt in asked]
    assert not any(each.failed for each in found)


def test_prompts_are_taken_only_so_far_ahead_of_a_slow_reply(folder: Path, cache: ReplyCache) -> None:
    """Memory holds the pictures in flight: one reply that hangs does not let all others pile up behind it."""
    asked = prompts(folder, most=80)
    taken = 0

    def counted() -> Iterator[Prompt]:
        nonlocal taken
        for prompt in asked:
            taken += 1
            yield prompt

    def slow(about: Asked) -> str:
        if about.text == asked[0].turns[-1][1]:
            time.sleep(0.1)
        return tells(about)

    with StubServer(slow) as url:
        stream = sample(counted(), where(url, concurrency=4), cache, replace(FOUR, samples=1))
        first = next(stream)
        assert first.prompt.name == asked[0].name
        assert taken <= 2 * 4 + 1
        assert len(list(stream)) == 79


def test_the_same_call_sends_nothing_again(folder: Path, cache: ReplyCache) -> None:
    asked = prompts(folder)
    with StubServer(tells) as url:
        found = list(sample(asked, where(url), cache, FOUR))
    # The server is gone, and another one stands elsewhere: neither takes part in a key.
    again = list(sample(asked, where("http://127.0.0.1:9/v1"), cache, FOUR))
    assert [each.texts for each in again] == [each.texts for each in found]


@pytest.mark.parametrize(
    "other",
    [
        {"samples": 3},
        {"temperature": 0.5},
        {"top_p": 0.9},
        {"max_tokens": 65},
        {"seed": 1},
        {"max_pixels": 28 * 28},
        {"image": False},
        {"extra": {"top_k": 5}},
        {"weights": "another checkpoint"},
    ],
    ids=lambda other: next(iter(other)),
)
def test_what_decides_a_reply_is_part_of_its_key(folder: Path, cache: ReplyCache, other: dict[str, Any]) -> None:
    asked = prompts(folder, most=1)
    stub = StubServer(tells)
    with stub as url:
        list(sample(asked, where(url), cache, FOUR))
        list(sample(asked, where(url), cache, replace(FOUR, **other)))
    assert len(stub.answered) == 2


def test_a_cut_reply_is_none_and_is_not_asked_for_again(folder: Path, cache: ReplyCache) -> None:
    """A policy that is cut has given this reply; another seed would make it look better than it is."""
    asked = prompts(folder, most=5)
    stub = StubServer(tells, faults=Faults(script=["length"]))
    with stub as url:
        found = list(sample(asked, where(url), cache, FOUR))
        assert [each.texts for each in found] == [(None,) * 4] * 5
        assert not any(each.failed for each in found)
        again = list(sample(asked, where(url), cache, FOUR))
    assert [each.texts for each in again] == [each.texts for each in found]
    assert set(stub.counts.values()) == {1}


def test_a_request_without_a_reply_is_told_and_asked_again_by_the_next_call(folder: Path, cache: ReplyCache) -> None:
    asked = prompts(folder, most=8)
    lost = asked[3].turns[-1][1]
    with StubServer(tells, faults=Faults({"context": 1.0})) as url:
        found = list(sample(asked, where(url), cache, FOUR))
    assert all(each.texts == () and "--max-model-len" in each.failed for each in found)
    with StubServer(tells) as url:
        found = list(sample(asked, where(url), cache, FOUR))
    assert not any(each.failed for each in found)
    assert lost in str(found[3].texts)


def test_a_server_that_gives_one_reply_at_a_time_is_asked_for_the_rest(folder: Path, cache: ReplyCache) -> None:
    class OneAtATime(StubServer):
        def _completion(self, asked: Asked, fault: str) -> dict[str, Any]:
            return super()._completion(Asked({**asked.body, "n": 1}, asked.key, asked.attempt), fault)

    asked = prompts(folder, most=2)
    stub = OneAtATime(lambda about: str(about.body["seed"]))
    with stub as url:
        found = list(sample(asked, where(url), cache, FOUR))
        assert all(len(set(each.texts)) == 4 for each in found)
        again = list(sample(asked, where(url), cache, FOUR))
    assert [each.texts for each in again] == [each.texts for each in found]
    assert sum(stub.counts.values()) == 8


def test_the_picture_is_made_as_the_processor_makes_it(folder: Path, cache: ReplyCache) -> None:
    sizes, texts = [], []

    def look(about: Asked) -> str:
        content = about.body["messages"][-1]["content"]
        texts.append(about.turns)
        if isinstance(content, list):
            url = content[0]["image_url"]["url"]
            sizes.append(Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))).size)
        return "x"

    [asked] = prompts(folder, most=1)
    one = replace(FOUR, samples=1)
    with StubServer(look) as url:
        list(sample([asked], where(url), cache, replace(one, min_pixels=64 * 64, max_pixels=128 * 96, factor=32)))
        list(sample([asked], where(url), cache, replace(one, image=False)))
    assert asked.size == (48, 36)
    assert sizes == [(96, 64)]
    assert texts[0] == texts[1] == asked.turns
    assert asked.turns[0][0] == "system"


def test_a_draw_of_prompts_is_by_name_and_only_grows(folder: Path) -> None:
    few, many = prompts(folder, most=10), prompts(folder, most=20)
    everything = prompts(folder, most=0)
    names = [prompt.name for prompt in everything]
    assert {prompt.name for prompt in few} < {prompt.name for prompt in many} < set(names)
    assert [prompt.name for prompt in many] == [name for name in names if name in {p.name for p in many}]
    ranked = sorted(names, key=lambda name: draw(0, "prompts", name))
    assert {prompt.name for prompt in few} == set(ranked[:10])
    assert {prompt.name for prompt in prompts(folder, most=10, seed=1)} != {prompt.name for prompt in few}


def test_a_pair_of_two_data_sets_comes_once(folder: Path) -> None:
    twice = prompts_of([Portion(folder), Portion(folder)], PROMPTS, BoxFormat("per_mille"))
    assert [prompt.name for prompt in twice] == [prompt.name for prompt in prompts(folder, most=0)]


def test_pictures_go_nowhere_unless_the_terms_or_the_user_allow_it(
    folder: Path, cache: ReplyCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cotgen.models.endpoint.is_local", lambda host: False)
    asked = prompts(folder, most=1)
    assert asked[0].closed == ("cholec80",)
    stub = StubServer(tells)
    with stub as url:
        with pytest.raises(CotgenError, match=r"--send-frames-to 127\.0\.0\.1"):
            list(sample(asked, where(url), cache, FOUR))
        assert not stub.counts
        assert len(list(sample(asked, where(url), cache, FOUR, send_frames_to=["127.0.0.1"]))) == 1
        assert len(list(sample(asked, where(url), cache, replace(FOUR, image=False)))) == 1
        # Where the terms allow it, nobody has to be named.
        opened = replace(asked[0], closed=())
        assert len(list(sample([opened], where(url), cache, replace(FOUR, seed=1)))) == 1


def test_a_data_set_that_names_no_source_gives_no_permission(made: Made, folder: Path) -> None:
    from cotgen.shards.manifest import load

    manifest = load(folder)
    assert closed_sources([manifest.model_copy(update={"sources": []})]) == ("an unnamed source",)
    # What an edited manifest allows, this installation's own terms still have to allow.
    assert manifest.sources[0].share_frames
    opened = manifest.sources[0].model_copy(update={"name": "endoscapes"})
    assert closed_sources([manifest.model_copy(update={"sources": [opened]})]) == ()
    assert closed_sources([manifest, manifest.model_copy(update={"sources": [opened]})]) == ("cholec80",)


def test_samplings_that_mean_nothing_are_refused() -> None:
    with pytest.raises(CotgenError, match="temperature 0"):
        Sampling("stub", samples=2, temperature=0)
    with pytest.raises(CotgenError, match="at least one sample"):
        Sampling("stub", samples=0)


_CHILD = """
import sys
from pathlib import Path
from cotgen.models.cache import ReplyCache
from cotgen.training.sampler import sample
from tests.training.test_sampler import FOUR, prompts, where
with ReplyCache(Path(sys.argv[2])) as cache:
    for found in sample(prompts(Path(sys.argv[1])), where(sys.argv[3], concurrency=2), cache, FOUR):
        print(found.prompt.name, flush=True)
"""


def test_after_kill_9_no_reply_that_was_handed_on_is_asked_for_again(folder: Path, tmp_path: Path) -> None:
    stub = StubServer(tells, slots=2, service_s=0.02)
    file = tmp_path / "replies.sqlite"
    with stub as url:
        arguments = [sys.executable, "-c", _CHILD, str(folder), str(file), url]
        child = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)
        assert child.stdout
        before = [child.stdout.readline().strip() for _ in range(10)]
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
        child.stdout.close()
        with ReplyCache(file) as cache:
            paid = len(cache)
            found: list[Sampled] = list(sample(prompts(folder), where(url), cache, FOUR))
    assert before == [each.prompt.name for each in found][:10]
    # Requests that were in flight when it was killed may come twice, those that were kept do not.
    assert paid >= 10
    assert sum(count == 1 for count in stub.counts.values()) >= paid
    assert max(stub.counts.values()) <= 2
