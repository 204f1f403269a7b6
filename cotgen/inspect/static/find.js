// Pairs and filters: what is seen of the data set, and how much of it there is.

import { at, ask, el, number } from "./dom.js";
import { FACETS, filterQuery, filtersSet, state } from "./state.js";

const NAMES = { split: "Split", task: "Task", support: "Support", writer: "Writer", source: "Source", surgery: "Surgery", term: "Term", finding: "Finding", basis: "Basis" };
const ORDERS = { "": "as stored", time: "by time", draw: "drawn, by strata" };
const REVIEWS = { "": "any", todo: "not yet by me", mine: "by me", right: "marked right", wrong: "marked wrong", unsure: "marked unsure", disputed: "contradictory" };
const REPLIES = { "": "any", same: "answer as stored", other: "another answer", none: "no reply" };
const DIFFERENCES = { "": "any", both: "in both", only: "only here", answer: "another answer", support: "another support", writer: "another writer", chain: "another chain" };
const SHOWN = 16;
const opened = new Set(["task", "split"]);
const widened = new Set();

function choice(label, name, options, change) {
  return el(
    "label.choice",
    {},
    el("span", {}, label),
    el("select", { name, onchange: (event) => change(name, event.target.value) }, Object.entries(options).map(([value, text]) => el("option", { value, selected: (state[name] || "") === value }, text))),
  );
}

/** The filters with the number of pairs behind each value. */
export async function showFilters(about, reviewer, change, toggle, clear) {
  const query = filterQuery(reviewer);
  const counts = await ask("/api/facets", query);
  const strata = Object.fromEntries(about.strata.map((name) => [name, name]));
  const holder = at("filters");
  const kept = holder.scrollTop;
  const focused = holder.contains(document.activeElement) ? document.activeElement : null;
  const same = focused?.dataset.facet ? `[data-facet="${CSS.escape(focused.dataset.facet)}"][data-value="${CSS.escape(focused.dataset.value)}"]` : focused?.name ? `[name="${focused.name}"]` : "";
  holder.replaceChildren(
    el("div.row", {}, el("h2", {}, "Filters"), filtersSet() ? el("button.quiet", { type: "button", onclick: clear }, "Clear") : ""),
    choice("Order", "order", ORDERS, change),
    state.order === "draw" ? choice("Strata", "by", strata, change) : "",
    choice("Reviews", "review", REVIEWS, change),
    about.predictions ? choice("Reply", "reply", REPLIES, change) : "",
    about.folders.length > 1 ? choice("Beside it", "differ", DIFFERENCES, change) : "",
    ...FACETS.filter((facet) => counts[facet]).map((facet) => group(facet, counts[facet], toggle)),
  );
  holder.scrollTop = kept;
  if (same) holder.querySelector(same)?.focus({ preventScroll: true });
}

function group(facet, counts, toggle) {
  const chosen = new Set(state.filters[facet] || []);
  const rows = counts.filter(([value, count]) => count || chosen.has(value));
  if (["term", "surgery", "finding"].includes(facet)) rows.sort((a, b) => chosen.has(b[0]) - chosen.has(a[0]) || (facet === "surgery" ? 0 : b[1] - a[1]));
  if (!rows.length && !chosen.size) return "";
  const list = el("ul", {});
  const fill = (text) => {
    const found = rows.filter(([value]) => value.toLowerCase().includes(text));
    const most = widened.has(facet) || text ? 400 : SHOWN;
    list.replaceChildren(
      ...found.slice(0, most).map(([value, count]) =>
        el(
          "li",
          {},
          el(
            "label",
            {},
            el("input", { type: "checkbox", checked: chosen.has(value), onchange: () => toggle(facet, value), "data-facet": facet, "data-value": value }),
            el("span.value", {}, value || "(none)"),
            el("span.count", {}, number(count)),
          ),
        ),
      ),
    );
    if (found.length > most) {
      list.append(el("li", {}, el("button.quiet", { type: "button", onclick: () => { widened.add(facet); fill(text); } }, `${number(found.length - most)} more`)));
    }
  };
  fill("");
  const details = el(
    "details.facet",
    { open: opened.has(facet) || chosen.size > 0, ontoggle: () => (details.open ? opened.add(facet) : opened.delete(facet)) },
    el("summary", {}, NAMES[facet], chosen.size ? el("span.count.set", {}, chosen.size) : el("span.count", {}, number(rows.length))),
    rows.length > SHOWN ? el("input.within", { type: "search", placeholder: `among ${number(rows.length)}`, "aria-label": `Among ${NAMES[facet]}`, oninput: (event) => fill(event.target.value.trim().toLowerCase()) }) : "",
    list,
  );
  return details;
}

/** The pairs around the one that is shown. */
export function showPairs(found, go) {
  const rows = found.rows.map((row, n) =>
    el(
      "li",
      {},
      el(
        "button.pair",
        { type: "button", "aria-current": found.offset + n === found.at ? "true" : undefined, onclick: () => go(row, found.offset + n) },
        el("span.key", {}, row.key, row.marks.map((verdict) => el(`i.dot.${verdict}`, { title: verdict }))),
        el("span.id", {}, row.id),
        el("span.given", {}, row.answer.replaceAll("\n", " / ").replaceAll(/<bbox:(\d+)>/g, "▢$1")),
      ),
    ),
  );
  at("pairs").replaceChildren(...(rows.length ? rows : [el("li.none", {}, "No pair is left by these filters.")]));
  const here = at("pairs").querySelector("[aria-current]");
  const list = at("pairs");
  if (here) list.scrollTop = here.offsetTop - list.offsetTop - (list.clientHeight - here.offsetHeight) / 2;
}

export function makeFind() {
  at("find").replaceChildren(el("div", { id: "filters" }), el("div.row", {}, el("h2", {}, "Pairs"), el("span", { id: "took" })), el("ol", { id: "pairs" }));
}
