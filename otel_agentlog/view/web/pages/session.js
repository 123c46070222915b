// A session: its tasks in their order, each with what was asked and what was answered, and what all of them together took.

import { get, taskPath } from "../api.js";
import { h, show } from "../dom.js";
import { clock, count, percent, plural, seconds, usd } from "../format.js";
import { hrefOf, listAddress, pill, secondsOf, startOf, TaskTable } from "./rows.js";
import { answerBlock, spoken } from "../values/values.js";

const MOST = 100;
const TURNS = 30;

export function sessionPage(main, route, { live, signal }) {
  const id = route.key;
  const told = h("p", { role: "status" }, "…");
  const figures = h("dl.facts.session", {});
  const table = new TaskTable("Tasks of the session");
  const turns = h("section.card", { "aria-label": "Questions and answers", hidden: true });
  show(main, h("div.page-head", {}, h("h1", {}, `Session ${id}`), told, h("a.right", { href: listAddress({}, { session_id: id }) }, "As a list to filter")), h("section.card.task-head", { "aria-label": "Figures" }, figures), h("section.card", { "aria-label": "Tasks" }, table.element), turns);
  load().catch((error) => signal.aborted || show(turns, h("p.empty", { role: "alert" }, h("strong", {}, "That could not be answered"), error.message)));
  return { title: `Session ${id}`, key: (name) => table.key(name) };

  async function load() {
    const [found, { groups: [sums] }] = await Promise.all([get("api/tasks", { session_id: id, order: "oldest", limit: MOST }, signal), get("api/statistics", { session_id: id }, signal)]);
    live("on", null, "up to date");
    told.textContent = plural(found.matching, "task");
    table.set(found.rows);
    show(figures, figuresOf(sums));
    const tops = table.nested.filter((entry) => !entry.depth).slice(0, TURNS).map((entry) => entry.row);
    const drawn = await Promise.all(tops.map((row) => turnOf(row, signal)));
    if (signal.aborted) return;
    turns.hidden = !drawn.length;
    show(turns, h("header", {}, h("h2", {}, "Questions and answers")), h("div.body.turns", {}, drawn));
  }
}

function figuresOf(sums) {
  const fact = (name, value) => h("div", {}, h("dt", {}, name), h("dd", {}, value));
  return [fact("Success rate", percent(sums.success_rate)), fact("Time in all", seconds(sums.duration_seconds.total)), fact("Average", seconds(sums.duration_seconds.average)), fact("Cost", usd(sums.cost_usd, sums.unpriced)), fact("Tokens", count(sums.input_tokens + sums.output_tokens)), fact("Errors", String(sums.errors ?? 0))];
}

async function turnOf(row, signal) {
  const path = (file) => get(taskPath(row.key, `/logs/${file}`), {}, signal).catch(() => null);
  const [input, final] = await Promise.all([path("input"), path("final-result")]);
  const asked = input?.input?.message ?? input?.input ?? null;
  const header = (name) => h("header", {}, h("strong", {}, name), h("time", {}, clock(startOf(row))));
  return h("div.turn", {}, h("p.about", {}, h("a", { href: hrefOf(row.key) }, row.name), pill(row.status), h("span.aside", {}, `${seconds(secondsOf(row))} · ${usd(row.cost_usd, row.unpriced)}`)),
    asked === null ? null : h("article.said.user", {}, header("Asked"), h("div.words", {}, spoken(asked).slice(0, 4000))),
    final?.result === null || final?.result === undefined ? (row.error ? h("article.said.error", {}, header("Failed"), h("p.error-text", {}, `${row.error.type}: ${row.error.message}`)) : null) : h("article.said.ai", {}, header("Answered"), answerBlock(final.result, row.key)));
}
