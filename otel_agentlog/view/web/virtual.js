// Hides how ten thousand rows scroll without lag: only those that can be seen exist. All rows have one height.

import { h, show } from "./dom.js";

const OVER = 12;
// Browsers lay out no element taller than some 17 to 33 million pixels.
const TALLEST = 12_000_000;

export class VirtualList {
  /** `draw(item, index)` makes a row; `chosen(item, index)` is told of a click, Enter, or a move by keys. */
  constructor({ className, label, height, draw, chosen }) {
    this.items = [];
    this.height = height;
    this.draw = draw;
    this.chosen = chosen ?? (() => {});
    this.at = -1;
    this.stick = false;
    this.window = h("div.at", {});
    this.room = h("div.room", {}, this.window);
    this.element = h("div", { class: `list ${className}`, tabindex: "0", role: "listbox", "aria-label": label }, this.room);
    this.element.addEventListener("scroll", () => this.later(), { passive: true });
    this.element.addEventListener("keydown", (event) => this.key(event));
    this.element.addEventListener("click", (event) => this.click(event));
    this.watch = new ResizeObserver(() => this.later());
    this.watch.observe(this.element);
  }

  /** Other items; the place in the list stays, at the end it goes with the end if `follow`. */
  set(items, { follow = false } = {}) {
    const atEnd = this.element.scrollTop + this.element.clientHeight >= this.room.offsetHeight - this.height * 2;
    this.items = items;
    this.at = Math.min(this.at, items.length - 1);
    this.room.style.height = `${Math.min(items.length * this.height, TALLEST)}px`;
    this.from = this.to = null;
    if (follow && atEnd) this.element.scrollTop = this.room.offsetHeight;
    this.later();
  }

  later() {
    if (this.waiting) return;
    this.waiting = requestAnimationFrame(() => {
      this.waiting = null;
      this.paint();
    });
  }

  /** Pixels of scrolling that stand for one row; fewer than its height in a list too tall for browsers. */
  get step() {
    return Math.min(this.height, TALLEST / Math.max(1, this.items.length));
  }

  paint() {
    const top = this.element.scrollTop;
    const first = Math.max(0, Math.floor(top / this.step) - OVER);
    const last = Math.min(this.items.length, Math.ceil(top / this.step + this.element.clientHeight / this.height) + OVER);
    if (first === this.from && last === this.to && this.painted === this.at) return;
    [this.from, this.to, this.painted] = [first, last, this.at];
    const rows = [];
    for (let index = first; index < last; index++) rows.push(this.row(index));
    this.window.style.transform = `translateY(${first * this.step}px)`;
    show(this.window, rows);
    this.element.setAttribute("aria-activedescendant", this.at >= first && this.at < last ? this.idOf(this.at) : "");
  }

  idOf(index) {
    return `row-${index}`;
  }

  row(index) {
    const row = this.draw(this.items[index], index);
    row.classList.add("item");
    row.id = this.idOf(index);
    row.dataset.index = index;
    row.setAttribute("role", "option");
    row.setAttribute("aria-posinset", index + 1);
    row.setAttribute("aria-setsize", this.items.length);
    row.setAttribute("aria-selected", index === this.at);
    return row;
  }

  click(event) {
    const row = event.target.closest("[data-index]");
    if (row && !event.target.closest("button, a")) this.choose(Number(row.dataset.index));
  }

  choose(index) {
    if (index < 0 || index >= this.items.length) return;
    this.at = index;
    const top = index * this.step;
    const view = this.element;
    if (top < view.scrollTop) view.scrollTop = top;
    else if (top + this.height > view.scrollTop + view.clientHeight) view.scrollTop = top + this.height - view.clientHeight;
    this.later();
    this.chosen(this.items[index], index);
  }

  key(event) {
    const page = Math.max(1, Math.floor(this.element.clientHeight / this.height) - 1);
    const moves = { ArrowDown: 1, j: 1, ArrowUp: -1, k: -1, PageDown: page, PageUp: -page };
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    let to = null;
    if (event.key in moves) to = Math.max(0, Math.min(this.items.length - 1, this.at + moves[event.key]));
    else if (event.key === "Home") to = 0;
    else if (event.key === "End") to = this.items.length - 1;
    else if (event.key === "Enter" || event.key === " ") to = Math.max(0, this.at);
    if (to === null) return;
    event.preventDefault();
    event.stopPropagation();
    this.choose(to);
  }

  close() {
    this.watch.disconnect();
    cancelAnimationFrame(this.waiting);
  }
}
