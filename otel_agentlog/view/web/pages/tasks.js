// All tasks: searched, filtered, sorted, in pages; the address says what is shown.

import { get, taskPath } from "../api.js";
import { h, show } from "../dom.js";
import { plural } from "../format.js";
import { markedWords } from "../values/marks.js";
import { groupsAddress } from "./groups.js";
import { listAddress, TaskTable } from "./rows.js";
import { suggest } from "./suggestions.js";

const PAGE = 50;
const STATES = ["running", "paused", "completed", "failed", "timed_out", "interrupted", "cancelled"];
const SINCE = [["", "any time"], ["1h", "last hour"], ["6h", "last 6 hours"], ["24h", "last 24 hours"], ["7d", "last 7 days"], ["30d", "last 30 days"]];
const ORDERS = [["newest", "newest first"], ["oldest", "oldest first"], ["slowest", "slowest first"], ["costliest", "costliest first"], ["fastest", "fastest first"], ["cheapest", "cheapest first"], ["most_tokens", "most tokens first"], ["most_errors", "most errors first"]];
// Each with its name in the language of filters, by which its values are found.
const FIELDS = [["agent", "Agent", "agent"], ["model", "Model", "model"], ["provider", "Provider", "provider"], ["tool", "Tool", "tool"], ["tag", "Tag", "tag"], ["user", "User", "user"], ["session_id", "Session", "session"], ["error_category", "Error category", "error"]];
const BOUNDS = [["min_duration_s", "From seconds"], ["min_cost_usd", "From $"], ["min_tokens", "From tokens"]];
const AT_A_TIME = 3;

export function tasksPage(main, route, { live, signal }) {
  const asked = Object.fromEntries(route.query);
  const go = (change) => { location.hash = listAddress(asked, change); };
  const snippets = new Snippets(wordsOf(asked.q ?? ""), signal);
  const table = new TaskTable("Tasks", { order: asked.order ?? "newest", sort: (order) => go({ order: order === "newest" ? "" : order }), foundIn: (row) => snippets.of(row) });
  const told = h("p", { role: "status" }, "…");
  const more = h("div.more", {});
  const body = h("section.card", { "aria-label": "Tasks found" }, table.element, more);
  show(main, h("div.page-head", {}, h("h1", {}, "Tasks"), told), filters(asked, go), body);
  const load = async (offset) => {
    try {
      const found = await get("api/tasks", { ...asked, limit: PAGE, offset }, signal);
      live("on", null, "up to date");
      table.set(offset ? [...table.rows, ...found.rows] : found.rows);
      snippets.find(table.rows);
      told.textContent = isFiltered(asked) ? `${found.matching.toLocaleString("en-US")} of ${plural(found.tasks, "task")}` : plural(found.tasks, "task");
      table.element.hidden = !table.rows.length;
      const left = found.matching - table.rows.length;
      show(more, left > 0 ? h("button.button", { type: "button", on: { click: () => load(table.rows.length) } }, `Show ${Math.min(PAGE, left)} more of ${left.toLocaleString("en-US")}`) : table.rows.length ? null : noneOf(asked, found.hints ?? []));
    } catch (error) {
      if (signal.aborted) return;
      live(error.status ? "refused" : "off", error);
      show(more, h("p.empty", { role: "alert" }, h("strong", {}, "That could not be answered"), error.message));
    }
  };
  load(0);
  const again = setInterval(() => document.hidden || table.rows.length > PAGE || table.body.contains(document.activeElement) || load(0), 5000);
  return { title: asked.q ? `${asked.q} – tasks` : "Tasks", key: (name) => table.key(name), close: () => clearInterval(again) };
}

function noneOf(asked, hints) {
  if (!isFiltered(asked)) return h("div.empty", {}, h("strong", {}, "No tasks yet"), h("span", {}, "Record one with ", h("code", {}, "agentlog demo"), "."));
  return h("div.empty", {}, h("strong", {}, "No task matches"), hints.map((hint) => h("p", {}, hint)), h("a", { href: "#/tasks" }, "Clear the filters"));
}

const isFiltered = (asked) => Object.keys(asked).some((name) => name !== "order");

