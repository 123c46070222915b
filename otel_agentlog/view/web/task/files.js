// How a task came in, and the files of its folder.

import { get, taskPath } from "../api.js";
import { h, icon, show } from "../dom.js";
import { duration, time, words } from "../format.js";
import { download, spoken, valueBlock } from "../values/values.js";
import { VirtualList } from "../virtual.js";

const COMMON = new Set(["timestamp", "stage", "status", "event_type", "provider", "task_id", "event_id", "trace_id", "span_id", "correlation_id", "session_id", "instance_id"]);

export class Flow {
  constructor(key) {
    this.key = key;
    this.stages = 0;
    this.element = h("div.card", {}, h("p.empty", {}, h("strong", {}, "No webhook"), "This task did not come in through one."));
  }

  add(lines) {
    if (!this.stages && lines.length) {
      this.begin = time(lines[0].timestamp);
      this.flow = h("ol.flow", {});
      show(this.element, h("header", {}, h("h2", {}, `${lines[0].provider ?? "webhook"} ${lines[0].event_type ?? ""}`)), this.flow);
    }
    this.stages += lines.length;
    this.flow?.append(...lines.map((line) => this.stage(line, this.begin)));
  }

  stage(line, begin) {
    const bad = ["failed", "rejected", "error"].includes(line.status) || line.matched === false;
    const own = Object.entries(line).filter(([name]) => !COMMON.has(name));
    const long = own.filter(([, value]) => typeof value === "object" || String(value).length > 80);
    const short = own.filter((entry) => !long.includes(entry)).map(([name, value]) => `${name} ${value}`);
    return h("li", { class: `stage ${bad ? "bad" : ""}` }, h("span.offset", {}, `+${duration(Math.max(0, time(line.timestamp) - begin))}`),
      h("div", {}, h("h3", {}, words(line.stage), line.status ? ` · ${line.status}` : ""), short.length ? h("p.aside", {}, short.join(" · ")) : null,
        long.map(([name, value]) => h("details", {}, h("summary", {}, name), valueBlock(value, this.key)))));
  }
}

const FILES = [
  ["metadata", "metadata.json", "what the task is and how it stands", false], ["input", "01-input.json", "what was asked", false],
  ["webhook-flow", "02-webhook-flow.jsonl", "how it came in, one line a stage", true], ["agent-output", "03-agent-output.jsonl", "what happened, one line an event", true],
  ["final-result", "04-final-result.json", "how it ended, with metrics", false], ["control", "control.jsonl", "what somebody asked of it while it ran", true],
  ["full", "everything", "all of it in one JSON object", null],
];

export class Files {
  constructor(key) {
    this.key = key;
    this.view = h("div", {});
    this.element = h("div.stack", {}, h("ul.card.files", {}, FILES.map((entry) => this.file(entry))), this.view);
  }

  file([word, name, what, lines]) {
    const path = taskPath(this.key, `/logs/${word}`);
    return h("li", {}, h("div", {}, h("code", {}, name), h("p.what", {}, what)), h("div.right", {},
      lines === null ? null : h("button.button", { type: "button", "aria-label": `View ${name}`, on: { click: () => this.look(path, name, lines) } }, "View"),
      h("button.button", { type: "button", "aria-label": `Download ${name}`, on: { click: () => download(path, lines === null ? `${this.key}.json` : name) } }, icon("down"))));
  }

  async look(path, name, lines) {
    show(this.view, h("p.empty", {}, "Loading …"));
    try {
      const texts = lines ? await allLines(path) : spoken(await get(path)).split("\n");
      this.list?.close();
      this.list = new VirtualList({ className: "raw", label: name, height: 24, draw: (text, index) => h("div", {}, h("span.nr", {}, index + 1), h("span", {}, text)), chosen: (text) => lines && show(this.one, valueBlock(JSON.parse(text), this.key)) });
      this.one = h("div.body", {});
      show(this.view, h("section.card", { "aria-label": name }, h("header", {}, h("h2", {}, name), h("span.aside", {}, `${texts.length.toLocaleString("en-US")} lines`)), this.list.element, this.one));
      this.list.set(texts);
    } catch (error) {
      show(this.view, h("p.empty", { role: "alert" }, h("strong", {}, `${name} cannot be shown`), error.message));
    }
  }

  close() {
    this.list?.close();
  }
}

const MOST = 50000;

/** The lines of a file, page by page; each as it stands there. */
async function allLines(path) {
  const texts = [];
  let page = { next: 0, more: true };
  while (page.more && texts.length < MOST) {
    page = await get(path, { after: page.next, limit: 2000, clip: 5000 });
    for (const line of page.lines) texts.push(JSON.stringify(line));
  }
  return texts;
}
