// When each part of a task ran, for how long, inside what: a tree that folds, is searched, and zooms in time.

import { h, icon, say, show } from "../dom.js";
import { duration, kind, plural, usd, words } from "../format.js";
import { Inspector, partContent } from "./inspector.js";
import { marked } from "../values/marks.js";
import { ancestors, faults, idOf, isBad, parentsIn, visible } from "./part_tree.js";
import { VirtualList } from "../virtual.js";
import { Zoom } from "./zoom.js";

const LONG = 300;

export class Waterfall {
  /** `chose(id)` is told which part is open, null for none; `toLines(part)` shows its lines; `noteOn(part)`: its button for notes; `contentOf(part)`: details that the tree has not. */
  constructor(key, { chose, toLines, noteOn, contentOf }) {
    [this.tree, this.parts, this.parents, this.faults] = [[], new Map(), new Set(), []];
    [this.begin, this.end, this.goesOn, this.following] = [Infinity, 0, false, false];
    [this.folded, this.foldedHere, this.text, this.badOnly] = [new Set(), new Set(), "", false];
    this.chose = chose;
    this.inspector = new Inspector(() => chose(null));
    this.list = new VirtualList({ className: "falls", label: "Parts of the task", height: 30, role: "tree", draw: (part) => this.row(part),
      aria: (part) => this.aria(part), pressed: (event, part, index) => this.folding(event.key, part, index),
      chosen: (part) => { this.inspector.open(`${kind(part.kind)} ${part.name}`, partContent({ ...part, details: { ...contentOf(part), ...part.details } }, key, { toLines, noteOn })); chose(idOf(part)); } });
    this.list.element.addEventListener("click", (event) => this.clicked(event), { capture: true });
    for (const moved of ["wheel", "touchmove", "keydown", "pointerdown"]) this.list.element.addEventListener(moved, () => this.follow(false), { passive: true });
    this.scale = h("div.scale", { "aria-hidden": "true" });
    const card = h("div.card.chart", {}, this.bar(), this.scale, this.list.element);
    this.zoom = new Zoom(card, () => this.arrange());
    this.element = this.inspector.beside(card);
  }

  bar() {
    const button = (drawing, name, act, more = {}) => h("button.quiet", { type: "button", "aria-label": name, title: name, ...more, on: { click: act } }, icon(drawing));
    this.find = h("input", { type: "search", placeholder: "Search parts", "aria-label": "Search parts", maxlength: "200", on: { input: () => this.filter({ text: this.find.value.trim().toLowerCase() }), keydown: (event) => event.key === "Enter" && this.list.element.focus() } });
    this.bad = h("button.chip", { type: "button", "aria-pressed": "false", on: { click: () => this.filter({ badOnly: !this.badOnly }) } }, "Errors only");
    this.follower = h("button.chip", { type: "button", "aria-pressed": "false", hidden: true, on: { click: () => this.follow(!this.following) } }, "Follow");
    this.count = h("span.count", { role: "status" });
    this.steps = h("span.group", { role: "group", "aria-label": "Errors" }, button("up", "Previous error (N)", () => this.toFault(-1)), button("below", "Next error (n)", () => this.toFault(1)));
    return h("div.above-list", { role: "group", "aria-label": "What the waterfall shows" }, this.find, h("span.group", {}, this.bad, this.follower), this.steps,
      h("span.group", { role: "group", "aria-label": "Folding" }, button("fold", "Fold all", () => this.foldAll(true)), button("unfold", "Unfold all", () => this.foldAll(false))),
      h("span.group", { role: "group", "aria-label": "Zoom" }, button("minus", "Zoom out (-)", () => this.zoom.by(2)), button("plus", "Zoom in (+)", () => this.zoomIn()), button("whole", "Whole time (0)", () => this.zoom.reset())), this.count);
  }

