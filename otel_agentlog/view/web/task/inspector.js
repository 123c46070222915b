// Everything about one part or line, beside the list it was chosen in.

import { copied, copyable, h, icon, show, toast } from "../dom.js";
import { clock, count, duration, moment, usd, words } from "../format.js";
import { hrefOf, pill } from "../pages/rows.js";
import { errorBlock, messageParts, valueBlock } from "../values/values.js";

const named = (name, content) => (content === null ? null : h("div.part", {}, h("p.name", {}, name), content));

const part = (name, value, key) => (value === undefined || value === null || value === "" ? null : named(name, valueBlock(value, key)));

const pairs = (entries) => h("dl.pairs", {}, entries.filter(([, value]) => value !== null && value !== undefined && value !== "" && value !== "–").map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));

const SHOWN_APART = new Set(["arguments", "result", "messages", "system", "tools", "output", "parameters"]);

/** What stands in the inspector for a part of the tree. */
export function partContent(entry, key, { toLines, noteOn } = {}) {
  const details = entry.details ?? {};
  const rest = Object.entries(details).filter(([name, value]) => !SHOWN_APART.has(name) && value !== null);
  const last = Array.isArray(details.messages) ? details.messages.at(-1) : null;
  return [
    h("div.first", {}, pill(entry.status), toLines && entry.span_id ? h("button.button.link", { type: "button", on: { click: () => toLines(entry) } }, "Its lines") : null,
      entry.task ? h("a.button.link", { href: hrefOf(entry.task.task_id) }, "Open the sub-task") : null, entry.span_id && noteOn ? noteOn(entry) : null),
    pairs([["took", duration(entry.duration_ms)], ["from", clock(entry.start_ns / 1e6, true)], ["cost", usd(entry.cost_usd, entry.unpriced)],
      ["tokens", entry.input_tokens ? `${count(entry.input_tokens)} in, ${count(entry.output_tokens)} out` : null], ["reason", entry.reason], ["component", entry.component],
      ["span", entry.span_id ? copyable(entry.span_id, "span id") : null], ["step", entry.step_id ? copyable(entry.step_id, "step id") : null]]),
    entry.exception ? errorBlock(entry.exception) : null,
    part("arguments", details.arguments, key), part("result", details.result, key),
    named("asked", last ? messageParts(last.parts ?? last.content, key) : null), named("answer", details.output ? messageParts(details.output, key) : null),
    (entry.attempts ?? []).length ? part("failed attempts", entry.attempts, key) : null,
    rest.length ? part("details", Object.fromEntries(rest), key) : null,
    details.messages ? h("details", {}, h("summary", {}, "The whole request"), valueBlock({ system: details.system, messages: details.messages, tools: details.tools }, key)) : null,
  ];
}

/** What stands in the inspector for a line. */
export function lineContent(line, key, { toPart } = {}) {
  const { exception, details, ...flat } = line;
  return [
    toPart && line.span_id ? h("div.first", {}, h("button.button.link", { type: "button", on: { click: () => toPart(line.span_id) } }, "Its part of the waterfall")) : null,
    pairs([["when", moment(Date.parse(String(line.timestamp).replace(/(\.\d{3})\d+/, "$1")))], ["who", line.component], ["where", line.logger ? `${line.logger}${line.function ? `:${line.function}` : ""}${line.line ? `:${line.line}` : ""}` : null],
      ["event", line.event_id ? copyable(String(line.event_id), "event id") : null]]),
    exception ? errorBlock(exception) : null, part("content", line.content, key), part("details", details, key),
    h("details", {}, h("summary", {}, "The line"), valueBlock(exception || details ? { ...flat, details, exception } : flat, key)),
  ];
}

/** A panel beside a list. */
export class Inspector {
  /** `closed` is told when it is closed. */
  constructor(closed = () => {}) {
    this.panel = h("aside.card.inspector", { "aria-label": "Details", hidden: true });
    this.closed = closed;
  }

  /** The list and, beside it, the panel. */
  beside(list) {
    this.split = h("div.split", {}, list, this.panel);
    return this.split;
  }

  open(title, content) {
    this.panel.hidden = false;
    this.split.classList.add("open");
    show(this.panel, h("header", {}, h("h2", {}, title), linkButton(), h("button.quiet", { type: "button", "aria-label": "Close details", on: { click: () => this.close() } }, icon("close"))), content);
    this.panel.scrollTop = 0;
  }

  /** Whether there was something to close; who was in it is in the list again. */
  close() {
    if (this.panel.hidden) return false;
    if (this.panel.contains(document.activeElement)) this.split.querySelector(".list")?.focus({ preventScroll: true });
    this.panel.hidden = true;
    this.split.classList.remove("open");
    this.closed();
    return true;
  }
}

/** Copies the address of what is shown. */
function linkButton() {
  return h("button.quiet", { type: "button", "aria-label": "Copy link", title: "Copy the address of this", on: { click: async () => { if (await copied(location.href)) toast("Address copied"); } } }, icon("link"));
}
