// The lines of a task as a log: filtered by level and words, following the end.

import { h } from "../dom.js";
import { clock, duration, time, words } from "../format.js";
import { Joiner } from "./chunks.js";
import { Inspector, lineContent } from "./inspector.js";
import { VirtualList } from "../virtual.js";

const LEVELS = { DEBUG: 10, INFO: 20, WARNING: 30, ERROR: 40, CRITICAL: 50 };

export class Lines {
  /** `chose(id)` is told which line is open, null for none; `toPart(span)` shows its part of the waterfall. */
  constructor(key, { chose, toPart }) {
    this.all = [];
    this.joiner = new Joiner();
    this.texts = new Set();
    this.least = 0;
    this.following = false;
    this.text = "";
    this.inspector = new Inspector(() => chose(null));
    this.list = new VirtualList({ className: "lines", label: "Lines", height: 28, draw: row, chosen: (line) => {
      this.inspector.open(line.type ?? line.stage ?? "line", lineContent(line, key, { toPart }));
      chose(line.event_id);
    } });
    this.count = h("span.count", { role: "status" }, "");
    const find = (this.find = h("input", { type: "search", placeholder: "Filter lines", "aria-label": "Filter lines", maxlength: "200", on: { input: () => { this.text = find.value.trim().toLowerCase(); this.refresh(); } } }));
    const chips = Object.entries({ All: 0, Info: 20, Warning: 30, Error: 40 }).map(([name, least]) => h("button.chip", { type: "button", "aria-pressed": String(least === 0), on: { click: (event) => {
      this.least = least;
      for (const chip of chips) chip.setAttribute("aria-pressed", String(chip === event.currentTarget));
      this.refresh();
    } } }, name));
    this.element = this.inspector.beside(h("div.card", {}, h("div.above-list", {}, find, h("div.chips", { role: "group", "aria-label": "Least level" }, chips), this.count), this.list.element));
    this.shownLines = [];
  }

  add(lines) {
    let grew = false;
    for (const line of lines) {
      const shown = this.joiner.add(line);
      if (this.texts.has(shown)) {
        grew = true;
        continue;
      }
      if (shown !== line) this.texts.add(shown);
      this.all.push(shown);
      if (this.wants(shown)) this.shownLines.push(shown);
    }
    // What a text that grew says now may be what is looked for.
    if (grew && this.text) this.shownLines = this.all.filter((line) => this.wants(line));
    this.tell();
    // A task that goes on opens at its end.
    const atEnd = this.following && (this.list.isAtEnd() || !this.list.element.isConnected);
    this.list.set(this.shownLines);
    if (atEnd) this.list.element.scrollTop = this.list.room.offsetHeight;
  }

  shown(visible) {
    if (visible && this.following && this.list.at < 0) this.list.element.scrollTop = this.list.room.offsetHeight;
    else if (visible) this.list.restore();
  }

  refresh() {
    this.shownLines = this.all.filter((line) => this.wants(line));
    this.tell();
    this.list.set(this.shownLines);
  }

  /** The lines with these words alone. */
  search(text) {
    this.find.value = text;
    this.text = text.toLowerCase();
    this.refresh();
  }

  /** The details of a part's first and last line: the tree leaves out what is long in them. */
  detailsOf(span) {
    if (!span) return {};
    const ends = this.all.filter((line) => line.span_id === span && (line.phase === "start" || line.phase === "end"));
    return Object.assign({}, ...ends.map((line) => line.details ?? {}));
  }

  /** Chooses a line; whether there is one. */
  reveal(id) {
    const index = this.shownLines.findIndex((line) => line.event_id === id || line.ids?.includes(id));
    this.list.choose(index);
    return index >= 0;
  }

  tell() {
    const [some, all] = [this.shownLines.length, this.all.length].map((number) => number.toLocaleString("en-US"));
    this.count.textContent = some === all ? `${all} lines` : `${some} of ${all} lines`;
  }

  wants(line) {
    if (this.least && (LEVELS[line.level] ?? 20) < this.least) return false;
    return !this.text || `${line.type ?? ""} ${line.component ?? ""} ${line.chunks ? line.content : told(line)} ${line.step_id ?? ""} ${line.span_id ?? ""} ${line.event_id ?? ""}`.toLowerCase().includes(this.text);
  }

  pressed(name) {
    return name === "Escape" && this.inspector.close();
  }

  close() {
    this.list.close();
  }
}

function row(line) {
  return h("div", { data: { level: line.level ?? "INFO" } }, h("span.when", {}, clock(time(line.timestamp), true)), h("span.level", {}, line.level ?? (line.stage ? "STAGE" : line.request ? "ASKED" : "")),
    h("span.who", {}, line.component ?? line.requested_by ?? line.provider ?? ""), h("span", {}, told(line)));
}

/** One line in one line: what happened, with what, why not. */
function told(line) {
  if (line.stage) return `${words(line.stage)} ${line.status ?? line.command ?? line.reaction ?? line.queue ?? ""}`;
  if (line.request) return `${line.request} ${line.text ?? line.reason ?? ""}`;
  const what = line.action ? words(line.action) : line.type;
  const error = line.exception ? ` ${line.exception.type ?? ""}: ${line.exception.message ?? ""}` : "";
  if (line.type === "log") return `${line.message ?? ""} ${flat(line.details)}${error}`;
  if (typeof line.content === "string" && line.action === "content_recorded") return `${line.type}: ${line.content.slice(0, 300)}`;
  const took = typeof line.duration_ms === "number" ? ` ${duration(line.duration_ms)}` : "";
  const given = line.type === "tool_call" ? ` ${flat(line.details?.arguments)}` : "";
  const why = line.type === "attempt" && !error && line.details?.reason ? ` ${line.details.reason}` : "";
  return `${what}: ${line.message ?? ""}${given}${took}${error}${why}`;
}

function flat(details) {
  if (!details || typeof details !== "object") return "";
  return Object.entries(details).map(([name, value]) => `${name}=${typeof value === "string" ? value : JSON.stringify(value)}`).join(" ").slice(0, 300);
}
