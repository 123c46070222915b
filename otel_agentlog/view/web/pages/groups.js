// Two groups of tasks beside each other: their figures with confidence intervals, and the steps in which they part.

import { get } from "../api.js";
import { h, s, show } from "../dom.js";
import { count, percent, plural, seconds, usd, words } from "../format.js";
import { hrefOf } from "./rows.js";
import { suggest, suggestFilter } from "./suggestions.js";

const KEYS = ["agent", "model", "tag", "tool", "provider", "user", "specialist", "type", "source", "session", "error"];
const NAMES = { duration_p50: "duration p50", duration_p95: "duration p95", ai_calls: "AI calls" };
const KINDS = { tool_run: "tool", ai_call: "AI call", subtask: "sub-task", end: "the end" };

/** The address of this page. */
export function groupsAddress(asked) {
  const query = new URLSearchParams(Object.entries(asked).filter(([name, value]) => value || name === "a" || name === "b"));
  return `#/compare?${query}`;
}

export function groupsPage(main, route, { live, signal }) {
  const asked = { a: route.query.get("a") ?? "", b: route.query.get("b") ?? "", by: route.query.get("by") ?? "" };
  const status = h("p", { role: "status" }, "");
  const body = h("div.stack", {});
  show(main, h("div.page-head", {}, h("h1", {}, "Two groups compared"), status), form(asked), body);
  if (route.query.has("b") && (asked.b || asked.a)) load();
  else show(body, h("p.empty", {}, h("strong", {}, "Which tasks are compared?"), "Two filters such as tag:before and tag:after, or two agents, models or tags."));
  return { title: "Compare groups" };

  async function load() {
    status.textContent = "Comparing …";
    try {
      const found = await get(`api/compare/groups?${new URLSearchParams({ a: asked.a, b: asked.b })}`, { by: asked.by }, signal);
      live("on", null, "up to date");
      const certain = found.figures.filter((figure) => figure.beyond_chance).length;
      status.textContent = found.intervals ? `${plural(certain, "figure")} differ${certain === 1 ? "s" : ""} beyond chance` : "without intervals";
      show(body, found.without_intervals ? h("p.notice", {}, found.without_intervals) : null, sides(found), figures(found), found.ways ? ways(found.ways) : null, found.first_difference ? first(found) : null);
    } catch (error) {
      if (signal.aborted) return;
      live(error.status ? "refused" : "off", error);
      status.textContent = "";
      show(body, h("p.empty", { role: "alert" }, h("strong", {}, "These cannot be compared"), error.message));
    }
  }
}

function form(asked) {
  const field = (name, label) => {
    const input = h("input", { name, value: asked[name], maxlength: "500", autocomplete: "off", spellcheck: "false", placeholder: asked.by ? `a ${asked.by}` : "a filter, or a task" });
    return h("label.field.side", {}, label, asked.by ? suggest(input, asked.by) : [input, suggestFilter(input, `${name}-goes-on`)]);
  };
  const values = (element) => Object.fromEntries(["a", "b", "by"].map((name) => [name, element.elements[name].value.trim()]));
  const by = h("select", { name: "by", on: { change: (event) => { location.hash = groupsAddress({ ...values(event.target.form), b: "" }); } } },
    [["", "filters"], ...KEYS.map((key) => [key, key])].map(([value, name]) => h("option", { value, selected: value === asked.by }, name)));
  const swap = h("a.button.link", { href: groupsAddress({ a: asked.b, b: asked.a, by: asked.by }) }, "Swap");
  return h("form.filters", { "aria-label": "What is compared", on: { submit: (event) => { event.preventDefault(); location.hash = groupsAddress(values(event.target)); } } },
    h("label.field", {}, "By", by), field("a", "A, what was before"), field("b", "B, what it is compared with"), h("button.button.main", { type: "submit" }, "Compare"), swap);
}

function sides({ a, b }) {
  const row = (name, side) => {
    const states = Object.entries(side.by_status).map(([state, number]) => `${number.toLocaleString("en-US")} ${words(state)}`);
    const left = [side.going_on ? `${side.going_on} still at work` : null, side.damaged ? `${side.damaged} damaged` : null].filter(Boolean);
    return h("tr", {}, h("th", { scope: "row" }, name), h("td", {}, side.task ? h("a", { href: hrefOf(side.task) }, side.said) : h("code", {}, side.said)), h("td", {}, plural(side.tasks, "task")), h("td", {}, states.join(", ")), h("td", {}, left.length ? `left out: ${left.join(", ")}` : ""));
  };
  return h("section.card.sides", { "aria-label": "Sides", tabindex: "0" }, h("table", {}, h("tbody", {}, row("A", a), row("B", b))));
}

// Figures ----------------------------------------------------------------------------------------------------------------------

const WRITTEN = { usd, seconds, share: percent, count: (value) => (value < 1000 ? fine(value) : count(value)), value: (value) => fine(value) };
const fine = (value) => String(Number(value.toPrecision(3)));
const known = (value) => typeof value === "number";

function amount(unit, value) {
  if (!known(value)) return "–";
  return value < 0 ? `−${WRITTEN[unit](-value)}` : WRITTEN[unit](value);
}