  /** The whole tree: every part after the one it belongs to. */
  set(tree) {
    const isFirst = !this.tree.length;
    const chosen = this.list.items[this.list.at];
    [this.begin, this.end] = [Infinity, 0];
    this.parts = new Map();
    for (const part of tree) this.note(part);
    this.tree = tree;
    this.parents = parentsIn(tree);
    if (isFirst && tree.length > LONG) this.foldAll(true, (part) => part.depth && !part.errors && part.status === "completed");
    this.changed();
    // The parts are the same, but other objects.
    if (chosen) this.list.at = this.list.items.indexOf(this.parts.get(idOf(chosen)));
  }

  /** What is new or has changed; a new part comes after what it stands below or behind. */
  merge({ parts, anew }) {
    if (anew) this.set([]);
    for (const part of parts) {
      const known = this.parts.get(part.id);
      if (known) this.measure(Object.assign(known, part));
      else this.insert(part);
    }
    this.parents = parentsIn(this.tree);
    this.changed();
  }

  insert(part) {
    const parent = this.parts.get(part.parent);
    if (part.parent && !parent) return;
    part.depth = parent ? parent.depth + 1 : 0;
    const before = this.parts.get(part.after) ?? parent;
    // What is new is nearly always near the end.
    let at = before ? this.tree.lastIndexOf(before) + 1 : 0;
    if (before !== parent) while (at < this.tree.length && this.tree[at].depth > part.depth) at++;
    if (at === this.tree.length) this.tree.push(part);
    else this.tree.splice(at, 0, part);
    this.note(part);
  }

  note(part) {
    this.parts.set(idOf(part), part);
    this.measure(part);
  }

  measure(part) {
    if (!part.start_ns) return;
    this.begin = Math.min(this.begin, part.start_ns);
    this.end = Math.max(this.end, part.start_ns + (part.duration_ms ?? 0) * 1e6);
  }

  /** How the task stands; while it goes on, what is open takes until now. */
  stand(status) {
    if (this.status === undefined && ["running", "paused"].includes(status)) this.follow(true);
    this.status = status;
    this.goesOn = ["running", "paused"].includes(status);
    this.follower.hidden = !this.goesOn;
  }

  follow(on) {
    if (this.following === on) return;
    this.following = on;
    this.follower.setAttribute("aria-pressed", String(on));
    if (on) this.toWhatRuns();
  }

  /** The last part that goes on is on the screen. */
  toWhatRuns() {
    const { items } = this.list;
    for (let index = items.length - 1; index >= 0; index--) {
      if (index && !this.isOpen(items[index])) continue;
      this.list.reveal(index || items.length - 1);
      return;
    }
  }

  tick() {
    if (!this.goesOn || !this.element.isConnected) return;
    this.scaled();
    this.list.redraw();
  }

  isOpen(part) {
    return this.goesOn && !part.end_ns && ["running", "paused"].includes(part.status);
  }

  tookMs(part) {
    if (this.isOpen(part) && part.start_ns) return Math.max(0, Date.now() - part.start_ns / 1e6);
    // Of what nobody saw the end of, and nothing came after, it is not known how long it took.
    return part.duration_ms === 0 && !part.end_ns ? null : part.duration_ms;
  }

  changed() {
    this.faults = faults(this.tree);
    this.steps.hidden = this.bad.hidden = !this.faults.length && !this.badOnly;
    this.arrange();
    if (this.following) this.toWhatRuns();
  }

  filter({ text = this.text, badOnly = this.badOnly }) {
    [this.text, this.badOnly] = [text, badOnly];
    this.foldedHere = new Set();
    this.bad.setAttribute("aria-pressed", String(badOnly));
    this.arrange();
  }

  get isFiltered() {
    return Boolean(this.text || this.badOnly);
  }

  get folds() {
    return this.isFiltered ? this.foldedHere : this.folded;
  }

