// Hides how lines become a conversation: cards, each of one saying, question, answer or tool run with all that belongs to it.

import { Joiner } from "./chunks.js";

const SPOKEN = new Set(["output", "thinking", "system", "user"]);

/** Lines go in; `cards` come out, and `changed` are those that lines added to since they were taken last. */
export class Talk {
  constructor() {
    [this.cards, this.open, this.heard, this.last, this.touched] = [[], new Map(), new Set(), null, new Set()];
    [this.joiner, this.texts] = [new Joiner(), new Map()];
  }

  takeChanged() {
    const changed = [...this.touched];
    this.touched.clear();
    return changed;
  }

  put(kind, line, more = {}) {
    const card = { kind, line, ...more };
    this.cards.push(card);
    return card;
  }

  add(line) {
    const spoke = this.last;
    this.last = null;
    const type = line.type;
    const whole = this.joiner.add(line);
    if (whole !== line) return this.streamed(whole);
    if (SPOKEN.has(type)) this.spoken(line, spoke);
    else if (type === "ai_request" || type === "tool_call") this.open.set(line.span_id, this.put(type === "ai_request" ? "ai" : "tool", line, { attempts: [] }));
    else if (type === "ai_response" || type === "tool_result") this.ended(line, spoke);
    else if (type === "attempt") this.attempt(line);
    else if (isOwnCard(line)) this.put(kindOf(line), line);
  }

  /** The chunks of one text are one card, whatever comes between them. */
  streamed(whole) {
    if (!this.texts.has(whole)) this.texts.set(whole, this.put("spoken", whole, {}));
    const card = this.texts.get(whole);
    card.text = whole.content;
    this.touched.add(card);
    if (card === this.cards.at(-1)) this.last = card;
  }

  /** Texts of one speaker that come one after the other are one saying. */
  spoken(line, spoke) {
    const text = String(line.content ?? "");
    if (this.heard.delete(text.trim())) return;
    if (spoke && !this.texts.has(spoke.line) && spoke.line.type === line.type && spoke.line.span_id === line.span_id) {
      spoke.text += text;
      this.touched.add(spoke);
      this.last = spoke;
      return;
    }
    this.last = this.put("spoken", line, { text });
  }

  ended(line, spoke) {
    const kind = line.type === "ai_response" ? "ai" : "tool";
    const card = this.open.get(line.span_id) ?? this.put(kind, line, { attempts: [] });
    this.open.delete(line.span_id);
    card.end = line;
    this.touched.add(card);
    for (const part of this.partsOf(line)) if (typeof part?.content === "string" && part.type !== "blob") this.say(part.content.trim(), spoke);
  }

  partsOf(line) {
    return line.type === "ai_response" && Array.isArray(line.details?.output) ? line.details.output : [];
  }

  /** What was streamed just before, and what is written just after, stands in the answer. */
  say(text, spoke) {
    if (spoke?.text.trim() === text && spoke === this.cards.at(-1)) this.cards.pop();
    else this.heard.add(text);
  }

  /** A failed attempt belongs to the call or run that tries again. */
  attempt(line) {
    if (line.action !== "attempt_failed") return;
    const card = this.open.get(line.span_id);
    if (!card) return void this.put("attempt", line);
    card.attempts.push(line);
    this.touched.add(card);
  }
}

function kindOf(line) {
  if (line.type === "step") return "step";
  if (line.request) return "asked";
  return { state: "state", subtask: "subtask", log: "log" }[line.type] ?? "error";
}

function isOwnCard(line) {
  if (line.type === "step" && line.phase === "start") return true;
  if (line.request || line.type === "state") return true;
  if (line.type === "subtask") return line.action === "subtask_started";
  if (line.type === "log") return ["WARNING", "ERROR", "CRITICAL"].includes(line.level);
  return line.phase === "end" && Boolean(line.exception?.traceback);
}
