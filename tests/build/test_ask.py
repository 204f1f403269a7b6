"""A build whose chains a model writes: what is sent, what is kept, what is refused, and that nothing is paid for twice."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import cotgen
from cotgen.build import ask
from cotgen.build.preflight import preflight
from cotgen.build.report import Outcome
from cotgen.build.teaching import Teaching
from cotgen.chains import teacher
from cotgen.chains.judge_standin import StandInJudge
from cotgen.chains.stand_in import reply
from cotgen.chains.write import write_pair
from cotgen.errors import CotgenError
from cotgen.inspect.reviews import ReviewFile
from cotgen.models.endpoint import Endpoint
from cotgen.models.stub import Asked, Faults, StubServer
from cotgen.records import Review
from cotgen.shards.verify import verify
from cotgen.surgeries.priors import Priors

Run = Callable[..., Outcome]
Change = Callable[[ask.Asked, dict[str, Any], int], Mapping[str, Any] | str]


@dataclass
class Scholar:
    """Answers each request with the template's chain of its question, changed as a test wants it."""

    drafts: dict[str, ask.Asked] = field(default_factory=dict)
    change: Change = lambda asked, reply, turn: reply
    bodies: list[Mapping[str, Any]] = field(default_factory=list)

    def __call__(self, asked: Asked) -> Mapping[str, Any] | str:
        self.bodies.append(asked.body)
        own = self.drafts[asked.key]
        written = write_pair(own.frame.scene, own.question, own.priors, 0)
        assert written
        return self.change(own, teacher.reply_from(own.draft, written[1]), len(asked.body["messages"]) // 2 - 1)


@pytest.fixture
def scholar(monkeypatch: pytest.MonkeyPatch) -> Scholar:
    made = Scholar()
    request = ask.Asker._request

    def remembered(self: ask.Asker, asked: ask.Asked, again: Any) -> Any:
        found = request(self, asked, again)
        made.drafts[found.cache_key] = asked
        return found

    monkeypatch.setattr(ask.Asker, "_request", remembered)
    return made


@pytest.fixture
def server(scholar: Scholar) -> Iterator[StubServer]:
    stub = StubServer(scholar)
    with stub:
        yield stub


def taught(server: StubServer, **given: Any) -> dict[str, Any]:
    return {"writer": "teacher", "teacher_url": server.url, "teacher_model": "stub", "limit": 6, **given}


def writers(out: Path) -> dict[str, str]:
    return {f"{sample.key}#{pair.id}": pair.record.writer for sample in cotgen.open(out) for pair in sample.pairs}


def rejected(out: Path) -> list[dict[str, Any]]:
    lines = (out.with_name(f"{out.name}.work") / "rejected" / f"{out.name}.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def spoil(asked: ask.Asked, reply: dict[str, Any], turn: int) -> dict[str, Any]:
    """Say of the first sentence's instrument what no label holds."""
    rows = [dict(row) for row in reply["statements"]]
    rows[0]["text"] = "A trocar burns the liver."
    return {"statements": rows}


def test_chains_of_a_teacher_are_verified_and_nothing_is_asked_twice(
    demo: Path, run: Run, tmp_path: Path, server: StubServer
) -> None:
    out = tmp_path / "out"
    outcome = run(demo, out, **taught(server))
    assert outcome.exit_code == 0 and set(writers(out).values()) == {"teacher/stub/1"}
    assert verify(out).ok and not rejected(out)
    asked = len(server.counts)
    assert asked == len(writers(out)) and set(server.counts.values()) == {1}
    again = run(demo, out, **taught(server))
    assert again.unchanged and sum(server.counts.values()) == asked
    counts = cotgen.open(out).manifest.counts["teacher"]
    assert counts["accepted"] == counts["asked"] == asked
    assert f"`stub` was asked for the chains of {asked:,} questions" in (out / "README.md").read_text()
    told = cotgen.open(out).manifest.config["teacher"]
    assert told["model"] == "stub" and server.url not in json.dumps(cotgen.open(out).manifest.model_dump())


def test_what_reviewers_marked_wrong_is_left_out_and_nobody_is_asked_for_it(
    demo: Path, run: Run, tmp_path: Path, server: StubServer
) -> None:
    out = tmp_path / "out"
    run(demo, out, **taught(server))
    asked, before = sum(server.counts.values()), writers(out)
    sample = cotgen.open(out)[0]
    mark = Review.of(sample.key, sample.record.pairs[0], 0, "wrong", "Ada")
    ReviewFile(tmp_path / "reviews.jsonl").add(mark)
    outcome = run(demo, out, **taught(server), exclude_reviewed_wrong=tmp_path / "reviews.jsonl", replace=True)
    assert sum(server.counts.values()) == asked and outcome.executed.get("ask", 0) == 0
    assert writers(out) == {name: writer for name, writer in before.items() if name != mark.pair}
    assert verify(out).ok


def test_each_request_has_the_picture_the_schema_and_a_seed(
    demo: Path, run: Run, tmp_path: Path, server: StubServer, scholar: Scholar
) -> None:
    run(demo, tmp_path / "out", **taught(server))
    body = scholar.bodies[0]
    picture, text = body["messages"][-1]["content"]
    assert picture["image_url"]["url"].startswith("data:image/jpeg;base64,") and "FACTS" in text["text"]
    assert body["response_format"]["json_schema"]["schema"] == teacher.REPLY_SCHEMA
    assert len({body["seed"] for body in scholar.bodies}) == len(scholar.bodies)


@pytest.mark.slow
def test_without_pictures_none_is_sent_and_no_look_is_asked_for(
    demo: Path, run: Run, tmp_path: Path, server: StubServer, scholar: Scholar
) -> None:
    out = tmp_path / "out"
    run(demo, out, frames="none", no_image=True, **taught(server))
    assert all(isinstance(body["messages"][-1]["content"], str) for body in scholar.bodies)
    assert "visual" not in scholar.bodies[0]["messages"][0]["content"]
    assert verify(out).ok


def test_a_look_is_kept_with_the_colours_that_were_measured_and_refused_where_they_are_not_there(
    demo: Path, run: Run, tmp_path: Path, server: StubServer, scholar: Scholar
) -> None:
    def look(asked: ask.Asked, reply: dict[str, Any], turn: int) -> dict[str, Any]:
        rows = list(reply["statements"])
        text = "Smoke is seen in the field." if turn else "The hook is green."
        code = ["visual"] if turn else ["visual", "F1"]
        return {"statements": [{"level": 1, "text": text, "from": code}, *_moved(rows, 1)]}

    scholar.change = look
    out = tmp_path / "out"
    run(demo, out, **taught(server))
    looks = [
        s
        for sample in cotgen.open(out)
        for pair in sample.pairs
        for s in pair.record.statements
        if s.basis == "visual"
    ]
    assert {s.text for s in looks} == {"Smoke is seen in the field."}
    assert all(s.evidence == ["seen:teacher/stub/1"] for s in looks)
    rendered = [pair for sample in cotgen.open(out) for pair in sample.pairs]
    assert all("Smoke" in pair.render("cot")["response"] for pair in rendered)
    assert not any("Smoke" in pair.render("cot", without=("visual",))["response"] for pair in rendered)
    assert {row["round"] for row in rejected(out)} == {0} and verify(out).ok
    counts = cotgen.open(out).manifest.counts["teacher"]
    assert counts["mended"] == counts["reasked"] == counts["accepted"]
    assert counts["by_basis"]["visual"]["sound"] == counts["by_basis"]["visual"]["kept"] == len(looks)


def _moved(rows: list[dict[str, Any]], by: int) -> list[dict[str, Any]]:
    """Sentences whose references to earlier ones count one more before them."""
    return [
        {**row, "from": [f"S{int(code[1:]) + by}" if code[0] == "S" else code for code in row["from"]]} for row in rows
    ]


def test_a_refused_reply_is_asked_for_again_with_its_findings_quoted(
    demo: Path, run: Run, tmp_path: Path, server: StubServer, scholar: Scholar
) -> None:
    scholar.change = lambda asked, reply, turn: reply if turn else spoil(asked, reply, turn)
    out = tmp_path / "out"
    run(demo, out, **taught(server))
    assert set(writers(out).values()) == {"teacher/stub/1"}
    second = next(body for body in scholar.bodies if len(body["messages"]) > 2)
    assert [message["role"] for message in second["messages"]] == ["system", "user", "assistant", "user"]
    assert "A trocar burns the liver." in second["messages"][-1]["content"][1]["text"]
    rows = rejected(out)
    assert len(rows) == len(writers(out)) and all("trocar" in row["reply"] and row["reasons"] for row in rows)


@pytest.mark.parametrize("fallback", ["template", "none"])
@pytest.mark.slow
def test_what_is_refused_twice_gets_its_template_or_nothing(
    demo: Path, run: Run, tmp_path: Path, server: StubServer, scholar: Scholar, fallback: str
) -> None:
    scholar.change = lambda asked, reply, turn: (
        spoil(asked, reply, turn) if asked.question.task == "tool_count" else reply
    )
    out = tmp_path / "out"
    run(demo, out, **taught(server, teacher_fallback=fallback))
    counted = {writer for name, writer in writers(out).items() if "#tool.count" in name or "#tool_count" in name}
    assert counted == ({"template/1"} if fallback == "template" else set())
    refused = {f"{row['key']}#{row['id']}" for row in rejected(out)}
    lost = [item for item in cotgen.open(out).manifest.left_out if "teacher" in item.reason]
    assert [item.count for item in lost] == ([] if fallback == "template" else [len(refused)])
    assert refused and verify(out).ok


@pytest.mark.slow
def test_a_mix_draws_its_share_and_a_larger_share_only_adds(
    demo: Path, run: Run, tmp_path: Path, server: StubServer
) -> None:
    found = {}
    for share in ("0.2", "0.6"):
        out = tmp_path / share
        run(demo, out, **taught(server, writer="mix", teacher_share=share, limit=0, work=tmp_path / "work"))
        found[share] = {name for name, writer in writers(out).items() if writer.startswith("teacher")}
        assert abs(len(found[share]) / len(writers(out)) - float(share)) < 0.1
    assert found["0.2"] < found["0.6"]
    assert set(server.counts.values()) == {1}


def test_what_a_server_gave_no_reply_to_is_asked_by_the_next_run_and_nothing_else(
    demo: Path, run: Run, tmp_path: Path, scholar: Scholar, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cotgen.models.client._FIRST_WAIT_S", 0.001)
    out = tmp_path / "out"
    failing = StubServer(scholar, faults=Faults({"500": 0.8}, seed=3))
    with failing:
        first = run(demo, out, **taught(failing))
    assert first.teacher and first.teacher.given_up and first.exit_code == 1
    assert {"template/1", "teacher/stub/1"} == set(writers(out).values()) and verify(out).ok
    whole = StubServer(scholar)
    with whole:
        second = run(demo, out, **taught(whole))
    assert second.exit_code == 0 and set(writers(out).values()) == {"teacher/stub/1"}
    assert set(whole.counts) == set(failing.counts) - set(failing.answered)


def test_a_server_that_refuses_everything_ends_the_build_with_what_mends_it(
    demo: Path, run: Run, tmp_path: Path, scholar: Scholar
) -> None:
    stub = StubServer(scholar, faults=Faults(script=["image_limit"] * 99))
    with stub, pytest.raises(CotgenError, match="--limit-mm-per-prompt"):
        run(demo, tmp_path / "out", **taught(stub))


@pytest.mark.slow
def test_the_same_replies_give_the_same_bytes_from_any_number_of_workers_and_without_a_server(
    demo: Path, run: Run, tmp_path: Path, server: StubServer
) -> None:
    sums = []
    for name, url, workers in (("a", server.url, 1), ("b", "http://127.0.0.1:9/v1", 2)):
        out = tmp_path / name
        given = taught(server) | {"teacher_url": url, "workers": workers, "work": tmp_path / "work"}
        if name == "b":
            for path in (tmp_path / "work" / "asked").iterdir():
                path.unlink()
        run(demo, out, **given)
        sums.append((out / "SHA256SUMS").read_text())
    assert sums[0] == sums[1]


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"teacher_url": ""}, "--writer needs a server"),
        ({"teacher_model": ""}, "--teacher-model"),
        ({"writer": "template"}, "add --writer teacher"),
        ({"teacher_url": "http://8.8.8.8/v1"}, r"--send-frames-to 8\.8\.8\.8"),
        ({"frames": "reference"}, "publish --frames reference"),
        ({"teacher_share": "1.5", "writer": "mix"}, "no share"),
        ({"teacher_extra": "{"}, "not JSON"),
    ],
)
def test_what_cannot_be_asked_is_said_before_anything_is_sent(
    demo: Path, run: Run, tmp_path: Path, given: dict[str, Any], sentence: str
) -> None:
    named = {"writer": "teacher", "teacher_url": "http://127.0.0.1:9/v1", "teacher_model": "stub"}
    with pytest.raises(CotgenError, match=sentence):
        run(demo, tmp_path / "out", **(named | given))


