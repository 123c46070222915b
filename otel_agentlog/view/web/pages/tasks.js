// All tasks: searched, filtered, in pages; the address says what is shown.

import { get } from "../api.js";
import { h, show } from "../dom.js";
import { plural } from "../format.js";
import { listAddress, TaskTable } from "./rows.js";

const PAGE = 50;
const STATES = ["running", "paused", "completed", "failed", "timed_out", "interrupted", "cancelled"];
const SINCE = [["", "any time"], ["1h", "last hour"], ["24h", "last 24 hours"], ["7d", "last 7 days"], ["30d", "last 30 days"]];
const ORDERS = [["newest", "newest first"], ["oldest", "oldest first"], ["slowest", "slowest first"], ["costliest", "costliest first"]];
const FIELDS = [["agent", "Agent"], ["model", "Model"], ["provider", "Provider"], ["tool", "Tool"], ["tag", "Tag"], ["user", "User"], ["session_id", "Session"], ["error_category", "Error category"]];

export function tasksPage(main, route, { signal }) {
  const asked = Object.fromEntries(route.query);
  const table = new TaskTable("Tasks");
  const told = h("p", { role: "status" }, "…");
  const more = h("div.more", {});
  const body = h("section.card", { "aria-label": "Tasks found" }, table.element, more);
  show(main, h("div.page-head", {}, h("h1", {}, "Tasks"), told), filters(asked), body);
  const load = async (offset) => {
    try {
      const found = await get("api/tasks", { ...asked, limit: PAGE, offset }, signal);
      table.set(offset ? [...table.rows, ...found.rows] : found.rows);
      told.textContent = isFiltered(asked) ? `${found.matching.toLocaleString("en-US")} of ${plural(found.tasks, "task")}` : plural(found.tasks, "task");
      table.element.hidden = !table.rows.length;
      const left = found.matching - table.rows.length;
      show(more, left > 0 ? h("button.button", { type: "button", on: { click: () => load(table.rows.length) } }, `Show ${Math.min(PAGE, left)} more of ${left.toLocaleString("en-US")}`)
        : table.rows.length ? null : h("p.empty", {}, h("strong", {}, isFiltered(asked) ? "No task matches" : "No tasks yet"), isFiltered(asked) ? h("a", { href: "#/tasks" }, "Clear the filters") : h("span", {}, "Record one with ", h("code", {}, "agentlog demo"), ".")));
    } catch (error) {
      if (!signal.aborted) show(more, h("p.empty", { role: "alert" }, h("strong", {}, "That could not be answered"), error.message));
    }
  };
  load(0);
  const again = setInterval(() => document.hidden || table.rows.length > PAGE || table.body.contains(document.activeElement) || load(0), 5000);
  return { title: asked.q ? `${asked.q} – tasks` : "Tasks", key: (name) => table.key(name), close: () => clearInterval(again) };
}

const isFiltered = (asked) => Object.keys(asked).some((name) => name !== "order");

function filters(asked) {
  const go = (change) => { location.hash = listAddress(asked, change); };
  const chosen = new Set((asked.status ?? "").split(",").filter(Boolean));
  const chip = (state) => h("button.chip", {
    type: "button", "aria-pressed": String(chosen.has(state)), on: { click: () => {
      const next = new Set(chosen);
      if (!next.delete(state)) next.add(state);
      go({ status: [...next].join(",") });
    } },
  }, state.replace("_", " "));
  const choice = (name, label, options) => h("label.field", {}, label,
    h("select", { name, on: { change: (event) => go({ [name]: event.target.value }) } }, options.map(([value, text]) => h("option", { value, selected: (asked[name] ?? "") === value || (!asked[name] && value === "newest") }, text))));
  const text = (name, label) => h("label.field", {}, label,
    h("input", { name, value: asked[name] ?? "", maxlength: "300", size: "11", autocomplete: "off", on: { change: (event) => go({ [name]: event.target.value.trim() }) } }));
  return h("form.filters", { "aria-label": "Filters", on: { submit: (event) => event.preventDefault() } },
    h("div.field.wide", { role: "group", "aria-label": "Status" }, "Status", h("div.chips", {}, STATES.map(chip))),
    choice("since", "Started", SINCE), choice("order", "Order", ORDERS), isFiltered(asked) ? h("a.button.link", { href: "#/tasks" }, "Clear") : null,
    h("details", { open: FIELDS.some(([name]) => asked[name]) }, h("summary", {}, "More filters"), h("div", {}, FIELDS.map(([name, label]) => text(name, label)))));
}
