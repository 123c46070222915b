// Two runs side by side: their figures, their parts aligned, what was asked and answered in each.

import { get, taskPath } from "../api.js";
import { h, show } from "../dom.js";
import { count, duration, kind, moment, plural, seconds, usd, words } from "../format.js";
import { Inspector } from "../task/inspector.js";
import { code } from "../values/code.js";
import { errorBlock, messageParts, valueBlock } from "../values/values.js";
import { VirtualList } from "../virtual.js";
import { hrefOf, pill, startOf } from "./rows.js";

const CANDIDATES = 100;
const SIGNS = { same: ["", "same in both"], changed: ["~", "changed"], only_left: ["−", "only left"], only_right: ["+", "only right"] };
const SHOWN = { duration_seconds: ["Time", seconds], cost_usd: ["Cost", usd], input_tokens: ["Tokens in", count], output_tokens: ["Tokens out", count], cache_read_input_tokens: ["Tokens from cache", count], ai_calls: ["AI calls", count], tool_runs: ["Tool runs", count], steps: ["Steps", count], retries: ["Retries", count], errors: ["Errors", count], memory_peak_mb: ["Memory peak, MB", count], cpu_seconds: ["CPU", seconds] };

export function comparePage(main, route, { live, signal }) {
  const told = h("p", { role: "status" }, "Reading both …");
  const body = h("div.stack", {});
  const other = h("select", { name: "other", on: { change: (event) => { location.hash = address(route.key, event.target.value); } } });
  show(main, h("div.page-head", {}, h("h1", {}, "Two runs compared"), told), h("form.filters", { "aria-label": "What is compared", on: { submit: (event) => event.preventDefault() } }, h("label.field", {}, "With", other)), body);
  const parts = new Parts(route.key);
  load().catch((error) => {
    if (signal.aborted) return;
    told.textContent = "";
    show(body, h("p.empty", { role: "alert" }, h("strong", {}, "These cannot be compared"), error.message));
  });
  return { title: "Compare", key: (name) => parts.pressed(name), close: () => parts.close() };

  async function load() {
    const candidates = await runsLike(route.key, signal);
    const chosen = route.other ?? lastGood(candidates)?.key;
    show(other, candidates.map((row) => h("option", { value: row.key, selected: row.key === chosen }, `${row.name}, ${words(row.status)}, ${moment(startOf(row))}`)));
    if (chosen && !candidates.some((row) => row.key === chosen)) other.append(h("option", { value: chosen, selected: true }, chosen));
    if (!chosen) {
      told.textContent = "";
      show(body, h("p.empty", {}, h("strong", {}, "There is no other run"), "A second one of this agent can be compared with it."));
      return;
    }
    // The other one stands on the left: what was good before what is looked at.
    const found = await get("api/compare", { left: chosen, right: route.key }, signal);
    live("on", null, "up to date");
    const differing = found.parts.filter((part) => part.verdict !== "same").length;
    told.textContent = found.same ? "the same but for figures" : `${plural(differing, "part")} of ${found.parts.length.toLocaleString("en-US")} differ${differing === 1 ? "s" : ""}`;
    parts.set(found.parts);
    show(body, heads(found), parts.element, textDiff("Input", found.input), textDiff("Result", found.result));
  }
}

const address = (key, other) => `#/compare/${encodeURIComponent(key)}/${encodeURIComponent(other)}`;

/** Other runs of the same agent, those whose name is the same but for numbers first. */
async function runsLike(key, signal) {
  const own = await get(taskPath(key, "/logs/metadata"), {}, signal);
  const { rows } = await get("api/tasks", { agent: own.assigned_agent, limit: CANDIDATES }, signal);
  const shape = shapeOf(own.name);
  const before = (row) => (startOf(row) <= startOf(own) ? 0 : 1);
  return rows.filter((row) => row.key !== key).map((row) => ({ ...row, alike: shapeOf(row.name) === shape })).sort((one, two) => two.alike - one.alike || before(one) - before(two));
}

const shapeOf = (name) => String(name).replace(/[\da-f]*\d[\da-f]*/gi, "#").toLowerCase();

const lastGood = (rows) => rows.find((row) => row.alike && row.status === "completed") ?? rows.find((row) => row.status === "completed") ?? rows[0];

