// The page of one task: what it is, and what happened in it, as it happens.

import { get, hear, taskPath } from "../api.js";
import { controls } from "../control.js";
import { Conversation } from "./conversation.js";
import { copyable, h, icon, show } from "../dom.js";
import { Files, Flow } from "./files.js";
import { ago, count, moment, plural, seconds, usd } from "../format.js";
import { errorBlock, spoken, valueBlock } from "./inspector.js";
import { Lines } from "./lines.js";
import { hrefOf, pill, secondsOf, startOf } from "./rows.js";
import { Waterfall } from "./waterfall.js";

const TABS = [["waterfall", "Waterfall"], ["conversation", "Conversation"], ["logs", "Lines"], ["flow", "Webhook flow"], ["result", "Result"], ["files", "Files"]];
const MOST_LINES = 100000;

export function taskPage(main, route, { live, signal, about }) {
  const key = route.key;
  const parts = { waterfall: new Waterfall(key), conversation: new Conversation(key), logs: new Lines(key), flow: new Flow(key), result: new Result(key), files: new Files(key) };
  const head = h("section.card.task-head", { "aria-label": "The task" });
  const notice = h("div", {});
  const bar = new Tabs(parts, route.tab);
  show(main, notice, head, bar.bar, bar.panel);
  const page = { title: key, key: (name) => parts[bar.at].pressed?.(name) || bar.key(name), close: () => { clearInterval(ticking); Object.values(parts).forEach((part) => part.close?.()); } };
  let task = null;
  const paint = () => {
    if (!task) return;
    parts.waterfall.stand(task.status);
    parts.logs.following = goesOn(task);
    bar.count("waterfall", parts.waterfall.tree.length);
    show(notice, noticeOf(task));
    if (document.activeElement?.closest(".task-head") && task.painted === task.status) return tick(head, task);
    task.painted = task.status;
    show(head, headOf(task, key, about));
    document.title = `${task.name} – agentlog`;
  };
  const load = async () => {
    try {
      const found = await get(taskPath(key), { clip: 4000 }, signal);
      task = { ...found, painted: task?.painted };
      parts.waterfall.stand(task.status);
      parts.waterfall.set(found.tree);
      parts.result.set(found);
      paint();
    } catch (error) {
      if (!signal.aborted && !task) show(main, h("p.empty", { role: "alert" }, h("strong", {}, error.status === 404 ? "There is no such task" : "The task cannot be shown"), error.message));
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
    if (!task || ["completed", "failed"].includes(task.status)) return;
    tick(head, task);
    parts.waterfall.tick();
  }, 500);
  load().then(() => signal.aborted || listen(key, parts, bar, changed, live, signal, task?.tree_offset));
  return page;
}

const goesOn = (task) => ["running", "paused", "pending"].includes(task.status);

/** Hears what comes, and has it drawn: lines together, some times a second. */
function listen(key, parts, bar, changed, live, signal, tree) {
  const asked = { clip: 4000, tree };
  let lines = 0;
  let pending = { output: [], flow: [], control: [] };
  const flush = () => {
    const { output, flow, control } = pending;
    pending = { output: [], flow: [], control: [] };
    parts.logs.add([...flow, ...output, ...control]);
    parts.conversation.add([...output, ...control]);
    if (flow.length) parts.flow.add(flow);
    bar.count("logs", parts.logs.all.length);
    if (parts.flow.stages) bar.count("flow", parts.flow.stages);
  };
  let waiting = null;
  hear(taskPath(key, "/stream"), asked, (name, data) => {
    if (name === "line" && ++lines <= MOST_LINES) {
      pending[{ "agent-output": "output", "webhook-flow": "flow", control: "control" }[data.file]].push(data.line);
      waiting ??= setTimeout(() => { waiting = null; flush(); }, 60);
    }
    if (name === "parts") asked.tree = data.offset ?? asked.tree;
    if (name === "end") live("on", null, "ended");
    if (name !== "line") changed(name, data);
    return name !== "end";
  }, live, signal);
}

class Tabs {
  constructor(parts, first) {
    this.parts = parts;
    this.at = TABS.some(([name]) => name === first) ? first : "waterfall";
    this.buttons = new Map(TABS.map(([name, title]) => [name, h("button", { type: "button", role: "tab", id: `tab-${name}`, "aria-controls": "tab-panel", on: { click: () => this.choose(name) } }, title, h("small", {}))]));
    this.bar = h("div.tabs", { role: "tablist", "aria-label": "Views of the task", on: { keydown: (event) => this.arrows(event) } }, [...this.buttons.values()]);
    this.panel = h("div#tab-panel", { role: "tabpanel" });
    this.choose(this.at, true);
  }

