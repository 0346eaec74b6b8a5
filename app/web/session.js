// The session: a short-lived token, in this module's memory and nowhere else. What it is renewed
// with is in a cookie that no script can read.

export const root = new URL("../../", import.meta.url);

const channel = new BroadcastChannel(`notegate ${root.pathname}`);

let owner = null; // whose notes the page shows: nobody else's token is used beside them
let token = null; // { text, header, claims, endsAt } - endsAt in the time of performance.now()
let renewal = null; // the renewal under way, shared by all who need one
let timer;
const listeners = { token: [], ended: [], stranger: [], elsewhere: [], trouble: [] };

/** There is no session, or no longer. */
export class NoSession extends Error {}

/** The service that renews tokens cannot be asked now. */
export class SessionUnreachable extends Error {
  constructor(retryAfter) {
    super("unreachable");
    this.retryAfter = retryAfter;
  }
}

/**
 * Listen: "token" (a new token, or null), "ended" (it cannot be renewed), "stranger" (somebody
 * else signed in meanwhile: their name), "elsewhere" ("in" or "out": another window signed in or
 * out), "trouble" (renewing fails for now, and is tried again in so many seconds; null: no longer).
 */
export function on(name, listener) {
  listeners[name].push(listener);
}

function emit(name, value) {
  for (const listener of listeners[name]) listener(value);
}

export const current = () => token;

/** Seconds until the token ends. */
export const secondsLeft = () => (token ? (token.endsAt - performance.now()) / 1000 : 0);

/** The token's text, renewed first if it has ended. */
export async function tokenText() {
  if (!token || secondsLeft() <= 0) await renew();
  return token.text;
}

/** Get a token by the session's cookie. */
export function renew() {
  renewal ??= alone(ask).finally(() => {
    renewal = null;
  });
  return renewal;
}

/** One window at a time: each renewal may replace the cookie that the next one needs. */
function alone(work) {
  return navigator.locks ? navigator.locks.request(`notegate ${root.pathname}`, work) : work();
}

async function ask() {
  let answer;
  try {
    answer = await post("auth/token");
  } catch {
    throw unreachable(5);
  }
  if (answer.status === 401) {
    forget();
    if (owner) emit("ended");
    throw new NoSession();
  }
  if (!answer.ok) throw unreachable(Number(answer.headers.get("Retry-After")) || 5);
  const given = await answer.json();
  const text = given.access_token ?? given.id_token;
  const claims = part(text, 1);
  if (owner && owner !== claims.sub) {
    forget();
    emit("stranger", claims["cognito:username"] ?? claims.username);
    throw new NoSession();
  }
  owner = claims.sub;
  // By this machine's own clock, which may be wrong but goes evenly.
  const seconds = claims.exp - claims.iat || given.expires_in;
  token = { text, header: part(text, 0), claims, endsAt: performance.now() + seconds * 1000 };
  emit("trouble", null);
  emit("token", token);
  plan(Math.max(1, seconds - Math.min(60, seconds / 4)));
  return token;
}

function unreachable(retryAfter) {
  if (token) {
    plan(retryAfter);
    emit("trouble", retryAfter);
  }
  return new SessionUnreachable(retryAfter);
}

function plan(seconds) {
  clearTimeout(timer);
  // Longer waits do not fit into a timer.
  timer = setTimeout(() => renew().catch(() => {}), Math.min(seconds, 86_400) * 1000);
}

// Timers stand still while a machine sleeps.
for (const moment of ["online", "pageshow", "focus"]) {
  addEventListener(moment, () => {
    if (token && secondsLeft() < 30) renew().catch(() => {});
  });
}

/** Sign out; returns where to go, so that the sign-in page forgets it too. */
export async function signOut() {
  let answer;
  try {
    answer = await alone(() => post("auth/logout"));
  } catch {
    throw new SessionUnreachable(5);
  }
  if (!answer.ok) throw new SessionUnreachable(Number(answer.headers.get("Retry-After")) || 5);
  const { logout_url: url } = await answer.json();
  forget();
  channel.postMessage("out");
  return url;
}

/** Tell this browser's other windows that there is a session now. */
export function tellOthers() {
  channel.postMessage("in");
}

channel.addEventListener("message", (event) => emit("elsewhere", event.data));

/** Let go of the user: nothing of theirs is on the page any more. */
export function release() {
  owner = null;
}

/** Let go of the token. */
export function forget() {
  token = null;
  clearTimeout(timer);
  emit("token", null);
}

function post(path) {
  // In fetch's default mode: in another one, Referrer-Policy would blank out Origin.
  return fetch(new URL(path, root), {
    method: "POST",
    cache: "no-store",
    redirect: "error",
    signal: AbortSignal.timeout(20_000),
  });
}

/** A part of a token, only to be looked at: what it is worth, the API decides. */
function part(text, index) {
  const base64 = text.split(".")[index].replaceAll("-", "+").replaceAll("_", "/");
  const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  return JSON.parse(new TextDecoder().decode(bytes));
}
