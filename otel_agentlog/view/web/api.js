// Hides how the server is asked: addresses, the token, errors, and streams that come back after they broke.

const BASE = new URL(".", document.baseURI.split("#")[0]);
const KEY = "agentlog-token";

/** Whether this is one task in a file, with no server behind it. */
export const isExport = false;

/** The token stands behind # in the URL that `agentlog serve` prints; it is kept for this tab and taken out of the address. */
export function takeToken() {
  const match = /^#token=([\w-]+)$/.exec(location.hash);
  if (!match) return;
  sessionStorage.setItem(KEY, match[1]);
  history.replaceState(null, "", `${location.pathname}${location.search}#/`);
}

export const hasToken = () => sessionStorage.getItem(KEY) !== null;

export function keepToken(token) {
  sessionStorage.setItem(KEY, token.trim());
}

function headers(more = {}) {
  const token = sessionStorage.getItem(KEY);
  return token ? { ...more, authorization: `Bearer ${token}` } : more;
}

export class Refused extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

/** The address of an endpoint; parameters that say nothing are left out. */
export function address(path, parameters = {}) {
  const url = new URL(path, BASE);
  for (const [name, value] of Object.entries(parameters)) {
    if (value !== null && value !== undefined && value !== "" && value !== false) url.searchParams.set(name, value);
  }
  return url;
}

export const taskPath = (key, rest = "") => `api/tasks/${encodeURIComponent(key)}${rest}`;

export async function get(path, parameters, signal) {
  const answer = await fetch(address(path, parameters), { headers: headers(), signal });
  return checked(answer);
}

export async function getBlob(path) {
  const answer = await fetch(address(path), { headers: headers() });
  if (!answer.ok) await checked(answer);
  return answer.blob();
}

export async function post(path, body) {
  const answer = await fetch(address(path), { method: "POST", headers: headers({ "content-type": "application/json" }), body: JSON.stringify(body) });
  return checked(answer);
}

async function checked(answer) {
  let found = null;
  try {
    found = await answer.json();
  } catch {
    found = null;
  }
  if (!answer.ok) throw new Refused(answer.status, found?.detail ?? `the server answered ${answer.status}`);
  return found;
}

/**
 * Hears Server-Sent Events until the signal says stop or `heard` returns false; begins again where it ended when it breaks.
 * By fetch, because EventSource cannot show a token.
 */
export async function hear(path, parameters, heard, changed, signal) {
  let after = null;
  let wait = 500;
  while (!signal.aborted) {
    try {
      const answer = await fetch(address(path, { ...parameters, after }), { headers: headers({ accept: "text/event-stream" }), signal });
      if (!answer.ok) await checked(answer);
      changed("on");
      wait = 500;
      for await (const event of events(answer.body)) {
        if (event.id) after = event.id;
        if (heard(event.name, event.data) === false) return;
      }
    } catch (error) {
      if (signal.aborted) return;
      const final = error instanceof Refused && error.status < 500;
      changed(final ? "refused" : "off", error);
      if (final) return;
    }
    await new Promise((resolve) => setTimeout(resolve, wait));
    wait = Math.min(wait * 2, 10000);
  }
}

async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let pending = "";
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const blocks = (pending + value).split("\n\n");
      pending = blocks.pop();
      for (const block of blocks) {
        const event = parsed(block);
        if (event) yield event;
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

function parsed(block) {
  const event = { name: "message", data: null, id: null };
  for (const line of block.split("\n")) {
    if (line.startsWith("event: ")) event.name = line.slice(7);
    else if (line.startsWith("id: ")) event.id = line.slice(4);
    else if (line.startsWith("data: ")) event.data = JSON.parse(line.slice(6));
  }
  return event.data === null ? null : event;
}
