"""What the page asks over HTTP, and what it must not be given."""

import io
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import polars as pl
import pytest
from PIL import Image

from cotgen.chains.render import render_chain
from cotgen.errors import CotgenError
from cotgen.inspect.reviews import ReviewFile, read_reviews
from cotgen.inspect.text import write_text
from cotgen.inspect.viewer import Folder
from cotgen.records import Review, Sample, marked_sha256
from tests.inspect.served import Page, serving
from tests.shards.samples import SIZE, Made, make, write_folder


@pytest.fixture(scope="module")
def page(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with serving(folder, reviews=tmp_path_factory.mktemp("marks") / "reviews.jsonl") as found:
        yield found


def mark_of(sample: Sample, **given: Any) -> dict[str, Any]:
    pair = sample.pairs[0]
    body = {
        "pair": f"{sample.key}#{pair.id}",
        "statement": 0,
        "sha256": marked_sha256(pair, given.get("statement", 0)),
        "verdict": "wrong",
        "note": "",
        "reviewer": "Ada",
    }
    return body | given


def test_the_page_and_its_parts_come_from_the_package_alone(page: Page) -> None:
    answer = page.request("GET", "/")
    assert answer.status == 200 and answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "default-src 'self'" in answer.headers["Content-Security-Policy"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    names = re.findall(r'(?:src|href)="([^"#]+)"', answer.body.decode())
    assert len(names) > 8
    for name in names:
        assert name.startswith("/static/")
        assert page.request("GET", name).status == 200
    for module in (name for name in names if name.endswith(".js")):
        source = page.request("GET", module).body.decode()
        # Text of data sets and models becomes text and nothing else; nothing comes from another machine.
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|https?://(?!www\.w3\.org)", source
        )


def test_a_sample_with_its_evidence_resolved(page: Page, made: Made) -> None:
    sample = made.samples[0]
    found = page.get(f"/api/sample?key={sample.key}")
    assert [pair["id"] for pair in found["pairs"]] == [pair.id for pair in sample.pairs]
    assert found["stored"] is True
    for pair, shown in zip(sample.pairs, found["pairs"], strict=True):
        assert len(shown["evidence"]) == len(pair.statements)
        assert shown["sha256"] == [marked_sha256(pair, n) for n in (*range(len(pair.statements)), -1)]
        for statement, cited in zip(pair.statements, shown["evidence"], strict=True):
            assert [f"{entry['kind']}:{entry['target']}" for entry in cited] == statement.evidence
            for entry in cited:
                assert entry["problem"] == ""
                if entry["kind"] == "fact":
                    assert entry["facts"] == [entry["target"]] and "says" in entry["words"]
                if entry["kind"] == "knowledge":
                    assert entry["knowledge"]["texts"] and entry["knowledge"]["sources"]


def test_pictures_and_thumbnails(page: Page, made: Made) -> None:
    sample = made.samples[0]
    answer = page.request("GET", f"/picture/0/{sample.key}.jpg?v=1")
    assert answer.body == made.pictures[sample.key] and answer.headers["Content-Type"] == "image/jpeg"
    small = page.request("GET", f"/thumbnail/0/{sample.key}.jpg?v=1")
    assert Image.open(io.BytesIO(small.body)).size == SIZE


def test_filters_count_and_page(page: Page, made: Made) -> None:
    pairs = [(sample, pair) for sample in made.samples for pair in sample.pairs]
    assert page.get("/api/page?limit=5")["total"] == len(pairs)
    train = [pair for sample, pair in pairs if sample.split == "train" and pair.task == "phase"]
    assert page.get("/api/page?split=train&task=phase")["total"] == len(train)
    two = [pair for _, pair in pairs if pair.task in ("phase", "tool_count")]
    found = page.get("/api/page?task=phase&task=tool_count")
    assert found["total"] == len(two) and {row["task"] for row in found["rows"]} == {"phase", "tool_count"}
    facets = page.get("/api/facets?split=train")
    assert dict(facets["task"])["phase"] == len(train)
    assert dict(facets["split"])["test"] == sum(sample.split == "test" for sample, _ in pairs)
    term = "instrument.hook"
    with_hook = [pair for sample, pair in pairs if any(term in fact.terms for fact in sample.facts)]
    assert page.get(f"/api/page?term={term}")["total"] == len(with_hook) > 0


def test_a_search_goes_by_names_and_answers_at_once(page: Page, made: Made) -> None:
    pairs = [(sample, pair) for sample in made.samples for pair in sample.pairs]
    key = made.samples[3].key
    assert page.get(f"/api/page?q={key}")["total"] == len(made.samples[3].pairs)
    wanted = [pair for _, pair in pairs if "clipping and cutting" in pair.answer.lower()]
    assert page.get("/api/page?q=%22Clipping+and+cutting%22&task=phase")["total"] >= len(wanted) > 0
    assert page.get("/api/page?q=nothing-is-called-so")["total"] == 0


def test_words_of_one_search_may_stand_in_the_name_and_in_the_chain(folder: Path, made: Made, tmp_path: Path) -> None:
    write_text(folder, tmp_path / "text.0.sqlite")
    sample = made.samples[3]
    with serving(folder, reviews=tmp_path / "reviews.jsonl", text=tmp_path / "text.sqlite") as page:
        text = "is in view"
        wanted = [
            pair.id
            for pair in sample.pairs
            if any(text in words for words in (pair.question, *(item.text for item in pair.statements)))
        ]
        found = page.get(f"/api/page?q={sample.key}+%22is+in+view%22")
        assert [row["id"] for row in found["rows"]] == wanted != []
        # A word in each of a thousand would keep the server busy for minutes.
        many = "+".join(f"w{n}" for n in range(1000))
        answer = page.request("GET", f"/api/page?q={many}")
        assert answer.status == 404 and "at most" in answer.json["error"]
        assert page.get("/api/page?q=" + "+".join(["hook"] * 1000))["total"] > 0


def test_what_a_basis_leaves_is_counted_without_its_own_filter(folder: Path, made: Made, tmp_path: Path) -> None:
    write_text(folder, tmp_path / "text.0.sqlite")
    bases = [
        {item.basis for item in pair.statements}
        for sample in made.samples
        if sample.split == "train"
        for pair in sample.pairs
    ]
    counts = {basis: sum(basis in own for own in bases) for basis in set().union(*bases)}
    assert len(counts) > 1
    with serving(folder, reviews=tmp_path / "reviews.jsonl", text=tmp_path / "text.sqlite") as page:
        for basis, count in counts.items():
            assert page.get(f"/api/page?split=train&basis={basis}")["total"] == count
            facets = page.get(f"/api/facets?split=train&basis={basis}")
            assert {name: n for name, n in facets["basis"] if n} == counts
            assert sum(n for _, n in facets["task"]) == count


def test_where_a_pair_stands_in_a_filter(page: Page) -> None:
    rows = page.get("/api/page?task=phase&order=time&limit=200")["rows"]
    for number, row in list(enumerate(rows))[::7]:
        found = page.get(f"/api/page?task=phase&order=time&limit=5&key={row['key']}&id={row['id']}")
        assert found["at"] == number and row in found["rows"]
    assert page.get(f"/api/page?task=tool_count&key={rows[0]['key']}&id={rows[0]['id']}")["at"] == -1
    assert [row["key"] for row in rows] == sorted(row["key"] for row in rows)


def test_a_queue_takes_strata_in_turn(page: Page) -> None:
    rows = page.get("/api/page?order=draw&by=task&limit=200")["rows"]
    tasks = sorted({row["task"] for row in rows})
    assert sorted(row["task"] for row in rows[: len(tasks)]) == tasks
    assert len({(row["key"], row["id"]) for row in rows}) == len(rows)


def test_neighbours_in_time_are_of_the_same_surgery(page: Page, made: Made) -> None:
    keys = [sample.key for sample in made.samples if sample.surgery == "cholec80/73"]
    near = page.get(f"/api/strip?key={keys[3]}")
    assert [item["key"] for item in near] == sorted(keys)
    assert [item["here"] for item in near].index(True) == sorted(keys).index(keys[3])


def test_marks_are_written_and_read_by_all(page: Page, made: Made, folder: Path) -> None:
    sample = made.samples[5]
    answer = page.mark(mark_of(sample, note="  <b>not</b> in view "))
    assert answer.status == 200
    assert answer.json["marks"] == [
        {"statement": 0, "verdict": "wrong", "note": "<b>not</b> in view", "reviewer": "Ada"}
    ]
    shown = page.get(f"/api/sample?key={sample.key}")["pairs"][0]["marks"]
    assert shown == answer.json["marks"]
    name = sample.pairs[0].id
    assert page.get("/api/page?review=mine&reviewer=Ada")["rows"][0]["id"] == name
    before = page.get("/api/page?review=todo&reviewer=Bo")["total"]
    assert page.get("/api/page?review=todo&reviewer=Ada")["total"] == before - 1
    assert page.get("/api/page?review=disputed")["total"] == 0
    page.mark(mark_of(sample, verdict="right", reviewer="Bo"))
    assert page.get("/api/page?review=disputed")["total"] == 1
    progress = page.get("/api/progress?reviewer=Ada&by=basis")
    assert (progress["pairs"], progress["statements"]) == (1, 1)
    assert dict(progress["strata"])[sample.pairs[0].statements[0].basis] == 1
    assert progress["reviewers"] == ["Ada", "Bo"]
    page.mark(mark_of(sample, verdict="withdrawn"))
    assert page.get("/api/page?review=mine&reviewer=Ada")["total"] == 0
    assert not list(folder.parent.glob("*.reviews.jsonl"))


@pytest.mark.parametrize(
    "wrong",
    [
        {"statement": 99},
        {"statement": True},
        {"statement": -2},
        {"verdict": "good"},
        {"reviewer": " "},
        {"reviewer": "x" * 81},
        {"note": "x" * 5000},
        {"note": None},
        {"sha256": "0" * 64},
        {"pair": "cholec80-99-000000#phase.open"},
    ],
)
def test_marks_of_another_form_are_refused_in_words(page: Page, made: Made, wrong: dict[str, Any]) -> None:
    before = len(read_reviews_or_none(page))
    answer = page.mark(mark_of(made.samples[0]) | wrong)
    assert answer.status == 404 and answer.json["error"]
    assert len(read_reviews_or_none(page)) == before


def test_marks_on_what_a_chain_no_longer_says_leave_the_pair_to_be_read(
    folder: Path, made: Made, tmp_path: Path
) -> None:
    path = tmp_path / "reviews.jsonl"
    one, two = made.samples[:2]
    file = ReviewFile(path)
    kept = Review.of(one.key, one.pairs[0], 0, "wrong", "Ada")
    file.add(kept)
    stale = Review.of(two.key, two.pairs[0], 0, "wrong", "Ada").model_copy(update={"sha256": "0" * 64})
    file.add(stale)
    file.add(stale.model_copy(update={"verdict": "right", "reviewer": "Bo"}))
    file.add(kept.model_copy(update={"pair": "cholec80-79-000000#phase.open"}))
    pairs = sum(len(sample.pairs) for sample in made.samples)
    with serving(folder, reviews=path) as page:
        assert page.get("/api/page?review=todo&reviewer=Ada")["total"] == pairs - 1
        assert page.get("/api/page?review=mine&reviewer=Ada")["total"] == 1
        assert page.get("/api/page?review=wrong")["total"] == 1
        assert page.get("/api/page?review=disputed")["total"] == 0
        assert page.get("/api/progress?reviewer=Ada&by=task")["pairs"] == 1
        rows = {(row["key"], row["id"]): row["marks"] for row in page.get("/api/page?limit=200")["rows"]}
        assert rows[one.key, one.pairs[0].id] == ["wrong"] and rows[two.key, two.pairs[0].id] == []


def test_names_are_one_name_however_they_are_typed(folder: Path, made: Made, tmp_path: Path) -> None:
    sample = made.samples[0]
    with serving(folder, reviews=tmp_path / "reviews.jsonl") as page:
        for name in ("J\u00f6rg", "Jo\u0308rg", "\u0639\u0644\u06cc\u200c\u0631\u0636\u0627"):
            assert page.mark(mark_of(sample, reviewer=name)).status == 200
        assert len(page.get(f"/api/sample?key={sample.key}")["pairs"][0]["marks"]) == 2
        for name in ("\x1b[31mAda", "A\u202eda", "A\0da", "\u200d"):
            assert page.mark(mark_of(sample, reviewer=name)).status == 404


def test_a_folder_that_was_built_anew_is_not_shown_by_its_old_index(made: Made, tmp_path: Path) -> None:
    folder = write_folder(made, tmp_path / "set")
    sample = made.samples[0]
    with serving(folder, reviews=tmp_path / "reviews.jsonl") as page:
        assert page.request("GET", f"/picture/0/{sample.key}.jpg").status == 200
        # The same files with another time stamp, as a card that is put in place leaves them, are the same data set.
        (folder / "manifest.json").write_bytes((folder / "manifest.json").read_bytes())
        assert page.request("GET", f"/api/sample?key={sample.key}").status == 200
        shutil.rmtree(folder)
        write_folder(make(tasks=["phase"]), folder, fingerprint="e" * 64)
        for answer in (
            page.request("GET", f"/api/sample?key={sample.key}"),
            page.request("GET", f"/picture/0/{sample.key}.jpg"),
            page.mark(mark_of(sample)),
        ):
            assert answer.status == 500 and "built anew" in answer.json["error"]
    assert not (tmp_path / "reviews.jsonl").exists()


def test_an_index_names_no_file_outside_of_its_folder(made: Made, tmp_path: Path) -> None:
    folder = write_folder(made, tmp_path / "set")
    index = pl.read_parquet(folder / "index.parquet")
    (tmp_path / "private.tar").write_bytes(next((folder / "data").glob("*.tar")).read_bytes())
    index.with_columns(pl.lit("../private.tar").alias("shard")).write_parquet(folder / "index.parquet")
    with pytest.raises(CotgenError, match="no shard of"):
        Folder(folder, None)


def test_replies_of_a_file_that_changed_are_not_taken_for_those_that_were_read(
    folder: Path, made: Made, tmp_path: Path
) -> None:
    one, two = made.samples[:2]
    path = tmp_path / "predictions.jsonl"

    def write(*samples: Sample) -> None:
        lines = [{"pair": f"{item.key}#{item.pairs[0].id}", "response": f"of {item.key}"} for item in samples]
        path.write_bytes(b"".join(orjson.dumps(line) + b"\n" for line in lines))

    write(one, two)
    with serving(folder, reviews=tmp_path / "reviews.jsonl", predictions=path) as page:
        assert page.get(f"/api/sample?key={two.key}")["pairs"][0]["reply"]["response"] == f"of {two.key}"
        write(two, one)
        answer = page.request("GET", f"/api/sample?key={two.key}")
        assert answer.status == 500 and "was changed" in answer.json["error"]
        path.unlink()
        assert page.request("GET", f"/api/sample?key={two.key}").status == 500


def test_addresses_that_are_none_are_said_in_words(page: Page) -> None:
    for path in ("http://[", "/api/page?" + "&".join(["term=x"] * 500)):
        answer = page.request("GET", path)
        assert answer.status == 404 and "no address" in answer.json["error"]


def read_reviews_or_none(page: Page) -> list[Any]:
    path = page.server.viewer.reviews.path
    return read_reviews(path) if path.exists() else []


def test_a_request_by_another_name_is_refused(page: Page) -> None:
    """A page elsewhere may let a name of its own point at this machine; the browser then sends that name."""
    for host in (
        "evil.example",
        f"evil.example:{page.server.port}",
        "127.0.0.1:x",
        ":8765",
        "",
        f"127.0.0.1.nip.io:{page.server.port}",
    ):
        assert page.request("GET", "/api/about", headers={"Host": host}).status == 403
    assert page.request("GET", "/api/about", headers={"Host": f"localhost:{page.server.port}"}).status == 200


def test_a_page_through_a_tunnel_may_have_another_port_at_its_near_end(page: Page, made: Made) -> None:
    near = "localhost:9000"
    assert page.request("GET", "/", headers={"Host": near}).status == 200
    body = mark_of(made.samples[0], verdict="withdrawn")
    assert page.mark(body, Host=near, Origin=f"http://{near}").status == 200
    # A page of another server on this machine is another origin still.
    assert page.mark(body, Origin="http://127.0.0.1:9999").status == 403


def test_a_mark_from_another_page_is_refused(page: Page, made: Made) -> None:
    body = mark_of(made.samples[0])
    assert page.mark(body, Origin="http://evil.example").status == 403
    assert page.mark(body, Origin="null").status == 403
    assert page.mark(body, Sec_Fetch_Site="cross-site").status == 403
    assert page.mark(body, Content_Type="text/plain").status == 415
    no_origin = {"Content-Type": "application/json"}
    assert page.request("POST", "/api/review", orjson.dumps(body), no_origin).status == 403


@pytest.mark.parametrize(
    "path",
    [
        "/static/../server.py",
        "/static/..%2fserver.py",
        "/static/%2e%2e/server.py",
        "//etc/passwd",
        "/picture/0/../../../etc/passwd",
        "/picture/0/..%2f..%2fmanifest.jpg",
        "/picture/7/cholec80-73-000000.jpg",
        "/api/sample?key=../../etc/passwd",
        "/api/strip?key=nothing",
        "/api/nothing",
        "/manifest.json",
    ],
)
def test_no_address_leads_out_of_the_data_set(page: Page, path: str) -> None:
    answer = page.request("GET", path)
    assert answer.status == 404
    assert b"root:" not in answer.body and answer.json["error"]


def test_another_address_than_loopback_needs_the_token(folder: Path, tmp_path: Path) -> None:
    with serving(folder, reviews=tmp_path / "r.jsonl", host="0.0.0.0") as page:
        token = page.server.token
        assert len(token) >= 24 and page.server.url.endswith(f"?token={token}")
        assert page.request("GET", "/").status == 403
        assert page.request("GET", "/?token=wrong").status == 403
        assert page.request("GET", "/api/about", headers={"Cookie": f"{page.server.cookie}=wrong"}).status == 403
        entered = page.request("GET", f"/?token={token}&task=phase")
        assert entered.status == 303 and entered.headers["Location"] == "/?task=phase"
        cookie = entered.headers["Set-Cookie"]
        assert "HttpOnly" in cookie and "SameSite=Lax" in cookie
        let_in = {"Cookie": cookie.partition(";")[0]}
        assert page.request("GET", "/api/about", headers=let_in).status == 200
        other = {**let_in, "Host": f"evil.example:{page.server.port}"}
        assert page.request("GET", "/api/about", headers=other).status == 403
        # Cookies know no ports: those of other programs on the host come along, in whatever form.
        for foreign in ('state={"a": 1}', "x", "a@b=c d", 'open="'):
            beside = {"Cookie": f"{foreign}; {let_in['Cookie']}; {foreign}"}
            assert page.request("GET", "/api/about", headers=beside).status == 200
        page.server.host = "Theatre-3"
        assert page.server.knows(f"theatre-3:{page.server.port}")


def test_a_data_set_without_pictures(made: Made, tmp_path: Path) -> None:
    bare = write_folder(make(seconds=3, frames=False), tmp_path / "bare")
    with serving(bare, reviews=tmp_path / "r.jsonl") as page:
        key = page.get("/api/page?limit=1")["rows"][0]["key"]
        assert page.get(f"/api/sample?key={key}")["stored"] is False
        answer = page.request("GET", f"/picture/0/{key}.jpg")
        assert answer.status == 404 and "not stored" in answer.json["error"]
        assert all(item["label"] for item in page.get(f"/api/strip?key={key}"))


def test_two_builds_beside_one_another(folder: Path, tmp_path: Path) -> None:
    other = write_folder(make(seconds=5, seed=3), tmp_path / "other")
    with serving(folder, other, reviews=tmp_path / "r.jsonl") as page:
        total = page.get("/api/page")["total"]
        both, only = (page.get(f"/api/page?differ={what}")["total"] for what in ("both", "only"))
        assert both + only == total and both and only
        row = page.get("/api/page?differ=both&task=phase&limit=1")["rows"][0]
        here, there = (page.get(f"/api/sample?build={n}&key={row['key']}") for n in (0, 1))
        assert here["facts"] == there["facts"]
        assert row["id"] in [pair["id"] for pair in there["pairs"]]
        assert page.get("/api/page?differ=answer&task=phase")["total"] == 0
        alone = page.get("/api/page?differ=only&limit=1&order=time&surgery=cholec80/73")["rows"][0]["key"]
        found = page.request("GET", f"/api/sample?build=1&key={alone}")
        assert found.status in (200, 404)


def test_replies_of_a_model_beside_the_chain(folder: Path, made: Made, tmp_path: Path) -> None:
    phases = [(sample, pair) for sample in made.samples for pair in sample.pairs if pair.id == "phase.open"]
    (one, as_stored), (two, bare), (three, _) = phases[:3]
    lines = [
        {"pair": f"{one.key}#phase.open", "response": render_chain(as_stored)},
        {"pair": f"{two.key}#phase.open", "response": bare.answer},
        {"pair": f"{three.key}#phase.open", "response": "<think>Level 1: A hook.</think><answer>no phase</answer>"},
    ]
    file = tmp_path / "predictions.jsonl"
    file.write_bytes(b"\n".join(orjson.dumps(line) for line in lines))
    with serving(folder, reviews=tmp_path / "r.jsonl", predictions=file) as page:

        def reply(sample: Sample) -> Any:
            pairs = page.get(f"/api/sample?key={sample.key}")["pairs"]
            return next(pair["reply"] for pair in pairs if pair["id"] == "phase.open")

        first = reply(one)
        assert first["score"] == 1.0 and first["problems"] == []
        assert [item["text"] for item in first["sentences"]] == [item.text for item in as_stored.statements]
        assert reply(two)["score"] == 1.0 and reply(two)["sentences"] == []
        assert reply(three)["score"] == 0.0 and reply(three)["problems"]
        assert page.get("/api/page?reply=same")["total"] == 2
        assert page.get("/api/page?reply=other")["total"] == 1
        assert page.get("/api/page?reply=none")["total"] == page.get("/api/page")["total"] - 3


def test_chains_are_searched_once_they_are_read(folder: Path, made: Made, tmp_path: Path) -> None:

    text = tmp_path / "text.sqlite"
    write_text(folder, text.with_suffix(".0.sqlite"))
    with serving(folder, reviews=tmp_path / "r.jsonl", text=text) as page:
        assert page.get("/api/text")["ready"] is True
        pairs = [pair for sample in made.samples for pair in sample.pairs]
        sentence = next(item.text for pair in pairs for item in pair.statements if item.basis == "knowledge")
        wanted = [pair for pair in pairs if any(item.text == sentence for item in pair.statements)]
        quoted = sentence.rstrip(".").replace(" ", "+")
        assert page.get(f"/api/page?q=%22{quoted}%22")["total"] == len(wanted) > 0
        assert page.get("/api/page?q=%22%22+%2A+%28")["total"] == 0
        knows = [pair for pair in pairs if any(item.basis == "knowledge" for item in pair.statements)]
        assert page.get("/api/page?basis=knowledge")["total"] == len(knows)
        assert dict(page.get("/api/facets")["basis"])["knowledge"] == len(knows)
        rows = page.get("/api/page?order=draw&by=basis&limit=3")["rows"]
        assert len(rows) == 3


def test_a_damaged_shard_is_told_and_the_rest_is_shown(made: Made, tmp_path: Path) -> None:
    out = write_folder(made, tmp_path / "set", shards=1)
    shard = next((out / "data").glob("train-*.tar"))
    shard.write_bytes(shard.read_bytes()[:2000])
    with serving(out, reviews=tmp_path / "r.jsonl") as page:
        row = page.get("/api/page?split=train&limit=1&offset=20")["rows"][0]
        answer = page.request("GET", f"/api/sample?key={row['key']}")
        assert answer.status == 500 and "ends" in answer.json["error"]
        row = page.get("/api/page?split=test&limit=1")["rows"][0]
        assert page.get(f"/api/sample?key={row['key']}")["key"] == row["key"]
