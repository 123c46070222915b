// Hides how code is coloured: comments, texts, numbers and words of the common languages; which language hardly matters.

import { h, withCopy } from "../dom.js";

const WORDS = new Set(("abstract and as assert async await bool boolean break case catch char class const continue def default defer del do double elif else end enum except export extends extern false finally float fn "
  + "for from func function global go if impl implements import in instanceof int interface is lambda let long match mod mut new nil none None not null or package pass private protected pub public raise return self short "
  + "static str string struct super switch then this throw trait True true try type typeof undefined union unsafe use using var void when where while with yield False SELECT FROM WHERE INSERT INTO UPDATE DELETE JOIN ON GROUP BY ORDER LIMIT AND OR NOT VALUES CREATE TABLE "
  + "select insert update delete join group order limit echo fi done esac local").split(" "));
const LONGEST = 40_000;
const HASHES = new Set(["py", "python", "sh", "bash", "shell", "zsh", "ruby", "rb", "yaml", "yml", "toml", "r", "perl", "dockerfile", "makefile", ""]);

const TEXT = /"""[^]*?(?:"""|$)|'''[^]*?(?:'''|$)|"(?:\\.|[^"\\\n])*"?|'(?:\\.|[^'\\\n])*'?|`(?:\\.|[^`\\])*`?/;
const REST = /\b\d[\d_]*(?:\.\d+)?(?:[eE][+-]?\d+)?\b|[A-Za-z_$][\w$]*|@[\w.]+/;

/** A block of code, with a button that copies it. */
export function code(text, language = "") {
  const name = language.toLowerCase();
  const shown = text.length > LONGEST ? [text] : name === "diff" ? diff(text) : name === "text" || name === "txt" ? [text] : coloured(text, name);
  return withCopy(h("pre.block.code", { tabindex: "0", "aria-label": language ? `Code, ${language}` : "Code", role: "group" }, shown), text);
}

function coloured(text, language) {
  const comment = HASHES.has(language) ? /(?<=^|\s)#[^\n]*/ : language === "sql" || language === "lua" ? /--[^\n]*/ : /\/\/[^\n]*|\/\*[^]*?(?:\*\/|$)/;
  const pattern = new RegExp(`(?<comment>${comment.source})|(?<text>${TEXT.source})|(?<rest>${REST.source})`, "gm");
  const found = [];
  let from = 0;
  for (const match of text.matchAll(pattern)) {
    const kind = match.groups.comment ? "comment" : match.groups.text ? "string" : /^\d/.test(match[0]) ? "number" : WORDS.has(match[0]) || match[0][0] === "@" ? "word" : null;
    if (!kind) continue;
    found.push(text.slice(from, match.index), h(`span.${kind}`, {}, match[0]));
    from = match.index + match[0].length;
  }
  return [...found, text.slice(from)];
}

function diff(text) {
  return text.split("\n").map((line, index) => [index ? "\n" : "", line[0] === "+" ? h("span.added", {}, line) : line[0] === "-" ? h("span.removed", {}, line) : line[0] === "@" ? h("span.comment", {}, line) : line]);
}
