// When each part of a task ran, for how long, inside what.

import { h, show } from "../dom.js";
import { duration, kind, usd } from "../format.js";
import { Inspector, partContent } from "./inspector.js";
import { VirtualList } from "../virtual.js";

export class Waterfall {
  constructor(key) {
    this.tree = [];
    this.parts = new Map();
    [this.begin, this.end, this.goesOn] = [Infinity, 0, false];
    this.inspector = new Inspector();
    this.list = new VirtualList({ className: "falls", label: "Parts of the task", height: 30, draw: (entry) => this.row(entry), chosen: (entry) => this.inspector.open(`${kind(entry.kind)} ${entry.name}`, partContent(entry, key)) });
    this.scale = h("div.scale", { "aria-hidden": "true" });
    this.element = this.inspector.beside(h("div.card", {}, this.scale, this.list.element));
  }

  /** The whole tree: every part after the one it belongs to. */
  set(tree) {
    [this.begin, this.end] = [Infinity, 0];
    this.parts = new Map();
    for (const entry of tree) this.note(entry);
    this.tree = tree;
    this.paint();
  }

  /** What is new or has changed; a new part comes after what it stands below or behind. */
  merge({ parts, anew }) {
    if (anew) this.set([]);
    for (const part of parts) {
      const known = this.parts.get(part.id);
      if (known) this.measure(Object.assign(known, part));
      else this.insert(part);
    }
    this.paint();
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

  note(entry) {
    this.parts.set(entry.span_id ?? `sub-task ${entry.details?.task_id}`, entry);
    this.measure(entry);
  }

  measure(entry) {
    if (!entry.start_ns) return;
    this.begin = Math.min(this.begin, entry.start_ns);
    this.end = Math.max(this.end, entry.start_ns + (entry.duration_ms ?? 0) * 1e6);
  }

  /** How the task stands; while it goes on, what is open takes until now. */
  stand(status) {
    this.status = status;
    this.goesOn = ["running", "paused"].includes(status);
  }

  tick() {
    if (this.goesOn && this.element.isConnected) this.paint();
  }

  isOpen(entry) {
    return this.goesOn && !entry.end_ns && ["running", "paused"].includes(entry.status);
  }

  tookMs(entry) {
    return this.isOpen(entry) && entry.start_ns ? Math.max(0, Date.now() - entry.start_ns / 1e6) : entry.duration_ms;
  }

  paint() {
    const begin = Number.isFinite(this.begin) ? this.begin : 0;
    this.span = Math.max(1e5, (this.goesOn && begin ? Math.max(this.end, Date.now() * 1e6) : this.end) - begin);
    const ticks = [0, 0.25, 0.5, 0.75, 1].map((share) => h("span", {}, share ? duration((this.span * share) / 1e6) : "0"));
    show(this.scale, h("span", {}, "What happened"), h("span.ticks", {}, ticks), h("span.num", {}, "Time"), h("span.num", {}, "Cost"));
    this.list.set(this.tree);
  }

  row(entry) {
    const failed = ["failed", "timed_out"].includes(entry.status);
    const [took, status] = [this.tookMs(entry), this.isOpen(entry) && entry.kind !== "subtask" ? this.status : entry.status];
    const from = entry.start_ns ? ((entry.start_ns - this.begin) / this.span) * 100 : 0;
    const wide = (((took ?? 0) * 1e6) / this.span) * 100;
    const bar = entry.start_ns ? h("span.bar", { data: { kind: entry.kind, status }, style: { left: `min(${from.toFixed(3)}%, calc(100% - 3px))`, width: `${Math.min(wide, 100 - from).toFixed(3)}%` } }) : null;
    const name = entry.details?.arguments && entry.kind === "tool_run" ? `${entry.name}  ${brief(entry.details.arguments)}` : entry.name;
    return h("div", { class: failed ? "failed" : "", "aria-label": `${kind(entry.kind)} ${entry.name}, ${status}, ${duration(took)}` },
      h("span.label", { style: { "padding-left": `${Math.min(entry.depth, 12) * 14}px` } }, h("span.kind", { data: { kind: entry.kind } }, kind(entry.kind)), h("span.text", { title: name }, name)),
      h("span.lane", {}, bar), h("span.num", {}, duration(took)), h("span.num", {}, entry.cost_usd ? usd(entry.cost_usd) : ""));
  }

  pressed(name) {
    return name === "Escape" && this.inspector.close();
  }

  close() {
    this.list.close();
  }
}

function brief(values) {
  if (typeof values !== "object") return String(values).slice(0, 80);
  return Object.entries(values).map(([name, value]) => `${name}=${typeof value === "string" ? value : JSON.stringify(value)}`).join(" ").slice(0, 120);
}
