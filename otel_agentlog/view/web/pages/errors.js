// The kinds of errors of a time that is chosen: how many, in how many tasks, since when; each leads to the task that had it last.

import { get } from "../api.js";
import { h, show } from "../dom.js";
import { ago, moment, plural, time, words } from "../format.js";
import { PERIODS } from "./overview.js";
import { hrefOf } from "./rows.js";

const PAGE = 50;
const TIMES = [...PERIODS, ["", "all"]];
const USUAL = "7d";

export function errorsPage(main, route, { live, signal }) {
  const wanted = route.query.get("since") ?? USUAL;
  const [since] = TIMES.find(([word]) => word === wanted) ?? TIMES.find(([word]) => word === USUAL);
  const told = h("p", { role: "status" }, "…");
  const failed = card("Errors");
  const handled = card("Made good by a later attempt");
  const more = h("div.more", {});
  const chips = TIMES.map(([word, text]) => h("a.chip", { href: word === USUAL ? "#/errors" : `#/errors?since=${word}`, "aria-current": word === since ? "true" : null }, text));
  show(main, h("div.page-head", {}, h("h1", {}, "Errors"), told, h("nav.chips.right", { "aria-label": "Time" }, chips)), failed.element, handled.element, more);
  const groups = [];
  const load = async () => {
    try {
      const found = await get("api/error-groups", { since, limit: PAGE, offset: groups.length }, signal);
      live("on", null, "up to date");
      groups.push(...found.groups);
      told.textContent = found.matching ? plural(found.matching, "kind") : "";
      failed.set(groups.filter((group) => !group.handled_by_retry));
      handled.set(groups.filter((group) => group.handled_by_retry));
      const left = found.matching - groups.length;
      show(more, left > 0 ? h("button.button", { type: "button", on: { click: load } }, `Show ${Math.min(PAGE, left)} more of ${left.toLocaleString("en-US")}`) : found.matching ? null : h("p.empty", {}, h("strong", {}, "No errors"), since ? "None in this time." : "None is recorded."));
    } catch (error) {
      if (signal.aborted) return;
      live(error.status ? "refused" : "off", error);
      show(more, h("p.empty", { role: "alert" }, h("strong", {}, "That could not be answered"), error.message));
    }
  };
  load();
  return { title: "Errors", key: () => false };
}

function card(title) {
  const body = h("ul.kinds", {});
  const element = h("section.card", { "aria-label": title, hidden: true }, h("header", {}, h("h2", {}, title)), body);
  return {
    element,
    set(groups) {
      element.hidden = !groups.length;
      show(body, groups.map(entryOf));
    },
  };
}

function entryOf(group) {
  const { type, category, message, count, tasks, first_seen, last_seen, task_id } = group;
  const last = h("time", { title: moment(time(last_seen)) }, ago(time(last_seen)));
  return h("li", {},
    h("strong.amount", { title: plural(count, "time") }, `${count.toLocaleString("en-US")} ×`),
    h("div", {},
      h("p.error-text", {}, h("span.error-type", {}, type ?? "error"), message ? `: ${message}` : null),
      h("p.about", {}, category ? h("span", {}, words(category).toLowerCase()) : null, h("span", {}, tasks ? `in ${plural(tasks, "task")}` : "outside of tasks"),
        h("span", {}, "last ", last), count > 1 ? h("span", {}, "first ", h("time", { title: moment(time(first_seen)) }, ago(time(first_seen)))) : null,
        task_id ? h("a", { href: hrefOf(task_id), "aria-label": `The last task with ${type ?? "this error"}: ${task_id}` }, task_id) : null)));
}
