// The overview: figures of a time that is chosen, what runs now, what came last; as it happens. Everything leads to its tasks.

import { get, hear } from "../api.js";
import { bars, ranks, spark } from "./charts.js";
import { h, show } from "../dom.js";
import { count, percent, plural, seconds, usd } from "../format.js";
import { listAddress, TaskTable } from "./rows.js";

export const PERIODS = [["1h", "1 hour", 3600], ["6h", "6 hours", 21600], ["24h", "24 hours", 86400], ["7d", "7 days", 604800], ["30d", "30 days", 2592000]];
const USUAL = "24h";
const UNSUCCESSFUL = "failed,timed_out,interrupted";

export function overviewPage(main, route, { live, signal }) {
  const [since, name, window_s] = PERIODS.find(([word]) => word === route.query.get("window")) ?? PERIODS.find(([word]) => word === USUAL);
  const last = `last ${name}`;
  const to = (change) => listAddress({}, { since, ...change });
  const figures = h("dl.figures", { "aria-label": `Figures of the ${last}` });
  const alerts = h("div", { role: "region", "aria-label": "Active alerts", "aria-live": "polite" });
  const active = new TaskTable("Active now", { compact: true });
  const recent = new TaskTable("Recent tasks", { compact: true });
  const cards = {
    active: card("Active now", h("a", { href: listAddress({}, { status: "running,paused" }) }, "All that run")), recent: card("Recent tasks", h("a", { href: "#/tasks" }, "All tasks")),
    activity: card("Activity", h("span.legend", {}, h("span.ok", {}, h("i", {}), "went well or goes on"), h("span.bad", {}, h("i", {}), "failed"))), errors: card("Errors by category", h("a", { href: `#/errors?since=${since}` }, "All kinds")),
    agents: card("Agents", last), tools: card("Tools", last), models: card("Models", last),
  };
  const board = h("div.board", {}, h("div.stack", {}, cards.active, cards.activity, cards.recent), h("div.stack.side", {}, cards.errors, cards.agents, cards.tools, cards.models));
  // Until there are figures nothing stands here that would have to move.
  const room = h("div", {}, h("p.empty", { role: "status" }, "Reading the task folders …"));
  show(main, h("div.page-head", {}, h("h1", {}, "Overview"), h("nav.chips.right", { "aria-label": "Time" }, PERIODS.map(([word, text]) => h("a.chip", { href: word === USUAL ? "#/" : `#/?window=${word}`, "aria-current": word === since ? "true" : null }, text)))), room);
  const tables = [active, recent];

  const paint = (found) => {
    show(figures, figuresOf(found, { since, name, to }));
    showAlerts(alerts, found.alerts);
    fillTable(cards.active, active, found.active, "Nothing runs", "Tasks appear here the moment they begin.");
    fillTable(cards.recent, recent, found.recent.filter((row) => !found.active.some((other) => other.key === row.key)).slice(0, 15), "No tasks yet", h("span", {}, "Record one with ", h("code", {}, "agentlog demo"), "."));
    put(cards.activity, found.timeline.spans.some((span) => span.tasks) ? bars(found.timeline, (from, until) => listAddress({}, { since: moment(from), until: moment(until) })) : nothing(`No tasks in the ${last}`));
    put(cards.errors, errorsOf(found.errors_by_category, to, last));
    put(cards.agents, groupsOf(found.agents, "task", "No agent was named", (agent) => to({ agent })));
    put(cards.tools, groupsOf(found.tools, "run", "No tool was run", (tool) => to({ tool })));
    put(cards.models, modelsOf(found.models, (model) => to({ model })));
    if (!board.isConnected) show(room, figures, alerts, board);
  };
  const states = (state, error, word) => {
    live(state, error, word);
    // No stream is free: at least the figures as they are now.
    if (state !== "on" && !board.isConnected) get("api/overview", { window_s }, signal).then(paint).catch(() => {});
  };
  hear("api/live", { window_s }, (event, data) => { if (event === "overview") paint(data); }, states, signal);
  const ticking = setInterval(() => tables.forEach((table) => table.rows.length && !table.body.contains(document.activeElement) && table.paint()), 1000);
  return {
    title: "Overview",
    key: (pressed) => (active.rows.length && active.at >= 0 ? active : recent.rows.length ? recent : active).key(pressed),
    close: () => clearInterval(ticking),
  };
}

/** A moment as the list takes it. */
const moment = (ms) => `${new Date(ms).toISOString().slice(0, 19)}Z`;

let told = "";

