// The token panel: what the token says, how long it lasts, and the token itself.

import { byId, h } from "./dom.js";
import { current, on, secondsLeft } from "./session.js";

const TIMES = new Set(["exp", "iat", "auth_time", "nbf"]);

on("token", show);
setInterval(showTimeLeft, 1000);

byId("token-copy").addEventListener("click", async () => {
  const text = byId("token-text");
  let said = "Copied";
  try {
    await navigator.clipboard.writeText(text.value);
  } catch {
    text.focus();
    text.select();
    said = "The browser does not let this page copy: press Ctrl + C";
  }
  byId("token-copied").textContent = said;
  setTimeout(() => {
    byId("token-copied").textContent = "";
  }, 6000);
});

function show(token) {
  byId("token-text").value = token?.text ?? "";
  byId("token-label").textContent = token?.claims.token_use === "access" ? "Access token" : "ID token";
  byId("claims").replaceChildren(
    ...Object.entries(token?.claims ?? {}).map(([name, value]) =>
      h("tr", {}, h("th", { scope: "row" }, name), h("td", {}, readable(name, value))),
    ),
  );
  showTimeLeft();
}

function readable(name, value) {
  if (TIMES.has(name) && Number.isFinite(value)) {
    return `${value} (${new Date(value * 1000).toLocaleString()})`;
  }
  return typeof value === "string" ? value : JSON.stringify(value);
}

function showTimeLeft() {
  if (!current()) {
    byId("token-left").textContent = "";
    return;
  }
  const left = Math.max(0, Math.round(secondsLeft()));
  const minutes = String(Math.floor(left / 60));
  const seconds = String(left % 60).padStart(2, "0");
  byId("token-left").textContent = left ? `Ends in ${minutes}:${seconds}` : "Has ended";
}
