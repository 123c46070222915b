// Hides which span of time a chart shows, and how one is drawn over it with the pointer.

import { h } from "../dom.js";

const LEAST_NS = 1e4;
const A_DRAG = 6;

export class Zoom {
  /** The lanes in `card` may be drawn over; `changed` is told of another range. */
  constructor(card, changed) {
    [this.whole, this.range, this.changed, this.card] = [[0, 1], null, changed, card];
    this.band = h("div.band", { hidden: true });
    card.append(this.band);
    card.addEventListener("pointerdown", (event) => this.begin(event));
  }

  /** From where to where, in nanoseconds since 1970. */
  get shown() {
    return this.range ?? this.whole;
  }

  to(from, until) {
    const [first, last] = this.whole;
    const wide = Math.max(LEAST_NS, until - from);
    const begin = Math.max(first, Math.min(from, last - wide));
    this.range = wide >= last - first ? null : [begin, begin + wide];
    this.changed();
  }

  /** Twice as much, or half of it, around a moment. */
  by(factor, around) {
    const [from, until] = this.shown;
    const middle = around ?? (from + until) / 2;
    const half = ((until - from) * factor) / 2;
    this.to(middle - half, middle + half);
  }

  reset() {
    if (!this.range) return;
    this.range = null;
    this.changed();
  }

  begin(event) {
    const lane = event.button === 0 && event.pointerType !== "touch" ? event.target.closest(".lane") : null;
    if (!lane) return;
    const room = lane.getBoundingClientRect();
    const drag = new AbortController();
    const within = (x) => Math.max(0, Math.min(1, (x - room.left) / room.width));
    const ends = (x) => [within(event.clientX), within(x)].sort((one, other) => one - other);
    const isDrag = (x) => Math.abs(x - event.clientX) > A_DRAG;
    addEventListener("pointermove", (moved) => {
      if (isDrag(moved.clientX)) this.mark(room, ends(moved.clientX));
    }, { signal: drag.signal });
    addEventListener("pointerup", (ended) => {
      drag.abort();
      this.band.hidden = true;
      if (!isDrag(ended.clientX)) return;
      // The click that follows is the end of a drag, and chooses nothing.
      const click = new AbortController();
      addEventListener("click", (end) => end.stopPropagation(), { capture: true, signal: click.signal });
      setTimeout(() => click.abort(), 0);
      const [from, until] = this.shown;
      const [begin, end] = ends(ended.clientX);
      this.to(from + (until - from) * begin, from + (until - from) * end);
    }, { signal: drag.signal });
  }

  mark(room, [begin, end]) {
    this.band.hidden = false;
    const left = room.left - this.card.getBoundingClientRect().left;
    this.band.style.left = `${left + room.width * begin}px`;
    this.band.style.width = `${room.width * (end - begin)}px`;
  }
}