function heads({ left, right, figures }) {
  const side = (task) => h("th", { scope: "col" }, h("a", { href: hrefOf(task.key) }, task.name), h("br", {}), pill(task.status), task.error ? h("span.under", { title: task.error.message }, `${task.error.type}: ${task.error.message}`) : null);
  const rows = figures.filter((figure) => figure.left || figure.right).map((figure) => {
    const [name, told] = SHOWN[figure.name] ?? [words(figure.name), count];
    const share = figure.left && figure.change ? ` (${figure.change > 0 ? "+" : "−"}${Math.round(Math.abs(figure.change / figure.left) * 100)} %)` : "";
    return h("tr", {}, h("th", { scope: "row" }, name), h("td", {}, told(figure.left)), h("td", {}, told(figure.right)), h("td", {}, figure.change === null ? "–" : figure.change ? `${figure.change > 0 ? "+" : "−"}${told(Math.abs(figure.change))}${share}` : "same"));
  });
  return h("section.card.sides", { "aria-label": "Figures", tabindex: "0" }, h("table", {}, h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Figure"), side(left), side(right), h("th", { scope: "col" }, "Change"))), h("tbody", {}, rows)));
}

function textDiff(title, lines) {
  if (!lines.length) return null;
  return h("section.card", { "aria-label": `${title}, what differs` }, h("header", {}, h("h2", {}, `${title}, what differs`)), h("div.body", {}, code(lines.map((line) => line.replace(/\n$/, "")).join("\n"), "diff")));
}

/** Both trees as one list, and, beside it, both sides of the chosen part. */
class Parts {
  constructor(key) {
    [this.key, this.all, this.differing] = [key, [], true];
    this.inspector = new Inspector();
    this.list = new VirtualList({ className: "falls both", label: "Parts of both", height: 30, draw: (pair) => this.row(pair), chosen: (pair) => this.inspector.open(`${kind(one(pair).kind)} ${one(pair).name}`, this.sides(pair)) });
    this.chip = h("button.chip", { type: "button", "aria-pressed": "true", on: { click: () => { this.differing = !this.differing; this.refresh(); } } }, "Differences only");
    this.element = this.inspector.beside(h("section.card", { "aria-label": "Parts" }, h("div.above-list", {}, this.chip, h("span.count", {}, "left: the other run, right: this one")), this.list.element));
  }

  set(parts) {
    this.all = parts;
    if (parts.every((part) => part.verdict === "same")) this.differing = false;
    this.refresh();
  }

  refresh() {
    this.chip.setAttribute("aria-pressed", String(this.differing));
    this.list.set(this.differing ? this.all.filter((part) => part.verdict !== "same") : this.all);
  }

  row(pair) {
    const [sign, told] = SIGNS[pair.verdict];
    const { left, right } = pair;
    const renamed = left && right && left.name !== right.name ? ` ← ${left.name}` : "";
    const part = one(pair);
    return h("div", { data: { verdict: pair.verdict } }, h("span.label", { style: { "padding-left": `${Math.min(pair.depth, 12) * 14}px` } }, h("span.verdict", { title: told }, h("span", { "aria-hidden": "true" }, sign), h("span.unseen", {}, told)), h("span.kind", { data: { kind: part.kind } }, kind(part.kind)), h("span.text", {}, part.name, renamed ? h("span.given", {}, renamed) : null)),
      h("span.num", {}, left ? `${words(left.status)} ${duration(left.duration_ms)}` : "–"), h("span.num", {}, right ? `${words(right.status)} ${duration(right.duration_ms)}` : "–"));
  }

  sides({ left, right }) {
    return h("div.two", {}, this.side("Other run", left), this.side("This run", right));
  }

  side(title, part) {
    if (!part) return h("section", { "aria-label": title }, h("h3", {}, title), h("p.aside", {}, "has no such part"));
    const details = part.details ?? {};
    const last = Array.isArray(details.messages) ? details.messages.at(-1) : null;
    const block = (name, content) => (content ? h("div.part", {}, h("p.name", {}, name), content) : null);
    const value = (found) => (found === undefined || found === null ? null : valueBlock(found, this.key));
    return h("section", { "aria-label": title }, h("h3", {}, title), pill(part.status), h("p.aside", {}, `${duration(part.duration_ms)}${part.cost_usd ? ` · ${usd(part.cost_usd, part.unpriced)}` : ""}`),
      part.exception ? errorBlock(part.exception) : null, block("arguments", value(details.arguments)), block("asked", last ? messageParts(last.parts ?? last.content, this.key) : null), block("answer", details.output ? messageParts(details.output, this.key) : null), block("result", value(details.result)));
  }

  pressed(name) {
    if (name === "Escape") return this.inspector.close();
    if (name !== "j" && name !== "k") return false;
    const to = this.list.at + (name === "j" ? 1 : -1);
    this.list.element.focus({ preventScroll: true });
    this.list.choose(Math.max(0, Math.min(this.list.items.length - 1, to)));
    return true;
  }

  close() {
    this.list.close();
  }
}

const one = (pair) => pair.right ?? pair.left;
