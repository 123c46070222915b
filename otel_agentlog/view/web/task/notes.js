// What people and evaluations say of a task: the card with its scores and notes, and the dialog that adds one.

import { dialog, sent } from "../control.js";
import { taskPath } from "../api.js";
import { h, icon, show, toast } from "../dom.js";
import { ago, kind, moment, time } from "../format.js";
import { idOf } from "./part_tree.js";

const ACTIONS = new Set(["score_added", "note_added"]);
const NAME_KEY = "agentlog-name";

export class Notes {
  /** `go(id)` leads to a part; `changed()` is called when something was added. */
  constructor(key, { go, changed }) {
    [this.key, this.go, this.changed, this.lines, this.tree] = [key, go, changed, new Map(), []];
    this.card = h("section.card.noted", { "aria-label": "Notes and scores", hidden: true });
  }

  set({ noted = [], tree = [] }) {
    this.tree = tree;
    this.add(noted);
  }

  /** Takes the lines of notes and scores out of some. */
  add(lines) {
    const found = lines.filter((line) => ACTIONS.has(line.action) && line.event_id && !this.lines.has(line.event_id));
    if (!found.length) return;
    for (const line of found) this.lines.set(line.event_id, line);
    this.card.hidden = false;
    show(this.card, h("header", {}, h("h2", {}, "Notes and scores")), h("ul.body", { tabindex: "0", "aria-label": "Notes and scores" }, together(latest([...this.lines.values()])).map((same) => this.entry(same))));
  }

  /** A note, or the scores that were given with one explanation. */
  entry(lines) {
    const line = lines.at(-1);
    const { explanation, by } = line.details ?? {};
    const part = this.tree.find((each) => each.span_id === line.span_id && each.kind !== "task");
    const words = isScore(line) ? explanation : line.message;
    return h("li", {}, lines.filter(isScore).map(scoreOf), words ? h("p.words", {}, words) : null,
      h("p.about", {}, by ?? "unknown", " · ", h("time", { title: moment(time(line.timestamp)) }, ago(time(line.timestamp))),
        part ? [" · ", h("button.button.link", { type: "button", on: { click: () => this.go(idOf(part)) } }, `${kind(part.kind)} ${part.name}`)] : null));
  }

  /** The button that opens the dialog, for the task or a part of it. */
  button(about, part = null) {
    if (!about.control) return null;
    return h("button.button", { type: "button", data: { keep: "note" }, on: { click: () => this.ask(part) } }, icon("plus"), part ? "Note on this" : "Note");
  }

  ask(part) {
    const text = h("textarea", { name: "text", rows: "4", maxlength: "16000", autofocus: true });
    const name = h("input", { name: "score", maxlength: "128", autocomplete: "off", placeholder: "such as quality" });
    const value = h("input", { name: "value", maxlength: "200", autocomplete: "off", placeholder: "a number, or a word" });
    const by = h("input", { name: "by", maxlength: "128", autocomplete: "name", value: localStorage.getItem(NAME_KEY) ?? "", placeholder: "the server's user" });
    const title = part ? `Note on ${kind(part.kind)} ${part.name}` : "Note or score";
    dialog(title, [h("label.field", {}, "Note", text), h("div.together", {}, h("label.field", {}, "Score", name), h("label.field", {}, "Value", value)), h("label.field", {}, "By", by)], "Add", (close) => {
      const [note, score, worth, author] = [text, name, value, by].map((field) => field.value.trim());
      const missing = score && !worth ? "Value" : worth && !score ? "Score" : !note && !score ? "Note" : null;
      if (missing) {
        toast(missing === "Note" ? "Write a note, or give a score a name and a value" : `The score has no ${missing === "Value" ? "value" : "name"}`, "bad");
        ({ Note: text, Score: name, Value: value })[missing].focus();
        return;
      }
      localStorage.setItem(NAME_KEY, author);
      const number = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(worth) && Number.isFinite(Number(worth));
      const body = { text: note, scores: score ? { [score]: number ? Number(worth) : worth } : {}, on: part?.span_id ?? null, by: author || null };
      sent(taskPath(this.key, "/notes"), body, () => "Added", close).then((done) => done && this.changed());
    });
  }
}

const isScore = (line) => line.action === "score_added";

function scoreOf({ details: { name, value, label } = {} }) {
  return h("p.score", {}, h("span", {}, name), h("strong", {}, [typeof value === "number" ? String(Number(value.toPrecision(6))) : null, label].filter(Boolean).join(" ")));
}

/** Scores one after the other that say the same of the same part, in one. */
function together(lines) {
  const said = ({ details: { explanation, by } = {}, span_id }) => JSON.stringify([explanation, by, span_id]);
  const found = [];
  for (const line of lines) {
    const last = found.at(-1);
    if (last && isScore(line) && isScore(last[0]) && line.details?.explanation && said(line) === said(last[0])) last.push(line);
    else found.push([line]);
  }
  return found;
}

/** The lines that count: of a score that was given again by the same person, the last one. */
function latest(lines) {
  const found = new Map();
  for (const line of lines) {
    const { name, by } = line.details ?? {};
    found.set(isScore(line) ? JSON.stringify([name, line.span_id, by]) : line.event_id, line);
  }
  return [...found.values()];
}
