// Pause, resume, cancel, add context: requests that a running task finds between two of its steps.

import { hasToken, keepToken, post, Refused, taskPath } from "./api.js";
import { h, icon, say, toast } from "./dom.js";

const DONE = { pause: "Asked to pause", resume: "Asked to go on", cancel: "Asked to cancel", context: "Context added" };

// Of tasks that `agentlog import` records from another program's transcript: that program takes no requests.
const TRANSCRIPTS = ["claude", "codex", "chat"];

/** The buttons for a task that stands like this; none where nothing may be asked of it. */
export function controls(key, task, about) {
  const { status } = task;
  if (!about.control || !["pending", "running", "paused"].includes(status)) return null;
  if (task.source === "import" && TRANSCRIPTS.includes(task.agent_type)) return null;
  const button = (action, name, drawing, className, act) => h("button", { type: "button", class: `button ${className}`, data: { action, keep: action === "resume" ? "pause" : action }, on: { click: (event) => act(event.currentTarget) } }, icon(drawing), name);
  return [
    status === "paused" ? button("resume", "Resume", "play", "main", (face) => ask(key, "resume", "", face)) : button("pause", "Pause", "pause", "", (face) => ask(key, "pause", "", face)),
    button("context", "Add context", "plus", "", () => askForContext(key)),
    button("cancel", "Cancel", "stop", "danger", () => askToCancel(key)),
  ];
}

async function ask(key, action, text, face) {
  if (face?.getAttribute("aria-disabled") === "true") return;
  // Not disabled: that would take the focus away from who pressed it.
  face?.setAttribute("aria-disabled", "true");
  await sent(taskPath(key, "/control"), text ? { action, text } : { action }, ({ at_work }) => (at_work === false ? `${DONE[action]}; no process works on the task right now` : DONE[action]));
  setTimeout(() => face?.removeAttribute("aria-disabled"), 1500);
}

/** Posts with the token, which is asked for where there is none, and shows what came of it; whether it was done, then `close` was called. */
export async function sent(path, body, words, close = () => {}) {
  if (!hasToken() && !(await askForToken())) return false;
  try {
    const told = words(await post(path, body));
    close();
    toast(told);
    say(told);
    return true;
  } catch (error) {
    toast(error.message, "bad");
    if (error instanceof Refused && error.status === 401) await askForToken();
    return false;
  }
}

function askForContext(key) {
  const text = h("textarea", { name: "text", rows: "5", maxlength: "16000", required: true });
  dialog("Add context", [h("label.field", {}, "What the agent should know from now on", text)], "Add", (close) => {
    if (!text.value.trim()) return;
    close();
    ask(key, "context", text.value.trim());
  });
}

function askToCancel(key) {
  dialog("Cancel this task?", [h("p", {}, "It ends at its next checkpoint, as cancelled. What is recorded stays.")], "Cancel the task", (close) => {
    close();
    ask(key, "cancel", "");
  }, "danger");
}

/** Asks for the token; resolves to whether one was given. */
export function askForToken() {
  return new Promise((resolve) => {
    const token = h("input", { name: "token", type: "password", autocomplete: "off", required: true, minlength: "32", pattern: "[A-Za-z0-9_\\-]+" });
    const box = dialog("Token needed", [h("p", {}, "Open the URL that agentlog serve printed, or paste the token from its token file."), h("label.field", {}, "Token", token)], "Use it", (close) => {
      if (!token.value.trim()) return;
      keepToken(token.value);
      close();
      resolve(true);
    });
    box.addEventListener("close", () => resolve(false));
  });
}

/** Opens a dialog with a form; `done(close)` is called when it is sent. */
export function dialog(title, content, name, done, kind = "main") {
  const box = h("dialog", { "aria-label": title });
  const close = () => box.close();
  box.append(h("form", { method: "dialog", on: { submit: (event) => { event.preventDefault(); done(close); } } }, h("h2", {}, title), content,
    h("div.actions", {}, h("button.button", { type: "button", on: { click: close } }, "Back"), h("button", { type: "submit", class: `button ${kind}` }, name))));
  box.addEventListener("close", () => box.remove());
  document.body.append(box);
  box.showModal();
  return box;
}
