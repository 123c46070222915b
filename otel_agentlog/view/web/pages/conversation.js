// A task as a conversation: what was asked, thought, said, which tools were called with what and gave what.

import { clean, h } from "../dom.js";
import { clock, count, duration, kind, time, usd, words } from "../format.js";
import { errorBlock, partsText, valueBlock } from "./inspector.js";

const A_FRAME = 250;
const SPOKEN = new Set(["output", "thinking", "system", "user"]);

export class Conversation {
  constructor(key) {
    this.key = key;
    this.talk = h("div.talk", {});
    this.element = h("div.card", {}, this.talk);
    this.lines = [];
    this.drawn = 0;
    this.open = new Map();
    this.heard = new Set();
    this.last = null;
    this.visible = false;
  }

  add(lines) {
    for (const line of lines) this.lines.push(line);
    this.later();
  }

  /** Draws what is new, a part of it each frame, and nothing while nobody looks. */
  later() {
    if (this.waiting || !this.visible) return;
    this.waiting = requestAnimationFrame(() => {
      this.waiting = null;
      const atEnd = innerHeight + scrollY >= document.documentElement.scrollHeight - 80;
      const follow = this.drawn > 0 && atEnd;
      for (const line of this.lines.slice(this.drawn, (this.drawn += A_FRAME))) this.draw(line);
      this.drawn = Math.min(this.drawn, this.lines.length);
      if (!this.talk.firstElementChild && this.drawn) this.talk.append((this.empty = h("p.empty", {}, h("strong", {}, "Nothing was said yet"))));
      if (follow) scrollTo({ top: document.documentElement.scrollHeight });
      if (this.drawn < this.lines.length) this.later();
    });
  }

  shown(visible) {
    this.visible = visible;
    this.later();
  }

  put(element) {
    this.empty?.remove();
    this.empty = null;
    this.talk.append(element);
    return element;
  }

  draw(line) {
    const type = line.type;
    const spoke = this.last;
    this.last = null;
    if (SPOKEN.has(type)) this.spoken(line, spoke);
    else if (type === "ai_request") this.asks(line);
    else if (type === "ai_response") this.answers(line);
    else if (type === "tool_call") this.calls(line);
    else if (type === "tool_result") this.results(line);
    else if (type === "step" && line.phase === "start") this.put(h("h3.step", {}, line.message ?? line.name, stamp(line)));
    else if (line.request) this.put(said("asked-for", `${line.requested_by ?? "somebody"} asked to ${line.request === "context" ? "add context" : line.request}`, line, line.text ? h("div.words", {}, line.text) : null));
    else if (type === "state") this.put(said("asked-for", words(line.action), line, line.message ? h("div.words", {}, line.message) : null));
    else if (type === "subtask" && line.action === "subtask_started") this.put(said("", "Sub-task", line, h("a", { href: `#/task/${encodeURIComponent(line.details?.task_id ?? "")}` }, line.message ?? line.details?.name)));
    else if (type === "attempt" && line.action === "attempt_failed") this.put(said("warning", `Attempt ${line.details?.number ?? ""} failed`, line, h("div.words", {}, line.details?.reason ?? line.message)));
    else if (type === "log" && ["WARNING", "ERROR", "CRITICAL"].includes(line.level)) this.put(said(line.level === "WARNING" ? "warning" : "error", words(line.level).toLowerCase(), line, h("div.words", {}, line.message)));
    else if (line.phase === "end" && line.exception?.traceback) this.put(said("error", `${kind(type)} ${words(line.outcome)}`, line, errorBlock(line.exception)));
  }

  /** Pieces of one speaker, as they come while a model streams, are one saying. */
  spoken(line, spoke) {
    const text = String(line.content ?? "");
    if (this.heard.delete(text.trim())) return;
    if (spoke && spoke.type === line.type && spoke.span === line.span_id) {
      spoke.words.append(clean(text));
      spoke.text += text;
      this.last = spoke;
      return;
    }
    const body = h("div.words", {}, text);
    const name = { output: "Output", thinking: "Thinking", user: "User", system: "System" }[line.type];
    this.put(said(line.type, name, line, body));
    this.last = { type: line.type, span: line.span_id, words: body, text };
  }

