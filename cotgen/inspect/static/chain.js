// The question, the chain as three cards, the answer; beside it the chain of another build and the reply of a model.

import { at, el, number } from "./dom.js";
import { coloursOf } from "./frame.js";

const LEVELS = {
  1: ["Perceptual Grounding", "what is seen"],
  2: ["Relational Understanding", "what is done to what"],
  3: ["Contextual Reasoning", "what that means"],
};
export const BASIS = {
  label: "a fact of this frame, from the source named",
  measured: "computed from boxes, masks or pixels",
  follows: "a conclusion from earlier sentences",
  prior: "a statistic of the train surgeries",
  knowledge: "general, true whatever the picture shows",
  visual: "seen by a model; no label proves it",
};
const SUPPORT = {
  entailed: "levels 1 and 2 contain the answer",
  strong: "90 % or more of the train frames with these facts have this answer, in five or more operations",
  weak: "half or more of the train frames with these facts have this answer",
  asserted: "the chain states the answer and claims no reason",
};
const LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";

/** A text with `<bbox:n>` in it: each becomes a small mark in the colour of its box. */
function withBoxes(text, sample, pair, numbers = false) {
  const colour = coloursOf(sample);
  return text.split(/(<bbox:\d+>)/).map((part) => {
    const match = /^<bbox:(\d+)>$/.exec(part);
    if (!match) return part;
    const box = pair.boxes[match[1]];
    const fact = box && sample.facts.find((item) => item.box.join() === box.join());
    const mark = el("span.bbox", { title: box ? `box ${match[1]}: ${box.join(", ")}` : "no such box" }, `▢${match[1]}`);
    if (fact) mark.style.setProperty("--colour", colour(fact));
    return numbers && box ? [mark, el("span.numbers", {}, ` ${box.join(", ")}`)] : mark;
  });
}

export function showChain(given) {
  const { sample, pair, columns, go, hasKey } = given;
  at("read").replaceChildren(
    heading(given),
    el(
      "nav.questions",
      { "aria-label": "Questions about this frame" },
      sample.pairs.map((other) =>
        el("button", { type: "button", title: other.id, "aria-current": other.id === pair.id ? "true" : undefined, onclick: () => go(other.id) }, other.id.replaceAll(/\.(instrument|anatomy|verb)\./g, ".")),
      ),
    ),
    el(
      "div.question",
      {},
      el("p.text", {}, withBoxes(pair.question, sample, pair)),
      pair.options.length
        ? el("ol.options", {}, pair.options.map((option, n) => el(`li${isAnswer(option, n, pair) ? ".right" : ""}`, {}, el("b", {}, LETTERS[n] || "·"), withBoxes(option, sample, pair))))
        : "",
    ),
    el(
      `div.columns.of-${columns.length}`,
      {},
      columns.map((column) => column.render()),
    ),
    hasKey ? "" : el("p.note", {}, "The other data set has no such question."),
  );
  const asked = document.querySelector("#read .questions");
  asked.scrollTop = asked.querySelector("[aria-current]").offsetTop - 31;
}

const isAnswer = (option, n, pair) => pair.answer === option || pair.answer === LETTERS[n];

function heading({ sample, pair, time }) {
  return el(
    "div.heading",
    {},
    el("code", { title: "key#id, by which predictions and reviews call it" }, `${sample.key}#${pair.id}`),
    el("p.chips", {}, el("span", {}, sample.surgery), el("span", {}, time), el("span", {}, sample.split), el("span", {}, pair.task)),
  );
}

/** A stored chain as a column. `review` makes the buttons of a sentence, or is null where marks are not taken. */
export function chainColumn({ sample, pair, title, other, select, point, review }) {
  const texts = other ? new Set(other.statements.map((item) => item.text)) : null;
  const sentence = (item, n) => {
    const findings = pair.findings.filter((finding) => finding.statement === n);
    const problems = pair.evidence[n].filter((entry) => entry.problem);
    const node = el(
      `li.sentence${texts && !texts.has(item.text) ? ".differs" : ""}`,
      {
        tabindex: 0,
        "data-n": n,
        "aria-label": `Sentence ${n}, ${item.basis}: ${item.text}`,
        onclick: () => select?.(n, node),
        onfocus: () => point?.(n),
        onblur: () => point?.(null),
        onmouseenter: () => point?.(n),
        onmouseleave: () => point?.(null),
      },
      el("span.n", {}, n),
      el(
        "div.said",
        {},
        el("p", {}, withBoxes(item.text, sample, pair)),
        findings.map((finding) => el("p.finding", {}, `${finding.check}: ${finding.text}`)),
        problems.map((entry) => el("p.finding", {}, `${entry.kind}:${entry.target} ${entry.problem}`)),
        review ? review.notes(n) : "",
      ),
      el(`span.basis.${item.basis}`, { title: BASIS[item.basis] }, item.basis),
      review ? review.buttons(n) : "",
    );
    return node;
  };
  const whole = pair.findings.filter((finding) => finding.statement < 0);
  const same = !other || other.answer === pair.answer;
  return el(
    "article.chain",
    { "aria-label": title || "Chain", "data-main": review ? "true" : undefined },
    title ? el("h2", {}, title) : "",
    [1, 2, 3].map((level) => {
      const own = pair.statements.map((item, n) => [item, n]).filter(([item]) => item.level === level);
      return card(level, own.length ? el("ol", {}, own.map(([item, n]) => sentence(item, n))) : el("p.none", {}, "nothing"));
    }),
    answer(pair.answer.split("\n").map((line) => el("p", {}, withBoxes(line, sample, pair, true))), same),
    el(
      "p.provenance",
      {},
      el(`span.support.${pair.support}`, { title: SUPPORT[pair.support] }, pair.support),
      el("span", {}, SUPPORT[pair.support]),
      el("span.writer", { title: "who wrote the chain" }, pair.writer),
    ),
    whole.map((finding) => el("p.finding", {}, `${finding.check}: ${finding.text}`)),
    review ? review.whole() : "",
  );
}

