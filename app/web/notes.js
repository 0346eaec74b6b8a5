// The list of notes: pages, search as you type, and new notes.

import { call, explain, next, wasStopped } from "./api.js";
import { announce, busy, byId, sendsWithKeys, tell } from "./dom.js";
import { Card } from "./note.js";

const PAGE = 50;
const PAUSE = 250; // milliseconds without a key until a search begins

const field = byId("new-text");
const search = byId("search-text");
const list = byId("list");
const more = byId("more");

let cards = [];
let following = null; // where the list goes on
let loading = null; // the AbortController of the load under way
let pause;

const actions = {
  add(note) {
    const card = new Card(note, actions);
    card.element.classList.add("is-new");
    cards.unshift(card);
    list.prepend(card.element);
    announce(`Note ${note.NoteId} is added`);
    count();
    return card;
  },
  drop(card) {
    cards = cards.filter((each) => each !== card);
    card.element.remove();
    count();
  },
  restore(note, before) {
    const card = new Card(note, actions);
    cards.push(card);
    list.insertBefore(card.element, before?.parentElement === list ? before : null);
    announce(`Note ${note.NoteId} is back`);
    count();
    return card;
  },
};

/** Whether something is written on the page that is not saved. */
export const dirty = () => field.value !== "" || cards.some((card) => card.dirty);

/** Forget everything. */
export function clear() {
  loading?.abort();
  clearTimeout(pause);
  cards = [];
  following = null;
  field.value = "";
  search.value = "";
  list.replaceChildren();
  byId("toasts").replaceChildren();
  more.hidden = true;
  tell(byId("new-error"), "");
  tell(byId("list-error"), "");
  byId("list-status").textContent = "";
}

/** Show the first notes, or the first that contain what is searched for. */
export async function load() {
  // A text that is being edited stays where it is seen.
  const kept = cards.filter((card) => card.editing);
  const text = search.value;
  const found = text.trim() ? `notes/search?${new URLSearchParams({ text, limit: PAGE })}` : `notes?limit=${PAGE}`;
  byId("list-status").textContent = text.trim() ? "Searching …" : "Loading …";
  following = null;
  more.hidden = true;
  await follow(found, () => {
    cards = kept;
    list.replaceChildren(...kept.map((card) => card.element));
  });
}

/** Fetch from `url` on until there is a page of notes, and show them as they come. */
async function follow(url, begin = () => {}) {
  loading?.abort();
  const own = (loading = new AbortController());
  const { signal } = own;
  list.setAttribute("aria-busy", "true");
  tell(byId("list-error"), "");
  let wanted = PAGE;
  try {
    while (url && wanted > 0) {
      const answer = await call("GET", url, { signal });
      const notes = await answer.json();
      signal.throwIfAborted();
      begin();
      begin = () => {};
      wanted -= notes.length;
      show(notes);
      url = next(answer);
      following = url;
    }
    count();
  } catch (error) {
    if (signal.aborted || wasStopped(error)) return;
    following = url;
    byId("list-status").textContent = "";
    tell(byId("list-error"), explain(error, search.value.trim() ? "search your notes" : "load your notes"));
    more.textContent = "Try again";
    more.hidden = false;
  } finally {
    if (loading === own) list.removeAttribute("aria-busy");
  }
}

function show(notes) {
  const shown = new Set(cards.map((card) => card.id));
  for (const note of notes) {
    if (shown.has(note.NoteId)) continue;
    const card = new Card(note, actions);
    cards.push(card);
    list.append(card.element);
  }
}

function count() {
  const text = search.value.trim();
  const number = cards.length === 1 ? "1 note" : `${cards.length} notes`;
  const rest = following ? ", and there are more" : "";
  more.textContent = text ? "Search on" : "Show more";
  more.hidden = !following;
  if (cards.length) byId("list-status").textContent = text ? `${number} found for “${text}”${rest}` : `${number}${rest}`;
  else if (text) byId("list-status").textContent = `No note contains “${text}”${rest}`;
  else byId("list-status").textContent = "No notes yet. Write the first one above.";
}

more.addEventListener("click", async () => {
  if (!following) {
    load(); // the first page failed
    return;
  }
  const at = cards.length;
  await busy(more, "Loading …", () => follow(following));
  if (byId("list-error").hidden) count();
  if (more.hidden) cards[at]?.editButton.focus();
});

search.addEventListener("input", () => {
  clearTimeout(pause);
  pause = setTimeout(load, PAUSE);
});

byId("search").addEventListener("submit", (event) => {
  event.preventDefault();
  clearTimeout(pause);
  load();
});

byId("new").addEventListener("submit", async (event) => {
  event.preventDefault();
  const error = byId("new-error");
  if (!field.value) {
    tell(error, "A note has some text: write some first.");
    field.focus();
    return;
  }
  tell(error, "");
  field.readOnly = true;
  await busy(event.target.querySelector("button"), "Adding …", async () => {
    try {
      const answer = await call("POST", "notes", { json: { Note: field.value } });
      actions.add(await answer.json());
      field.value = "";
    } catch (problem) {
      tell(error, explain(problem, "add the note"));
    }
  });
  field.readOnly = false;
  field.focus();
});

sendsWithKeys(field);
addEventListener("online", () => {
  if (!byId("list-error").hidden) load();
});
