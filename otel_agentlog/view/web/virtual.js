// Hides how ten thousand rows scroll without lag: only those that can be seen exist. All rows have one height.

import { h, show } from "./dom.js";

const OVER = 12;
// Browsers lay out no element taller than some 17 to 33 million pixels.
const TALLEST = 12_000_000;
// What is printed is all that there is, up to so many rows.
const MOST_PRINTED = 1000;
export const printing = matchMedia("print");
const ITEM_ROLES = { listbox: "option", tree: "treeitem" };

export class VirtualList {
  /**
   * `draw(item, index)` makes a row; `chosen(item, index)` is told of a click, Enter, or a move by keys. `role`: listbox or tree;
   * `aria(item, index)`: further attributes of a row; `pressed(event, item, index)`: first look at a key, true if it was taken.
   */
  constructor({ className, label, height, draw, chosen, role = "listbox", aria, pressed }) {
    this.items = [];
    this.height = height;
    this.draw = draw;
    this.chosen = chosen ?? (() => {});
    this.aria = aria ?? ((item, index) => ({ "aria-posinset": index + 1, "aria-setsize": this.items.length }));
    this.takes = pressed ?? (() => false);
    this.itemRole = ITEM_ROLES[role];
    this.name = className.split(" ").at(-1);
    this.at = -1;
    this.window = h("div.at", {});
    this.room = h("div.room", {}, this.window);
    this.element = h("div", { class: `list ${className}`, tabindex: "0", role, "aria-label": label }, this.room);
    this.element.addEventListener("scroll", () => { this.scrolled = this.element.scrollTop; this.later(); }, { passive: true });
    this.element.addEventListener("keydown", (event) => this.key(event));
    this.element.addEventListener("click", (event) => this.click(event));
    this.element.addEventListener("focus", () => this.entered());
    // A row that is drawn anew between press and release would not be clicked.
    this.element.addEventListener("pointerdown", () => this.press());
    this.watch = new ResizeObserver(() => this.later());
    this.watch.observe(this.element);
    this.printed = () => this.redraw();
    printing.addEventListener("change", this.printed);
  }

  /** Other items; the place in the list and the chosen item stay. */
  set(items) {
    const item = this.items[this.at];
    this.at = item === undefined || items[this.at] === item ? Math.min(this.at, items.length - 1) : items.indexOf(item);
    this.items = items;
    this.room.style.height = `${Math.min(items.length * this.height, TALLEST)}px`;
    this.redraw();
  }

  isAtEnd() {
    return this.element.scrollTop + this.element.clientHeight >= this.room.offsetHeight - this.height * 2;
  }

  /** Where it was scrolled to before it was taken out of the page. */
  restore() {
    this.element.scrollTop = this.scrolled ?? 0;
    this.redraw();
  }

  /** The same items, as they are now. */
  redraw() {
    this.from = this.to = null;
    this.later();
  }

  press() {
    this.pressed = true;
    const release = new AbortController();
    for (const end of ["pointerup", "pointercancel"]) addEventListener(end, () => {
      release.abort();
      // The click comes after this.
      setTimeout(() => { this.pressed = false; this.later(); }, 0);
    }, { signal: release.signal });
  }

  later() {
    if (this.waiting || this.pressed) return;
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
    const [first, last] = this.near();
    if (first === this.from && last === this.to && this.painted === this.at) return;
    [this.from, this.to, this.painted] = [first, last, this.at];
    const rows = [];
    for (let index = first; index < last; index++) rows.push(this.row(index));
    this.window.style.transform = `translateY(${first * this.step}px)`;
    show(this.window, rows);
    if (this.at >= first && this.at < last) this.element.setAttribute("aria-activedescendant", this.idOf(this.at));
    else this.element.removeAttribute("aria-activedescendant");
  }

  /** The first row to draw, and the one after the last. */
  near() {
    if (printing.matches) return [0, Math.min(this.items.length, MOST_PRINTED)];
    const top = this.element.scrollTop;
    return [Math.max(0, Math.floor(top / this.step) - OVER), Math.min(this.items.length, Math.ceil(top / this.step + this.element.clientHeight / this.height) + OVER)];
  }

  idOf(index) {
    return `${this.name}-${index}`;
  }

  row(index) {
    const row = this.draw(this.items[index], index);
    row.classList.add("item");
    row.id = this.idOf(index);
    row.dataset.index = index;
    row.setAttribute("role", this.itemRole);
    row.setAttribute("aria-selected", index === this.at);
    for (const [name, value] of Object.entries(this.aria(this.items[index], index))) row.setAttribute(name, value);
    return row;
  }

  click(event) {
    const row = event.target.closest("[data-index]");
    if (row && !event.target.closest("button, a")) this.choose(Number(row.dataset.index));
  }

  /** Who comes in by keyboard stands on a row, which is not opened yet. */
  entered() {
    if (this.at >= 0 || !this.items.length) return;
    this.at = Math.min(this.items.length - 1, Math.ceil(this.element.scrollTop / this.step));
    this.later();
  }

  choose(index) {
    if (index < 0 || index >= this.items.length) return;
    this.at = index;
    this.reveal(index);
    this.chosen(this.items[index], index);
  }

  /** Scrolls as little as makes a row visible; to the middle if it was far away. */
  reveal(index) {
    const top = index * this.step;
    const view = this.element;
    const room = view.clientHeight;
    const far = top < view.scrollTop - room || top > view.scrollTop + 2 * room;
    if (far) view.scrollTop = top - room / 2;
    else if (top < view.scrollTop) view.scrollTop = top;
    else if (top + this.height > view.scrollTop + room) view.scrollTop = top + this.height - room;
    this.later();
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const taken = this.takes(event, this.items[this.at], this.at);
    const to = taken ? null : this.target(event.key);
    if (!taken && to === null) return;
    event.preventDefault();
    event.stopPropagation();
    if (to !== null) this.choose(to);
  }

  target(key) {
    const page = Math.max(1, Math.floor(this.element.clientHeight / this.height) - 1);
    const moves = { ArrowDown: 1, j: 1, ArrowUp: -1, k: -1, PageDown: page, PageUp: -page };
    if (key in moves) return Math.max(0, Math.min(this.items.length - 1, this.at + moves[key]));
    if (key === "Home") return 0;
    if (key === "End") return this.items.length - 1;
    return key === "Enter" || key === " " ? Math.max(0, this.at) : null;
  }

  close() {
    this.watch.disconnect();
    printing.removeEventListener("change", this.printed);
    cancelAnimationFrame(this.waiting);
  }
}
