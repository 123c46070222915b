// The views of a task, one at a time: a tab list as screen readers know it.

import { h, show } from "../dom.js";

const TABS = [["waterfall", "Waterfall"], ["conversation", "Conversation"], ["logs", "Lines"], ["flow", "Webhook flow"], ["result", "Result"], ["files", "Files"]];

export class Tabs {
  /** `parts` by name; `chose(name)` is told of another view. */
  constructor(parts, first, chose) {
    this.parts = parts;
    this.chose = chose;
    this.at = TABS.some(([name]) => name === first) ? first : "waterfall";
    this.buttons = new Map(TABS.map(([name, title]) => [name, h("button", { type: "button", role: "tab", id: `tab-${name}`, "aria-controls": "tab-panel", on: { click: () => this.choose(name) } }, title, " ", h("small", {}))]));
    // Few tasks come in by a webhook.
    this.buttons.get("flow").hidden = this.at !== "flow";
    this.bar = h("div.tabs", { role: "tablist", "aria-label": "Views of the task", on: { keydown: (event) => this.arrows(event) } }, [...this.buttons.values()]);
    this.panel = h("div#tab-panel", { role: "tabpanel" });
    this.show(this.at);
  }

  choose(name) {
    if (name === this.at) return;
    this.show(name);
    this.chose(name);
  }

  show(name) {
    this.parts[this.at].shown?.(false);
    this.at = name;
    for (const [other, button] of this.buttons) {
      button.setAttribute("aria-selected", String(other === name));
      button.tabIndex = other === name ? 0 : -1;
    }
    this.reveal();
    this.panel.setAttribute("aria-labelledby", `tab-${name}`);
    show(this.panel, this.parts[name].element);
    this.parts[name].shown?.(true);
  }

  /** On a narrow screen the chosen one is in sight. */
  reveal() {
    this.buttons.get(this.at).scrollIntoView({ block: "nearest", inline: "nearest" });
  }

  get names() {
    return [...this.buttons.keys()].filter((name) => !this.buttons.get(name).hidden);
  }

  arrows(event) {
    const names = this.names;
    const to = { ArrowRight: names.indexOf(this.at) + 1, ArrowLeft: names.indexOf(this.at) + names.length - 1, Home: 0, End: names.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    this.choose(names[to % names.length]);
    this.buttons.get(this.at).focus();
  }

  /** A digit chooses a view; j, k and Enter go into its list. */
  key(name) {
    const chosen = this.names[Number(name) - 1];
    if (chosen) this.choose(chosen);
    const list = this.parts[this.at].list;
    if ((name === "j" || name === "k" || name === "Enter") && list) {
      const to = list.at + { j: 1, k: -1, Enter: 0 }[name];
      list.element.focus({ preventScroll: true });
      list.choose(Math.max(0, Math.min(list.items.length - 1, to)));
      return true;
    }
    return Boolean(chosen);
  }

  count(name, number) {
    const button = this.buttons.get(name);
    button.lastChild.textContent = number.toLocaleString("en-US");
    if (number) button.hidden = false;
  }
}
