// The page: reads the address, asks for a sample, shows it, and takes keys.

import { at, ask, clock, number, say } from "./dom.js";
import { chainColumn, lightChain, litBy, replyColumn, showChain, showEvidence } from "./chain.js";
import { lightFacts, showFacts, showStrip } from "./facts.js";
import { makeFind, showFilters, showPairs } from "./find.js";
import { all, lightFrame, pan, showFrame, toggleBoxes, zoom } from "./frame.js";
import { begin, me, reviewer, showKeys, showProgress } from "./review.js";
import { filterQuery, readAddress, state, writeAddress } from "./state.js";

let about = null;
let sample = null;
let other = null;
let pair = null;
let marks = null;
let total = 0;
let place = 0;
let turn = 0;
let text = { ready: false };

const version = (build = 0) => about.folders[build].version;

// What is shown.

/** Ask for the sample that the address names, or for the first pair of the filter, and show it. */
async function show() {
  const now = ++turn;
  try {
    if (!state.key) {
      const first = await ask("/api/page", withNumbers(filterQuery(me.name), { limit: 1, offset: 0 }));
      if (now !== turn) return;
      if (!first.rows.length) {
        total = 0;
        nothing();
        await aside(now);
        return;
      }
      [state.key, state.id] = [first.rows[0].key, first.rows[0].id];
      writeAddress(true);
    }
    const wanted = [ask("/api/sample", { key: state.key })];
    if (about.folders.length > 1) wanted.push(ask("/api/sample", { key: state.key, build: 1 }).catch(() => null));
    const [found, beside] = await Promise.all(wanted).catch((error) => {
      if (now === turn) say(error.message, 20000);
      return [null];
    });
    if (now !== turn) return;
    if (!found) {
      // Such as a link to a pair that is no longer there: the filters and the other pairs are.
      nothing("This sample cannot be shown.");
      await aside(now);
      return;
    }
    [sample, other] = [found, beside || null];
    pair = sample.pairs.find((item) => item.id === state.id) || sample.pairs[0];
    if (pair.id !== state.id) {
      state.id = pair.id;
      writeAddress(true);
    }
    draw();
    await aside(now);
  } catch (error) {
    if (now === turn) say(error.message, 20000);
  }
}

function nothing(why = "No pair is left by these filters.") {
  sample = pair = null;
  for (const name of ["frame", "evidence", "strip", "facts"]) at(name).replaceChildren();
  at("read").replaceChildren(Object.assign(document.createElement("p"), { className: "none", textContent: why }));
  at("position").textContent = "0 of 0";
}

function draw() {
  document.title = `${sample.key}#${pair.id} – cotgen view`;
  showFrame(sample, pair, version());
  showFacts(sample);
  read();
}

function read() {
  marks = reviewer(sample, pair, (n) => select(n), () => {
    read();
    refreshMarks();
  });
  const twin = other?.pairs.find((item) => item.id === pair.id) || null;
  const several = state.view !== "one";
  const compared = about.folders.length > 1 && several;
  const columns = [
    {
      render: () =>
        chainColumn({ sample, pair, title: compared || (about.predictions && several) ? about.folders[0].name : "", other: compared ? twin : null, select, point, review: marks }),
    },
  ];
  const beside = (n) => (n === null ? point(null) : lightBy(litBy(twin, n), other, twin, n));
  if (compared && twin) columns.push({ render: () => chainColumn({ sample: other, pair: twin, title: about.folders[1].name, other: pair, point: beside }) });
  if (about.predictions && several) columns.push({ render: () => replyColumn({ sample, pair, reply: pair.reply, name: about.predictions }) });
  document.body.classList.toggle("side-by-side", columns.length > 1);
  const time = clock(sample.frame.time_s);
  showChain({ sample, pair, columns, go: (id) => goTo({ key: sample.key, id }), hasKey: !compared || Boolean(twin), time });
  const chosen = state.s === "" ? null : Number(state.s);
  light(chosen);
  if (chosen !== null) mark(chosen);
}