  /** Which parts there are to see, by folds, filters and zoom. */
  arrange() {
    this.scaled();
    const wanted = this.isFiltered || this.zoom.range ? (part) => this.wants(part) : null;
    const { shown, places } = visible(this.tree, this.folds, wanted);
    this.places = places;
    this.list.set(shown);
    const all = plural(this.tree.length, "part");
    const told = wanted ? `${plural(shown.filter((part) => this.wants(part)).length, "part")} of ${this.tree.length.toLocaleString("en-US")}` : all;
    this.count.textContent = this.faults.length ? `${told}, ${plural(this.faults.length, "error")}` : told;
  }

  wants(part) {
    if (this.badOnly && !isBad(part)) return false;
    if (this.text && !textOf(part).includes(this.text)) return false;
    const range = this.zoom.range;
    return !range || !part.start_ns || (part.start_ns < range[1] && part.start_ns + (this.tookMs(part) ?? 0) * 1e6 > range[0]);
  }

  scaled() {
    const begin = Number.isFinite(this.begin) ? this.begin : 0;
    const end = this.goesOn && begin ? Math.max(this.end, Date.now() * 1e6) : this.end;
    this.zoom.whole = [begin, begin + Math.max(1e5, end - begin)];
    [this.from, this.to] = this.zoom.shown;
    const ticks = [0, 0.25, 0.5, 0.75, 1].map((share) => this.from - begin + (this.to - this.from) * share);
    show(this.scale, h("span", {}, "What happened"), h("span.ticks.lane", {}, ticks.map((ns) => h("span", {}, ns > 0 ? duration(ns / 1e6) : "0"))), h("span.num", {}, "Time"), h("span.num", {}, "Cost"));
  }

  aria(part) {
    const place = this.places.get(part);
    const found = { "aria-level": part.depth + 1, "aria-posinset": place?.number ?? 1, "aria-setsize": place?.siblings.size ?? 1 };
    return this.parents.has(part) ? { ...found, "aria-expanded": !this.folds.has(idOf(part)) } : found;
  }

  row(part) {
    const bad = isBad(part);
    const [took, status] = [this.tookMs(part), this.isOpen(part) && part.kind !== "subtask" ? this.status : part.status];
    const given = part.details?.arguments && part.kind === "tool_run" ? brief(part.details.arguments) : "";
    const folded = this.parents.has(part) ? this.folds.has(idOf(part)) : null;
    return h("div", { class: bad ? "failed" : "" },
      h("span.label", { style: { "padding-left": `${Math.min(part.depth, 12) * 14}px` } },
        h("span.fold", { "aria-hidden": "true", data: folded === null ? {} : { folds: "" } }, folded === null ? null : icon(folded ? "closed" : "opened")),
        h("span.kind", { data: { kind: part.kind } }, kind(part.kind)),
        h("span.text", { title: `${part.name}  ${given}` }, marked(part.name, this.text), given ? h("span.given", {}, " ", marked(given, this.text)) : null),
        bad ? h("span.sign", {}, icon("cross"), words(part.status)) : part.errors && folded ? h("span.sign.below", {}, icon("cross"), plural(part.errors, "error")) : null,
        status === "completed" || bad ? null : h("span.unseen", {}, words(status))),
      h("span.lane", {}, this.drawnBar(part, took, status)), h("span.num", {}, duration(took)), h("span.num", {}, part.cost_usd || part.unpriced ? usd(part.cost_usd, part.unpriced) : ""));
  }

  drawnBar(part, took, status) {
    if (!part.start_ns) return null;
    const width = this.to - this.from;
    const share = (ns) => Math.max(0, Math.min(100, ((ns - this.from) / width) * 100));
    const [left, right] = [share(part.start_ns), share(part.start_ns + (took ?? 0) * 1e6)];
    return h("span.bar", { data: { kind: part.kind, status }, style: { left: `min(${left.toFixed(3)}%, calc(100% - 3px))`, width: `${(right - left).toFixed(3)}%` } });
  }

  clicked(event) {
    const row = event.target.closest("[data-folds]")?.closest("[data-index]");
    if (!row) return;
    event.stopPropagation();
    this.fold(this.list.items[Number(row.dataset.index)]);
  }

