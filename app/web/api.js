// Requests to the API, and what their failures mean for the person in front of the page.

import { NoSession, SessionUnreachable, renew, root, tokenText } from "./session.js";

/** The API refused; `status` says how. */
export class Refused extends Error {
  constructor(status, problem, retryAfter) {
    super(problem.message ?? "");
    this.status = status;
    this.reasons = (problem.errors ?? []).map((error) => error.reason);
    this.retryAfter = retryAfter;
  }
}

/** No answer came back. */
export class NoAnswer extends Error {}

/**
 * Send one request with the session's token, renewed once if the API does not take it.
 * `json` becomes the body, `etag` If-Match, `absent` If-None-Match: *.
 */
export async function call(method, path, { json, etag, absent, signal } = {}) {
  const headers = {};
  if (json !== undefined) headers["Content-Type"] = "application/json";
  if (etag) headers["If-Match"] = etag;
  if (absent) headers["If-None-Match"] = "*";
  const body = json === undefined ? undefined : JSON.stringify(json);
  const limit = AbortSignal.timeout(35_000);
  const stop = signal ? AbortSignal.any([signal, limit]) : limit;
  let answer;
  for (const again of [true, false]) {
    headers.Authorization = `Bearer ${await tokenText()}`;
    try {
      answer = await fetch(new URL(path, root), {
        method,
        headers,
        body,
        signal: stop,
        cache: "no-store",
      });
    } catch (error) {
      if (signal?.aborted) throw error;
      throw new NoAnswer();
    }
    if (answer.status !== 401 || !again) break;
    await renew();
  }
  if (answer.ok) return answer;
  const problem = await answer.json().catch(() => ({}));
  throw new Refused(answer.status, problem, Number(answer.headers.get("Retry-After")) || 0);
}

/** Where a list goes on, or null. Only ever here: the token goes along. */
export function next(answer) {
  const link = answer.headers.get("Link")?.match(/<([^>]*)>\s*;\s*rel="next"/);
  const url = link && new URL(link[1], root);
  return url && url.origin === root.origin ? url.href : null;
}

export const wasStopped = (error) => error?.name === "AbortError";

/** What went wrong, and what to do: `doing` is what was tried, such as "save the note". */
export function explain(error, doing) {
  const failed = `Could not ${doing}.`;
  if (error instanceof NoSession) return `${failed} Your session has ended: sign in again.`;
  if (!navigator.onLine) return `${failed} You are offline: try again when you are connected.`;
  if (error instanceof SessionUnreachable) {
    return `${failed} The sign-in service does not answer: try again in ${error.retryAfter} seconds.`;
  }
  if (error instanceof NoAnswer) {
    return `${failed} The server does not answer: check your connection and try again.`;
  }
  if (!(error instanceof Refused)) return `${failed} Reload the page and try again.`;
  switch (error.status) {
    case 400:
      return `${failed} The text ${error.reasons[0] ?? "is not accepted"}: change it and try again.`;
    case 401:
      return `${failed} Your account is not accepted any more: sign out and sign in again.`;
    case 404:
      return `${failed} The note is not there any more.`;
    case 413:
      return `${failed} The text is too long: a note has at most 256 KiB. Make two of it.`;
    case 429:
      return `${failed} There were too many requests: wait a moment and try again.`;
    case 503:
      return `${failed} The server is busy: try again in ${error.retryAfter || 1} seconds.`;
    default:
      return `${failed} Something is wrong at the server: try again in a minute.`;
  }
}