async function aside(now) {
  const query = filterQuery(me.name);
  const began = performance.now();
  const named = state.key ? { key: state.key, id: pair?.id || "" } : { offset: 0 };
  const jobs = [
    ask("/api/page", withNumbers(query, named)).then(async (found) => {
      if (now !== turn) return;
      // A pair that the filter leaves out, such as one just marked in a queue, stands where it stood.
      if (found.at < 0 && found.total) found = { ...(await ask("/api/page", withNumbers(query, { offset: place - (place % 60) }))), at: -1 };
      if (now !== turn) return;
      total = found.total;
      if (found.at >= 0) place = found.at;
      place = Math.min(place, Math.max(0, total - 1));
      at("position").textContent = found.at >= 0 ? `${number(found.at + 1)} of ${number(total)}` : `– of ${number(total)}`;
      at("position").dataset.at = found.at;
      showPairs(found, (row) => goTo(row));
      at("took").textContent = `${number(total)} in ${Math.round(performance.now() - began)} ms`;
    }),
    showFilters(about, me.name, change, toggle, clear),
  ];
  if (sample) {
    jobs.push(
      ask("/api/strip", { key: state.key }).then((near) => {
        if (now === turn && sample) showStrip(near, sample, version(), (item) => goTo({ key: item.key, id: pair.id }));
      }),
    );
  }
  await Promise.all(jobs);
  if (now === turn) document.body.dataset.ready = `${state.key}#${pair?.id || ""}`;
}

const withNumbers = (query, more) => {
  const asked = new URLSearchParams(query);
  for (const [name, value] of Object.entries(more)) asked.set(name, value);
  return asked;
};

async function refreshMarks() {
  showReviewer();
  const found = await ask("/api/page", withNumbers(filterQuery(me.name), { key: state.key, id: pair.id }));
  if (found.at >= 0) showPairs(found, (row) => goTo(row));
}

async function showReviewer() {
  const label = at("reviewer");
  if (!me.name) {
    label.textContent = "Review";
    return;
  }
  const found = await ask("/api/progress", { reviewer: me.name });
  label.textContent = `${me.name} · ${number(found.pairs)}`;
}

// Where to go.

function goTo(row) {
  [state.key, state.id, state.s] = [row.key, row.id, ""];
  writeAddress();
  delete document.body.dataset.ready;
  show();
}

async function step(by) {
  if (!total) return;
  // A pair that was just marked has left a queue: the next one stands in its place.
  const gone = Number(at("position").dataset.at) < 0;
  const to = (place + (gone && by > 0 ? by - 1 : by) + total) % total;
  await goToNumber(to);
}

async function goToNumber(to) {
  const found = await ask("/api/page", withNumbers(filterQuery(me.name), { offset: to, limit: 1 }));
  if (found.rows.length) {
    place = to;
    goTo(found.rows[0]);
  }
}

function change(name, value) {
  state[name] = value;
  refilter();
}

function toggle(facet, value) {
  const chosen = new Set(state.filters[facet] || []);
  if (chosen.has(value)) chosen.delete(value);
  else chosen.add(value);
  if (chosen.size) state.filters[facet] = [...chosen].sort();
  else delete state.filters[facet];
  refilter();
}

function clear() {
  state.filters = {};
  for (const name of ["q", "review", "reply", "differ"]) state[name] = "";
  at("query").value = "";
  refilter();
}

/** The pair that is shown stays if the filter leaves it, else the first one is shown. */
async function refilter() {
  place = 0;
  if (state.key) {
    try {
      const found = await ask("/api/page", withNumbers(filterQuery(me.name), { key: state.key, id: state.id, limit: 1 }));
      if (found.at < 0) state.key = state.id = state.s = "";
    } catch (error) {
      say(error.message, 20000);
      return;
    }
  }
  writeAddress();
  delete document.body.dataset.ready;
  show();
}

// Sentences.

function light(n) {
  const at = n === null || n < 0 ? null : n;
  lightBy(litBy(pair, at), sample, pair, at);
}

