// The state of the page is its address: a link reopens the same sample, sentence and filter.

export const FACETS = ["split", "task", "support", "writer", "source", "surgery", "term", "finding", "basis"];
const SINGLE = ["key", "id", "s", "q", "order", "by", "review", "reply", "differ", "view", "boxes"];

export const state = { filters: {} };

export function readAddress() {
  const asked = new URLSearchParams(location.search);
  for (const name of SINGLE) state[name] = asked.get(name) || "";
  state.filters = {};
  for (const facet of FACETS) {
    const values = asked.getAll(facet);
    if (values.length) state.filters[facet] = values;
  }
}

function address() {
  const query = new URLSearchParams();
  for (const name of SINGLE) if (state[name]) query.set(name, state[name]);
  for (const facet of FACETS) for (const value of state.filters[facet] || []) query.append(facet, value);
  return `/?${query}`;
}

export function writeAddress(replace = false) {
  if (address() === location.pathname + location.search) return;
  history[replace ? "replaceState" : "pushState"](null, "", address());
}

/** What the server needs to know of the filter. */
export function filterQuery(reviewer) {
  const query = new URLSearchParams();
  for (const name of ["q", "order", "by", "review", "reply", "differ"]) if (state[name]) query.set(name, state[name]);
  if (state.review === "todo" || state.review === "mine") query.set("reviewer", reviewer);
  for (const facet of FACETS) for (const value of state.filters[facet] || []) query.append(facet, value);
  return query;
}

export function filtersSet() {
  const facets = Object.values(state.filters).reduce((sum, values) => sum + values.length, 0);
  return facets + ["q", "review", "reply", "differ"].filter((name) => state[name]).length;
}