def test_a_host_that_was_named_may_be_sent_frames_and_the_manifest_says_so(
    demo: Path, run: Run, tmp_path: Path, server: StubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cotgen.models.endpoint.is_local", lambda host: False)
    with pytest.raises(CotgenError, match=r"--send-frames-to 127\.0\.0\.1"):
        run(demo, tmp_path / "out", **taught(server))
    run(demo, tmp_path / "out", **taught(server, send_frames_to="127.0.0.1"))
    assert cotgen.open(tmp_path / "out").manifest.config["teacher"]["send_frames_to"] == ["127.0.0.1"]


@pytest.mark.slow
def test_a_judge_drops_looks_that_do_not_hold_and_its_scores_are_kept(
    demo: Path, run: Run, tmp_path: Path, server: StubServer, scholar: Scholar
) -> None:
    def two_looks(asked: ask.Asked, reply: dict[str, Any], turn: int) -> dict[str, Any]:
        looks = ("Smoke is seen in the field.", "The picture is slightly blurred.")
        rows = [{"level": 1, "text": text, "from": ["visual"]} for text in looks]
        return {"statements": [*rows, *_moved(list(reply["statements"]), 2)]}

    scholar.change = two_looks
    doubting = StandInJudge(doubts=["smoke"])
    judge = StubServer(lambda asked: doubting.reply(asked.turns[0][1], asked.text) or {}, model="judge")
    out = tmp_path / "out"
    with judge:
        run(demo, out, judge_url=judge.url, judge_model="judge", judge_asks="visual", **taught(server))
    pairs = [pair.record for sample in cotgen.open(out) for pair in sample.pairs]
    looks = [statement for pair in pairs for statement in pair.statements if statement.basis == "visual"]
    assert {look.text for look in looks} == {"The picture is slightly blurred."} and verify(out).ok
    assert all("judged:judge/judge/1=1.00" in look.evidence for look in looks)
    counts = cotgen.open(out).manifest.counts["teacher"]["judged"]
    assert counts["looks judged"] == 2 * counts["looks dropped"] == 2 * len(looks)
    assert set(judge.counts.values()) == {1}


@pytest.mark.slow
def test_a_chain_whose_first_levels_do_not_lead_to_its_answer_is_refused_and_asked_for_again(
    demo: Path, run: Run, tmp_path: Path, server: StubServer
) -> None:
    out = tmp_path / "out"
    judge = StubServer(lambda asked: {"answer": "unclear", "answers": ["unclear"]}, model="judge")
    with judge:
        run(demo, out, judge_url=judge.url, judge_model="judge", judge_asks="recover", **taught(server))
    promised = {
        pair.record.support for sample in cotgen.open(out) for pair in sample.pairs if "teacher" in pair.record.writer
    }
    assert promised <= {"asserted"}
    assert {reason["check"] for row in rejected(out) for reason in row["reasons"]} == {"judge_recover"}


@pytest.mark.slow
def test_a_judge_that_fails_leaves_its_questions_to_the_next_run(
    demo: Path, run: Run, tmp_path: Path, server: StubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cotgen.models.client._FIRST_WAIT_S", 0.001)
    out = tmp_path / "out"
    judge = StubServer(lambda asked: {}, model="judge", faults=Faults({"500": 1.0}))
    with judge:
        outcome = run(demo, out, judge_url=judge.url, judge_model="judge", judge_asks="recover", **taught(server))
    assert outcome.teacher and outcome.teacher.given_up and outcome.exit_code == 1
    honest = StandInJudge(Priors.from_json((out / "priors.json").read_bytes()))
    judge = StubServer(lambda asked: honest.reply(asked.turns[0][1], asked.text) or {}, model="judge")
    with judge:
        again = run(demo, out, judge_url=judge.url, judge_model="judge", judge_asks="recover", **taught(server))
    assert again.exit_code == 0 and set(server.counts.values()) == {1}


def test_a_preflight_says_what_a_build_would_make_of_a_server() -> None:
    stub = StubServer(reply)
    options = Teaching(writer="teacher", teacher_model="stub", teacher_url="http://localhost/v1")
    with stub as url:
        whole = preflight(options, Endpoint(url, "stub"))
        other = preflight(options, Endpoint(url, "other"))
    assert not whole.problem and "The checks let the chain pass:" in whole.lines
    assert "no model 'other'" in other.problem
    blind = StubServer(reply, faults=Faults(script=["image_limit"]))
    with blind as url:
        assert "--no-image" in preflight(options, Endpoint(url, "stub")).problem


@pytest.mark.slow
def test_another_teacher_in_the_same_folder_is_named(demo: Path, run: Run, tmp_path: Path, server: StubServer) -> None:
    run(demo, tmp_path / "out", **taught(server))
    with pytest.raises(CotgenError, match=r"\(teacher\.temperature: 0\.7 there, 0\.2 now\)"):
        run(demo, tmp_path / "out", **taught(server, teacher_temperature=0.2))
    with pytest.raises(CotgenError, match=r"teacher\.model: stub there, none now"):
        run(demo, tmp_path / "out", limit=6)


@pytest.mark.parametrize(
    ("row", "check"),
    [
        ({"level": 1, "text": "A hook is in view.", "from": ["F99"]}, "form:codes"),
        ({"level": 1, "text": "A hook is in view", "from": ["F1"]}, "form:sentence"),
        ({"level": 4, "text": "A hook is in view.", "from": ["F1"]}, "form:levels"),
        ({"level": 1, "text": "A hook is here <bbox:77>.", "from": ["F1"]}, "form:boxes"),
        ({"level": 1, "text": "A hook is burning the liver.", "from": ["F1"]}, "act"),
    ],
)
@pytest.mark.slow
def test_why_a_reply_is_refused_is_counted_by_what_is_wrong_with_it(
    demo: Path, run: Run, tmp_path: Path, server: StubServer, scholar: Scholar, row: dict[str, Any], check: str
) -> None:
    scholar.change = lambda asked, reply, turn: {"statements": [row, *_moved(reply["statements"], 1)]}
    out = tmp_path / "out"
    run(demo, out, **taught(server, tasks="phase", limit=2))
    assert cotgen.open(out).manifest.counts["teacher"]["reasons"].get(check, 0) >= 1, rejected(out)[0]["reasons"]
