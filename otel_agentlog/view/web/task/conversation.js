// A task as a conversation: what was asked, thought, said, which tools were called with what and gave what.

import { h } from "../dom.js";
import { clock, count, duration, kind, time, usd, words } from "../format.js";
import { errorBlock, messageParts, spoken, valueBlock } from "../values/values.js";
import { Talk } from "./talk.js";
import { markdown } from "../values/markdown.js";
import { VirtualCards } from "../virtual_cards.js";

export class Conversation {
  constructor(key) {
    this.key = key;
    this.talk = new Talk();
    this.cards = new VirtualCards({ className: "talk", label: "Conversation", draw: (card) => this.draw(card) });
    this.empty = h("p.empty", {}, h("strong", {}, "Nothing was said yet"));
    this.element = h("div", {}, this.cards.element, this.empty);
    this.refresh();
  }

  set following(on) {
    this.cards.following = on;
  }

  add(lines) {
    for (const line of lines) this.talk.add(line);
    this.refresh();
  }

  refresh() {
    const { cards } = this.talk;
    this.empty.hidden = cards.length > 0;
    this.cards.element.hidden = !cards.length;
    this.cards.set(cards, this.talk.takeChanged());
  }

  shown(visible) {
    if (visible) this.cards.restore();
  }

  /** j, k and Enter lead into it. */
  pressed(name) {
    if (!["j", "k", "Enter"].includes(name)) return false;
    this.cards.view.focus({ preventScroll: true });
    this.cards.view.scrollTop += { j: 120, k: -120, Enter: 0 }[name];
    return true;
  }

  draw(card) {
    const { line } = card;
    const text = (className, title, ...body) => said(className, title, line, ...body);
    const drawn = {
      spoken: () => text(line.type, { output: "Output", thinking: "Thinking", user: "User", system: "System" }[line.type], wordsOf(card.text, line.type)),
      ai: () => this.call(card), tool: () => this.run(card),
      step: () => h("div.step", { role: "heading", "aria-level": "2" }, line.message ?? line.name, stamp(line)),
      asked: () => text("asked-for", `${line.requested_by ?? "somebody"} asked to ${line.request === "context" ? "add context" : line.request}`, line.text ? h("div.words", {}, line.text) : null),
      state: () => text("asked-for", words(line.action), line.message ? h("div.words", {}, line.message) : null),
      subtask: () => text("", "Sub-task", h("a", { href: `#/task/${encodeURIComponent(line.details?.task_id ?? "")}` }, line.message ?? line.details?.name)),
      attempt: () => text("warning", ...attempt(line)),
      log: () => text(line.level === "WARNING" ? "warning" : "error", words(line.level).toLowerCase(), h("div.words", {}, line.message), line.exception ? errorBlock(line.exception) : null),
      error: () => text("error", `${kind(line.type)} ${words(line.outcome)}`, errorBlock(line.exception)),
    };
    return drawn[card.kind]();
  }

  call({ line, end, attempts }) {
    const details = line.details ?? {};
    const messages = Array.isArray(details.messages) ? details.messages : [];
    const asked = messages.length ? h("details", {}, h("summary", {}, `Asked with ${messages.length} message${messages.length === 1 ? "" : "s"}`), messageParts(messages.at(-1).parts ?? messages.at(-1).content, this.key)) : null;
    const answer = end?.details ?? {};
    const figures = end ? [duration(end.duration_ms), answer.input_tokens !== undefined ? `${count(answer.input_tokens)} → ${count(answer.output_tokens)} tokens` : null, answer.cost_usd ? usd(answer.cost_usd) : null, notWell(end)] : ["thinking …"];
    return said(`ai ${failedClass(end)}`, details.model ?? line.message ?? "AI call", line, figures, asked, attempts.map(attemptIn), Array.isArray(answer.output) ? messageParts(answer.output, this.key) : null, end?.exception ? errorBlock(end.exception) : null);
  }

  run({ line, end, attempts }) {
    const given = line.details?.arguments;
    const none = given === undefined || given === null || (typeof given === "object" && !Object.keys(given).length);
    const result = end?.details?.result;
    const figures = end ? [duration(end.duration_ms), notWell(end), end.details?.attempts > 1 ? `${end.details.attempts} attempts` : null] : ["running …"];
    return said(`tool ${failedClass(end)}`, line.content ?? line.message, line, figures, none ? null : h("div.part", {}, h("p.name", {}, "arguments"), valueBlock(given, this.key)),
      attempts.map(attemptIn), result === undefined || result === null ? null : resultBlock(result, this.key), end?.exception ? errorBlock(end.exception) : null);
  }

  close() {
    this.cards.close();
  }
}

const MANY_LINES = 14;
const MANY_CHARACTERS = 1200;

function resultBlock(result, key) {
  const block = valueBlock(result, key);
  const text = spoken(result);
  const { length } = text;
  const long = length > MANY_CHARACTERS || (text.match(/\n/g) ?? []).length > MANY_LINES;
  return long ? h("details", {}, h("summary", {}, `Result, ${length.toLocaleString("en-US")} characters`), block) : h("div.part", {}, h("p.name", {}, "result"), block);
}

const wordsOf = (text, type) => (type === "output" ? markdown(text) : h("div.words", {}, text));

const failedClass = (end) => (end && end.outcome !== "completed" ? "failed" : "");

const notWell = (end) => (end.outcome && end.outcome !== "completed" ? words(end.outcome) : null);

const attempt = (line) => [`Attempt ${line.details?.number ?? ""} failed`, h("div.words", {}, line.exception ? `${line.exception.type}: ${line.exception.message}` : line.details?.reason ?? line.message)];

function attemptIn(line) {
  const [title, reason] = attempt(line);
  return h("div.attempt", {}, h("strong", {}, title), reason);
}

function said(className, title, line, ...body) {
  const figures = Array.isArray(body[0]) && typeof (body[0][0] ?? "") === "string" ? body.shift() : [];
  const told = figures.filter(Boolean).join(" · ");
  return h("article", { class: `said ${className}` }, h("header", {}, h("strong", {}, title), told ? h("span.figs", {}, told) : null, stamp(line)), body);
}

function stamp(line) {
  return h("time", { datetime: line.timestamp }, clock(time(line.timestamp)));
}
