// When each part of a task ran, for how long, inside what.

import { h, show } from "../dom.js";
import { duration, kind, usd } from "../format.js";
import { Inspector, partContent } from "./inspector.js";
import { VirtualList } from "../virtual.js";

export class Waterfall {
  constructor(key) {
    this.inspector = new Inspector();
    this.list = new VirtualList({ className: "falls", label: "Parts of the task", height: 30, draw: (entry) => this.row(entry), chosen: (entry) => this.inspector.open(`${kind(entry.kind)} ${entry.name}`, partContent(entry, key)) });
    this.scale = h("div.scale", { "aria-hidden": "true" });
    this.element = this.inspector.beside(h("div.card", {}, this.scale, this.list.element));
  }

  set(tree) {
    const starts = tree.map((entry) => entry.start_ns).filter(Boolean);
    this.begin = Math.min(...chunked(starts, Math.min));
    const ends = tree.filter((entry) => entry.start_ns).map((entry) => entry.start_ns + (entry.duration_ms ?? 0) * 1e6);
    this.span = Math.max(1e5, chunked(ends, Math.max).reduce((most, end) => Math.max(most, end), 0) - this.begin);
    const ticks = [0, 0.25, 0.5, 0.75, 1].map((share) => h("span", {}, share ? duration((this.span * share) / 1e6) : "0"));
    show(this.scale, h("span", {}, "What happened"), h("span.ticks", {}, ticks), h("span.num", {}, "Time"), h("span.num", {}, "Cost"));
    this.list.set(tree);
  }

  row(entry) {
    const failed = ["failed", "timed_out"].includes(entry.status);
    const from = entry.start_ns ? ((entry.start_ns - this.begin) / this.span) * 100 : 0;
    const wide = (((entry.duration_ms ?? 0) * 1e6) / this.span) * 100;
    const bar = entry.start_ns ? h("span.bar", { data: { kind: entry.kind, status: entry.status }, style: { left: `min(${from.toFixed(3)}%, calc(100% - 3px))`, width: `${Math.min(wide, 100 - from).toFixed(3)}%` } }) : null;
    const name = entry.details?.arguments && entry.kind === "tool_run" ? `${entry.name}  ${brief(entry.details.arguments)}` : entry.name;
    return h("div", { class: failed ? "failed" : "", "aria-label": `${kind(entry.kind)} ${entry.name}, ${entry.status}, ${duration(entry.duration_ms)}` },
      h("span.label", { style: { "padding-left": `${Math.min(entry.depth, 12) * 14}px` } }, h("span.kind", { data: { kind: entry.kind } }, kind(entry.kind)), h("span.text", { title: name }, name)),
      h("span.lane", {}, bar), h("span.num", {}, duration(entry.duration_ms)), h("span.num", {}, entry.cost_usd ? usd(entry.cost_usd) : ""));
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

/** The most or least of many numbers, without a call of a hundred thousand arguments. */
function chunked(numbers, of) {
  const found = [];
  for (let index = 0; index < numbers.length; index += 10000) found.push(of(...numbers.slice(index, index + 10000)));
  return found.length ? found : [0];
}
