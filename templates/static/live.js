"use strict";
// While a campaign is being sent, its standing is asked for anew every two seconds.
const standing = document.querySelector("[data-live]");

async function look() {
  const answer = await fetch(standing.dataset.live, { headers: { Accept: "text/html" } });
  if (!answer.ok || answer.redirected) return;
  const held = standing.contains(document.activeElement) && document.activeElement.getAttribute("form");
  standing.innerHTML = await answer.text();
  if (held) standing.querySelector(`[form="${held}"]`)?.focus();
  setTimeout(look, 2000);
}

if (standing) setTimeout(look, 2000);
