// What pages can do beyond HTML. Without it all of them work: these are conveniences.
"use strict";

// The button beside what is to be copied: data-copy names its element.
document.addEventListener("click", (event) => {
  const button = event.target instanceof Element ? event.target.closest("[data-copy]") : null;
  if (!button) return;
  const source = document.getElementById(button.dataset.copy);
  const text = source.value === undefined ? source.textContent : source.value;
  const told = document.getElementById("told");
  const done = () => {
    const before = button.dataset.before || button.textContent;
    button.dataset.before = before;
    button.textContent = "Copied";
    if (told) told.textContent = "Copied";
    window.setTimeout(() => { button.textContent = before; if (told) told.textContent = ""; }, 2000);
  };
  const select = () => {
    const range = document.createRange();
    range.selectNodeContents(source);
    const selection = window.getSelection();
    selection.removeAllRanges();
    selection.addRange(range);
  };
  if (navigator.clipboard) navigator.clipboard.writeText(text).then(done, select);
  else select();
});
for (const button of document.querySelectorAll("[data-copy]")) button.hidden = false;

// A form that makes something is sent once, however often its button is pressed.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.method !== "post" || form.hasAttribute("hx-post")) return;
  if (form.dataset.sent) event.preventDefault();
  form.dataset.sent = "1";
});
window.addEventListener("pageshow", (event) => {
  if (event.persisted) for (const form of document.forms) delete form.dataset.sent;
});

// What comes anew by itself does so while somebody can see it.
document.addEventListener("htmx:beforeRequest", (event) => {
  if (document.hidden) event.preventDefault();
});

// Times in the reader's own zone, the exact one in UTC as its title.
const near = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const local = (root) => {
  for (const time of root.querySelectorAll("time[datetime]:not([data-local])")) {
    time.dataset.local = "1";
    time.title = time.dateTime;
    time.textContent = near.format(new Date(time.dateTime));
  }
};
local(document);
document.addEventListener("htmx:load", (event) => local(event.target));
