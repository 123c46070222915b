// Hides how what was searched for is shown in a text: as marks around it, and nothing else of the text changes.

import { h } from "../dom.js";

/** A text with each place of `sought` marked, upper and lower case alike. */
export function marked(text, sought) {
  const whole = String(text);
  if (!sought) return whole;
  return markedBy(whole, new RegExp(escaped(sought), "gi"));
}

/** A text with the beginnings of words marked that were searched for. */
export function markedWords(text, query) {
  const words = (query.match(/[\p{L}\p{N}_]+/gu) ?? []).map(escaped);
  if (!words.length) return String(text);
  return markedBy(String(text), new RegExp(`(?<![\\p{L}\\p{N}_])(?:${words.join("|")})`, "giu"));
}

const escaped = (text) => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");

function markedBy(text, pattern) {
  const pieces = [];
  let from = 0;
  for (const match of text.matchAll(pattern)) {
    if (!match[0]) continue;
    pieces.push(text.slice(from, match.index), h("mark", {}, match[0]));
    from = match.index + match[0].length;
  }
  return [...pieces, text.slice(from)];
}
