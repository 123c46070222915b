// Hides how Markdown, as models write it, becomes elements. Text only ever becomes text nodes: there is no way for HTML to come in.

import { code } from "./code.js";
import { h } from "../dom.js";

const DEEPEST = 12;
const LONGEST = 100_000;

/** Headings, lists, tables, quotes, fences, emphasis, code and links; everything else is text. */
export function markdown(text) {
  const whole = String(text);
  const cut = whole.length > LONGEST ? h("p", {}, `… ${(whole.length - LONGEST).toLocaleString("en-US")} more characters in the folder`) : null;
  return h("div.md", {}, blocks(whole.slice(0, LONGEST).replace(/\r\n?/g, "\n").split("\n"), 0), cut);
}

const FENCE = /^ {0,3}(`{3,}|~{3,})\s*([\w+#.-]*)[^`]*$/;
const HEADING = /^ {0,3}(#{1,6})\s+(.*?)\s*#*$/;
const RULE = /^ {0,3}(?:(?:-\s*){3,}|(?:\*\s*){3,}|(?:_\s*){3,})$/;
const QUOTE = /^ {0,3}>\s?(.*)$/;
const ITEM = /^(\s*)([-*+]|\d{1,9}[.)])\s+(.*)$/;
const DELIMITERS = /^\s*\|?\s*:?-+:?\s*(?:\|\s*:?-+:?\s*)*\|?\s*$/;

/** Lines as blocks; each reader takes what it understands, and says how many lines that were. */
function blocks(lines, depth) {
  const found = [];
  for (let at = 0; at < lines.length;) {
    if (!lines[at].trim()) at += 1;
    else {
      const [element, taken] = (depth < DEEPEST && (fence(lines, at) ?? heading(lines, at) ?? rule(lines, at) ?? quote(lines, at, depth) ?? list(lines, at, depth) ?? table(lines, at))) || paragraph(lines, at);
      found.push(element);
      at += taken;
    }
  }
  return found;
}

function fence(lines, at) {
  const begin = FENCE.exec(lines[at]);
  if (!begin) return null;
  const isEnd = (line) => line.trim().startsWith(begin[1]) && !line.trim().replaceAll(begin[1][0], "");
  let end = at + 1;
  while (end < lines.length && !isEnd(lines[end])) end += 1;
  return [code(lines.slice(at + 1, end).join("\n"), begin[2]), end - at + 1];
}

function heading(lines, at) {
  const match = HEADING.exec(lines[at]);
  // No element of a heading's rank, as these are not headings of the page.
  return match && [h(`p.md-heading.rank${match[1].length}`, {}, inline(match[2])), 1];
}

const rule = (lines, at) => (RULE.test(lines[at]) ? [h("hr", {}), 1] : null);

function quote(lines, at, depth) {
  const inner = [];
  for (let match; at + inner.length < lines.length && (match = QUOTE.exec(lines[at + inner.length]));) inner.push(match[1]);
  return inner.length ? [h("blockquote", {}, blocks(inner, depth + 1)), inner.length] : null;
}

function list(lines, at, depth) {
  const first = ITEM.exec(lines[at]);
  if (!first) return null;
  const numbered = /\d/.test(first[2]);
  const items = [];
  let line = at;
  for (; line < lines.length; line++) {
    const item = ITEM.exec(lines[line]);
    const indent = /^\s*/.exec(lines[line])[0].length;
    if (item && item[1].length <= first[1].length + 1) {
      if (/\d/.test(item[2]) !== numbered || item[1].length < first[1].length) break;
      items.push([item[3]]);
    } else if (!lines[line].trim()) {
      const next = lines[line + 1];
      if (next === undefined || !(ITEM.test(next) || /^\s{2,}\S/.test(next))) break;
      items.at(-1).push("");
    } else if (indent > first[1].length || !startsBlock(lines[line])) items.at(-1).push(lines[line].slice(Math.min(indent, first[1].length + first[2].length + 1)));
    else break;
  }
  const start = numbered ? parseInt(first[2], 10) : 1;
  return [h(numbered ? "ol" : "ul", numbered && start !== 1 ? { start } : {}, items.map((item) => h("li", {}, item.length === 1 ? inline(item[0]) : tight(blocks(item, depth + 1))))), line - at];
}