/** What the list is filtered by, as a filter in words. */
function inWords(asked) {
  const named = FIELDS.filter(([name]) => asked[name]).map(([name, , field]) => `${field}:${asked[name].includes("*") ? asked[name].replaceAll(" ", "?") : `"${asked[name].replace(/["\\]/g, "\\$&")}"`}`);
  const least = [["min_duration_s", "dur"], ["min_cost_usd", "cost"], ["min_tokens", "tokens"]].filter(([name]) => asked[name]).map(([name, field]) => `${field}>=${asked[name]}`);
  const rest = [...["status", "since", "until"].filter((name) => asked[name]).map((name) => `${name}:${asked[name]}`), ...named, ...least];
  return [asked.q && rest.length ? `(${asked.q})` : asked.q, ...rest].filter(Boolean).join(" ");
}

/** The words of a filter, without its fields such as status:failed. */
const wordsOf = (text) => text.replace(/(?<=^|[\s(])-?[a-z_]+(?::|[<>]=?|!?=)(?:"[^"]*"|\S*)/gi, " ").replace(/\b(?:AND|OR|NOT)\b/g, " ").trim();

/** Where the words that were searched for stand in each task: asked for after the list, a few tasks at a time. */
class Snippets {
  constructor(words, signal) {
    [this.words, this.signal, this.known, this.places] = [words, signal, new Map(), new Map()];
  }

  of(row) {
    if (!this.words) return null;
    const place = h("ul.found", {});
    this.places.set(row.key, place);
    this.fill(row.key);
    return place;
  }

  fill(key) {
    const found = this.known.get(key);
    if (!found || !this.places.has(key)) return;
    show(this.places.get(key), found.map((match) => h("li", { title: match.type }, markedWords(match.text, this.words))));
  }

  async find(rows) {
    if (!this.words) return;
    const waiting = rows.map((row) => row.key).filter((key) => !this.known.has(key));
    const work = async () => {
      for (let key = waiting.shift(); key !== undefined && !this.signal.aborted; key = waiting.shift()) {
        this.known.set(key, []);
        const found = await get(taskPath(key, "/matches"), { q: this.words, limit: 4 }, this.signal).catch(() => null);
        if (!found) continue;
        this.known.set(key, found.matches.filter((match, index, all) => all.findIndex((other) => other.text === match.text) === index).slice(0, 2));
        this.fill(key);
      }
    };
    await Promise.all(Array.from({ length: AT_A_TIME }, work));
  }
}

function filters(asked, go) {
  const chosen = new Set((asked.status ?? "").split(",").filter(Boolean));
  const chip = (state) => h("button.chip", {
    type: "button", "aria-pressed": String(chosen.has(state)), on: { click: () => {
      const next = new Set(chosen);
      if (!next.delete(state)) next.add(state);
      go({ status: [...next].join(",") });
    } },
  }, state.replace("_", " "));
  const choice = (name, label, options) => h("label.field", {}, label,
    h("select", { name, on: { change: (event) => go({ [name]: event.target.value === "newest" ? "" : event.target.value }) } }, options.map(([value, text]) => h("option", { value, selected: (asked[name] ?? "") === value || (!asked[name] && value === "newest") }, text))));
  // A bar of a chart leads to a time that is none of the usual ones.
  const since = SINCE.some(([value]) => value === (asked.since ?? "")) ? SINCE : [...SINCE, [asked.since, `from ${asked.since.replace("T", " ")}${asked.until ? ` to ${asked.until.replace("T", " ")}` : ""}`]];
  const text = (name, label, field) => {
    const input = h("input", { name, value: asked[name] ?? "", maxlength: "300", size: "11", autocomplete: "off", on: { change: (event) => go({ [name]: event.target.value.trim() }) } });
    if (!field) Object.assign(input, { type: "number", min: "0", step: "any" });
    return h("label.field", {}, label, field ? suggest(input, field) : input);
  };
  const rarer = [...FIELDS, ...BOUNDS];
  return h("form.filters", { "aria-label": "Filters", on: { submit: (event) => event.preventDefault() } },
    h("div.field.wide", { role: "group", "aria-label": "Status" }, "Status", h("div.chips", {}, STATES.map(chip))),
    h("label.field", {}, "Started", h("select", { name: "since", on: { change: (event) => go({ since: event.target.value, until: "" }) } }, since.map(([value, name]) => h("option", { value, selected: (asked.since ?? "") === value }, name)))),
    choice("order", "Order", ORDERS), isFiltered(asked) ? h("a.button.link", { href: "#/tasks" }, "Clear") : null,
    h("a.button", { href: groupsAddress({ a: inWords(asked) }) }, "Compare groups"),
    h("details", { open: rarer.some(([name]) => asked[name]) }, h("summary", {}, "More filters"), h("div", {}, rarer.map((entry) => text(...entry)))));
}
