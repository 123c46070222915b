// The page of one task: what it is, why it failed, and what happened in it, as it happens.

import { get, hear, isExport, taskPath } from "../api.js";
import { controls } from "../control.js";
import { Conversation } from "../task/conversation.js";
import { copyable, h, icon, show, toast } from "../dom.js";
import { failureCard } from "../task/failure.js";
import { Files, Flow } from "../task/files.js";
import { ago, count, moment, plural, seconds, usd } from "../format.js";
import { answerBlock, download, errorBlock, spoken } from "../values/values.js";
import { Lines } from "../task/lines.js";
import { Notes } from "../task/notes.js";
import { idOf } from "../task/part_tree.js";
import { hrefOf, listAddress, pill, secondsOf, startOf } from "./rows.js";
import { Tabs } from "../task/tabs.js";
import { Waterfall } from "../task/waterfall.js";

const MOST_LINES = 100000;

export function taskPage(main, route, { live, signal, about }) {
  const key = route.key;
  const place = new Place(route);
  const toLines = (part) => { bar.choose("logs"); parts.logs.search(part.span_id); };
  const toPart = (id) => { bar.choose("waterfall"); if (!parts.waterfall.reveal(id, { focus: true })) toast("It stands in no part of this task"); };
  const notes = new Notes(key, { go: toPart, changed: () => load() });
  const parts = {
    waterfall: new Waterfall(key, { chose: (part) => place.set({ part }), toLines, noteOn: (part) => notes.button(about, part), contentOf: (part) => parts.logs.detailsOf(part.span_id) }), conversation: new Conversation(key),
    logs: new Lines(key, { chose: (line) => place.set({ line }), toPart }), flow: new Flow(key), result: new Result(key), files: new Files(key),
  };
  const head = h("section.card.task-head", { "aria-label": "The task" });
  const notice = h("div", {});
  const why = h("div.why", {});
  const bar = new Tabs(parts, route.query.get("tab"), (tab) => place.set({ tab, part: null, line: null }));
  show(main, h("div.empty", { role: "status" }, h("h1", {}, key), "Reading the task …"));
  const page = { title: key, key: (name) => parts[bar.at].pressed?.(name) || bar.key(name), close: () => { clearInterval(ticking); Object.values(parts).forEach((part) => part.close?.()); } };
  let task = null;
  const paint = () => {
    if (!task) return;
    parts.waterfall.stand(task.status);
    parts.logs.following = parts.conversation.following = goesOn(task);
    bar.count("waterfall", parts.waterfall.tree.length);
    show(notice, noticeOf(task));
    const told = JSON.stringify([task.status, task.error]);
    if (task.told !== told) show(why, failureCard(task, (part) => toPart(idOf(part))));
    if (task.told === told && head.contains(document.activeElement)) return tick(head, task);
    task.told = told;
    keepFocus(head, () => show(head, headOf(task, key, about, { why, note: notes.button(about) }, () => { bar.choose("waterfall"); parts.waterfall.filter({ badOnly: true }); })));
    document.title = page.title = `${task.name} – agentlog`;
  };
  // What a long task is and why it failed stands in two small files: it is shown before its tree has come.
  const preview = async () => {
    const [about, final] = await shortly(key, signal);
    if (task || signal.aborted) return;
    show(head, headOf({ ...about, ...final.metrics, status: final.outcome ?? about.status, error: final.error, name: about.name ?? key }, key, { control: false }, { why, note: null }, () => {}));
    show(why, failureCard({ status: final.outcome, error: final.error, tree: [] }));
    show(main, notice, head, h("p.empty", { role: "status" }, "Reading what happened …"));
  };
  const load = async () => {
    try {
      const found = await get(taskPath(key), { clip: 4000 }, signal);
      task = { ...found, told: null };
      if (!bar.bar.isConnected) {
        show(main, notice, head, notes.card, bar.bar, bar.panel);
        bar.reveal();
      }
      parts.waterfall.stand(task.status);
      parts.waterfall.set(found.tree);
      parts.result.set(found);
      notes.set(found);
      paint();
      if (place.wanted.part && !parts.waterfall.reveal(place.take("part"))) toast("There is no such part in this task");
    } catch (error) {
      if (!signal.aborted && !task) show(main, h("div.empty", { role: "alert" }, h("h1", {}, error.status === 404 ? "There is no such task" : "The task cannot be shown"), h("p", {}, error.message), h("a", { href: "#/tasks" }, "All tasks")));
      if (!task) throw error;
    }
  };
  const changed = (name, data) => {
    if (name === "parts") parts.waterfall.merge(data);
    if (name === "task") Object.assign(task, data);
    if (name !== "end") return paint();
    // What only an ended task has: its result, and how long it took.
    return task && goesOn(task) ? load() : null;
  };
  const ticking = setInterval(() => {
    if (!task || !goesOn(task)) return;
    tick(head, task);
    parts.waterfall.tick();
  }, 500);
  if (!isExport) preview().catch(() => {});
  load().then(() => signal.aborted || listen(key, parts, bar, { changed, place, notes }, live, signal, task?.tree_offset), () => live("on", null, "no task"));
  return page;
}

