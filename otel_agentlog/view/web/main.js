// Which page is shown: the part of the address behind #. One page at a time; leaving it ends its streams and timers.

import { get, isExport, takeToken } from "./api.js";
import { askForToken } from "./control.js";
import { h, say, show } from "./dom.js";
import { hearKeys, startTheme } from "./keys.js";
import { comparePage } from "./pages/compare.js";
import { errorsPage } from "./pages/errors.js";
import { groupsPage } from "./pages/groups.js";
import { overviewPage } from "./pages/overview.js";
import { listAddress } from "./pages/rows.js";
import { sessionPage } from "./pages/session.js";
import { suggestFilter } from "./pages/suggestions.js";
import { taskPage } from "./pages/task.js";
import { tasksPage } from "./pages/tasks.js";

const main = document.getElementById("main");
let current = null;
let shown = false;
let leaving = new AbortController();

const WORDS = { on: "live", off: "reconnecting", refused: "refused" };

function live(state, error, word) {
  const lamp = document.getElementById("live");
  lamp.dataset.state = state;
  lamp.lastElementChild.textContent = word ?? WORDS[state];
  lamp.title = error?.message ?? "";
}

function routeOf(hash) {
  const [path, query = ""] = hash.replace(/^#\/?/, "").split("?");
  const [place, key, other] = path.split("/");
  const parameters = new URLSearchParams(query);
  if (["task", "session"].includes(place) && key) return { place, key: decoded(key), query: parameters };
  if (place === "compare" && !key) return { place: "groups", query: parameters };
  if (place === "compare") return { place, key: decoded(key), other: other ? decoded(other) : null, query: parameters };
  return { place: ["tasks", "errors"].includes(place) ? place : "overview", query: parameters };
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

let about = null;

async function open() {
  leaving.abort();
  leaving = new AbortController();
  const { signal } = leaving;
  current?.close?.();
  current = null;
  const route = routeOf(location.hash);
  try {
    about ??= await get("api/about");
  } catch (error) {
    if (error.status === 401 && (await askForToken())) return open();
    live("refused", error);
    show(main, h("p.empty", { role: "alert" }, h("strong", {}, "The server did not answer"), error.message));
    return undefined;
  }
  if (signal.aborted) return undefined;
  for (const link of document.querySelectorAll("[data-place]")) {
    if (link.dataset.place === (["overview", "errors"].includes(route.place) ? route.place : "tasks")) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.getElementById("find-text").value = (route.place === "tasks" ? route.query.get("q") : "") ?? "";
  const page = { overview: overviewPage, tasks: tasksPage, errors: errorsPage, task: taskPage, session: sessionPage, compare: comparePage, groups: groupsPage }[route.place];
  current = page(main, route, { live, signal, about });
  document.title = `${current.title} – agentlog`;
  scrollTo(0, 0);
  // Who follows a link stands at the beginning of where it leads, and hears where that is.
  if (shown) main.focus({ preventScroll: true });
  shown = true;
  say(current.title);
  return undefined;
}

takeToken();
startTheme();
if (!isExport) document.getElementById("find-text").after(suggestFilter(document.getElementById("find-text"), "filter-goes-on"));
let moves = 0;
// Who came from elsewhere is led to the list, not out of the page.
hearKeys(() => current, () => (moves ? history.back() : (location.hash = "#/tasks")));
addEventListener("hashchange", () => {
  // The address that was printed, put into a tab that has the page open.
  takeToken();
  moves += 1;
  open();
});
document.getElementById("find").addEventListener("submit", (event) => {
  event.preventDefault();
  const asked = Object.fromEntries(routeOf(location.hash).place === "tasks" ? routeOf(location.hash).query : []);
  const address = listAddress(asked, { q: document.getElementById("find-text").value.trim() });
  document.getElementById("find-text").blur();
  if (location.hash === address) open();
  else location.hash = address;
});
open();