function card(level, content) {
  const [name, what] = LEVELS[level];
  return el(`section.level.l${level}`, { "aria-label": `Level ${level}, ${name}` }, el("h3", {}, el("b", {}, level), name, el("small", {}, what)), content);
}

function answer(lines, same, extra = "") {
  return el(`div.answer${same ? "" : ".differs"}`, {}, el("span.word", {}, "Answer"), el("div", {}, lines), extra);
}

/** What a model said: the same form as far as it can be read, the task's score, what is wrong with the form. */
export function replyColumn({ sample, pair, reply, name }) {
  if (!reply) return el("article.chain.reply", {}, el("h2", {}, name), el("p.none", {}, "No reply to this question in the file."));
  const chained = reply.sentences.length > 0;
  const known = new Set(pair.statements.map((item) => item.text));
  const score = reply.score < 0 ? "no score" : `score ${reply.score.toFixed(2)}`;
  return el(
    "article.chain.reply",
    { "aria-label": name },
    el("h2", {}, name),
    chained
      ? [1, 2, 3].map((level) => {
          const own = reply.sentences.filter((item) => item.level === level);
          return card(level, own.length ? el("ol", {}, own.map((item) => el(`li.sentence${known.has(item.text) ? "" : ".differs"}`, {}, el("div.said", {}, el("p", {}, withBoxes(item.text, sample, pair)))))) : el("p.none", {}, "nothing"));
        })
      : el("div.raw", {}, reply.response),
    answer(
      reply.answer.split("\n").map((line) => el("p", {}, line)),
      reply.answer === pair.answer,
      el(`span.score.${reply.score >= 1 ? "good" : reply.score > 0 ? "partly" : "bad"}`, { title: "by the task's own score" }, score),
    ),
    chained || reply.problems.length === 0
      ? reply.problems.map((problem) => el("p.finding", {}, problem))
      : el("p.note", {}, "No chain: all of the reply counts as the answer."),
  );
}

/** What a sentence rests on, below the frame. */
export function showEvidence(sample, pair, n) {
  const holder = at("evidence");
  if (n === null || !pair.statements[n]) {
    holder.replaceChildren(el("p.hint", {}, "Point at a sentence, or step to it with j and k: what it rests on lights up, and stands here in full."));
    return;
  }
  const item = pair.statements[n];
  holder.replaceChildren(
    el("h2", {}, `Sentence ${n} rests on`, el(`span.basis.${item.basis}`, {}, item.basis), el("small", {}, BASIS[item.basis])),
    el("ul", {}, pair.evidence[n].map((entry) => el(`li${entry.problem ? ".lost" : ""}`, {}, el("span.kind", {}, entry.kind), el("div", {}, told(entry, sample, pair))))),
  );
}

function told(entry, sample, pair) {
  if (entry.problem) return el("p", {}, `${entry.kind}:${entry.target} ${entry.problem}`);
  if (entry.statement >= 0) return el("p", {}, `[${entry.statement}] `, el("q", {}, withBoxes(pair.statements[entry.statement].text, sample, pair)));
  if (entry.knowledge) {
    const known = entry.knowledge;
    const status = { L: "stated in a data set", C: "clinical text", B: "reference", A: "authored" }[known.status];
    return [
      el("p", {}, el("b", {}, known.id), ` · ${status}, source ${known.sources.join(", ")}${known.reviewed ? " · reviewed" : ""}`),
      el("p.quote", {}, known.texts.join(" / ")),
      known.citation ? el("p.quote", {}, known.citation) : "",
    ];
  }
  if (entry.prior) {
    const { frames, total, surgeries, split } = entry.prior;
    const share = total ? frames / total : 0;
    const bar = el("i", {});
    bar.style.width = `${Math.round(100 * share)}%`;
    return [
      el("p", {}, entry.words),
      el("p.count", {}, el("span.bar", {}, bar), `${number(frames)} of ${number(total)} frames, ${surgeries} surgeries, ${split}, priors.json`),
    ];
  }
  return el("p", {}, entry.words);
}

/** What a sentence lights: facts, boxes, areas, labels, earlier sentences. */
export function litBy(pair, n) {
  if (n === null || !pair.evidence[n]) return null;
  const lit = { facts: new Set(), boxes: new Set(), areas: [], labels: new Set(), statements: new Set() };
  for (const entry of pair.evidence[n]) {
    entry.facts.forEach((id) => lit.facts.add(id));
    entry.boxes.forEach((box) => lit.boxes.add(box));
    lit.areas.push(...entry.areas);
    entry.labels.forEach((name) => lit.labels.add(name));
    if (entry.statement >= 0) lit.statements.add(entry.statement);
  }
  return lit;
}

export function lightChain(lit) {
  for (const node of document.querySelectorAll("#read .sentence[data-n]")) {
    if (node.closest(".chain")?.dataset.main !== "true") continue;
    node.classList.toggle("lit", Boolean(lit && lit.statements.has(Number(node.dataset.n))));
  }
}
