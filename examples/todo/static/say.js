/** What the page says: messages at its foot, words for screen readers, the bar about the connection. */

const toasts = document.getElementById("toasts");
const spoken = document.getElementById("spoken");
const bar = document.getElementById("line");
const template = document.getElementById("toast");

/** Seconds that a message stays; longer if it offers something, and as long as it is pointed at or holds the focus. */
const STAYS = { plain: 6, offering: 12 };

/**
 * Shows a message. *offer*: `{words, act}`, a button on it.
 * @returns {() => void} takes it away
 */
export function toast(words, offer) {
  const box = template.content.cloneNode(true).firstElementChild;
  const act = box.querySelector(".act");
  let timer;
  const away = () => {
    clearTimeout(timer);
    box.remove();
  };
  const wait = () => {
    clearTimeout(timer);
    timer = setTimeout(away, 1000 * (offer ? STAYS.offering : STAYS.plain));
  };
  box.querySelector("p").textContent = words;
  box.querySelector(".close").addEventListener("click", away);
  for (const event of ["pointerenter", "focusin"]) box.addEventListener(event, () => clearTimeout(timer));
  for (const event of ["pointerleave", "focusout"]) box.addEventListener(event, wait);
  if (offer) {
    act.hidden = false;
    act.textContent = offer.words;
    act.addEventListener("click", () => {
      away();
      offer.act();
    });
  }
  while (toasts.childElementCount > 2) toasts.firstElementChild.remove();
  toasts.append(box);
  wait();
  return away;
}

/** Says something to those who listen instead of looking. */
export function speak(words) {
  spoken.textContent = "";
  requestAnimationFrame(() => spoken.replaceChildren(words)); // the same words twice are said twice
}

/** Takes all messages away: what was said to one user is not for the next. */
export function hush() {
  spoken.textContent = "";
  toasts.replaceChildren();
}

let fade;

/** The bar above everything: "lost", "back" (goes by itself) or "" for none. */
export function line(kind, words = "") {
  clearTimeout(fade);
  bar.className = kind;
  bar.textContent = words;
  if (kind === "back") fade = setTimeout(() => line(""), 2500);
}
