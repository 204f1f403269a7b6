// Marks: right, wrong or unsure for a sentence or for the whole chain, with a note; who marks, and how far that is.

import { at, ask, el, number, say, send } from "./dom.js";

const VERDICTS = [
  ["right", "✓", "Right (1)"],
  ["wrong", "✗", "Wrong (2)"],
  ["unsure", "?", "Unsure (3)"],
];
const NAME = "cotgen-reviewer";

export const me = { name: localStorage.getItem(NAME) || "" };

function setName(name) {
  me.name = name.normalize("NFC").trim().split(/\s+/).join(" ").slice(0, 80);
  localStorage.setItem(NAME, me.name);
}

/** Begins with the name that the command line gave. */
export function begin(given) {
  if (given) setName(given);
}

const mine = (pair, n) => pair.marks.find((mark) => mark.statement === n && mark.reviewer === me.name);

/** Buttons and notes of one chain; `choose` is called with the sentence that is marked, `changed` once the mark is kept. */
export function reviewer(sample, pair, choose, changed) {
  const mark = async (n, verdict, note) => {
    if (!me.name && !(await askName())) return;
    const before = mine(pair, n);
    const given = verdict ?? before?.verdict;
    if (!given) {
      say("Mark it right, wrong or unsure first; a note goes with a mark.");
      return;
    }
    // The same button again takes the mark back.
    const taken = verdict !== null && before?.verdict === verdict && note === undefined ? "withdrawn" : given;
    try {
      const answer = await send("/api/review", {
        pair: `${sample.key}#${pair.id}`,
        statement: n,
        sha256: n < 0 ? pair.sha256.at(-1) : pair.sha256[n],
        verdict: taken,
        note: taken === "withdrawn" ? "" : (note ?? before?.note ?? ""),
        reviewer: me.name,
      });
      pair.marks = answer.marks;
      changed();
    } catch (error) {
      say(error.message, 12000);
    }
  };
  const buttons = (n) => {
    const own = mine(pair, n);
    return el(
      "span.marks",
      { role: "group", "aria-label": n < 0 ? "The chain is" : `Sentence ${n} is` },
      VERDICTS.map(([verdict, sign, title]) =>
        el(
          `button.mark.${verdict}`,
          {
            type: "button",
            tabindex: -1,
            title,
            "aria-label": title,
            "aria-pressed": String(own?.verdict === verdict),
            onclick: (event) => {
              event.stopPropagation();
              choose(n);
              mark(n, verdict);
            },
          },
          el("span", {}, sign),
        ),
      ),
      el("button.mark.note", { type: "button", tabindex: -1, title: "Note (n)", "aria-label": "Note", "aria-pressed": String(Boolean(own?.note)), onclick: (event) => { event.stopPropagation(); choose(n); note(n); } }, el("span", {}, "✎")),
    );
  };
  const note = async (n) => {
    const own = mine(pair, n);
    if (!own) {
      say("Mark it right, wrong or unsure first; a note goes with a mark.");
      return;
    }
    const text = await askText(n < 0 ? "Note on the chain" : `Note on sentence ${n}`, own.note);
    if (text !== null) await mark(n, null, text);
  };
  const notes = (n) =>
    pair.marks
      .filter((entry) => entry.statement === n && (entry.reviewer !== me.name || entry.note))
      .map((entry) => el("p.remark", {}, el(`i.dot.${entry.verdict}`, { title: entry.verdict }), el("b", {}, entry.reviewer), ` ${entry.verdict}${entry.note ? `: ${entry.note}` : ""}`));
  return {
    mark,
    note,
    notes,
    buttons,
    whole: () =>
      el(
        "div.whole",
        { tabindex: 0, "data-n": -1, "aria-label": "The whole chain", onclick: () => choose(-1) },
        el("div.said", {}, el("p", {}, "The whole chain"), notes(-1)),
        buttons(-1),
      ),
  };
}

const count = (n, what) => `${number(n)} ${what}${n === 1 ? "" : "s"}`;

function dialog(title, ...content) {
  const box = at("dialog");
  box.replaceChildren(el("form", { method: "dialog" }, el("h2", {}, title), content));
  box.returnValue = "";
  box.showModal();
  return new Promise((resolve) => box.addEventListener("close", () => resolve(box.returnValue), { once: true }));
}

