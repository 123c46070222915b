// The overview: figures of the last day, what runs now, what came last; as it happens.

import { get, hear } from "../api.js";
import { bars, ranks, spark } from "./charts.js";
import { h, show } from "../dom.js";
import { count, percent, plural, seconds, usd } from "../format.js";
import { TaskTable } from "./rows.js";

export function overviewPage(main, route, { live, signal }) {
  const figures = h("dl.figures", { "aria-label": "Figures of the last 24 hours" });
  const alerts = h("div", { role: "region", "aria-label": "Active alerts", "aria-live": "polite" });
  const active = new TaskTable("Active now", { compact: true });
  const recent = new TaskTable("Recent tasks", { compact: true });
  const cards = {
    active: card("Active now", ""), recent: card("Recent tasks", h("a", { href: "#/tasks" }, "All tasks")),
    activity: card("Activity", h("span.legend", {}, h("span.ok", {}, h("i", {}), "went well or goes on"), h("span.bad", {}, h("i", {}), "failed"))), errors: card("Errors by category", "last 24 hours"),
    agents: card("Agents", "last 24 hours"), tools: card("Tools", "last 24 hours"), models: card("Models", "last 24 hours"),
  };
  show(main, h("div.page-head", {}, h("h1", {}, "Overview"), h("p", {}, "the last 24 hours")), figures, alerts,
    h("div.board", {}, h("div.stack", {}, cards.active, cards.activity, cards.recent), h("div.stack.side", {}, cards.errors, cards.agents, cards.tools, cards.models)));
  const tables = [active, recent];

  let known = false;
  const paint = (found) => {
    known = true;
    show(figures, figuresOf(found));
    showAlerts(alerts, found.alerts);
    fillTable(cards.active, active, found.active, "Nothing runs", "Tasks appear here the moment they begin.");
    fillTable(cards.recent, recent, found.recent.filter((row) => !found.active.some((other) => other.key === row.key)).slice(0, 15), "No tasks yet", h("span", {}, "Record one with ", h("code", {}, "agentlog demo"), "."));
    put(cards.activity, found.timeline.spans.length ? bars(found.timeline) : nothing("No tasks in the last 24 hours"));
    put(cards.errors, errorsOf(found.errors_by_category));
    put(cards.agents, groupsOf(found.agents, "task", "No agent was named"));
    put(cards.tools, groupsOf(found.tools, "run", "No tool was run"));
    put(cards.models, modelsOf(found.models));
  };
  get("api/overview", {}, signal).then((found) => known || paint(found)).catch(() => {});
  hear("api/live", {}, (name, data) => { if (name === "overview") paint(data); }, live, signal);
  const ticking = setInterval(() => tables.forEach((table) => table.rows.length && !table.body.contains(document.activeElement) && table.paint()), 1000);
  return {
    title: "Overview",
    key: (name) => (active.rows.length && active.at >= 0 ? active : recent.rows.length ? recent : active).key(name),
    close: () => clearInterval(ticking),
  };
}

let told = "";

/** Drawn only when they change, as a screen reader says them each time. */
function showAlerts(where, alerts) {
  const now = JSON.stringify(alerts);
  if (now === told && where.childElementCount === alerts.length) return;
  told = now;
  show(where, alerts.slice(0, 6).map((alert) => h(["critical", "error"].includes(String(alert.severity).toLowerCase()) ? "p.notice.bad" : "p.notice", {},
    h("strong", {}, String(alert.type ?? "alert").replace(/_(percent|seconds|usd|mb)$/, "").replaceAll("_", " ")), h("span", {}, alert.message),
    alert.task_id ? h("a", { href: `#/task/${encodeURIComponent(alert.task_id)}` }, alert.task_id) : null)));
}

function card(title, aside) {
  return h("section.card", { "aria-label": title }, h("header", {}, h("h2", {}, title), h("span.aside", {}, aside)), h("div.body", {}, h("p.empty", {}, "…")));
}

const put = (where, what) => show(where.lastChild, what);
const nothing = (title, more) => h("p.empty", {}, h("strong", {}, title), more);

function fillTable(where, table, rows, title, more) {
  table.set(rows);
  where.lastChild.classList.toggle("flush", rows.length > 0);
  if (!rows.length) return put(where, nothing(title, more));
  if (where.lastChild.firstChild !== table.element) put(where, table.element);
  return where;
}

function figuresOf(found) {
  const { totals, timeline } = found;
  const byTime = spread(timeline);
  const tokens = totals.input_tokens + totals.output_tokens;
  const ended = Object.entries(totals.by_status).filter(([state]) => !["running", "paused", "pending"].includes(state)).reduce((sum, [, number]) => sum + number, 0);
  const waiting = [found.paused && `${found.paused} paused`, found.pending && `${found.pending} pending`].filter(Boolean).join(", ");
  return [
    figure("Running", String(found.running), waiting || "right now", null),
    figure("Success rate", percent(totals.success_rate), `${plural(ended, "task")} ended`, null),
    figure("Average duration", seconds(totals.duration_seconds.average), `median ${seconds(totals.duration_seconds.p50)}`, null),
    figure("p95 duration", seconds(totals.duration_seconds.p95), `longest ${seconds(totals.duration_seconds.maximum)}`, spark(byTime.map((span) => span?.p95_duration_s ?? 0))),
    figure("Cost today", usd(found.cost_today_usd), `${usd(totals.cost_usd)} in 24 hours`, spark(byTime.map((span) => span?.cost_usd ?? 0))),
    figure("Tokens", count(tokens), `${count(totals.input_tokens)} in, ${count(totals.output_tokens)} out`, spark(byTime.map((span) => span?.tokens ?? 0))),
  ];
}

function spread({ first_ns, last_ns, bucket_s, spans }) {
  const width = bucket_s * 1e9;
  const found = new Array(Math.max(1, Math.min(200, Math.round((last_ns - first_ns) / width) + 1))).fill(null);
  for (const span of spans) found[Math.round((span.start_ns - first_ns) / width)] = span;
  return found;
}

function figure(name, value, note, plot) {
  return h("div.card.figure", { data: { figure: name } }, h("dt", {}, name), h("dd.value", {}, value), h("dd.note", {}, note), plot);
}

function errorsOf(categories) {
  const entries = Object.entries(categories).slice(0, 8).map(([name, number]) => ({ name: name.replaceAll("_", " ").toLowerCase(), amount: number, told: String(number) }));
  return entries.length ? ranks(entries, "errors-by-category") : nothing("No errors", "None in the last 24 hours.");
}

function groupsOf(groups, noun, none) {
  const entries = groups.map((group) => {
    const bad = ["failed", "timed_out", "interrupted"].reduce((sum, state) => sum + (group.by_status[state] ?? 0), 0);
    return { name: group.key ?? "unnamed", amount: group.runs, bad, told: `${plural(group.runs, noun)} · ${seconds(group.duration_seconds.average)}${bad ? ` · ${bad} failed` : ""}` };
  });
  return entries.length ? ranks(entries) : nothing(none);
}

function modelsOf(groups) {
  const entries = groups.map((group) => ({ name: group.key ?? "unnamed", amount: group.runs, bad: group.by_status.failed ?? 0, told: `${plural(group.runs, "call")} · ${count(group.input_tokens + group.output_tokens)} · ${usd(group.cost_usd)}` }));
  return entries.length ? ranks(entries) : nothing("No model was called");
}
