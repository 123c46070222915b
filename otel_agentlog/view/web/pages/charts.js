// Hides how small plots are drawn, as SVG, with a sentence for those who do not see them.

import { h, s } from "../dom.js";
import { clock } from "../format.js";

/** A line over time without axes. */
export function spark(values) {
  const known = values.filter((value) => value !== null);
  if (known.length < 2) return null;
  const most = Math.max(...known) || 1;
  const point = (value, index) => `${((index / (values.length - 1)) * 100).toFixed(2)},${(28 - ((value ?? 0) / most) * 25).toFixed(2)}`;
  const line = values.map(point).join("L");
  return s("svg.spark", { viewBox: "0 0 100 30", preserveAspectRatio: "none", "aria-hidden": "true" },
    s("path.area", { d: `M0,30L${line}L100,30Z` }), s("path", { d: `M${line}` }));
}

/** Bars over time: tasks that completed below, those that failed on top. */
export function bars({ first_ns, last_ns, bucket_s, spans }) {
  const width = bucket_s * 1e9;
  const byStart = new Map(spans.map((span) => [Math.round((span.start_ns - first_ns) / width), span]));
  const number = Math.max(1, Math.min(200, Math.round((last_ns - first_ns) / width) + 1));
  const most = Math.max(1, ...spans.map((span) => span.tasks));
  const [W, H] = [100, 100];
  const slot = W / number;
  const drawn = [];
  for (let index = 0; index < number; index++) {
    const span = byStart.get(index);
    const x = index * slot + slot * 0.14;
    const wide = slot * 0.72;
    if (span?.tasks) {
      const bad = (span.failed / most) * (H - 4);
      const good = ((span.tasks - span.failed) / most) * (H - 4);
      drawn.push(s("rect.ok", { x, y: H - good, width: wide, height: good }), s("rect.bad", { x, y: H - good - bad, width: wide, height: bad }));
    }
    const begin = (first_ns + index * width) / 1e6;
    const told = `${clock(begin).slice(0, 5)}–${clock(begin + bucket_s * 1000).slice(0, 5)}: ${span?.tasks ?? 0} tasks, ${span?.failed ?? 0} failed`;
    drawn.push(s("rect.hover", { x: index * slot, y: 0, width: slot, height: H }, s("title", {}, told)));
  }
  const total = spans.reduce((sum, span) => sum + span.tasks, 0);
  const failed = spans.reduce((sum, span) => sum + span.failed, 0);
  const lines = [0.02, 0.5, 1].map((share) => s("line", { x1: 0, x2: W, y1: share * H, y2: share * H }));
  const label = `Tasks over time: ${total} tasks, ${failed} failed, at most ${most} in one span`;
  const middle = (first_ns + last_ns) / 2;
  return h("figure", {},
    s("svg.bars", { viewBox: `0 0 ${W} ${H}`, preserveAspectRatio: "none", role: "img", "aria-label": label }, lines, drawn),
    h("div.axis", { "aria-hidden": "true" }, [first_ns, middle, last_ns].map((ns, index) => h("span", {}, index === 2 ? "now" : clock(ns / 1e6).slice(0, 5)))));
}

/** Names with amounts, the largest first, each with a bar; `bad` of `amount` in red. */
export function ranks(entries, className = "") {
  const most = Math.max(1e-9, ...entries.map((entry) => entry.amount));
  return h("ul", { class: `ranks ${className}` }, entries.map((entry) => {
    const share = (amount) => ({ width: `${((amount / most) * 100).toFixed(2)}%` });
    return h("li.rank", {}, h("span.name", { title: entry.name }, entry.name), h("span.amount", {}, entry.told),
      h("span.track", { "aria-hidden": "true" }, h("i", { style: share(entry.amount - (entry.bad ?? 0)) }), entry.bad ? h("i.bad", { style: share(entry.bad) }) : null));
  }));
}