  fold(part, on = !this.folds.has(idOf(part))) {
    if (on) this.folds.add(idOf(part));
    else this.folds.delete(idOf(part));
    this.arrange();
  }

  foldAll(on, which = (part) => part.depth > 0) {
    this.folds.clear();
    if (on) for (const part of this.parents) if (which(part)) this.folds.add(idOf(part));
    this.arrange();
  }

  /** Left and right fold and unfold, or go to the part around and the first one within. */
  folding(key, part, index) {
    if (!part || !["ArrowLeft", "ArrowRight"].includes(key)) return false;
    const [holds, folded] = [this.parents.has(part), this.folds.has(idOf(part))];
    if (key === "ArrowRight" && holds && folded) this.fold(part, false);
    else if (key === "ArrowRight" && holds) this.list.choose(index + 1);
    else if (key === "ArrowLeft" && holds && !folded) this.fold(part, true);
    else if (key === "ArrowLeft") this.list.choose(this.list.items.indexOf(ancestors(this.tree, part)[0]));
    return true;
  }

  toFault(by) {
    if (!this.faults.length) return;
    const at = this.tree.indexOf(this.list.items[this.list.at]);
    const where = this.faults.map((part) => this.tree.indexOf(part));
    const next = by > 0 ? where.findIndex((place) => place > at) : where.findLastIndex((place) => place < at);
    const to = next >= 0 ? next : by > 0 ? 0 : where.length - 1;
    this.reveal(idOf(this.faults[to]));
    say(`error ${to + 1} of ${this.faults.length}`);
  }

  /** Chooses a part, with all unfolded that it stands in; whether there is one. */
  reveal(id, { focus = false } = {}) {
    const part = this.parts.get(id);
    if (!part) return false;
    this.follow(false);
    if (this.isFiltered && !this.wants(part)) {
      this.find.value = "";
      this.filter({ text: "", badOnly: false });
    }
    if (this.zoom.range && !this.wants(part)) this.zoom.reset();
    for (const around of ancestors(this.tree, part)) this.folds.delete(idOf(around));
    this.arrange();
    this.list.choose(this.list.items.indexOf(part));
    this.list.element.closest(".chart").scrollIntoView({ block: "nearest" });
    if (focus) this.list.element.focus({ preventScroll: true });
    return true;
  }

  zoomIn() {
    const part = this.list.items[this.list.at];
    this.zoom.by(0.5, part?.start_ns ? part.start_ns + ((this.tookMs(part) ?? 0) * 1e6) / 2 : undefined);
  }

  shown(visible) {
    if (!visible) return;
    this.list.restore();
    if (this.following) this.toWhatRuns();
  }

  pressed(name) {
    const acts = { n: () => this.toFault(1), N: () => this.toFault(-1), "+": () => this.zoomIn(), "-": () => this.zoom.by(2), 0: () => this.zoom.reset(), Escape: () => this.inspector.close() };
    if (!(name in acts)) return false;
    return acts[name]() !== false;
  }

  close() {
    this.list.close();
  }
}

const TEXTS = new WeakMap();

/** What a part is searched by. */
function textOf(part) {
  const known = TEXTS.get(part);
  if (known?.status === part.status) return known.text;
  const error = part.exception ? `${part.exception.type} ${part.exception.message} ${part.exception.error_id}` : "";
  const text = `${kind(part.kind)} ${part.kind} ${part.name} ${part.status} ${part.step_id ?? ""} ${part.reason ?? ""} ${brief(part.details?.arguments ?? "")} ${error}`.toLowerCase();
  TEXTS.set(part, { status: part.status, text });
  return text;
}

export function brief(values) {
  if (typeof values !== "object") return String(values).slice(0, 80);
  return Object.entries(values).map(([name, value]) => `${name}=${typeof value === "string" ? value : JSON.stringify(value)}`).join(" ").slice(0, 120);
}