  asks(line) {
    const details = line.details ?? {};
    const last = Array.isArray(details.messages) ? details.messages.at(-1) : null;
    const asked = last ? h("details", {}, h("summary", {}, `Asked with ${details.messages.length} message${details.messages.length === 1 ? "" : "s"}`), valueBlock(partsText(last.parts ?? last.content), this.key)) : null;
    const card = said("ai", details.model ?? line.message ?? "AI call", line, asked);
    card.querySelector("header").insertBefore(h("span.figs", {}, "thinking …"), card.querySelector("time"));
    this.open.set(line.span_id, this.put(card));
  }

  answers(line) {
    const card = this.open.get(line.span_id) ?? this.put(said("ai", line.details?.model ?? line.message ?? "AI call", line));
    this.open.delete(line.span_id);
    const details = line.details ?? {};
    const figures = [duration(line.duration_ms), details.input_tokens !== undefined ? `${count(details.input_tokens)} → ${count(details.output_tokens)} tokens` : null, details.cost_usd ? usd(details.cost_usd) : null];
    figuresOf(card, figures);
    for (const part of Array.isArray(details.output) ? details.output : []) this.part(card, part);
    ended(card, line);
  }

  part(card, part) {
    if (part?.type === "tool_call") card.append(h("div.part", {}, h("p.name", {}, `calls ${part.name}`)));
    else if (typeof part?.content === "string") {
      this.heard.add(part.content.trim());
      card.append(h("div", { class: part.type === "reasoning" ? "words thinking" : "words" }, part.content));
    }
  }

  calls(line) {
    const given = line.details?.arguments;
    const empty = given === undefined || given === null || (typeof given === "object" && !Object.keys(given).length);
    const card = said("tool", line.content ?? line.message, line, empty ? null : h("div.part", {}, h("p.name", {}, "arguments"), valueBlock(given, this.key)));
    card.querySelector("header").insertBefore(h("span.figs", {}, "running …"), card.querySelector("time"));
    this.open.set(line.span_id, this.put(card));
  }

  results(line) {
    const card = this.open.get(line.span_id) ?? this.put(said("tool", line.content ?? line.message, line));
    this.open.delete(line.span_id);
    figuresOf(card, [duration(line.duration_ms), line.outcome === "completed" ? null : words(line.outcome), line.details?.attempts > 1 ? `${line.details.attempts} attempts` : null]);
    const result = line.details?.result;
    if (result !== undefined && result !== null) {
      const block = valueBlock(result, this.key);
      const long = (block.textContent.match(/\n/g) ?? []).length > 14 || block.textContent.length > 1200;
      card.append(long ? h("details", {}, h("summary", {}, `Result, ${block.textContent.length.toLocaleString("en-US")} characters`), block) : h("div.part", {}, h("p.name", {}, "result"), block));
    }
    ended(card, line);
  }

  close() {
    cancelAnimationFrame(this.waiting);
  }
}

function said(className, title, line, ...body) {
  return h("article", { class: `said ${className}` }, h("header", {}, h("strong", {}, title), stamp(line)), body);
}

function stamp(line) {
  return h("time", { datetime: line.timestamp }, clock(time(line.timestamp)));
}

function figuresOf(card, texts) {
  const header = card.querySelector("header");
  header.querySelector(".figs")?.remove();
  header.insertBefore(h("span.figs", {}, texts.filter(Boolean).join(" · ")), header.querySelector("time"));
}

function ended(card, line) {
  if (line.outcome !== "completed") card.classList.add("failed");
  if (line.exception) card.append(errorBlock(line.exception));
}
