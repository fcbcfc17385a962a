/* Moves a bar along while workers work, and shows the page anew when the stage has changed. */
"use strict";
const bar = document.querySelector("progress[data-progress]");

async function ask() {
  const answer = await fetch(bar.dataset.progress, { headers: { Accept: "application/json" } });
  if (!answer.ok || answer.redirected) return;
  const { stage, percent } = await answer.json();
  if (stage !== bar.dataset.stage) {
    location.reload();
    return;
  }
  bar.value = percent;
  document.querySelector("[data-percent]").textContent = `${percent}%`;
  setTimeout(ask, 1000);
}

if (bar) setTimeout(ask, 1000);