function difference(unit, value) {
  const text = unit === "share" ? `${(Math.abs(value) * 100).toFixed(1)} pp` : amount(unit, Math.abs(value));
  return value === 0 ? text : `${value > 0 ? "+" : "−"}${text}`;
}

function figures(found) {
  const rows = found.figures.filter((figure) => figure.a.value || figure.b.value);
  if (!rows.length) return h("p.empty", {}, h("strong", {}, "There is nothing to compare"), "One of the sides has no task that ended.");
  const heads = ["Figure", "A", "B", "Change", ...(found.intervals ? ["95 % interval"] : [])];
  return h("section.card.sides", { "aria-label": "Figures", tabindex: "0" }, h("table", {}, h("thead", {}, h("tr", {}, heads.map((name) => h("th", { scope: "col" }, name)))), h("tbody", {}, rows.map((figure) => row(figure, Boolean(found.intervals))))));
}

function row(figure, withInterval) {
  const name = figure.name.includes(".") ? figure.name : NAMES[figure.name] ?? words(figure.name);
  const side = ({ value, interval }) => h("td", { title: interval ? `${amount(figure.unit, interval[0])} … ${amount(figure.unit, interval[1])}` : null }, amount(figure.unit, value));
  const relative = known(figure.relative) ? ` (${figure.relative < 0 ? "−" : "+"}${Math.round(Math.abs(figure.relative) * 100)} %)` : "";
  const change = !known(figure.difference) ? "" : figure.difference === 0 ? "same" : difference(figure.unit, figure.difference) + relative;
  return h("tr", {}, h("th", { scope: "row" }, name), side(figure.a), side(figure.b), h("td", {}, figure.beyond_chance ? h("strong", { title: "beyond chance" }, change) : change), withInterval ? h("td", {}, interval(figure)) : null);
}

function interval({ unit, difference: moved, difference_interval: ends, note }) {
  if (!ends) return h("span.given", {}, note ?? "");
  return h("span.interval", {}, whisker(moved, ends), h("span", {}, ends.map((end) => difference(unit, end)).join(" … ")));
}

/** The interval as a line on which 0 is marked; the text beside it says the same. */
function whisker(moved, [low, high]) {
  const reach = Math.max(Math.abs(low), Math.abs(high), Math.abs(moved ?? 0)) || 1;
  const at = (value) => (50 + (value / reach) * 46).toFixed(2);
  return s("svg.whisker", { viewBox: "0 0 100 12", "aria-hidden": "true", data: { certain: String(low > 0 || high < 0) } }, s("line.zero", { x1: 50, x2: 50, y1: 0, y2: 12 }), s("line.reach", { x1: at(low), x2: at(high), y1: 6, y2: 6 }), s("circle", { cx: at(moved ?? 0), cy: 6, r: 3 }));
}

// Steps ------------------------------------------------------------------------------------------------------------------------

const place = ({ kind, name }) => `${KINDS[kind] ?? kind} ${name}`.trim();

function ways({ read_a: ofA, read_b: ofB, way, parting }) {
  const shares = (counts, of) => Object.entries(counts).filter(([what]) => what !== "reached").sort((one, two) => two[1] - one[1]).map(([what, number]) => `${words(what)} ${Math.round((number / of) * 100)} %`).join(", ");
  const before = (counts, of) => (Object.keys(counts).length ? h("span.given", {}, `${shares(counts, of)} before it`) : null);
  const cell = (counts, earlier, of) => h("td", {}, shares(counts, of), before(earlier, of));
  const share = (value) => `${Math.round(value * 100)} %`;
  const sentence = !parting ? "No step in which they part." : `They part at ${place(way[parting.at])}: ${parting.before ? `${parting.what} before it` : words(parting.what)} in ${share(parting.share_a)} of A, ${share(parting.share_b)} of B${parting.beyond_chance ? "" : "; that may be chance"}.`;
  // The end of the way is a row only where some tasks did something before it.
  const shown = way.filter((part, at) => at < way.length - 1 || at === parting?.at || Object.keys({ ...part.before_a, ...part.before_b }).length);
  const rows = shown.map((part, at) => h("tr", { data: { parts: String(parting?.at === at) } }, h("th", { scope: "row" }, place(part), parting?.at === at ? h("span.unseen", {}, " – here they part") : null), cell(part.a, part.before_a, ofA), cell(part.b, part.before_b, ofB)));
  return h("section.card.sides.ways", { "aria-label": "Steps", tabindex: "0" }, h("header", {}, h("h2", {}, "Steps"), h("span.aside", {}, `${plural(ofA, "task")} of A and ${ofB.toLocaleString("en-US")} of B read`)), h("p.body", {}, sentence),
    way.length ? h("table", {}, h("thead", {}, h("tr", {}, ["The common way", "A", "B"].map((name) => h("th", { scope: "col" }, name)))), h("tbody", {}, rows)) : null);
}

function first({ a, b, first_difference: found }) {
  return h("section.card", { "aria-label": "First difference" }, h("header", {}, h("h2", {}, `They differ first at ${words(found.kind)} ${found.name}`)), h("div.body", {}, found.above.length ? h("p.aside", {}, `in ${found.above.join(" › ")}`) : null, h("pre.differs", { tabindex: "0" }, found.lines.join("\n")), h("a", { href: `#/compare/${encodeURIComponent(b.task)}/${encodeURIComponent(a.task)}` }, "All differences")));
}