/** Light what a sentence of this chain rests on, or of the one beside it, whose boxes are known by their facts. */
function lightBy(lit, of, chain, n) {
  const own = of === sample;
  showEvidence(of, chain, n);
  lightFrame(lit && !own ? { ...lit, boxes: new Set() } : lit);
  lightFacts(lit);
  lightChain(own ? lit : null);
}

function point(n) {
  light(n === null ? (state.s === "" ? null : Number(state.s)) : n);
}

function mark(n) {
  for (const node of document.querySelectorAll("#read [data-main] [data-n]")) node.classList.toggle("here", Number(node.dataset.n) === n);
}

function select(n, node) {
  state.s = String(n);
  writeAddress(true);
  mark(n);
  light(n);
  node?.focus({ preventScroll: true });
}

function stepSentence(by) {
  const nodes = [...document.querySelectorAll("#read [data-main] [data-n]")];
  if (!nodes.length) return;
  const here = nodes.findIndex((node) => node.dataset.n === state.s);
  const to = here < 0 ? (by > 0 ? 0 : nodes.length - 1) : Math.max(0, Math.min(nodes.length - 1, here + by));
  select(Number(nodes[to].dataset.n), nodes[to]);
  nodes[to].scrollIntoView({ block: "nearest" });
}

/** The sentence that a mark is meant for: where the focus is, else the one that is chosen. */
function meant() {
  const node = document.activeElement?.closest?.("#read [data-main] [data-n]");
  if (node) return Number(node.dataset.n);
  return state.s === "" ? null : Number(state.s);
}

async function judge(verdict) {
  const n = meant();
  if (n === null) {
    say("Step to a sentence first: j and k.");
    return;
  }
  state.s = String(n);
  writeAddress(true);
  const of = pair;
  await marks.mark(n, verdict);
  // Whoever is at another pair by now has not chosen a sentence there.
  if (pair === of) document.querySelector(`#read [data-main] [data-n="${n}"]`)?.focus({ preventScroll: true });
}

async function stepInTime(by) {
  const near = [...document.querySelectorAll("#strip .instant")];
  near[near.findIndex((node) => node.classList.contains("here")) + by]?.click();
}

function stepQuestion(by) {
  const at_ = sample.pairs.indexOf(pair) + by;
  if (sample.pairs[at_]) goTo({ key: sample.key, id: sample.pairs[at_].id });
}

async function queue() {
  const by = await showProgress(about, state.by || "task");
  await showReviewer();
  // Under another name other marks are one's own.
  if (sample) read();
  if (!by) return;
  if (!me.name) {
    say("Say who reviews first.");
    return;
  }
  [state.order, state.by, state.review, state.key, state.id, state.s] = ["draw", by, "todo", "", "", ""];
  refilter();
}

// Theme, panels, keys.

function setTheme(name) {
  if (name) document.documentElement.dataset.theme = name;
  localStorage.setItem("cotgen-theme", name);
}

function switchTheme() {
  const dark = document.documentElement.dataset.theme ? document.documentElement.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  setTheme(dark ? "light" : "dark");
}

const narrow = () => matchMedia("(max-width: 1100px)").matches;

function toggleFind(open = document.body.classList.contains("no-find")) {
  document.body.classList.toggle("no-find", !open);
  at("toggle-find").setAttribute("aria-expanded", String(open));
}

function toggleCompare() {
  state.view = state.view === "one" ? "" : "one";
  at("compare").setAttribute("aria-pressed", String(state.view !== "one"));
  writeAddress(true);
  read();
}

