"use strict";
const byId = (id) => document.getElementById(id);

function sort(button) {
  const head = button.parentElement, body = head.closest("table").tBodies[0];
  const column = [...head.parentElement.children].indexOf(head);
  const down = head.getAttribute("aria-sort") === "ascending";
  for (const other of head.parentElement.children) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", down ? "descending" : "ascending");
  const value = (row) => row.children[column].dataset.value ?? row.children[column].textContent;
  const compare = (a, b) => {
    if (a === "" || b === "") return (a === "") - (b === "");
    const order = isNaN(a) || isNaN(b) ? a.localeCompare(b, undefined, { numeric: true }) : a - b;
    return down ? -order : order;
  };
  body.append(...[...body.rows].sort((a, b) => compare(value(a), value(b))));
}

// The page of a run waits in a template, which a browser neither lays out nor paints.
function fill(run) {
  const waiting = run.querySelector(":scope > template");
  if (waiting) waiting.replaceWith(waiting.content);
}

// Says where a table is wider than its place, as its colour alone does not.
function cue() {
  for (const box of document.querySelectorAll(".wide"))
    box.classList.toggle("cut", box.scrollWidth > box.clientWidth + 1);
}

function open() {
  const run = byId(decodeURIComponent(location.hash.slice(1)));
  if (!run?.matches("details.run")) return;
  run.hidden = false;
  run.open = true;
  run.scrollIntoView();
}

function search() {
  const list = byId("runs"), runs = [...list.children], input = byId("search");
  const order = byId("order"), all = byId("all"), first = 40;
  const texts = new Map(runs.map((run) => {
    const name = run.id + " " + run.firstElementChild.textContent;
    return [run, name.toLowerCase().replace(/\s+/g, " ")];
  }));
  const score = (run) => parseFloat(run.querySelector(`[data-name=${order.value}]`).lastChild.data);
  let most = first;
  const show = () => {
    const phrase = input.value.toLowerCase().trim(), words = phrase.split(/\s+/);
    let found = runs.filter((run) => texts.get(run).includes(phrase));
    if (!found.length) found = runs.filter((run) => words.every((word) => texts.get(run).includes(word)));
    for (const run of runs) run.hidden = true;
    for (const run of found.slice(0, most)) run.hidden = false;
    const shown = Math.min(found.length, most);
    byId("found").textContent = `${shown} of ${runs.length} shown`;
    all.parentElement.hidden = found.length <= most;
  };
  const sorted = () => {
    const scores = order.value && new Map(runs.map((run) => [run, score(run)]));
    if (scores) runs.sort((a, b) => scores.get(b) - scores.get(a));
    else runs.sort((a, b) => a.dataset.at - b.dataset.at);
    list.append(...runs);
    show();
  };
  runs.forEach((run, at) => { run.dataset.at = at; });
  input.addEventListener("input", () => { most = first; show(); });
  order.addEventListener("change", sorted);
  all.addEventListener("click", () => { most = Infinity; show(); });
  document.querySelector(".tools").hidden = false;
  show();
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("th button");
  if (button) sort(button);
});
document.addEventListener("toggle", (event) => { fill(event.target); cue(); }, true);
addEventListener("beforeprint", () => {
  for (const doubts of document.querySelectorAll("details.badge")) doubts.open = true;
});
addEventListener("hashchange", open);
addEventListener("resize", cue);
if (byId("runs")?.children.length > 1) search();
open();
cue();
