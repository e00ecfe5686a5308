/* A page of its own, under its Content-Security-Policy: it logs in and calls by itself, and writes down what it sees. */
"use strict";
const say = (line) =>
  document.querySelector("ol").append(Object.assign(document.createElement("li"), { textContent: line }));
const seen = (window.seen = []);
for (const name of ["online", "offline", "missed", "signed_out", "taken_over"])
  Limen.on(name, (detail) => seen.push([name, detail?.reason ?? detail?.message ?? null]));
Limen.on("state", (state) => (document.title = state.status));
Limen.exc.InvalidCredential = () => say("That name and password don't go together.");
Limen.exc.Unauthorized = () => say("Log in first.");
Limen.exc.Error = (error) => say(`${error.exc}: ${error.err.join(" ")}`);

document.querySelector("form").addEventListener("submit", (event) => {
  event.preventDefault();
  const { user, password } = event.target.elements;
  const bar = document.querySelector("progress");
  Limen.login(user.value, password.value, { progress: (done) => (bar.value = done) })
    .then(() => Limen.safe_call("lab.add", 1, 2))
    .then((sum) => say(`1 + 2 = ${sum}`))
    .catch(() => {});
});
Limen.ready.then((state) => {
  document.body.dataset.ready = state.status;
  if (state.status === "online") Limen.safe_call("lab.add", 3, 4).then((sum) => say(`3 + 4 = ${sum}`));
});
