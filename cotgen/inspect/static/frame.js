// The frame: the picture, or an empty field where none is stored, with boxes and names over it; zoom and pan.

import { at, el, svg } from "./dom.js";
import { state, writeAddress } from "./state.js";

const COLOURS = ["#4cc9f0", "#ffd60a", "#7ae582", "#ff7ad9", "#ff9f1c", "#b9a5ff", "#f1f5f9", "#ff6b6b"];
const FARTHEST = 12;
let shown = null;

/** Colour of an entity: that of its first term, in the order in which the sample names them. */
export function coloursOf(sample) {
  const order = new Map();
  for (const fact of sample.facts) {
    if (fact.box.length && !order.has(fact.terms[0])) order.set(fact.terms[0], order.size);
  }
  return (fact) => (fact.box.length ? COLOURS[order.get(fact.terms[0]) % COLOURS.length] : "");
}

function entities(sample, pair) {
  const colour = coloursOf(sample);
  const found = new Map();
  const name = (fact) => fact.terms.map((term) => sample.names[term] || term).join(" · ");
  for (const fact of sample.facts) {
    if (!fact.box.length) continue;
    const place = fact.box.join();
    const entry = found.get(place) || { box: fact.box, names: [], facts: [], pair: -1, colour: colour(fact) };
    if (!entry.names.includes(name(fact))) entry.names.push(name(fact));
    entry.facts.push(fact.id);
    found.set(place, entry);
  }
  pair.boxes.forEach((box, number) => {
    const place = box.join();
    const entry = found.get(place) || { box, names: [`box ${number}`], facts: [], pair: number, colour: COLOURS[6] };
    if (entry.pair < 0) entry.pair = number;
    found.set(place, entry);
  });
  // The act of an instrument names the instrument as well.
  for (const entry of found.values()) entry.names = entry.names.filter((own) => !entry.names.some((other) => other.startsWith(`${own} · `)));
  return [...found.values()];
}

function extent(sample) {
  if (sample.frame.width && sample.frame.height) return [sample.frame.width, sample.frame.height];
  let [width, height] = [854, 480];
  for (const fact of sample.facts) {
    if (fact.box.length) [width, height] = [Math.max(width, fact.box[2]), Math.max(height, fact.box[3])];
  }
  return [width, height];
}

export function pictureAddress(kind, build, key, version) {
  return `/${kind}/${build}/${key}.jpg?v=${encodeURIComponent(version)}`;
}

export function showFrame(sample, pair, version) {
  const [width, height] = extent(sample);
  const parts = entities(sample, pair);
  const root = svg("svg", {
    viewBox: `0 0 ${width} ${height}`,
    role: "img",
    "aria-label": `Frame ${sample.key}${parts.length ? `, outlined: ${parts.map((part) => part.names.join(", ")).join("; ")}` : ""}`,
    tabindex: 0,
  });
  if (sample.stored) {
    const href = pictureAddress("picture", 0, sample.key, version);
    root.append(svg("image", { href, width, height, preserveAspectRatio: "none" }));
  } else {
    root.append(svg("rect.empty", { width, height }));
    const field = sample.measured.find((item) => item.name === "field" && item.box.length === 4);
    if (field) {
      const [x1, y1, x2, y2] = field.box;
      root.append(svg("rect.field", { x: x1, y: y1, width: x2 - x1, height: y2 - y1 }));
    }
  }
  const areas = svg("g.areas");
  const boxes = svg("g.boxes");
  for (const part of parts) {
    const [x1, y1, x2, y2] = part.box;
    part.group = svg(
      "g.box",
      {},
      svg("rect.shadow", { x: x1, y: y1, width: x2 - x1, height: y2 - y1 }),
      svg("rect.line", { x: x1, y: y1, width: x2 - x1, height: y2 - y1 }),
    );
    part.group.style.setProperty("--colour", part.colour);
    part.ground = svg("rect.ground");
    part.text = svg("text", {}, part.names.join(" / "));
    part.group.append(part.ground, part.text);
    boxes.append(part.group);
  }
  root.append(areas, boxes);
  const note = sample.stored ? "" : el("p.no-picture", {}, "The picture is not stored in this data set: an empty field with what the labels outline.");
  const tools = el(
    "div.tools",
    {},
    el("button", { type: "button", title: "Boxes (b)", "aria-pressed": String(state.boxes !== "off"), onclick: toggleBoxes, id: "boxes" }, "Boxes"),
    el("button", { type: "button", title: "Nearer (+)", "aria-label": "Nearer", onclick: () => zoom(1.4) }, "+"),
    el("button", { type: "button", title: "Farther (-)", "aria-label": "Farther", onclick: () => zoom(1 / 1.4) }, "−"),
    el("button", { type: "button", title: "All of it (z)", onclick: all }, "Fit"),
  );
  const holder = at("frame");
  holder.replaceChildren(root, tools, note);
  holder.classList.toggle("no-boxes", state.boxes === "off");
  shown = { root, parts, areas, width, height, view: [0, 0, width, height] };
  root.addEventListener("wheel", wheel, { passive: false });
  root.addEventListener("pointerdown", grab);
  root.addEventListener("dblclick", (event) => zoom(2, point(event)));
  layout();
}

