// The page's life: looking for a session, signed out, signed in, and what comes between.

import { call, explain } from "./api.js";
import { announce, busy, byId, tell } from "./dom.js";
import { clear as clearNotes, dirty, load } from "./notes.js";
import {
  NoSession,
  forget,
  current,
  on,
  release,
  renew,
  root,
  secondsLeft,
  signOut,
  tellOthers,
} from "./session.js";
import "./token.js";

const SIGN_IN = document.documentElement.dataset.signIn;
const OUTCOMES = {
  denied: "You did not sign in. Try again when you like.",
  expired: "That took too long, or was begun in another window. Sign in once more.",
  unavailable: "The sign-in service did not answer. Try again in a minute.",
  failed: "Signing in failed. Try again; if it fails again, the app’s settings need a look.",
};
const OFFLINE = "You are offline. Go on writing: saving works again when you are connected.";

let shown = false; // somebody's notes are on the page

function view(name) {
  for (const id of ["starting", "signed-out", "signed-in"]) byId(id).hidden = id !== name;
  byId("account").hidden = name !== "signed-in";
  shown = name === "signed-in";
}

async function start(outcome) {
  view("starting");
  byId("start-again").hidden = true;
  byId("starting-text").textContent = "Looking for your session …";
  try {
    await renew();
    if (outcome === "done") close(); // a window of its own for signing in again: that was all
    tellOthers();
  } catch (error) {
    if (error instanceof NoSession) {
      showSignedOut(OUTCOMES[outcome]);
      return;
    }
    byId("starting-text").textContent = explain(error, "look for your session");
    byId("start-again").hidden = false;
  }
}

function showSignedOut(why = "") {
  view("signed-out");
  tell(byId("signed-out-why"), why);
}

/** Take everything of somebody's off the page. */
function clear() {
  byId("ended").close();
  byId("unsaved").close();
  byId("token").open = false;
  tell(byId("name"), "");
  tell(byId("email"), "");
  clearNotes();
  release();
}

on("token", (token) => {
  if (!token) return;
  if (byId("ended").open) {
    byId("ended").close();
    announce("You are signed in again. Nothing was lost.");
  }
  if (shown) return;
  view("signed-in");
  const { claims } = token;
  showUser(claims["cognito:username"] ?? claims.username, claims.email);
  load();
  call("GET", "userinfo")
    .then((answer) => answer.json())
    .then((user) => showUser(user.name, user.email ?? user.nickname))
    .catch(() => {}); // the token's own claims are shown already
});

function showUser(name, email) {
  tell(byId("name"), name);
  tell(byId("email"), email ?? "");
}

on("ended", () => ask("Sign in again in a new window. What you have written stays here."));

on("stranger", (name) => {
  if (!dirty()) {
    clear();
    start();
    return;
  }
  const mine = byId("name").textContent;
  ask(`You signed in as ${name}, but the text on this page is ${mine}’s. Sign in as ${mine}, or leave the text.`);
});

on("elsewhere", (what) => {
  if (what === "out") {
    forget();
    clear();
    showSignedOut("You signed out in another window.");
  } else if (!current()) {
    renew().catch(() => {});
  }
});

on("trouble", (seconds) => {
  const text = seconds && secondsLeft() <= 0
    ? "The sign-in service does not answer. This page keeps trying, and what you have written stays here."
    : "";
  notice(text);
});

function notice(text) {
  tell(byId("notice"), navigator.onLine ? text : OFFLINE);
}

addEventListener("offline", () => notice(""));
addEventListener("online", () => {
  notice("");
  if (!shown && SIGN_IN === "on" && !byId("starting").hidden) start();
});

function ask(text) {
  if (!shown) return;
  byId("ended-text").textContent = text;
  if (!byId("ended").open) byId("ended").showModal();
}

byId("ended-sign-in").addEventListener("click", (event) => {
  const opened = open(event.currentTarget.href, "notegate-sign-in", "popup,width=480,height=760");
  // Where windows are not allowed to pop up, the link itself opens one.
  if (opened) event.preventDefault();
});

byId("ended-leave").addEventListener("click", () => {
  forget();
  clear();
  start();
});

byId("start-again").addEventListener("click", () => start());

byId("sign-out").addEventListener("click", () => {
  if (dirty()) byId("unsaved").showModal();
  else leave();
});
byId("unsaved-stay").addEventListener("click", () => byId("unsaved").close());
byId("unsaved-leave").addEventListener("click", () => {
  byId("unsaved").close();
  leave();
});

async function leave() {
  await busy(byId("sign-out"), "Signing out …", async () => {
    try {
      const url = await signOut();
      clear();
      view("starting");
      byId("starting-text").textContent = "Signing out …";
      location.assign(url);
    } catch (error) {
      notice(`${explain(error, "sign out")} You are still signed in.`);
    }
  });
}

addEventListener("beforeunload", (event) => {
  if (dirty()) event.preventDefault();
});

// A page that the back button takes out of the browser's memory may be older than the session.
addEventListener("pageshow", (event) => {
  if (!event.persisted) return;
  if (shown) renew().catch(() => {});
  else location.reload();
});

const outcome = new URLSearchParams(location.hash.slice(1)).get("signin");
if (outcome) history.replaceState(null, "", location.pathname + location.search);
notice("");
if (SIGN_IN === "on") {
  start(outcome);
} else {
  byId("can-sign-in").hidden = true;
  byId(`sign-in-${SIGN_IN}`).hidden = false;
  byId("callback-address").textContent = new URL("auth/callback", root).href;
  showSignedOut();
}
