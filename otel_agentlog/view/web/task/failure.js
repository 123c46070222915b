// Why a task failed, above everything else about it: the error, what kind it is, what to do, and the way to where it was.

import { h } from "../dom.js";
import { kind, words } from "../format.js";
import { errorBlock } from "../values/values.js";
import { failingPart } from "./part_tree.js";

const TITLES = { failed: "Why it failed", timed_out: "Why it timed out", interrupted: "Why it was interrupted", cancelled: "Why it was cancelled" };

/** The card, null where nothing went wrong; `go(part)` leads to the failing part. */
export function failureCard(task, go) {
  const title = TITLES[task.status];
  if (!title || (!task.error && !task.reason && task.status === "cancelled")) return null;
  const part = failingPart(task.tree ?? [], task.error);
  // What the innermost part says has traceback and advice, which the result has not.
  const error = { ...task.error, ...(part && sameError(part, task.error) ? part.exception : null) };
  return h("section.failure", { "aria-label": title, data: { state: task.status } }, h("h2", {}, title),
    task.error || part?.exception ? errorBlock(task.error ? error : part.exception) : h("p", {}, words(task.reason ?? part?.reason ?? UNSAID[task.status] ?? "No error was recorded.")),
    part ? h("p.where", {}, "In ", h("strong", {}, `${kind(part.kind)} ${part.name}`), h("button.button", { type: "button", on: { click: () => go(part) } }, "Go to the failing part")) : null);
}

const UNSAID = { interrupted: "Its process ended before the task did." };

function sameError(part, error) {
  return !error || part.exception?.error_id === error.error_id || part.exception?.message === error.message;
}
