"""The page in a real browser, as a person drives it: view, filter, evidence, review, compare. Planted scripts do not run."""

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from cotgen.chains.render import render_chain
from cotgen.inspect.reviews import read_reviews
from cotgen.inspect.text import write_text
from cotgen.records import Fact, Finding, Sample, marked_sha256
from tests.inspect.served import Page, serving
from tests.shards.samples import Made, make, write_folder

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed: pip install 'cotgen[dev]'")

pytestmark = pytest.mark.slow

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
PLANTED = "<script>window.pwned=1</script><img src=x onerror=window.pwned=1>"


class Browser:
    """A headless browser and what a test does with it."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def open(self, page: Page, query: str = "") -> None:
        self.driver.get(f"http://{page.host}/{query}")
        self.settled()

    def settled(self) -> None:
        self.until(lambda: self.js("return document.body.dataset.ready || ''"), "the page is not ready")

    def until(self, holds: Callable[[], Any], what: str) -> Any:
        end = time.monotonic() + 20
        while time.monotonic() < end:
            if found := holds():
                return found
            time.sleep(0.05)
        raise AssertionError(f"{what}: {self.errors()}")

    def js(self, code: str, *values: Any) -> Any:
        return self.driver.execute_script(code, *values)

    def text(self, selector: str) -> str:
        return str(self.js("return document.querySelector(arguments[0])?.innerText || ''", selector))

    def count(self, selector: str) -> int:
        return int(self.js("return document.querySelectorAll(arguments[0]).length", selector))

    def keys(self, *keys: str) -> None:
        for key in keys:
            self.driver.switch_to.active_element.send_keys(key)

    def click(self, selector: str) -> None:
        self.driver.find_element("css selector", selector).click()

    def errors(self) -> list[str]:
        return [entry["message"] for entry in self.driver.get_log("browser") if entry["level"] == "SEVERE"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if not CHROMIUM or not DRIVER:
        pytest.skip("there is no chromium and chromedriver here: apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1440,900"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    yield Browser(driver)
    driver.quit()


@pytest.fixture
def page(folder: Path, tmp_path: Path) -> Iterator[Page]:
    with serving(folder, reviews=tmp_path / "reviews.jsonl") as found:
        yield found


def test_a_person_looks_filters_and_sees_what_a_sentence_rests_on(browser: Browser, page: Page, made: Made) -> None:
    browser.open(page)
    total = sum(len(sample.pairs) for sample in made.samples)
    assert browser.text("#position") == f"1 of {total:,}"
    assert browser.count("#frame svg image") == 1 and browser.count(".level") == 3
    assert browser.js("return document.querySelector('#frame image').getBBox().width") > 0

    browser.click('input[data-facet="task"][data-value="phase"]')
    phases = sum(pair.task == "phase" for sample in made.samples for pair in sample.pairs)
    browser.until(lambda: browser.text("#position").endswith(f" of {phases}"), "the filter does not hold")
    assert "task=phase" in browser.driver.current_url

    browser.keys("j")
    browser.until(lambda: "rests on" in browser.text("#evidence"), "no evidence is shown")
    assert browser.count("#facts .lit") > 0
    # The address is the state: opened elsewhere, it shows the same sentence.
    address = browser.driver.current_url
    said = browser.text("#evidence")
    browser.driver.get("about:blank")
    browser.driver.get(address)
    browser.settled()
    assert browser.text("#evidence") == said and browser.text("#position").endswith(f" of {phases}")
    first = browser.text(".heading code")
    browser.keys("\ue014")
    browser.until(lambda: browser.text(".heading code") != first, "the next pair does not come")
    browser.driver.back()
    browser.until(lambda: browser.text(".heading code") == first, "the way back leads elsewhere")
    assert browser.errors() == []


def test_a_link_to_a_pair_that_is_gone_leaves_the_other_pairs_in_reach(browser: Browser, page: Page) -> None:
    browser.open(page, "?key=cholec80-99-000000&id=phase.open&task=phase")
    assert "has no sample" in browser.text("#message") and "cannot be shown" in browser.text("#read")
    assert browser.count("#pairs .pair") > 0 and browser.count('input[data-facet="task"]') > 0
    browser.keys("\ue014")
    browser.until(lambda: browser.text(".heading code"), "the next pair does not come")
    browser.js("document.getElementById('query').value = arguments[0]", " ".join(f"w{number}" for number in range(99)))
    browser.js("document.getElementById('search').requestSubmit()")
    browser.until(lambda: "at most" in browser.text("#message"), "nothing is said of a search that is refused")
    # Both refusals, and nothing else.
    assert all("404" in error for error in browser.errors())


def test_brackets_of_every_layout_step_in_time(browser: Browser, page: Page) -> None:
    browser.open(page)
    first = browser.text(".heading code")
    browser.js(
        "document.body.dispatchEvent(new KeyboardEvent('keydown',"
        " {key: ']', altKey: true, ctrlKey: true, bubbles: true, cancelable: true}))"
    )
    browser.until(lambda: browser.text(".heading code") != first, "AltGr and the key for ] do nothing")


def test_a_conclusion_lights_the_sentences_before_it(browser: Browser, page: Page, made: Made) -> None:
    sample, pair, number = next(
        (sample, pair, n)
        for sample in made.samples
        for pair in sample.pairs
        for n, item in enumerate(pair.statements)
        if item.basis == "follows"
    )
    browser.open(page, f"?key={sample.key}&id={pair.id}&s={number}")
    earlier = {
        int(text.partition(":")[2]) for text in pair.statements[number].evidence if text.startswith("statement")
    }
    lit = browser.js("return [...document.querySelectorAll('.sentence.lit')].map((node) => Number(node.dataset.n))")
    assert set(lit) == earlier != set()
    for at in earlier:
        assert pair.statements[at].text in browser.text("#evidence")


def test_a_person_reviews_by_keyboard_alone(browser: Browser, page: Page) -> None:
    browser.open(page)
    browser.js("localStorage.clear()")
    browser.open(page, "?task=tool_count")
    browser.keys("?")
    assert "previous, next pair" in browser.text("dialog")
    browser.keys("\ue00c", "j", "2")
    browser.until(lambda: browser.js("return document.getElementById('dialog').open"), "nobody asks who reviews")
    browser.keys("Ada Example", "\ue007")
    browser.until(lambda: browser.count('.mark.wrong[aria-pressed="true"]') == 1, "the mark does not show")
    browser.keys("n")
    browser.keys("no hook in view", "\ue009\ue007")
    browser.until(lambda: "no hook in view" in browser.text(".sentence .remark"), "the note does not show")
    browser.keys("k", "j", "j", "j", "j", "j", "j", "j", "j", "1")
    browser.until(lambda: browser.count('.mark[aria-pressed="true"]') >= 3, "the second mark does not show")
    path = page.server.viewer.reviews.path
    marks = browser.until(lambda: len(read_reviews(path)) == 2 and read_reviews(path), "two marks")
    assert [(mark.verdict, mark.reviewer, mark.note) for mark in marks] == [
        ("wrong", "Ada Example", "no hook in view"),
        ("right", "Ada Example", ""),
    ]
    assert marks[1].statement == -1
    # The same key again takes it back.
    browser.keys("1")
    browser.until(lambda: len(read_reviews(path)) == 1, "the mark is not taken back")
    assert browser.text("#reviewer") == "Ada Example · 1"
    assert browser.errors() == []


def test_a_person_reviews_by_pointing(browser: Browser, page: Page) -> None:
    browser.open(page)
    browser.js("localStorage.setItem('cotgen-reviewer', 'Cy')")
    browser.open(page, "?task=phase")
    browser.click('.sentence[data-n="0"] p')
    browser.click('.sentence[data-n="0"] .mark.unsure')
    browser.until(lambda: browser.count('.mark.unsure[aria-pressed="true"]') == 1, "the mark does not show")
    browser.click(".whole .mark.wrong")
    browser.until(lambda: browser.count('.whole .mark.wrong[aria-pressed="true"]') == 1, "the mark does not show")
    browser.click(".whole .mark.note")
    browser.keys("not this phase", "\ue009\ue007")
    browser.until(lambda: "not this phase" in browser.text(".whole"), "the note does not show")
    marks = read_reviews(page.server.viewer.reviews.path)
    assert [(mark.statement, mark.verdict, mark.note) for mark in marks] == [
        (0, "unsure", ""),
        (-1, "wrong", "not this phase"),
    ]


def test_a_queue_goes_on_after_a_mark(browser: Browser, page: Page) -> None:
    browser.open(page)
    browser.js("localStorage.setItem('cotgen-reviewer', 'Bo')")
    browser.open(page)
    browser.keys("q")
    browser.until(lambda: "Begin the queue" in browser.text("dialog"), "no progress")
    browser.click("dialog button.main")
    browser.until(lambda: "review=todo" in browser.driver.current_url, "no queue")
    browser.settled()
    total = int(browser.text("#position").rpartition(" ")[2].replace(",", ""))
    seen = []
    for _ in range(3):
        browser.settled()
        seen.append(browser.text(".heading code"))
        browser.keys("j", "1")
        browser.until(lambda: browser.count('.mark.right[aria-pressed="true"]') == 1, "the mark does not show")
        browser.keys("\ue014")
        browser.until(lambda: browser.text(".heading code") != seen[-1], "the queue does not go on")
    browser.settled()
    left = browser.text("#position").rpartition(" ")[2].replace(",", "")
    assert len(set(seen)) == 3 and int(left) == total - 3


def test_two_builds_and_a_reply_side_by_side(browser: Browser, folder: Path, made: Made, tmp_path: Path) -> None:
    other = write_folder(make(seed=5), tmp_path / "other")
    sample = made.samples[0]
    pair = next(pair for pair in sample.pairs if pair.id == "phase.open")
    file = tmp_path / "predictions.jsonl"
    file.write_bytes(orjson.dumps({"pair": f"{sample.key}#phase.open", "response": render_chain(pair)}))
    with serving(folder, other, reviews=tmp_path / "r.jsonl", predictions=file) as page:
        browser.open(page, f"?key={sample.key}&id=phase.open")
        assert browser.count("article.chain") == 3
        titles = browser.js(
            "return [...document.querySelectorAll('article.chain > h2')].map((node) => node.innerText)"
        )
        assert titles == ["set", "other", "predictions.jsonl"]
        assert "score 1.00" in browser.text(".reply .score")
        browser.keys("c")
        assert browser.count("article.chain") == 1
        assert browser.errors() == []


def planted(made: Made) -> Made:
    """A data set in which every text that a data set or a model may hold is a script."""
    samples: list[Sample] = []
    for sample in made.samples[:4]:
        pairs = []
        for pair in sample.pairs:
            first = pair.statements[0].model_copy(update={"text": PLANTED})
            finding = Finding(check="c", severity="soft", statement=0, text=PLANTED)
            changed = {
                "question": PLANTED,
                "options": [PLANTED, *pair.options],
                "answer": PLANTED,
                "writer": PLANTED,
                "statements": [first, *pair.statements[1:]],
                "findings": [finding],
            }
            pairs.append(pair.model_copy(update=changed))
        fact = Fact(
            id="cholec80.instrument.77", kind="instrument", terms=[PLANTED], source="cholec80", box=[1, 1, 9, 9]
        )
        frame = sample.frame.model_copy(update={"file": PLANTED})
        samples.append(sample.model_copy(update={"pairs": pairs, "facts": [*sample.facts, fact], "frame": frame}))
    return Made(samples, made.pictures)


def test_planted_scripts_are_text(browser: Browser, made: Made, tmp_path: Path) -> None:
    evil = planted(made)
    folder = write_folder(evil, tmp_path / f"set {PLANTED.replace('/', '')}")
    sample = evil.samples[0]
    pair = sample.pairs[0]
    file = tmp_path / "predictions.jsonl"
    file.write_bytes(orjson.dumps({"pair": f"{sample.key}#{pair.id}", "response": PLANTED}))
    text = tmp_path / "text.sqlite"
    write_text(folder, text.with_suffix(".0.sqlite"))
    with serving(folder, reviews=tmp_path / "r.jsonl", predictions=file, text=text) as page:
        body = {
            "pair": f"{sample.key}#{pair.id}",
            "statement": 0,
            "sha256": marked_sha256(pair, 0),
            "verdict": "wrong",
        }
        assert page.mark({**body, "note": PLANTED, "reviewer": PLANTED}).status == 200
        for query in (
            f"?key={sample.key}&id={pair.id}&s=0",
            f"?q={'%3Cscript%3E'}",
            "?order=%3Cimg+src%3Dx+onerror%3Dwindow.pwned%3D1%3E&key=%3Cscript%3Ewindow.pwned%3D1%3C/script%3E",
        ):
            browser.driver.get(f"http://{page.host}/{query}")
            time.sleep(1)
            assert browser.js("return window.pwned === undefined")
            assert browser.count("main script, main img[src='x'], #bar img, dialog img") == 0
        browser.open(page, f"?key={sample.key}&id={pair.id}&s=0")
        for selector in (
            ".question",
            ".options",
            ".sentence",
            ".answer",
            ".remark",
            ".finding",
            ".writer",
            "#facts",
            ".reply",
        ):
            assert PLANTED in browser.text(selector), selector
        assert PLANTED in browser.js("return document.querySelector('#frame text').textContent")
        browser.keys("q")
        browser.until(lambda: PLANTED in browser.text("dialog"), "the reviewer is not named")
        assert browser.js("return window.pwned === undefined")


def test_no_request_leaves_the_machine(browser: Browser, page: Page) -> None:
    browser.open(page)
    hosts = browser.js("return performance.getEntriesByType('resource').map((entry) => new URL(entry.name).host)")
    assert len(hosts) > 10 and set(hosts) == {page.host}


def test_light_dark_and_the_width_of_a_tablet(browser: Browser, page: Page) -> None:
    browser.open(page)
    browser.js("localStorage.clear()")

    def ground() -> str:
        return str(browser.js("return getComputedStyle(document.body).backgroundColor"))

    media = {"features": [{"name": "prefers-color-scheme", "value": "dark"}]}
    browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    browser.open(page)
    dark = ground()
    browser.keys("t")
    assert ground() != dark
    browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    size = {"width": 820, "height": 1180, "deviceScaleFactor": 1, "mobile": False}
    browser.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        browser.open(page)
        assert browser.js("return document.documentElement.scrollWidth") <= 820
        assert browser.js("return document.getElementById('frame').getBoundingClientRect().width") > 780
    finally:
        browser.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        browser.js("localStorage.clear()")
