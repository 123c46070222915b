// Hides how values of any shape stand on the page: texts as they are, JSON that folds, messages of models, images, errors.

import { getBlob, taskPath } from "../api.js";
import { copyable, h, icon, toast, withCopy } from "../dom.js";
import { count, words } from "../format.js";
import { inline, markdown } from "./markdown.js";
import { jsonTree } from "./json_tree.js";

const LONG = 20000;
const IMAGES = new Set(["image/png", "image/jpeg", "image/gif", "image/webp"]);

/** A value as people read it: texts as they are, everything else as JSON with indentation. */
export function spoken(value) {
  if (typeof value === "string") return value;
  return JSON.stringify(value, null, 2) ?? "";
}

/** A block of text or JSON; a large payload that stands in a file of its own can be fetched. */
export function valueBlock(value, key) {
  if (Array.isArray(value?.$parts)) return h("div", {}, ...value.$parts.map((part) => valueBlock(part, key)));
  const artifact = artifactOf(value);
  if (artifact) return artifactBlock(artifact, key);
  if (value !== null && typeof value === "object") return withCopy(jsonTree(value, (item) => (artifactOf(item) ? artifactBlock(artifactOf(item), key) : null)), () => spoken(value));
  const text = spoken(value);
  return withCopy(h("pre.block", { tabindex: "0" }, text.length > LONG ? `${text.slice(0, LONG)}\n… ${(text.length - LONG).toLocaleString("en-US")} more characters in the folder` : text), text);
}

/** What a model or an agent gave back: a text as Markdown, anything else as it is. */
export function answerBlock(value, key) {
  return typeof value === "string" ? withCopy(markdown(value), value) : valueBlock(value, key);
}

function artifactOf(value) {
  const found = value && typeof value === "object" && Object.keys(value).length === 1 ? value.$artifact : null;
  return found && typeof found === "object" ? found : null;
}

function artifactBlock(artifact, key) {
  const path = taskPath(key, `/artifacts/${artifact.sha256}`);
  return h("div", {}, artifact.preview ? h("pre.block", { tabindex: "0" }, String(artifact.preview)) : null,
    h("button.button", { type: "button", on: { click: () => download(path, String(artifact.sha256)) } }, icon("down"), `All of it, ${count(artifact.size_bytes)} bytes`));
}

/** The parts of a message by the GenAI convention: text, thoughts, tool calls and their results, images. */
export function messageParts(parts, key) {
  if (!Array.isArray(parts)) return answerBlock(parts, key);
  return h("div.parts", {}, parts.map((part) => messagePart(part, key)));
}

function messagePart(part, key) {
  if (part === null || typeof part !== "object") return answerBlock(part, key);
  if (part.type === "tool_call") return h("div.part", {}, h("p.name", {}, `calls ${part.name}`), isEmpty(part.arguments) ? null : valueBlock(part.arguments, key));
  if (part.type === "tool_call_response") return h("div.part", {}, h("p.name", {}, "result"), valueBlock(part.response ?? part.result, key));
  if (part.type === "blob") return blob(part, key);
  if (part.type === "uri") return h("p.words", {}, `${part.modality ?? "file"}: `, inline(String(part.uri)));
  if (part.type === "reasoning") return h("div.words.thinking", {}, String(part.content ?? ""));
  return typeof part.content === "string" ? withCopy(markdown(part.content), part.content) : valueBlock(part, key);
}

const isEmpty = (value) => value === undefined || value === null || (typeof value === "object" && !Object.keys(value).length);

/** An image that stands in the message, or in a file of its own. */
function blob(part, key) {
  const about = `${part.modality ?? "file"}, ${part.mime_type ?? "of unknown type"}`;
  if (!IMAGES.has(part.mime_type)) return artifactOf(part.content) ? valueBlock(part.content, key) : h("p.words", {}, `[${about}]`);
  const image = h("img.picture", { alt: about, loading: "lazy" });
  if (typeof part.content === "string" && /^[A-Za-z0-9+/]+={0,2}$/.test(part.content)) image.src = `data:${part.mime_type};base64,${part.content}`;
  else if (artifactOf(part.content)) fetchImage(image, part, key);
  else return h("p.words", {}, `[${about}; it is cut here and whole in the folder]`);
  return image;
}

async function fetchImage(image, part, key) {
  try {
    const text = await (await getBlob(taskPath(key, `/artifacts/${artifactOf(part.content).sha256}`))).text();
    image.src = `data:${part.mime_type};base64,${text.replace(/^"|"$/g, "")}`;
  } catch (error) {
    image.replaceWith(h("p.words", {}, `[${image.alt}: ${error.message}]`));
  }
}

/** Lets the browser save an answer; through memory, as a link cannot show the token. */
export async function download(path, name) {
  try {
    const url = URL.createObjectURL(await getBlob(path));
    h("a", { href: url, download: name }).click();
    setTimeout(() => URL.revokeObjectURL(url), 10000);
  } catch (error) {
    toast(error.message, "bad");
  }
}

export function errorBlock(exception) {
  const tips = Array.isArray(exception.suggestions) ? exception.suggestions : [];
  const trace = Array.isArray(exception.traceback) ? exception.traceback.join("\n") : null;
  return h("div.part", {}, h("p.error-text", {}, `${exception.type ?? "Error"}: ${exception.message ?? ""}`),
    h("div.ids", {}, exception.category ? h("span.aside", {}, words(exception.category).toLowerCase(), " ") : null, exception.error_id ? copyable(String(exception.error_id), "error id") : null),
    tips.length ? h("ul.tips", {}, tips.map((tip) => h("li", {}, inline(String(tip))))) : null,
    trace ? h("details", {}, h("summary", {}, "Traceback"), withCopy(h("pre.block", { tabindex: "0" }, trace), trace)) : null);
}
