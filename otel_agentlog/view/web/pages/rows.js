// Hides how tasks stand in a table, and how one is chosen by mouse or keys.

import { h, show } from "../dom.js";
import { ago, count, moment, seconds, time, usd, words } from "../format.js";

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

export class TaskTable {
  constructor(label, { compact = false } = {}) {
    this.rows = [];
    this.at = -1;
    this.shown = COLUMNS.filter(([name]) => !compact || !["tokens", "agent"].includes(name));
    this.body = h("tbody", {});
    this.element = h("table.rows", { "aria-label": label },
      h("thead", {}, h("tr", {}, this.shown.map(([name, title]) => h("th", { scope: "col", class: NUMBERS.has(name) ? `num c-${name}` : `c-${name}` }, title)))),
      this.body);
    this.body.addEventListener("click", (event) => this.click(event));
  }

  set(rows) {
    const chosen = this.rows[this.at]?.key;
    this.rows = rows;
    this.at = rows.findIndex((row) => row.key === chosen);
    this.paint();
  }

  paint() {
    const now = Date.now();
    const focused = this.body.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
    show(this.body, this.rows.map((row, index) => this.row(row, index, now)));
    if (focused) this.body.querySelector(`a[href="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
  }

  row(row, index, now) {
    const cells = { title: this.title(row), status: pill(row.status), agent: row.assigned_agent ?? "", when: ago(startOf(row), now),
      time: seconds(secondsOf(row, now)), tokens: count((row.input_tokens ?? 0) + (row.output_tokens ?? 0)), cost: usd(row.cost_usd), errors: row.errors || "" };
    return h("tr", { data: { key: row.key }, "aria-selected": String(index === this.at) },
      this.shown.map(([name]) => h("td", { class: `c-${name} ${NUMBERS.has(name) ? "num" : ""} ${name === "errors" && row.errors ? "bad" : ""} ${name === "when" ? "dim" : ""}`, title: name === "when" ? moment(startOf(row)) : null }, cells[name])));
  }

  title(row) {
    const below = row.error ? `${row.error.type ?? "error"}: ${row.error.message ?? ""}` : row.task_id;
    return [h("a.title", { href: hrefOf(row.key), title: row.name }, row.name), h("span.under", { title: below }, below)];
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
