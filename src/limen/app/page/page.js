/**
 * The page /limen/: what services there are, and a form to try each.
 *
 * In development it reads services.json; elsewhere it asks `limen.services` once somebody with the role has logged in.
 * @module
 */
import { exc, login, logout, on, ready, safe_apply, state } from "../limen.mjs";
import { show } from "./service.js";
import { el, fill } from "./element.js";

const at = (id) => document.getElementById(id);
/** What is told of each service, by name. */
let services = new Map();
/** What they refer to. */
let told = { schemas: {}, types: {} };
/** The name of the service whose form is there. */
let shown = "";

exc.Error = () => {}; // each place shows its own errors

at("host").textContent = location.host;
at("login").addEventListener("submit", async (event) => {
  event.preventDefault();
  const button = at("login").querySelector("button");
  button.disabled = true;
  try {
    await login(at("user").value, at("password").value, {
      progress: (done) => (button.textContent = `${Math.round(done * 100)} %`),
    });
    at("password").value = "";
    complain("");
    await load();
  } catch (error) {
    complain(String(error.message));
  } finally {
    button.disabled = false;
    button.textContent = "Log in";
  }
});
at("logout").addEventListener("click", () => void logout().catch((error) => complain(String(error.message))));
at("find").addEventListener("input", list);
addEventListener("hashchange", () => choose(true));
addEventListener("keydown", (event) => {
  if (event.key === "/" && !/^(INPUT|TEXTAREA|SELECT)$/.test(document.activeElement?.tagName ?? "")) {
    event.preventDefault();
    at("find").focus();
  }
});
at("find").addEventListener("keydown", (event) => {
  const first = at("list").querySelector("a");
  if (event.key === "Enter" && first) location.hash = first.hash;
  if (event.key === "ArrowDown" && first) {
    event.preventDefault();
    first.focus();
  }
});
at("list").addEventListener("keydown", (event) => {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (!step) return;
  event.preventDefault();
  const links = [...at("list").querySelectorAll("a")];
  const next = links[links.indexOf(document.activeElement) + step];
  (next ?? at("find")).focus();
});
on("state", who);

/** Shows who is logged in. */
function who() {
  const signedIn = state.user !== null && state.user !== undefined;
  at("login").hidden = signedIn;
  at("who").hidden = !signedIn;
  at("name").textContent = signedIn ? `${state.user} (${state.roles.join(", ")})` : "";
}

/** @param {string} sentence */
function complain(sentence) {
  at("trouble").textContent = sentence;
  at("trouble").hidden = !sentence;
}

async function load() {
  const answer = await fetch("services.json").catch(() => null);
  if (answer?.ok) told = await answer.json();
  else if (state.user) {
    try {
      told = await safe_apply("limen.services");
    } catch (error) {
      return complain(String(error.message));
    }
  } else {
    at("count").textContent = "Log in to see the services.";
    return at("user").focus();
  }
  services = new Map(told.services.map((service) => [service.name, service]));
  list();
  choose(false);
}

function list() {
  const wanted = at("find").value.trim().toLowerCase();
  const found = [...services.values()].filter(({ name, summary }) =>
    `${name} ${summary}`.toLowerCase().includes(wanted),
  );
  const groups = new Map([["", []]]); // what stands in no branch comes first
  for (const service of found) {
    const group = service.name.includes(".") ? service.name.slice(0, service.name.lastIndexOf(".")) : "";
    groups.set(group, [...(groups.get(group) ?? []), service]);
  }
  fill(
    at("list"),
    ...[...groups].flatMap(([group, members]) => [
      group ? el("h2", {}, group) : null, // the first has none
      el("ul", {}, ...members.map(link)),
    ]),
  );
  at("count").textContent =
    services.size === 0 ? "This program declares no services." : `${found.length} of ${services.size}`;
  mark();
}

const link = ({ name, safe }) =>
  el(
    "li",
    {},
    el("a", { href: `#${name}` }, el("span", {}, name.split(".").at(-1)), safe ? null : el("small", {}, "plain")),
  );

function mark() {
  for (const each of at("list").querySelectorAll("a")) {
    if (decodeURIComponent(each.hash.slice(1)) === chosen()) each.setAttribute("aria-current", "page");
    else each.removeAttribute("aria-current");
  }
}

const chosen = () => decodeURIComponent(location.hash.slice(1)) || services.keys().next().value;

/** @param {boolean} byHand */
function choose(byHand) {
  const service = services.get(chosen());
  document.title = service ? `${service.name} · Limen` : "Services · Limen";
  mark();
  if (service && service.name === shown) return; // what was typed stays
  shown = service?.name ?? "";
  fill(at("main"), ...(service ? show(service, told) : []));
  if (byHand && service) at("main").focus({ preventScroll: matchMedia("(min-width: 46rem)").matches });
}

await ready;
who();
await load();
