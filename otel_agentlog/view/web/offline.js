// Stands in for api.js where a task is one file: answers from what is written in the page, asks nobody.

const { about, key, task, lines, documents, artifacts } = JSON.parse(document.getElementById("agentlog-data").textContent);
const HOME = `#/task/${encodeURIComponent(key)}`;

// There is nothing else in the file: every way leads to its one task.
const stay = () => location.hash.startsWith(HOME) || location.replace(HOME);
stay();
addEventListener("hashchange", stay);
document.querySelector(".brand").href = HOME;
document.querySelector(".brand").setAttribute("aria-label", "agentlog, to the task");
document.documentElement.classList.add("offline");

export const isExport = true;
export const takeToken = () => {};
export const hasToken = () => false;
export const keepToken = () => {};
export const taskPath = (of, rest = "") => `${of}${rest}`;

export class Refused extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

const absent = (path) => new Refused(404, `${path.slice(path.lastIndexOf("/") + 1)} is not in this export`);

export async function get(path) {
  if (path === "api/about") return about;
  if (path === key) return task;
  const word = path.slice(path.lastIndexOf("/") + 1);
  if (word in lines) return { lines: lines[word], next: 0, more: false, skipped: 0 };
  if (word in documents) return documents[word];
  throw absent(path);
}

export async function getBlob(path) {
  const word = path.slice(path.lastIndexOf("/") + 1);
  if (word in artifacts) return new Blob([Uint8Array.from(atob(artifacts[word]), (letter) => letter.charCodeAt(0))]);
  if (word in lines) return new Blob([lines[word].map((line) => `${JSON.stringify(line)}\n`).join("")]);
  if (word === "full") return new Blob([JSON.stringify({ ...documents, ...lines })]);
  if (word in documents) return new Blob([JSON.stringify(documents[word])]);
  throw absent(path);
}

export async function post(path) {
  throw absent(path);
}

export async function hear(path, parameters, heard, changed) {
  await null;
  for (const [file, found] of Object.entries(lines)) for (const line of found) heard("line", { file, line });
  changed("on");
  heard("end", { status: task.status });
  changed("on", null, "exported");
}