const ends = (...labels) => el("p.ends", {}, el("button.quiet", { value: "", formnovalidate: true }, "Cancel"), labels.map(([value, text], n) => el(n === labels.length - 1 ? "button.main" : "button", { value }, text)));

async function askText(title, before) {
  const field = el("textarea", { rows: 4, maxlength: 4000, "aria-label": title, value: before || "" });
  field.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
    // Else the key would press the button that gets the focus back, and the dialog would open anew.
    event.preventDefault();
    at("dialog").close("keep");
  });
  const done = dialog(title, field, ends(["keep", "Keep"]));
  field.focus();
  return (await done) === "keep" ? field.value : null;
}

export async function askName() {
  const field = el("input", { type: "text", maxlength: 80, required: true, value: me.name, "aria-label": "Your name", autocomplete: "name" });
  const done = dialog("Who reviews?", el("p", {}, "The name stands with every mark."), field, ends(["keep", "Go on"]));
  field.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && field.value.trim()) {
      event.preventDefault();
      at("dialog").close("keep");
    }
  });
  field.focus();
  if ((await done) !== "keep" || !field.value.trim()) return false;
  setName(field.value);
  return true;
}

/** Who reviews and how far, with a queue that takes strata in turn; resolves to the strata to begin with, or "". */
export async function showProgress(about, by = "task") {
  const found = await ask("/api/progress", { reviewer: me.name, by });
  const most = Math.max(1, ...found.strata.map(([, count]) => count));
  const rows = found.strata.map(([name, count]) => {
    const bar = el("i", {});
    bar.style.width = `${Math.round((100 * count) / most)}%`;
    return el("tr", {}, el("th", { scope: "row" }, name), el("td.bars", {}, el("span.bar", {}, bar)), el("td.count", {}, number(count)));
  });
  const said = Object.entries(found.verdicts).map(([verdict, count]) => `${number(count)} ${verdict}`);
  const select = el("select", { "aria-label": "Strata", onchange: () => { at("dialog").close(`by:${select.value}`); } }, about.strata.map((name) => el("option", { value: name, selected: name === by }, name)));
  const done = await dialog(
    me.name ? `${me.name}: ${count(found.statements + found.chains, "mark")} on ${count(found.pairs, "pair")}` : "Nobody reviews yet",
    el("p", {}, said.length ? `${said.join(", ")}.` : "No mark yet.", ` Marks are kept in ${about.reviews}.`, about.torn ? ` ${about.torn} half-written lines of a killed writer were passed over.` : ""),
    el("label.choice", {}, el("span", {}, "Marked, by"), select),
    el("table.progress", {}, el("tbody", {}, rows)),
    found.reviewers.length ? el("p.measured", {}, `Reviewers: ${found.reviewers.join(", ")}`) : "",
    el("p.note", {}, `The queue takes the pairs that you have not marked, one of each ${by} in turn.`),
    ends(["name", "Another name"], ["queue", "Begin the queue"]),
  );
  if (done.startsWith("by:")) return showProgress(about, done.slice(3));
  if (done === "name") {
    await askName();
    return "";
  }
  return done === "queue" ? by : "";
}

export function showKeys() {
  const keys = [
    ["← →", "previous, next pair"],
    ["r", "a random pair"],
    ["j k", "next, previous sentence"],
    ["1 2 3", "sentence right, wrong, unsure; again takes it back"],
    ["n", "note on it"],
    ["[ ]", "earlier, later in the same surgery"],
    [", .", "previous, next question about the frame"],
    ["/", "search"],
    ["f", "pairs and filters"],
    ["b", "boxes"],
    ["+ − z", "nearer, farther, all of the frame"],
    ["Shift ← ↑ → ↓", "move the frame"],
    ["c", "both builds side by side, or one"],
    ["q", "who reviews, progress, queue"],
    ["t", "light or dark"],
    ["Esc", "close, or no sentence"],
    ["?", "this"],
  ];
  return dialog("Keys", el("dl.keys", {}, keys.map(([key, what]) => [el("dt", {}, key.split(" ").map((one) => el("kbd", {}, one))), el("dd", {}, what)])), el("p.ends", {}, el("button.main", { value: "" }, "Close")));
}