/** Labels keep their size on the screen whatever the zoom. */
function layout() {
  if (!shown) return;
  const { root, parts, view } = shown;
  root.setAttribute("viewBox", view.join(" "));
  // The picture keeps its shape in whatever room there is.
  const scale = Math.max(view[2] / (root.clientWidth || 800), view[3] / (root.clientHeight || 450));
  const size = 12.5 * scale;
  const taken = [];
  for (const part of parts) {
    const [x1, y1, , y2] = part.box;
    part.text.setAttribute("font-size", size);
    const wide = part.text.getComputedTextLength() + size * 0.9;
    let [x, y] = [Math.max(view[0], Math.min(x1, view[0] + view[2] - wide)), y1 - size * 1.5];
    if (y < view[1]) y = Math.max(view[1], y1);
    while (taken.some((other) => Math.abs(other[1] - y) < size * 1.4 && x < other[2] && other[0] < x + wide)) {
      y += size * 1.5;
      if (y > y2 + size * 6) break;
    }
    taken.push([x, y, x + wide]);
    for (const [name, value] of Object.entries({ x, y, width: wide, height: size * 1.45, rx: size * 0.2 })) {
      part.ground.setAttribute(name, value);
    }
    part.text.setAttribute("x", x + size * 0.45);
    part.text.setAttribute("y", y + size * 1.05);
  }
}

/** Light what a sentence rests on; `lit` is null where none is looked at. */
export function lightFrame(lit) {
  if (!shown) return;
  const any = lit && (lit.boxes.size || shown.parts.some((part) => part.facts.some((id) => lit.facts.has(id))));
  for (const part of shown.parts) {
    const on = any && (lit.boxes.has(part.pair) || part.facts.some((id) => lit.facts.has(id)));
    part.group.classList.toggle("lit", Boolean(on));
    part.group.classList.toggle("dim", Boolean(any && !on));
  }
  shown.areas.replaceChildren(
    ...(lit ? lit.areas : []).map(([x1, y1, x2, y2]) => svg("rect", { x: x1, y: y1, width: x2 - x1, height: y2 - y1 })),
  );
}

export function toggleBoxes() {
  state.boxes = state.boxes === "off" ? "" : "off";
  at("frame").classList.toggle("no-boxes", state.boxes === "off");
  at("boxes")?.setAttribute("aria-pressed", String(state.boxes !== "off"));
  writeAddress(true);
}

function point(event) {
  const there = new DOMPoint(event.clientX, event.clientY).matrixTransform(shown.root.getScreenCTM().inverse());
  return [there.x, there.y];
}

function keepInside(view) {
  const { width, height } = shown;
  view[0] = Math.max(0, Math.min(view[0], width - view[2]));
  view[1] = Math.max(0, Math.min(view[1], height - view[3]));
  return view;
}

export function zoom(factor, centre) {
  if (!shown) return;
  const { width, height, view } = shown;
  const wide = Math.max(width / FARTHEST, Math.min(width, view[2] / factor));
  const [cx, cy] = centre || [view[0] + view[2] / 2, view[1] + view[3] / 2];
  const ratio = wide / view[2];
  shown.view = keepInside([cx - (cx - view[0]) * ratio, cy - (cy - view[1]) * ratio, wide, (wide * height) / width]);
  layout();
}

export function all() {
  if (!shown) return;
  shown.view = [0, 0, shown.width, shown.height];
  layout();
}

export function pan(right, down) {
  if (!shown) return;
  const { view } = shown;
  shown.view = keepInside([view[0] + (right * view[2]) / 8, view[1] + (down * view[3]) / 8, view[2], view[3]]);
  layout();
}

function wheel(event) {
  if (!event.ctrlKey && !event.metaKey && shown.view[2] === shown.width && event.deltaY > 0) return;
  event.preventDefault();
  zoom(Math.exp(-event.deltaY / 300), point(event));
}

function grab(event) {
  if (shown.view[2] === shown.width) return;
  const { root } = shown;
  const from = [event.clientX, event.clientY, ...shown.view];
  root.setPointerCapture(event.pointerId);
  const scale = root.getScreenCTM().a;
  const move = (next) => {
    const [dx, dy] = [(next.clientX - from[0]) / scale, (next.clientY - from[1]) / scale];
    shown.view = keepInside([from[2] - dx, from[3] - dy, from[4], from[5]]);
    layout();
  };
  root.addEventListener("pointermove", move);
  root.addEventListener("pointerup", () => root.removeEventListener("pointermove", move), { once: true });
}

new ResizeObserver(layout).observe(at("frame"));
