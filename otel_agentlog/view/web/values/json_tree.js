// Hides how JSON of any size is folded: what is closed does not exist yet.

import { h } from "../dom.js";

const SMALL = 12;
const A_PAGE = 100;
const LONG_TEXT = 2000;
const DEEP_OPEN = 2;

/** A value as a tree of foldable parts; `special(item)` makes an element for what is no plain JSON, null for all else. */
export function jsonTree(value, special = () => null) {
  return h("div.json.block", {}, node(null, value, 0, special));
}

function node(name, value, depth, special) {
  const label = name === null ? null : [h("span.key", {}, name), ": "];
  const own = special(value);
  if (own) return h("div.member", {}, label, own);
  if (value === null || typeof value !== "object") return h("div.member", {}, label, scalar(value));
  const entries = Array.isArray(value) ? value.map((item, index) => [String(index), item]) : Object.entries(value);
  const [open, close] = Array.isArray(value) ? ["[", "]"] : ["{", "}"];
  if (!entries.length) return h("div.member", {}, label, `${open}${close}`);
  const inner = h("div.members", {});
  const box = h("details.member", { open: depth < DEEP_OPEN && entries.length <= SMALL }, h("summary", {}, label, open, h("span.size", {}, ` ${entries.length} `), close), inner);
  const draw = () => { if (box.open && !inner.firstChild) page(inner, entries, 0, depth, special); };
  box.addEventListener("toggle", draw);
  draw();
  return box;
}

function page(inner, entries, from, depth, special) {
  inner.append(...entries.slice(from, from + A_PAGE).map(([name, value]) => node(name, value, depth + 1, special)));
  const left = entries.length - from - A_PAGE;
  if (left <= 0) return;
  const more = h("button.button.link", { type: "button", on: { click: () => { more.remove(); page(inner, entries, from + A_PAGE, depth, special); } } }, `${left.toLocaleString("en-US")} more`);
  inner.append(more);
}

function scalar(value) {
  if (typeof value !== "string") return h("span.number", {}, String(value));
  const cut = value.length > LONG_TEXT ? `${value.slice(0, LONG_TEXT)}… ${(value.length - LONG_TEXT).toLocaleString("en-US")} more characters` : value;
  return h("span.string", {}, cut.includes("\n") ? cut : JSON.stringify(cut));
}