/** What a task is and, where it has ended, how. */
async function shortly(key, signal) {
  const about = await get(taskPath(key, "/logs/metadata"), {}, signal);
  const final = goesOn(about) ? {} : await get(taskPath(key, "/logs/final-result"), {}, signal);
  return [about, final ?? {}];
}

const goesOn = (task) => ["running", "paused", "pending"].includes(task.status);

/** What of the task is shown, in the address: a tab, a part, a line. */
class Place {
  constructor(route) {
    this.query = route.query;
    this.wanted = { part: route.query.get("part"), line: route.query.get("line") };
  }

  take(name) {
    const found = this.wanted[name];
    this.wanted[name] = null;
    return found;
  }

  set(change) {
    for (const [name, value] of Object.entries(change)) {
      if (value) this.query.set(name, value);
      else this.query.delete(name);
    }
    const text = this.query.toString();
    history.replaceState(history.state, "", `${location.hash.split("?")[0]}${text ? `?${text}` : ""}`);
  }
}

/** Hears what comes, and has it drawn: lines together, some times a second. */
function listen(key, parts, bar, { changed, place, notes }, live, signal, tree) {
  const asked = { clip: 4000, tree };
  let lines = 0;
  let pending = { output: [], flow: [], control: [] };
  const flush = () => {
    const { output, flow, control } = pending;
    pending = { output: [], flow: [], control: [] };
    parts.logs.add([...flow, ...output, ...control]);
    parts.conversation.add([...output, ...control]);
    notes.add(output);
    if (flow.length) parts.flow.add(flow);
    bar.count("logs", parts.logs.all.length);
    if (parts.flow.stages) bar.count("flow", parts.flow.stages);
    if (place.wanted.line && parts.logs.reveal(place.wanted.line)) place.take("line");
  };
  let waiting = null;
  hear(taskPath(key, "/stream"), asked, (name, data) => {
    if (name === "line" && ++lines <= MOST_LINES) {
      pending[{ "agent-output": "output", "webhook-flow": "flow", control: "control" }[data.file]].push(data.line);
      waiting ??= setTimeout(() => { waiting = null; flush(); }, 60);
    }
    if (name === "parts") asked.tree = data.offset ?? asked.tree;
    if (name === "end") {
      live("on", null, "ended");
      flush();
      if (place.take("line")) toast("There is no such line in this task");
    }
    if (name !== "line") changed(name, data);
    return name !== "end";
  }, live, signal);
}

class Result {
  constructor(key) {
    this.key = key;
    this.element = h("div.card", {}, h("p.empty", {}, "…"));
  }

  set(task) {
    const block = (title, value) => (value === null || value === undefined ? null : h("section.body", { "aria-label": title }, h("h2", {}, title), h("div.part", {}, answerBlock(value, this.key))));
    const none = goesOn(task) ? h("p.empty", {}, h("strong", {}, "No result yet"), "The task goes on.") : null;
    show(this.element, task.error ? h("section.body", { "aria-label": "Error" }, errorBlock(task.error)) : null, block("Result", task.result) ?? none, block("Input", task.input));
  }
}

function noticeOf(task) {
  if (task.process_gone) return h("p.notice", {}, "The process of this task is gone; it was killed, or crashed. agentlog recover closes it.");
  if (task.problems?.length) return h("p.notice", {}, `Some of the folder could not be read: ${task.problems.slice(0, 3).join("; ")}`);
  return null;
}

/** Draws anew; who stood on a button stands on the one that took its place. */
function keepFocus(room, draw) {
  const kept = room.contains(document.activeElement) ? document.activeElement.dataset.keep : null;
  draw();
  if (kept) (room.querySelector(`[data-keep="${kept}"]`) ?? document.getElementById("main")).focus({ preventScroll: true });
}

