"""The stub server is a fake that others trust: its faults are drawn the same each time, and it counts rightly."""

import http.client
import subprocess
import sys
import threading
import time
from urllib.parse import urlsplit
from urllib.request import urlopen

import orjson
import pytest

from cotgen.errors import CotgenError
from cotgen.models.stub import FAULTS, Faults, StubServer


def post(url: str, body: bytes, path: str = "/v1/chat/completions") -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=10)
    connection.request("POST", path, body)
    answer = connection.getresponse()
    return answer.status, answer.read()


BODY = orjson.dumps({"model": "stub", "messages": [{"role": "user", "content": "Which instrument?"}]})


def test_faults_are_drawn_from_seed_request_and_attempt() -> None:
    faults = Faults({"503": 0.1, "reset": 0.05}, seed=1)
    drawn = [faults.of(f"{n}", a) for n in range(5000) for a in range(2)]
    assert drawn == [Faults({"reset": 0.05, "503": 0.1}, seed=1).of(f"{n}", a) for n in range(5000) for a in range(2)]
    assert drawn != [Faults({"503": 0.1, "reset": 0.05}, seed=2).of(f"{n}", a) for n in range(5000) for a in range(2)]
    assert abs(drawn.count("503") / len(drawn) - 0.1) < 0.01
    assert abs(drawn.count("reset") / len(drawn) - 0.05) < 0.01
    both = sum(bool(one and two) for one, two in zip(drawn[::2], drawn[1::2], strict=True)) / 5000
    assert abs(both - 0.15**2) < 0.01, "attempts of one request fail independently"


def test_an_unknown_fault_is_named() -> None:
    with pytest.raises(CotgenError, match="no fault 'flood'"):
        Faults({"flood": 0.5})


def test_it_answers_counts_and_lists() -> None:
    stub = StubServer(lambda asked: {"instruments": len(asked.text)})
    with stub as url:
        for _ in range(2):
            status, answer = post(url, BODY)
            message = orjson.loads(answer)["choices"][0]["message"]
            assert (status, message) == (200, {"role": "assistant", "content": '{"instruments":17}'})
        assert post(url, BODY, "/v1/embeddings")[0] == 404
        assert post(url, b"{")[0] == 400
        assert post(url, BODY.replace(b'"stub"', b'"other"'))[0] == 404
        with urlopen(f"{url}/models") as listed:
            assert [model["id"] for model in orjson.loads(listed.read())["data"]] == ["stub"]
        with urlopen(f"{url}/counts") as counted:
            assert sorted(orjson.loads(counted.read())["counts"].values()) == [1, 2]
    assert sorted(stub.counts.values()) == [1, 2]


def test_room_and_slots() -> None:
    stub = StubServer(slots=1, service_s=0.1, room=0)
    with stub as url:
        start = time.monotonic()
        threads = [threading.Thread(target=post, args=(url, BODY)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert 0.4 <= time.monotonic() - start < 2
    assert stub.most_in_house >= 2


@pytest.mark.parametrize("fault", [name for name in FAULTS if name not in ("slow", "reset", "drop")])
def test_each_fault_is_an_http_answer(fault: str) -> None:
    with StubServer(faults=Faults({fault: 1.0})) as url:
        status, answer = post(url, BODY)
    assert (status == 200) == (not orjson.loads(answer).get("error") if fault != "html" else True)
    assert answer


def test_a_port_that_is_taken_is_said() -> None:
    with StubServer() as url, pytest.raises(CotgenError, match="cannot listen"):
        StubServer(port=int(url.split(":")[2].split("/")[0])).__enter__()


def test_it_runs_as_a_process() -> None:
    command = [sys.executable, "-m", "cotgen.models.stub", "--fault", "503=1.0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout
        assert post(process.stdout.readline().strip(), BODY)[0] == 503
    finally:
        process.terminate()
        process.wait()
