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

/** Bars over time: tasks that completed below, those that failed on top; `hrefOf(from_ms, until_ms)` leads to the tasks of a bar. */
export function bars({ first_ns, last_ns, bucket_s, spans }, hrefOf) {
  const width = bucket_s * 1e9;
  const byStart = new Map(spans.map((span) => [Math.round((span.start_ns - first_ns) / width), span]));
  const number = Math.max(1, Math.min(200, Math.round((last_ns - first_ns) / width) + 1));
  const most = Math.max(1, ...spans.map((span) => span.tasks));
  const [W, H] = [100, 100];
  const slot = W / number;
  const drawn = [];
  for (let index = 0; index < number; index++) {
    const span = byStart.get(index);
    if (!span?.tasks) continue;
    const [x, wide] = [index * slot + slot * 0.14, slot * 0.72];
    const bad = (span.failed / most) * (H - 4);
    const good = ((span.tasks - span.failed) / most) * (H - 4);
    const begin = (first_ns + index * width) / 1e6;
    const told = `${stamp(begin, bucket_s)}–${stamp(begin + bucket_s * 1000, bucket_s)}: ${span.tasks} tasks, ${span.failed} failed`;
    // By keyboard the list has the same, with its filters; 48 stops of the Tab key would be in the way.
    drawn.push(s("a", { href: hrefOf(begin, begin + bucket_s * 1000), "aria-label": told, tabindex: "-1" }, s("title", {}, told),
      s("rect.ok", { x, y: H - good, width: wide, height: good }), s("rect.bad", { x, y: H - good - bad, width: wide, height: bad }), s("rect.hover", { x: index * slot, y: 0, width: slot, height: H })));
  }
  const total = spans.reduce((sum, span) => sum + span.tasks, 0);
  const failed = spans.reduce((sum, span) => sum + span.failed, 0);
  const lines = [0.02, 0.5, 1].map((share) => s("line", { x1: 0, x2: W, y1: share * H, y2: share * H }));
  const label = `Tasks over time: ${total} tasks, ${failed} failed, at most ${most} in one span`;
  const middle = (first_ns + last_ns) / 2;
  return h("figure", {},
    s("svg.bars", { viewBox: `0 0 ${W} ${H}`, preserveAspectRatio: "none", role: "group", "aria-label": label }, lines, drawn),
    h("div.axis", { "aria-hidden": "true" }, [first_ns, middle, last_ns].map((ns, index) => h("span", {}, index === 2 ? "now" : stamp(ns / 1e6, bucket_s)))));
}

const A_DAYS_BUCKET = 1800;

/** A time of the day, or, where the chart is of more than a day, the day too. */
function stamp(ms, bucket_s) {
  const day = bucket_s > A_DAYS_BUCKET ? `${new Date(ms).toLocaleDateString("en-GB", { day: "numeric", month: "short" })} ` : "";
  return `${day}${clock(ms).slice(0, 5)}`;
}

/** Names with amounts, the largest first, each with a bar; `bad` of `amount` in red; those with an `href` are links. */
export function ranks(entries, className = "") {
  const most = Math.max(1e-9, ...entries.map((entry) => entry.amount));
  return h("ul", { class: `ranks ${className}` }, entries.map((entry) => {
    const share = (amount) => ({ width: `${((amount / most) * 100).toFixed(2)}%` });
    const name = entry.href ? h("a.name", { href: entry.href, title: entry.name }, entry.name) : h("span.name", { title: entry.name }, entry.name);
    return h("li.rank", {}, name, h("span.amount", {}, entry.told),
      h("span.track", { "aria-hidden": "true" }, h("i", { style: share(entry.amount - (entry.bad ?? 0)) }), entry.bad ? h("i.bad", { style: share(entry.bad) }) : null));
  }));
}
