// Elements from plain values. Text only ever becomes text: nothing here, or anywhere on the page, reads it as HTML.

const SVG = "http://www.w3.org/2000/svg";

export const at = (id) => document.getElementById(id);

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "value" || name === "checked") node[name] = value;
    else node.setAttribute(name, value === true ? "" : value);
  }
  for (const child of children.flat(Infinity)) {
    if (child === undefined || child === null || child === false || child === "") continue;
    node.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
  return node;
}

/** el("p.quiet", {title: "..."}, "text", other) */
export function el(what, attributes, ...children) {
  const [tag, ...classes] = what.split(".");
  const node = document.createElement(tag || "div");
  if (classes.length) node.className = classes.join(" ");
  return fill(node, attributes, children);
}

export function svg(what, attributes, ...children) {
  const [tag, ...classes] = what.split(".");
  const node = document.createElementNS(SVG, tag);
  if (classes.length) node.setAttribute("class", classes.join(" "));
  return fill(node, attributes, children);
}

export async function ask(path, parameters) {
  const query = parameters instanceof URLSearchParams ? parameters : new URLSearchParams(parameters || {});
  const answer = await fetch(`${path}?${query}`, { credentials: "same-origin" });
  return told(answer);
}

export async function send(path, body) {
  const answer = await fetch(path, {
    method: "POST",
    credentials: "same-origin",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });
  return told(answer);
}

async function told(answer) {
  let body;
  try {
    body = await answer.json();
  } catch {
    throw new Error("The viewer gave no answer; is it still running?");
  }
  if (!answer.ok) throw new Error(body.error || `The viewer answered ${answer.status}.`);
  return body;
}

let hiding;

/** A sentence at the foot of the page. */
export function say(text, lasts = 6000) {
  const box = at("message");
  box.textContent = text;
  box.hidden = false;
  clearTimeout(hiding);
  hiding = setTimeout(() => (box.hidden = true), lasts);
}

export const number = (value) => Number(value).toLocaleString("en");

export function clock(seconds) {
  const whole = Math.floor(seconds);
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor((whole % 3600) / 60), whole % 60];
  const two = (n) => String(n).padStart(2, "0");
  return h ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}
