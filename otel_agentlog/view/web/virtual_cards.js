// Hides how thousands of cards of any height scroll: only those near the screen exist. Heights are guessed until they are seen.

import { h, icon } from "./dom.js";
import { printing } from "./virtual.js";

const OVER_PX = 600;
const GUESS_PX = 96;
const GAP_PX = 10;
const MOST_PRINTED = 500;

export class VirtualCards {
  /** `draw(card)` makes an element; cards are objects, and the same object is the same card. */
  constructor({ className, label, draw }) {
    [this.cards, this.heights, this.drawn, this.opened] = [[], new WeakMap(), new Map(), new Map()];
    [this.draw, this.following] = [draw, false];
    this.window = h("div", { class: `at ${className}` });
    this.room = h("div.room", {}, this.window);
    this.view = h("div.list.cards", { tabindex: "0", role: "log", "aria-label": label, "aria-live": "off" }, this.room);
    this.latest = h("button.button.latest", { type: "button", hidden: true, on: { click: () => this.toEnd() } }, icon("below"), "To the latest");
    this.element = h("div.card.talking", {}, this.view, this.latest);
    this.view.addEventListener("scroll", () => this.scrolled(), { passive: true });
    this.view.addEventListener("keydown", (event) => this.key(event));
    this.watch = new ResizeObserver((entries) => this.measured(entries));
    this.watch.observe(this.view);
    this.printed = () => this.later();
    printing.addEventListener("change", this.printed);
  }

  /** All cards; `changed` are those to draw again. At the end it goes with the end. */
  set(cards, changed = []) {
    this.cards = cards;
    for (const card of changed) this.redraw(card);
    this.tops = null;
    this.later();
  }

  redraw(card) {
    this.opened.delete(card);
    const old = this.drawn.get(card);
    if (!old) return;
    const element = this.make(card);
    this.watch.unobserve(old);
    old.replaceWith(element);
  }

  make(card) {
    const element = this.opened.get(card) ?? this.draw(card);
    this.opened.delete(card);
    this.drawn.set(card, element);
    this.watch.observe(element);
    return element;
  }

  later() {
    if (this.waiting || !this.view.isConnected) return;
    this.waiting = requestAnimationFrame(() => {
      this.waiting = null;
      this.paint();
    });
  }

  heightOf(card) {
    return this.heights.get(card) ?? GUESS_PX;
  }

  /** Where each card begins, and the end of all, in pixels. */
  places() {
    if (this.tops) return this.tops;
    this.tops = new Float64Array(this.cards.length + 1);
    for (let index = 0; index < this.cards.length; index++) this.tops[index + 1] = this.tops[index] + this.heightOf(this.cards[index]) + GAP_PX;
    return this.tops;
  }

  /** The card at a place. */
  cardAt(px) {
    const tops = this.places();
    let [low, high] = [0, this.cards.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (tops[middle + 1] <= px) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  paint() {
    const tops = this.places();
    this.room.style.height = `${tops[this.cards.length]}px`;
    if (this.following && !this.left) this.view.scrollTop = this.room.offsetHeight;
    const [first, last] = printing.matches ? [0, MOST_PRINTED] : [this.cardAt(this.view.scrollTop - OVER_PX), this.cardAt(this.view.scrollTop + this.view.clientHeight + OVER_PX) + 1];
    const shown = this.cards.slice(first, last);
    const wanted = new Set(shown);
    for (const [card, element] of this.drawn) if (!wanted.has(card)) this.drop(card, element);
    let next = this.window.firstChild;
    for (const card of shown) {
      const element = this.drawn.get(card) ?? this.make(card);
      if (element === next) next = next.nextSibling;
      else this.window.insertBefore(element, next);
    }
    this.window.style.transform = `translateY(${tops[first] ?? 0}px)`;
    this.told();
  }

  drop(card, element) {
    this.watch.unobserve(element);
    // What somebody has opened is found open again.
    if (element.querySelector("details[open]")) this.opened.set(card, element);
    this.drawn.delete(card);
    element.remove();
  }

  /** Heights as they are; what is above the screen must not move what is on it. */
  measured(entries) {
    const byElement = new Map([...this.drawn].map(([card, element]) => [element, card]));
    const anchor = this.cardAt(this.view.scrollTop);
    const within = this.view.scrollTop - this.places()[anchor];
    let changed = false;
    for (const { target } of entries) {
      const card = byElement.get(target);
      if (card === undefined || !target.isConnected || this.heights.get(card) === target.offsetHeight) continue;
      this.heights.set(card, target.offsetHeight);
      changed = true;
    }
    if (changed) {
      this.tops = null;
      const tops = this.places();
      this.room.style.height = `${tops[this.cards.length]}px`;
      this.view.scrollTop = this.following && !this.left ? this.room.offsetHeight : tops[anchor] + within;
    }
    this.later();
  }

  isAtEnd() {
    return this.view.scrollTop + this.view.clientHeight >= this.room.offsetHeight - 60;
  }

  scrolled() {
    const top = this.view.scrollTop;
    // Only who goes up leaves the end; that cards turn out to be taller leaves nothing.
    if (this.isAtEnd()) this.left = false;
    else if (top < (this.place ?? 0) - 1) this.left = true;
    this.place = top;
    this.later();
  }

  /** Where it was scrolled to before it was taken out of the page. */
  restore() {
    this.view.scrollTop = this.place ?? 0;
    this.later();
  }

  told() {
    this.latest.hidden = this.isAtEnd() || this.room.offsetHeight <= this.view.clientHeight;
  }

  toEnd() {
    this.view.scrollTop = this.room.offsetHeight;
    this.left = false;
    // The last ones are measured only once they are seen.
    requestAnimationFrame(() => requestAnimationFrame(() => { this.view.scrollTop = this.room.offsetHeight; }));
    this.view.focus({ preventScroll: true });
  }

  key(event) {
    if (event.target !== this.view || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "End") this.toEnd();
    else if (event.key === "Home") this.view.scrollTop = 0;
    else if (event.key === "j" || event.key === "k") this.view.scrollTop += event.key === "j" ? 120 : -120;
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  close() {
    this.watch.disconnect();
    printing.removeEventListener("change", this.printed);
    cancelAnimationFrame(this.waiting);
  }
}