  choose(name, silent) {
    this.parts[this.at].shown?.(false);
    this.at = name;
    for (const [other, button] of this.buttons) {
      button.setAttribute("aria-selected", String(other === name));
      button.tabIndex = other === name ? 0 : -1;
    }
    this.buttons.get(name).scrollIntoView({ block: "nearest", inline: "nearest" });
    this.panel.setAttribute("aria-labelledby", `tab-${name}`);
    show(this.panel, this.parts[name].element);
    this.parts[name].shown?.(true);
    if (!silent) history.replaceState(null, "", `${location.hash.split("?")[0]}?tab=${name}`);
  }

  arrows(event) {
    const names = [...this.buttons.keys()];
    const to = names[(names.indexOf(this.at) + { ArrowRight: 1, ArrowLeft: names.length - 1 }[event.key]) % names.length];
    if (!to) return;
    this.choose(to);
    this.buttons.get(to).focus();
  }

  key(name) {
    const number = Number(name);
    if (number >= 1 && number <= TABS.length) this.choose(TABS[number - 1][0]);
    const list = this.parts[this.at].list;
    if ((name === "j" || name === "k" || name === "Enter") && list) {
      list.element.focus({ preventScroll: true });
      list.choose(Math.max(0, list.at + { j: 1, k: -1, Enter: 0 }[name]));
      return true;
    }
    return number >= 1 && number <= TABS.length;
  }

  count(name, number) {
    this.buttons.get(name).lastChild.textContent = number.toLocaleString("en-US");
  }
}

class Result {
  constructor(key) {
    this.key = key;
    this.element = h("div.card", {}, h("p.empty", {}, "…"));
  }

  set(task) {
    const block = (title, value) => (value === null || value === undefined ? null : h("section.body", { "aria-label": title }, h("h2", {}, title), h("div.part", {}, valueBlock(value, this.key))));
    const none = ["running", "paused", "pending"].includes(task.status) ? h("p.empty", {}, h("strong", {}, "No result yet"), "The task goes on.") : null;
    show(this.element, task.error ? h("section.body", {}, errorBlock(task.error)) : null, block("Result", task.result) ?? none, block("Input", task.input));
  }
}

function noticeOf(task) {
  if (task.process_gone) return h("p.notice", {}, "The process of this task is gone; it was killed, or crashed. agentlog recover closes it.");
  if (task.problems?.length) return h("p.notice", {}, `Some of the folder could not be read: ${task.problems.slice(0, 3).join("; ")}`);
  return null;
}

/** What changes by itself while a task runs. */
function tick(head, task) {
  const cell = head.querySelector("[data-fact=Time]");
  if (cell) cell.firstChild.textContent = seconds(secondsOf({ ...task, duration_seconds: null }) ?? task.duration_seconds);
}

function headOf(task, key, about) {
  const running = ["running", "paused"].includes(task.status);
  const asked = task.input === null || task.input === undefined ? null : spoken(task.input.message ?? task.input);
  const trace = task.trace_url ? h("a.button", { href: task.trace_url, target: "_blank", rel: "noreferrer noopener" }, icon("out"), "Open trace") : null;
  const fact = (name, value, more) => (value === null || value === "–" ? null : h("div", {}, h("dt", {}, name), h("dd", { data: { fact: name } }, value, more ? h("small", {}, ` ${more}`) : null)));
  const id = (name, value, label) => (value ? h("span", {}, name, copyable(String(value), label)) : null);
  return [
    h("div.first", {}, h("h1", {}, task.name), pill(task.status), h("div.controls", {}, controls(key, task.status, about), trace)),
    h("dl.facts", {},
      fact("Time", seconds(running ? secondsOf({ ...task, duration_seconds: null }) : task.duration_seconds)), fact("Started", ago(startOf(task)), moment(startOf(task))),
      fact("Agent", task.assigned_agent ?? null, task.agent_type), fact("Model", task.model ?? null), fact("Cost", usd(task.cost_usd)),
      fact("Tokens", count(task.input_tokens + task.output_tokens), `${count(task.input_tokens)} in, ${count(task.output_tokens)} out`),
      fact("Did", plural(task.steps ?? 0, "step"), `${plural(task.ai_calls ?? 0, "AI call")}, ${plural(task.tool_runs ?? 0, "tool run")}`),
      task.errors ? fact("Errors", String(task.errors), task.retries ? plural(task.retries, "retry").replace("retrys", "retries") : null) : null,
      task.source ? fact("Source", task.source, task.provider) : null, (task.tags ?? []).length ? fact("Tags", task.tags.join(", ")) : null),
    asked ? h("p.asked", {}, asked) : null,
    h("div.ids", {}, id("task", task.task_id, "task id"), id("trace", task.trace_id, "trace id"), id("session", task.session_id, "session id"), id("correlation", task.correlation_id, "correlation id"),
      task.parent_task_id ? h("span", {}, "part of", h("a", { href: hrefOf(task.parent_task_id) }, task.parent_task_id)) : null),
  ];
}
