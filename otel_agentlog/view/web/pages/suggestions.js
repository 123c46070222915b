// Values that exist, offered while somebody types.

import { get } from "../api.js";
import { h, show } from "../dom.js";

const GROUPED = new Set(["agent", "model", "provider", "tool", "user"]);
let number = 0;

/** Gives an input the values of a field that tasks have, asked for when somebody comes to it: both elements. */
export function suggest(input, field) {
  const list = h("datalist", { id: `values-${(number += 1)}` });
  input.setAttribute("list", list.id);
  let asked = null;
  const offer = async () => {
    const begun = input.value.trim();
    if (asked === begun) return;
    asked = begun;
    const found = await valuesOf(field, begun);
    if (asked === begun) show(list, found.map(({ text, tasks }) => h("option", { value: text }, tasks ? `${tasks} tasks` : "")));
  };
  input.addEventListener("focus", offer);
  input.addEventListener("input", offer);
  return [input, list];
}

/** Offers in a field how a filter in words can go on: its fields, and the values that exist. Returns what belongs behind it. */
export function suggestFilter(input, id) {
  const list = h("datalist", { id });
  input.setAttribute("list", list.id);
  let known = true;
  input.addEventListener("input", async () => {
    const text = input.value;
    if (!known || !text) return;
    try {
      const { start, options } = await get("api/filter", { q: text });
      if (input.value === text) show(list, options.map((option) => h("option", { value: text.slice(0, start) + option.text }, option.summary || (option.tasks ? `${option.tasks} tasks` : ""))));
    } catch (error) {
      known = error.status !== 404;
    }
  });
  return list;
}

/** By the language of filters, whose answers know of every field; else by what tasks are grouped by. */
async function valuesOf(field, begun) {
  try {
    const { options } = await get("api/filter", { q: `${field}:${begun.replace(/[\s",()]/g, "")}` });
    return options.map((option) => ({ ...option, text: option.text.replace(/^"(.*)"$/, "$1") }));
  } catch {
    return field === "error" ? categories() : groups(field);
  }
}

async function groups(field) {
  if (!GROUPED.has(field)) return [];
  const found = await get("api/statistics", { group_by: field }).catch(() => ({ groups: [] }));
  return found.groups.filter((group) => group.key).map((group) => ({ text: group.key }));
}

async function categories() {
  const found = await get("api/errors", { limit: 1 }).catch(() => ({ by_category: {} }));
  return Object.keys(found.by_category).map((text) => ({ text }));
}
