// Everything about one part or line, beside the list it was chosen in; and how values of any shape become text.

import { getBlob, taskPath } from "../api.js";
import { copyable, h, icon, show, toast } from "../dom.js";
import { clock, count, duration, moment, usd, words } from "../format.js";
import { pill } from "./rows.js";

const LONG = 20000;

/** A value as people read it: texts as they are, everything else as JSON with indentation. */
export function spoken(value) {
  if (typeof value === "string") return value;
  return JSON.stringify(value, null, 2) ?? "";
}

/** The text in message parts of the GenAI convention. */
export function partsText(parts) {
  if (!Array.isArray(parts)) return spoken(parts);
  return parts.map((part) => (typeof part?.content === "string" ? part.content : part?.type === "tool_call" ? `[calls ${part.name}] ${spoken(part.arguments)}` : spoken(part?.response ?? part?.result ?? part))).join("\n");
}

/** A block of text or JSON; a large payload that stands in a file of its own can be fetched. */
export function valueBlock(value, key) {
  if (Array.isArray(value?.$parts)) return h("div", {}, ...value.$parts.map((part) => valueBlock(part, key)));
  const artifact = value && typeof value === "object" && Object.keys(value).length === 1 ? value.$artifact : null;
  if (artifact && typeof artifact === "object") {
    const size = `${count(artifact.size_bytes)} bytes`;
    return h("div", {}, artifact.preview ? h("pre.block", { tabindex: "0" }, String(artifact.preview)) : null,
      h("button.button", { type: "button", on: { click: () => download(taskPath(key, `/artifacts/${artifact.sha256}`), String(artifact.sha256)) } }, icon("down"), `All of it, ${size}`));
  }
  const text = spoken(value);
  return h("pre.block", { tabindex: "0" }, text.length > LONG ? `${text.slice(0, LONG)}\n… ${(text.length - LONG).toLocaleString("en-US")} more characters in the folder` : text);
}

/** Lets the browser save an answer; through memory, as a link cannot show the token. */
export async function download(path, name) {
  try {
    const url = URL.createObjectURL(await getBlob(path));
    h("a", { href: url, download: name }).click();
    setTimeout(() => URL.revokeObjectURL(url), 10000);
  } catch (error) {
    toast(error.message, "bad");
  }
}

export function errorBlock(exception) {
  const tips = Array.isArray(exception.suggestions) ? exception.suggestions : [];
  const trace = Array.isArray(exception.traceback) ? exception.traceback.join("\n") : null;
  return h("div.part", {}, h("p.error-text", {}, `${exception.type ?? "Error"}: ${exception.message ?? ""}`),
    h("div.ids", {}, exception.category ? h("span.aside", {}, words(exception.category).toLowerCase(), " ") : null, exception.error_id ? copyable(String(exception.error_id), "error id") : null),
    tips.length ? h("ul.tips", {}, tips.map((tip) => h("li", {}, String(tip)))) : null,
    trace ? h("details", {}, h("summary", {}, "Traceback"), h("pre.block", { tabindex: "0" }, trace)) : null);
}

const part = (name, value, key) => (value === undefined || value === null || value === "" ? null : h("div.part", {}, h("p.name", {}, name), valueBlock(value, key)));

const pairs = (entries) => h("dl.pairs", {}, entries.filter(([, value]) => value !== null && value !== undefined && value !== "" && value !== "–").map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));

const SHOWN_APART = new Set(["arguments", "result", "messages", "system", "tools", "output", "parameters"]);

/** What stands in the inspector for a part of the tree. */
export function partContent(entry, key) {
  const details = entry.details ?? {};
  const rest = Object.entries(details).filter(([name, value]) => !SHOWN_APART.has(name) && value !== null);
  const last = Array.isArray(details.messages) ? details.messages.at(-1) : null;
  return [
    h("div", {}, pill(entry.status)),
    pairs([["took", duration(entry.duration_ms)], ["from", clock(entry.start_ns / 1e6, true)], ["cost", usd(entry.cost_usd)],
      ["tokens", entry.input_tokens ? `${count(entry.input_tokens)} in, ${count(entry.output_tokens)} out` : null], ["reason", entry.reason], ["component", entry.component],
      ["span", entry.span_id ? copyable(entry.span_id, "span id") : null], ["step", entry.step_id ? copyable(entry.step_id, "step id") : null]]),
    entry.exception ? errorBlock(entry.exception) : null,
    part("arguments", details.arguments, key), part("result", details.result, key),
    part("asked", last ? partsText(last.parts ?? last.content) : null, key), part("answer", details.output ? partsText(details.output) : null, key),
    (entry.attempts ?? []).length ? part("failed attempts", entry.attempts, key) : null,
    rest.length ? part("details", Object.fromEntries(rest), key) : null,
    details.messages ? h("details", {}, h("summary", {}, "The whole request"), valueBlock({ system: details.system, messages: details.messages, tools: details.tools }, key)) : null,
  ];
}

/** What stands in the inspector for a line. */
export function lineContent(line, key) {
  const { exception, details, ...flat } = line;
  return [
    pairs([["when", moment(Date.parse(String(line.timestamp).replace(/(\.\d{3})\d+/, "$1")))], ["who", line.component], ["where", line.logger ? `${line.logger}${line.function ? `:${line.function}` : ""}${line.line ? `:${line.line}` : ""}` : null],
      ["event", line.event_id ? copyable(String(line.event_id), "event id") : null]]),
    exception ? errorBlock(exception) : null, part("content", line.content, key), part("details", details, key),
    h("details", {}, h("summary", {}, "The line"), valueBlock(exception || details ? { ...flat, details, exception } : flat, key)),
  ];
}

/** A panel beside a list. */
export class Inspector {
  constructor() {
    this.panel = h("aside.card.inspector", { "aria-label": "Details", hidden: true });
    this.opened = null;
  }

  /** The list and, beside it, the panel. */
  beside(list) {
    this.split = h("div.split", {}, list, this.panel);
    return this.split;
  }

  open(title, content) {
    this.panel.hidden = false;
    this.split.classList.add("open");
    show(this.panel, h("header", {}, h("h2", {}, title), h("button.quiet", { type: "button", "aria-label": "Close details", on: { click: () => this.close() } }, icon("close"))), content);
    this.panel.scrollTop = 0;
  }

  /** Whether there was something to close. */
  close() {
    if (this.panel.hidden) return false;
    this.panel.hidden = true;
    this.split.classList.remove("open");
    return true;
  }
}