/** A first paragraph stands in its item itself. */
const tight = ([first, ...rest]) => [first?.tagName === "P" && !first.className ? [...first.childNodes] : first, ...rest];

const startsBlock = (line) => FENCE.test(line) || HEADING.test(line) || QUOTE.test(line) || RULE.test(line) || ITEM.test(line);

function table(lines, at) {
  if (!lines[at].includes("|") || !DELIMITERS.test(lines[at + 1] ?? "") || !lines[at + 1].includes("-")) return null;
  const head = cells(lines[at]);
  if (cells(lines[at + 1]).length !== head.length) return null;
  let end = at + 2;
  while (end < lines.length && lines[end].includes("|") && lines[end].trim()) end += 1;
  const rows = lines.slice(at + 2, end).map(cells);
  return [h("div.md-table", { tabindex: "0", role: "group", "aria-label": "Table" }, h("table", {}, h("thead", {}, h("tr", {}, head.map((cell) => h("th", { scope: "col" }, inline(cell))))), h("tbody", {}, rows.map((row) => h("tr", {}, row.map((cell) => h("td", {}, inline(cell)))))))), end - at];
}

const cells = (line) => line.trim().replace(/^\|/, "").replace(/(?<!\\)\|$/, "").split(/(?<!\\)\|/).map((cell) => cell.trim().replaceAll("\\|", "|"));

function paragraph(lines, at) {
  let end = at + 1;
  while (end < lines.length && lines[end].trim() && !startsBlock(lines[end])) end += 1;
  return [h("p", {}, inline(lines.slice(at, end).join("\n"))), end - at];
}

// A span is at most so long, so that a text of unclosed marks takes no time that grows with its square.
const SPAN = "[^]{0,600}?";
const INLINE = new RegExp([
  "\\\\(?<escaped>[!-/:-@\\[-`{-~])",
  "(?<ticks>`+)(?<code>[^`]|[^`][^]{0,4000}?[^`])\\k<ticks>(?!`)",
  `\\*\\*(?=\\S)(?<strong>${SPAN}\\S)\\*\\*`, `(?<![\\p{L}\\p{N}])__(?=\\S)(?<strong2>${SPAN}\\S)__(?![\\p{L}\\p{N}])`,
  `~~(?=\\S)(?<gone>${SPAN}\\S)~~`,
  `\\*(?=[^\\s*])(?<em>${SPAN}[^\\s*])\\*`, `(?<![\\p{L}\\p{N}])_(?=[^\\s_])(?<em2>${SPAN}[^\\s_])_(?![\\p{L}\\p{N}])`,
  "!?\\[(?<label>[^\\]]{0,500})\\]\\((?<target>[^()\\s]{1,2000})(?:\\s+\"[^\"]{0,500}\")?\\)",
  "(?<address>https?://[^\\s<>()\"'`]{1,2000}[^\\s<>()\"'`.,;:!?])",
].join("|"), "gu");

/** Marks within a line as elements; what is no mark stays text. */
export function inline(text, depth = 0) {
  if (depth > DEEPEST) return [text];
  const found = [];
  let from = 0;
  for (const match of text.matchAll(INLINE)) {
    found.push(text.slice(from, match.index), element(match.groups, match[0], depth + 1));
    from = match.index + match[0].length;
  }
  return [...found, text.slice(from)];
}

function element(groups, whole, depth) {
  const strong = groups.strong ?? groups.strong2;
  const em = groups.em ?? groups.em2;
  if (groups.escaped) return groups.escaped;
  if (groups.code) return h("code", {}, groups.code.replace(/^ (.*\S.*) $/, "$1"));
  if (strong) return h("strong", {}, inline(strong, depth));
  if (groups.gone) return h("s", {}, inline(groups.gone, depth));
  if (em) return h("em", {}, inline(em, depth));
  if (groups.address) return link(groups.address, [groups.address]);
  return link(groups.target, inline(groups.label || groups.target, depth)) ?? whole;
}

/** A link to another site, which is not told from where; any other kind of address is text. */
function link(address, content) {
  if (!/^(?:https?:\/\/|mailto:)/i.test(address)) return null;
  return h("a", { href: address, target: "_blank", rel: "noreferrer noopener", title: address }, content);
}
