// Texts that were recorded in chunks, joined again, by the rules of otel_agentlog/vocabulary/chunks.py.

const EVENT_ID = /^(.+)-(?:0|[1-9]\d{0,17})$/s;
const CONTENT = new Set(["system", "user", "thinking", "output"]);

/** Which text a chunk belongs to: its span, type and writer; null for a line that is no chunk. */
function textOf(line) {
  if (!Number.isInteger(line.chunk) || !CONTENT.has(line.type)) return null;
  return `${line.type} ${typeof line.event_id === "string" ? (EVENT_ID.exec(line.event_id)?.[1] ?? "") : ""}`;
}

function contentOf({ content }) {
  const preview = content?.$artifact?.preview;
  return typeof content === "string" ? content : typeof preview === "string" ? preview : "";
}

/** Lines go in one by one. */
export class Joiner {
  constructor() {
    this.open = new Map();
  }

  /** What to show: the line, or for a chunk the line of its whole text, which is the same for all of them and grows. */
  add(line) {
    const span = typeof line.span_id === "string" ? line.span_id : "";
    const texts = this.open.get(span);
    const key = textOf(line);
    if (key === null) {
      // A text ends with its span, or where another text of its type begins in it.
      if (texts && line.phase === "end") this.open.delete(span);
      else if (texts) for (const other of texts.keys()) if (other.startsWith(`${line.type} `)) texts.delete(other);
      return line;
    }
    const found = texts?.get(key);
    if (found && line.chunk !== 1) {
      found.content += contentOf(line);
      found.chunks += 1;
      found.ids.push(line.event_id);
      return found;
    }
    const { chunk, ...first } = line;
    const whole = { ...first, content: contentOf(line), chunks: 1 };
    // Not a key of the line: each chunk has an address.
    Object.defineProperty(whole, "ids", { value: [line.event_id] });
    if (texts) texts.set(key, whole);
    else this.open.set(span, new Map([[key, whole]]));
    return whole;
  }
}
