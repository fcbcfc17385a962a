"use strict";
// While a campaign is written: how many people its filters let pass, asked anew after a pause.
const told = document.querySelector("[data-count]");
const form = told && told.closest("form");
let waiting = 0;

async function count() {
  const answer = await fetch(told.dataset.count, { method: "POST", body: new FormData(form) });
  const { people } = answer.ok ? await answer.json() : { people: null };
  const words = people === 1 ? told.dataset.one : told.dataset.many;
  told.textContent = people === null ? "" : words.replace("%s", people.toLocaleString("en-US"));
}

if (form) {
  form.addEventListener("change", () => {
    clearTimeout(waiting);
    waiting = setTimeout(count, 400);
  });
  if (form.elements.purpose) count();
}
