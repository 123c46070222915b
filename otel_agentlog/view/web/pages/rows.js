// Hides how tasks stand in a table, and how one is chosen by mouse or keys.

import { h, icon, show } from "../dom.js";
import { ago, count, moment, plural, seconds, time, usd, words } from "../format.js";

const COLUMNS = [
  ["title", "Task"], ["status", "Status"], ["agent", "Agent"], ["when", "Started"],
  ["time", "Time"], ["tokens", "Tokens"], ["cost", "Cost"], ["errors", "Errors"],
];
const NUMBERS = new Set(["time", "tokens", "cost", "errors"]);

export const pill = (state) => h("span.pill", { data: { state: state ?? "" } }, words(state));

export const hrefOf = (key) => `#/task/${encodeURIComponent(key)}`;

/** The address of the list with one thing changed. */
export function listAddress(asked, change) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries({ ...asked, ...change })) if (value) query.set(name, value);
  const text = query.toString();
  return text ? `#/tasks?${text}` : "#/tasks";
}

export const startOf = (row) => time(row.started_at ?? row.created_at);

/** Seconds a task took, or has taken so far. */
export function secondsOf(row, now = Date.now()) {
  if (typeof row.duration_seconds === "number") return row.duration_seconds;
  return ["running", "paused"].includes(row.status) ? Math.max(0, (now - startOf(row)) / 1000) : null;
}

/** Each sub-task right after the task it is part of, where that is there too; with how deep each stands. */
export function nested(rows) {
  const byId = new Map(rows.map((row) => [row.task_id, row]));
  const within = new Map();
  const tops = rows.filter((row) => {
    const parent = row.parent_task_id && byId.get(row.parent_task_id);
    if (!parent || parent === row) return true;
    within.set(parent, [...(within.get(parent) ?? []), row]);
    return false;
  });
  const found = [];
  const seen = new Set();
  const add = (row, depth) => {
    if (seen.has(row)) return;
    seen.add(row);
    found.push({ row, depth });
    for (const child of within.get(row) ?? []) add(child, depth + 1);
  };
  for (const row of tops) add(row, 0);
  // Tasks that stand in each other in a circle, by damage, have no top.
  for (const row of rows) add(row, 0);
  return found;
}

/** Which order a click on a column's head asks for, and what it asks for after that. */
const SORTED = { when: ["newest", "oldest"], time: ["slowest", "fastest"], cost: ["costliest", "cheapest"], tokens: ["most_tokens"], errors: ["most_errors"] };
const DESCENDING = new Set(["newest", "slowest", "costliest", "most_tokens", "most_errors"]);

export class TaskTable {
  /** `order` and `sort(order)`: the heads sort. `foundIn(row)`: an element below a row's title, or null. */
  constructor(label, { compact = false, order = null, sort = null, foundIn = () => null } = {}) {
    this.rows = [];
    this.at = -1;
    this.foundIn = foundIn;
    this.shown = COLUMNS.filter(([name]) => !compact || !["tokens", "agent"].includes(name));
    this.body = h("tbody", {});
    this.element = h("table.rows", { "aria-label": label },
      h("thead", {}, h("tr", {}, this.shown.map(([name, title]) => this.head(name, title, order, sort)))), this.body);
    this.body.addEventListener("click", (event) => this.click(event));
  }

  head(name, title, order, sort) {
    const className = NUMBERS.has(name) ? `num c-${name}` : `c-${name}`;
    const orders = sort ? SORTED[name] : null;
    if (!orders) return h("th", { scope: "col", class: className }, title);
    const at = orders.indexOf(order);
    const sign = at < 0 ? null : icon(DESCENDING.has(order) ? "below" : "up");
    return h("th", { scope: "col", class: className, "aria-sort": at < 0 ? null : DESCENDING.has(order) ? "descending" : "ascending" },
      h("button", { type: "button", on: { click: () => sort(orders[(at + 1) % orders.length]) } }, title, sign));
  }

  set(rows) {
    const chosen = this.rows[this.at]?.key;
    this.nested = nested(rows);
    this.rows = this.nested.map((entry) => entry.row);
    this.at = this.rows.findIndex((row) => row.key === chosen);
    this.paint();
  }

  paint() {
    const now = Date.now();
    const focused = this.body.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
    show(this.body, (this.nested ?? []).map(({ row, depth }, index) => this.row(row, index, now, depth)));
    if (focused) this.body.querySelector(`a[href="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
  }

  row(row, index, now, depth) {
    const tokens = count((row.input_tokens ?? 0) + (row.output_tokens ?? 0));
    const cells = { title: this.title(row, depth, tokens), status: pill(row.status), agent: row.assigned_agent ?? "", when: ago(startOf(row), now),
      time: seconds(secondsOf(row, now)), tokens, cost: usd(row.cost_usd, row.unpriced), errors: row.errors || "" };
    return h("tr", { data: index === this.at ? { key: row.key, chosen: "" } : { key: row.key } },
      this.shown.map(([name]) => h("td", { class: `c-${name} ${NUMBERS.has(name) ? "num" : ""} ${name === "errors" && row.errors ? "bad" : ""} ${name === "when" ? "dim" : ""}`, title: name === "when" ? moment(startOf(row)) : null }, cells[name])));
  }

  title(row, depth, tokens) {
    const below = row.error ? `${row.error.type ?? "error"}: ${row.error.message ?? ""}` : row.task_id;
    const parent = row.parent_task_id && !depth ? h("span.under", {}, "part of ", h("a", { href: hrefOf(row.parent_task_id) }, row.parent_task_id)) : null;
    // A narrow screen has no columns for these.
    const figures = [row.assigned_agent, tokens === "0" ? null : `${tokens} tokens`, row.cost_usd ? usd(row.cost_usd, row.unpriced) : null, row.errors ? plural(row.errors, "error") : null].filter(Boolean).join(" · ");
    return h("div.named", { style: depth ? { "padding-left": `${Math.min(depth, 6) * 18}px` } : null },
      h("span.line", {}, row.parent_task_id ? h("span.sub", { title: "a sub-task" }, "↳ ", h("span.unseen", {}, "sub-task ")) : null, h("a.title", { href: hrefOf(row.key), title: row.name }, row.name)),
      h("span.under", { title: below }, below), parent, figures ? h("span.under.narrow", {}, figures) : null, this.foundIn(row));
  }

  click(event) {
    const row = event.target.closest("tr");
    if (row && !event.target.closest("a, button") && !String(getSelection())) location.hash = hrefOf(row.dataset.key);
  }

  /** j, k and Enter; whether the key was one of them. */
  key(name) {
    if (name === "j" || name === "k") {
      this.at = Math.max(0, Math.min(this.rows.length - 1, this.at + (name === "j" ? 1 : -1)));
      this.paint();
      this.body.children[this.at]?.scrollIntoView({ block: "nearest" });
      this.body.children[this.at]?.querySelector("a")?.focus({ preventScroll: true });
      return true;
    }
    if (name === "Enter" && this.at >= 0) {
      location.hash = hrefOf(this.rows[this.at].key);
      return true;
    }
    return false;
  }
}
