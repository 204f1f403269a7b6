// What the sources say of the frame, side by side, and the instants around it.

import { at, clock, el } from "./dom.js";
import { coloursOf, pictureAddress } from "./frame.js";

const WORDS = { instrument: "instruments", triplet: "acts", boxed_triplet: "acts outlined", cvs: "critical view", anatomy: "structures" };

export function showFacts(sample) {
  const kinds = [...new Set(sample.labelled.map((name) => name.slice(name.indexOf(".") + 1)))].sort();
  const sources = [...new Set(sample.labelled.map((name) => name.slice(0, name.indexOf("."))))];
  const colour = coloursOf(sample);
  const rows = kinds.map((kind) => {
    const said = sources.map((source) => {
      if (!sample.labelled.includes(`${source}.${kind}`)) return null;
      return sample.facts.filter((fact) => fact.source === source && fact.kind === kind);
    });
    const sets = said.filter(Boolean).map((facts) => facts.map((fact) => fact.terms.join()).sort().join("|"));
    const apart = new Set(sets).size > 1;
    const disputed = sample.disputed.includes(kind);
    return el(
      `tr${disputed || apart ? ".apart" : ""}`,
      {},
      el("th", { scope: "row" }, WORDS[kind] || kind.replaceAll("_", " "), disputed || apart ? el("span.flag", { title: disputed ? "The sources contradict one another: nothing is asked about it" : "The sources differ" }, disputed ? "contradicts" : "differs") : ""),
      said.map((facts, column) => cell(sample, facts, sources[column], kind, colour)),
    );
  });
  const measured = sample.measured.filter((item) => !item.of.length);
  at("facts").replaceChildren(
    el("h2", {}, "What the labels say"),
    el(
      "table.facts",
      {},
      el("thead", {}, el("tr", {}, el("th", { scope: "col" }, el("span.hidden", {}, "Kind")), sources.map((name) => el("th", { scope: "col" }, name)))),
      el("tbody", {}, rows),
    ),
    sample.context.length ? context(sample) : "",
    measured.length
      ? el("p.measured", {}, "Measured: ", measured.map((item) => `${item.name} ${item.value}`).join(" · "))
      : "",
    el(
      "p.measured",
      {},
      `${sample.frame.file || sample.frame.source}, frame ${sample.frame.native_index} · ${sample.frame.width}×${sample.frame.height}`,
    ),
  );
}

function cell(sample, facts, source, kind, colour) {
  const data = { "data-label": `${source}.${kind}` };
  if (facts === null) return el("td.unlabelled", { title: "not labelled" }, "—");
  if (!facts.length) return el("td", data, el("span.none", {}, "none"));
  return el("td", data, el("ul", {}, facts.map((fact) => factItem(sample, fact, colour(fact)))));
}

function factItem(sample, fact, colour) {
  const swatch = colour ? el("i.swatch", {}) : "";
  if (swatch) swatch.style.background = colour;
  const share = fact.value < 1 ? el("small", {}, ` ${Math.round(100 * fact.value)} % of raters`) : "";
  return el("li", { "data-fact": fact.id, title: fact.id }, swatch, fact.terms.map((term) => sample.names[term] || term).join(" · "), share);
}

function context(sample) {
  return el(
    "p.measured",
    {},
    "Before: ",
    sample.context
      .map((item) => `${-item.offset_s} s earlier ${item.facts.map((fact) => fact.terms.map((term) => sample.names[term] || term).join(" · ")).join(", ") || "nothing"}`)
      .join("; "),
  );
}

export function lightFacts(lit) {
  for (const node of document.querySelectorAll("#facts .lit")) node.classList.remove("lit");
  if (!lit) return;
  for (const id of lit.facts) document.querySelector(`#facts [data-fact="${CSS.escape(id)}"]`)?.classList.add("lit");
  for (const name of lit.labels) document.querySelector(`#facts [data-label="${CSS.escape(name)}"]`)?.classList.add("lit");
}

export function showStrip(near, sample, version, go) {
  const rate = sample.frame.fps.split("/");
  const time = (index) => clock((index * rate[1]) / rate[0]);
  at("strip").replaceChildren(
    ...near.map((item) =>
      el(
        `button.instant${item.here ? ".here" : ""}`,
        { type: "button", title: `${item.label || item.key}, ${time(item.index)}`, "aria-current": item.here ? "true" : undefined, onclick: () => go(item) },
        sample.stored
          ? el("img", { src: pictureAddress("thumbnail", 0, item.key, version), alt: "", width: 96, height: 60, loading: "lazy" })
          : el("span.words", {}, item.label || "no label"),
        el("span.time", {}, time(item.index)),
      ),
    ),
  );
  const here = at("strip").querySelector(".here");
  if (here) at("strip").scrollLeft = here.offsetLeft - at("strip").offsetLeft - (at("strip").clientWidth - here.offsetWidth) / 2;
}