/** What changes by itself while a task runs. */
function tick(head, task) {
  const cell = head.querySelector("[data-fact=Time]");
  if (cell) cell.firstChild.textContent = seconds(secondsOf({ ...task, duration_seconds: null }) ?? task.duration_seconds);
}

const MUCH = 220;

/** What was asked, its beginning; all of it on demand. */
function askedOf(task) {
  if (task.input === null || task.input === undefined) return null;
  const asked = spoken(task.input.message ?? task.input);
  if (asked.length <= MUCH && asked.split("\n").length <= 2) return h("p.asked", {}, asked);
  const text = h("p.asked.short", { id: "asked" }, asked);
  const more = h("button.button.link", { type: "button", "aria-expanded": "false", "aria-controls": "asked", data: { keep: "more" }, on: { click: () => {
    const short = text.classList.toggle("short");
    more.textContent = short ? "All of the input" : "Less of the input";
    more.setAttribute("aria-expanded", String(!short));
  } } }, "All of the input");
  return h("div", {}, text, more);
}

const listLink = (change, text) => h("a", { href: listAddress({}, change) }, text);

function factsOf(task, toErrors) {
  const running = ["running", "paused"].includes(task.status);
  const fact = (name, value, more) => (value === null || value === "–" ? null : h("div", {}, h("dt", {}, name), h("dd", { data: { fact: name } }, value, more ? h("small", {}, " ", more) : null)));
  const tags = (task.tags ?? []).flatMap((tag, index) => [index ? ", " : null, listLink({ tag }, tag)]);
  const filtered = (name, value) => (value && !isExport ? listLink({ [name]: value }, value) : value ?? null);
  return h("dl.facts", {},
    fact("Time", seconds(running ? secondsOf({ ...task, duration_seconds: null }) : task.duration_seconds)), fact("Started", ago(startOf(task)), moment(startOf(task))),
    fact("Agent", filtered("agent", task.assigned_agent), task.agent_type), fact("Model", filtered("model", task.model)), fact("Cost", usd(task.cost_usd, task.unpriced)),
    fact("Tokens", count(task.input_tokens + task.output_tokens), `${count(task.input_tokens)} in, ${count(task.output_tokens)} out`),
    fact("Did", task.ai_calls === undefined ? null : plural(task.steps ?? 0, "step"), `${plural(task.ai_calls ?? 0, "AI call")}, ${plural(task.tool_runs ?? 0, "tool run")}`),
    task.errors ? fact("Errors", h("button.button.link", { type: "button", title: "Show the errors alone", data: { keep: "errors" }, on: { click: toErrors } }, String(task.errors)), task.retries ? plural(task.retries, "retry").replace("retrys", "retries") : null) : null,
    task.source ? fact("Source", filtered("source", task.source), task.provider) : null, tags.length ? fact("Tags", isExport ? task.tags.join(", ") : tags) : null);
}

function headOf(task, key, about, { why, note }, toErrors) {
  const trace = task.trace_url ? h("a.button", { href: task.trace_url, target: "_blank", rel: "noreferrer noopener" }, icon("out"), "Open trace") : null;
  const compare = isExport || goesOn(task) ? null : h("a.button", { href: `#/compare/${encodeURIComponent(key)}`, title: "Side by side with the last run like it that went well", data: { keep: "compare" } }, "Compare");
  const save = isExport ? null : h("button.button", { type: "button", title: "One HTML file with all of this, to send or keep", data: { keep: "export" }, on: { click: () => download(taskPath(key, "/export"), `${key}.html`) } }, icon("down"), "Export");
  const id = (name, value, label) => (value ? h("span", {}, name, copyable(String(value), label)) : null);
  const session = task.session_id && !isExport ? h("a", { href: `#/session/${encodeURIComponent(task.session_id)}` }, "all of the session") : null;
  return [
    h("div.first", {}, h("h1", {}, task.name), pill(task.status), h("div.controls", {}, controls(key, task, about), note, trace, compare, save)),
    why,
    factsOf(task, toErrors),
    askedOf(task),
    h("div.ids", {}, id("task", task.task_id, "task id"), id("trace", task.trace_id, "trace id"), id("session", task.session_id, "session id"), session, id("correlation", task.correlation_id, "correlation id"),
      task.parent_task_id ? h("span", {}, "part of", isExport ? task.parent_task_id : h("a", { href: hrefOf(task.parent_task_id) }, task.parent_task_id)) : null),
  ];
}