/** Drawn only when they change, as a screen reader says them each time. */
function showAlerts(where, alerts) {
  const now = JSON.stringify(alerts);
  if (now === told && where.childElementCount === alerts.length) return;
  told = now;
  show(where, alerts.slice(0, 6).map((alert) => h(["critical", "error"].includes(String(alert.severity).toLowerCase()) ? "p.notice.bad" : "p.notice", {},
    h("strong", {}, String(alert.type ?? "alert").replace(/_(percent|seconds|usd|mb)$/, "").replaceAll("_", " ")), h("span", {}, alert.message),
    h("a", { href: alertAddress(alert) }, alert.task_id ?? "Its tasks"))));
}

/** Where the tasks of an alert are: the one that it is about, or those of the last hour that it was made of. */
function alertAddress({ type, task_id, specialist }) {
  if (task_id) return `#/task/${encodeURIComponent(task_id)}`;
  const kind = String(type);
  const narrowed = /timeout/.test(kind) ? { status: "timed_out" } : /error/.test(kind) ? { order: "most_errors" } : /cost/.test(kind) ? { order: "costliest" } : /duration/.test(kind) ? { order: "slowest" } : {};
  return listAddress({}, { since: "1h", specialist, ...narrowed });
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

function figuresOf(found, { since, name, to }) {
  const { totals, timeline } = found;
  const byTime = spread(timeline);
  const tokens = totals.input_tokens + totals.output_tokens;
  const ended = Object.entries(totals.by_status).filter(([state]) => !["running", "paused", "pending"].includes(state)).reduce((sum, [, number]) => sum + number, 0);
  const waiting = [found.paused && `${found.paused} paused`, found.pending && `${found.pending} pending`].filter(Boolean).join(", ");
  const today = since === USUAL ? `${usd(found.cost_today_usd, found.unpriced_today)} today` : `in ${name}`;
  return [
    figure("Running", String(found.running), waiting || "right now", null, listAddress({}, { status: "running,paused" })),
    figure("Success rate", percent(totals.success_rate), `${plural(ended, "task")} ended`, null, to({ status: UNSUCCESSFUL })),
    figure("Average duration", seconds(totals.duration_seconds.average), `median ${seconds(totals.duration_seconds.p50)}`, null, to({ order: "slowest" })),
    figure("p95 duration", seconds(totals.duration_seconds.p95), `longest ${seconds(totals.duration_seconds.maximum)}`, spark(byTime.map((span) => span?.p95_duration_s ?? 0)), to({ order: "slowest" })),
    figure("Cost", totals.tasks ? usd(totals.cost_usd, totals.unpriced) : usd(0), today, spark(byTime.map((span) => span?.cost_usd ?? 0)), to({ order: "costliest" })),
    figure("Tokens", count(tokens), `${count(totals.input_tokens)} in, ${count(totals.output_tokens)} out`, spark(byTime.map((span) => span?.tokens ?? 0)), to({ order: "most_tokens" })),
  ];
}

function spread({ first_ns, last_ns, bucket_s, spans }) {
  const width = bucket_s * 1e9;
  const found = new Array(Math.max(1, Math.min(200, Math.round((last_ns - first_ns) / width) + 1))).fill(null);
  for (const span of spans) found[Math.round((span.start_ns - first_ns) / width)] = span;
  return found;
}

function figure(name, value, note, plot, href) {
  return h("div.card.figure", { data: { figure: name } }, h("dt", {}, name), h("dd.value", {}, h("a", { href, "aria-label": `${value}, ${name}: the tasks` }, value)), h("dd.note", {}, note), plot);
}

function errorsOf(categories, to, last) {
  const entries = Object.entries(categories).slice(0, 8).map(([name, number]) => ({ name: name.replaceAll("_", " ").toLowerCase(), amount: number, told: String(number), href: name === "UNKNOWN" ? to({ order: "most_errors" }) : to({ error_category: name }) }));
  return entries.length ? ranks(entries, "errors-by-category") : nothing("No errors", `None in the ${last}.`);
}

function groupsOf(groups, noun, none, hrefOf) {
  const entries = groups.map((group) => {
    const bad = ["failed", "timed_out", "interrupted"].reduce((sum, state) => sum + (group.by_status[state] ?? 0), 0);
    return { name: group.key ?? "unnamed", amount: group.runs, bad, told: `${plural(group.runs, noun)} · ${seconds(group.duration_seconds.average)}${bad ? ` · ${bad} failed` : ""}`, href: group.key ? hrefOf(group.key) : null };
  });
  return entries.length ? ranks(entries) : nothing(none);
}

function modelsOf(groups, hrefOf) {
  const entries = groups.map((group) => ({ name: group.key ?? "unnamed", amount: group.runs, bad: group.by_status.failed ?? 0, told: `${plural(group.runs, "call")} · ${count(group.input_tokens + group.output_tokens)} · ${usd(group.cost_usd, group.unpriced)}`, href: group.key ? hrefOf(group.key) : null }));
  return entries.length ? ranks(entries) : nothing("No model was called");
}