const KEYS = {
  ArrowLeft: () => step(-1),
  ArrowRight: () => step(1),
  r: () => goToNumber(Math.floor(Math.random() * total)),
  j: () => stepSentence(1),
  k: () => stepSentence(-1),
  1: () => judge("right"),
  2: () => judge("wrong"),
  3: () => judge("unsure"),
  n: () => (meant() === null ? say("Step to a sentence first: j and k.") : marks.note(meant())),
  "[": () => stepInTime(-1),
  "]": () => stepInTime(1),
  ",": () => stepQuestion(-1),
  ".": () => stepQuestion(1),
  "/": () => at("query").focus(),
  f: () => toggleFind(),
  b: () => toggleBoxes(),
  "+": () => zoom(1.4),
  "=": () => zoom(1.4),
  "-": () => zoom(1 / 1.4),
  z: () => all(),
  c: () => !at("compare").hidden && toggleCompare(),
  q: () => queue(),
  t: () => switchTheme(),
  "?": () => showKeys(),
  Escape: () => {
    state.s = "";
    writeAddress(true);
    mark(null);
    light(null);
    document.activeElement?.blur?.();
  },
};
const PANS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

function onKey(event) {
  // Many layouts type brackets with AltGr, which Windows tells as Ctrl and Alt, or with Option.
  const typed = event.altKey && "[]".includes(event.key);
  if ((!typed && (event.ctrlKey || event.altKey)) || event.metaKey || at("dialog").open) return;
  const field = event.target.closest('input:not([type="checkbox"]), select, textarea');
  if (field) {
    if (event.key === "Escape") field.blur();
    return;
  }
  if (event.shiftKey && PANS[event.key]) {
    event.preventDefault();
    pan(...PANS[event.key]);
    return;
  }
  const done = KEYS[event.key];
  if (!done || (!sample && "jkn123.,".includes(event.key))) return;
  event.preventDefault();
  Promise.resolve(done()).catch((error) => say(error.message));
}

async function watchText() {
  text = await ask("/api/text");
  const told = at("text-state");
  if (text.ready) {
    told.textContent = "";
    const needed = state.q || state.filters.basis || (state.order === "draw" && state.by === "basis");
    if (watchText.waited) await (needed ? refilter() : aside(turn));
    return;
  }
  if (text.problem) {
    told.textContent = "chains: not searched";
    told.title = text.problem;
    return;
  }
  watchText.waited = true;
  told.textContent = `reading chains, ${Math.floor((100 * text.done) / Math.max(1, text.total))} %`;
  told.title = "Until then a search finds names, answers and terms";
  setTimeout(() => watchText().catch(() => {}), 1500);
}

async function start() {
  const theme = localStorage.getItem("cotgen-theme");
  if (theme) setTheme(theme);
  readAddress();
  about = await ask("/api/about");
  begin(about.reviewer);
  at("name").textContent = about.folders.map((folder) => folder.name).join("  |  ");
  at("name").title = about.folders.map((folder) => `${folder.name}: ${number(folder.samples)} frames, ${number(folder.pairs)} pairs`).join("\n");
  at("query").value = state.q;
  at("compare").hidden = about.folders.length < 2 && !about.predictions;
  at("compare").setAttribute("aria-pressed", String(state.view !== "one"));
  makeFind();
  toggleFind(!narrow());
  at("toggle-find").addEventListener("click", () => toggleFind());
  at("previous").addEventListener("click", () => step(-1));
  at("next").addEventListener("click", () => step(1));
  at("random").addEventListener("click", KEYS.r);
  at("reviewer").addEventListener("click", () => queue());
  at("compare").addEventListener("click", toggleCompare);
  at("theme").addEventListener("click", switchTheme);
  at("help").addEventListener("click", showKeys);
  at("search").addEventListener("submit", (event) => {
    event.preventDefault();
    change("q", at("query").value.trim());
    at("query").blur();
  });
  at("query").addEventListener("search", () => at("query").value === "" && state.q && change("q", ""));
  at("dialog").addEventListener("click", (event) => event.target === at("dialog") && at("dialog").close());
  document.addEventListener("keydown", onKey);
  window.addEventListener("popstate", () => {
    readAddress();
    at("query").value = state.q;
    show();
  });
  showReviewer();
  await show();
  watchText().catch(() => {});
}

start().catch((error) => say(error.message, 60000));
