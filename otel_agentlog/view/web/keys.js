// The keyboard, and the colours.

import { h, icon, show } from "./dom.js";

const HELP = [[["/"], "search"], [["j", "k"], "next, previous"], [["Enter"], "open"], [["Esc"], "close, or back to the list"], [["g", "o"], "overview"], [["g", "t"], "tasks"], [["g", "e"], "errors"], [["1", "…", "6"], "views of a task"], [["n", "N"], "next, previous error"], [["←", "→"], "fold, unfold a part"], [["+", "-", "0"], "zoom in, out, whole time"], [["d"], "dark or light"], [["?"], "these keys"]];

/** Hears keys for the page that is shown, `back` leads to where one came from; nothing is taken from somebody who types. */
export function hearKeys(page, back) {
  let before = "";
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const typing = event.target.closest("input, textarea, select");
    if (document.querySelector("dialog[open]")) return;
    if (typing) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    const pair = before + event.key;
    before = event.key === "g" ? "g" : "";
    if (acted(pair, event.key, page, back, event)) event.preventDefault();
  });
}

function acted(pair, key, page, back, event) {
  const places = { go: "#/", gt: "#/tasks", ge: "#/errors" };
  if (pair in places) location.hash = places[pair];
  else if (key === "/") document.getElementById("find-text").focus();
  else if (key === "?") help();
  else if (key === "d") switchTheme();
  else if (key === "Enter" && event.target.closest("a, button, summary")) return false;
  else if (page()?.key?.(key)) return true;
  else if (key === "Escape" && /^#\/(?:(?:task|session|compare)\/|compare\?)/.test(location.hash)) back();
  else return false;
  return true;
}

export function help() {
  const box = h("dialog", { "aria-label": "Keyboard shortcuts" }, h("div.inside", {}, h("h2", {}, "Keyboard"), h("dl.keys", {}, HELP.map(([keys, what]) => [h("dt", {}, keys.map((key) => h("kbd", {}, key))), h("dd", {}, what)])),
    h("div.actions", {}, h("button.button.main", { type: "button", autofocus: true, on: { click: () => box.close() } }, "Close"))));
  box.addEventListener("close", () => box.remove());
  document.body.append(box);
  box.showModal();
}

const STORED = "agentlog-theme";

export function startTheme() {
  const stored = localStorage.getItem(STORED);
  if (stored === "dark" || stored === "light") document.documentElement.dataset.theme = stored;
  face();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", face);
  document.getElementById("theme").addEventListener("click", switchTheme);
  document.getElementById("help").addEventListener("click", help);
}

const isDark = () => (document.documentElement.dataset.theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";

function switchTheme() {
  const next = isDark() ? "light" : "dark";
  document.documentElement.dataset.theme = next;
  localStorage.setItem(STORED, next);
  face();
}

function face() {
  show(document.getElementById("theme"), icon(isDark() ? "sun" : "moon"));
}
