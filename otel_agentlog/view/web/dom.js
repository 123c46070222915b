// Hides how elements are made. Data only ever becomes text: nothing here takes HTML.

const SVG = "http://www.w3.org/2000/svg";

/** h("p.note#id", {on: {click}, aria-label: "…"}, child, …): an element; texts become text nodes, null is left out. */
export function h(what, given, ...children) {
  return fill(document.createElement(tagOf(what)), what, given, children);
}

/** The same for SVG. */
export function s(what, given, ...children) {
  return fill(document.createElementNS(SVG, tagOf(what)), what, given, children);
}

function tagOf(what) {
  return /^[a-z0-9]+/.exec(what)[0];
}

function fill(element, what, given, children) {
  const classes = [...what.matchAll(/\.([\w-]+)/g)].map((match) => match[1]);
  if (classes.length) element.setAttribute("class", classes.join(" "));
  const id = /#([\w-]+)/.exec(what);
  if (id) element.id = id[1];
  for (const [name, value] of Object.entries(given ?? {})) set(element, name, value);
  element.append(...flat(children));
  return element;
}

const NAMED = new Set(["title", "aria-label"]);

function set(element, name, value) {
  if (value === null || value === undefined || (value === false && !name.startsWith("aria-"))) return;
  if (name === "on") for (const [event, heard] of Object.entries(value)) element.addEventListener(event, heard);
  else if (name === "style") for (const [property, text] of Object.entries(value)) element.style.setProperty(property, text);
  else if (name === "data") Object.assign(element.dataset, value);
  else if (name === "value") element.value = value;
  else element.setAttribute(name, value === true ? "" : NAMED.has(name) ? clean(String(value)) : String(value));
}

function flat(children) {
  return children.flat(3).filter((child) => child !== null && child !== undefined && child !== false)
    .map((child) => (child instanceof Node ? child : document.createTextNode(clean(String(child)))));
}

// Control characters show as boxes, bidirectional ones make a text look like another; the command line leaves them out, too.
const UNSEEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff]/g;

/** A text without what cannot be seen and changes how the rest looks. */
export function clean(text) {
  return text.replace(UNSEEN, "");
}

/** Replaces everything in an element. */
export function show(element, ...children) {
  element.replaceChildren(...flat(children));
  return element;
}

const PATHS = {
  copy: "M9 9h10v11H9zM6 15H5V4h10v2",
  check: "m5 12.5 4.5 4.5L19 7.5",
  close: "M6 6l12 12M18 6 6 18",
  pause: "M8 5v14M16 5v14",
  play: "M7 5l12 7-12 7z",
  stop: "M6 6h12v12H6z",
  plus: "M12 5v14M5 12h14",
  out: "M14 4h6v6M20 4l-9 9M18 14v6H4V6h6",
  down: "M12 4v12m-5-5 5 5 5-5M5 20h14",
  up: "m6 15 6-6 6 6",
  below: "m6 9 6 6 6-6",
  closed: "m9 6 6 6-6 6",
  opened: "m6 9 6 6 6-6",
  fold: "M5 4h14M5 20h14M8 9l4 3 4-3M8 15h8",
  unfold: "M5 4h14M5 20h14M8 11l4-3 4 3M8 13l4 3 4-3",
  minus: "M5 12h14",
  whole: "M4 7v10M20 7v10M7 12h10M9 9.500l-2.500 2.500 2.500 2.500M15 9.500l2.500 2.500-2.500 2.500",
  cross: "M7 7l10 10M17 7 7 17",
  link: "M10 14a4 4 0 0 0 6 0l3-3a4 4 0 0 0-6-6l-1 1M14 10a4 4 0 0 0-6 0l-3 3a4 4 0 0 0 6 6l1-1",
  sun: "M12 3v2m0 14v2M3 12h2m14 0h2M5.6 5.6 7 7m10 10 1.4 1.4M18.4 5.6 17 7M7 17l-1.4 1.4M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8z",
  moon: "M20 14.5A8 8 0 0 1 9.500 4 8 8 0 1 0 20 14.500z",
};

/** A small drawing; it says nothing to screen readers. */
export function icon(name) {
  return s("svg.icon", { viewBox: "0 0 24 24", "aria-hidden": "true" }, s("path", { d: PATHS[name] }));
}

/** A button that copies a text. */
export function copyable(text, label) {
  const face = icon("copy");
  const button = h("button.copy", { type: "button", title: `Copy ${label}`, "aria-label": `Copy ${label} ${text}` }, h("span", {}, text), face);
  button.addEventListener("click", async (event) => {
    event.stopPropagation();
    if (await copied(text)) {
      face.replaceWith(button.appendChild(icon("check")));
      say(`${label} copied`);
      setTimeout(() => button.lastChild.replaceWith(face), 1200);
    }
  });
  return button;
}

/** A block with a button that copies what it stands for. */
export function withCopy(block, text) {
  const button = h("button.quiet.copy-all", { type: "button", "aria-label": "Copy this", title: "Copy", on: { click: async (event) => {
    event.stopPropagation();
    if (!(await copied(typeof text === "function" ? text() : text))) return;
    show(button, icon("check"));
    say("copied");
    setTimeout(() => show(button, icon("copy")), 1200);
  } } }, icon("copy"));
  return h("div.copied-block", {}, block, button);
}

/** Puts a text on the clipboard; whether that was done. */
export async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // Over plain HTTP from another host there is no clipboard API.
    const area = document.body.appendChild(h("textarea.unseen", { value: text, "aria-hidden": "true" }));
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
}

/** Says something to screen readers. */
export function say(text) {
  document.getElementById("said").textContent = text;
}

/** Shows a short message for a while. */
export function toast(text, kind = "") {
  const note = h(kind ? `div.toast.${kind}` : "div.toast", {}, text);
  document.getElementById("toasts").append(note);
  setTimeout(() => note.remove(), 6000);
}
