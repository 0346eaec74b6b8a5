// One note in the list: read, edited, in conflict, deleted and brought back.

import { Refused, call, explain } from "./api.js";
import { announce, busy, h, sendsWithKeys, tell, time, toast } from "./dom.js";

const LONG = 1500; // characters; a longer text scrolls in its own box

export class Card {
  /**
   * `note` is as the API gives it; `list` has `add(note)`, `drop(card)` and `restore(note, before)`.
   */
  constructor(note, list) {
    this.list = list;
    this.element = h("li", { class: "card note" });
    this.show(note);
  }

  get id() {
    return this.note.NoteId;
  }

  get path() {
    return `notes/${this.id}`;
  }

  /** Whether something is written here that is not saved. */
  get dirty() {
    return this.field !== null && this.field.value !== this.start;
  }

  /** Whether its text is being edited. */
  get editing() {
    return this.field !== null;
  }

  show(note) {
    this.note = note;
    this.field = null;
    const long = note.Note.length > LONG;
    const text = long
      ? h("div", { class: "note-text is-long", tabindex: "0", role: "region", "aria-label": `Text of note ${this.id}` })
      : h("div", { class: "note-text" });
    text.textContent = note.Note;
    this.error = errorLine();
    this.editButton = h(
      "button",
      { type: "button", "aria-label": `Edit note ${this.id}`, onclick: () => this.open() },
      "Edit",
    );
    this.deleteButton = h(
      "button",
      { type: "button", class: "danger", "aria-label": `Delete note ${this.id}`, onclick: () => this.remove() },
      "Delete",
    );
    this.element.replaceChildren(
      text,
      this.error,
      h(
        "div",
        { class: "note-foot" },
        h("span", { class: "hint" }, `Note ${this.id} · `, time(note.UpdatedAt)),
        h("span", { class: "row" }, this.editButton, this.deleteButton),
      ),
    );
  }

  /** Fetch the note as it is now, for its ETag; null if it is gone. */
  async fetch() {
    try {
      const answer = await call("GET", this.path);
      return { note: await answer.json(), etag: answer.headers.get("ETag") };
    } catch (error) {
      if (error instanceof Refused && error.status === 404) return null;
      throw error;
    }
  }

  async open(text) {
    tell(this.error, "");
    await busy(this.editButton, "Opening …", async () => {
      try {
        const now = await this.fetch();
        if (now === null) this.sayGone();
        else this.edit(now, text);
      } catch (error) {
        tell(this.error, explain(error, "open the note"));
      }
    });
  }

  edit({ note, etag }, text = note.Note) {
    this.note = note;
    const field = this.makeField(`Text of note ${this.id}`, text, note.Note);
    const save = h("button", { type: "submit", class: "primary" }, "Save");
    const form = h(
      "form",
      { novalidate: true },
      h("label", { class: "label", for: field.id }, `Note ${this.id}`),
      field,
      this.error,
      h(
        "div",
        { class: "row" },
        save,
        h("button", { type: "button", onclick: () => this.leave(note) }, "Cancel"),
      ),
    );
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.save(save, { etag });
    });
    this.element.replaceChildren(form);
    field.focus();
  }

  makeField(label, text, start) {
    const field = h("textarea", { id: `text-${this.id}`, rows: "4", "aria-label": label });
    field.value = text;
    sendsWithKeys(field);
    this.field = field;
    this.start = start;
    this.error = errorLine(`error-${this.id}`);
    field.setAttribute("aria-describedby", this.error.id);
    return field;
  }

  /** Go back to reading; what was written can be had back. */
  leave(note) {
    const [written, dirty] = [this.field.value, this.dirty];
    this.show(note);
    this.editButton.focus();
    if (dirty) {
      toast("Your changes were set aside", "Bring them back", (_, close) => {
        this.open(written);
        close();
      });
    }
  }

  /** Save what is written, if the note is still in the state that `condition` names. */
  async save(button, condition) {
    const text = this.field.value;
    if (!text) {
      tell(this.error, "A note has some text. Write some, or cancel and delete the note.");
      this.field.focus();
      return;
    }
    tell(this.error, "");
    this.field.readOnly = true;
    await busy(button, "Saving …", async () => {
      try {
        const answer = await call("PUT", this.path, { json: { Note: text }, ...condition });
        this.saved(await answer.json());
      } catch (error) {
        if (error instanceof Refused && error.status === 412) await this.compare(text);
        else tell(this.error, explain(error, "save the note"));
      }
    });
    if (this.field) this.field.readOnly = false;
  }

  saved(note) {
    this.show(note);
    this.editButton.focus();
    announce(`Note ${this.id} is saved`);
  }

  /** Somebody else was faster: fetch what they saved, and show both. */
  async compare(mine) {
    let theirs;
    try {
      theirs = await this.fetch();
    } catch (error) {
      tell(this.error, explain(error, "save the note"));
      return;
    }
    if (theirs?.note.Note === mine) this.saved(theirs.note); // our own, whose answer was lost
    else this.showBoth(mine, theirs);
  }

  showBoth(mine, theirs) {
    const field = this.makeField("Your text", mine, theirs?.note.Note ?? "");
    const what = theirs ? "changed" : "deleted";
    const heading = h("h3", { tabindex: "-1", class: "label" }, `Note ${this.id} was ${what} elsewhere`);
    const saveMine = h("button", { type: "submit", class: "primary" }, theirs ? "Save yours" : "Save it again");
    const columns = [h("div", {}, h("label", { class: "label", for: field.id }, "Your text"), field)];
    const buttons = [saveMine];
    if (theirs) {
      const text = h("div", { class: "theirs", tabindex: "0", role: "region", "aria-label": "Text saved elsewhere" });
      text.textContent = theirs.note.Note;
      columns.push(h("div", {}, h("span", { class: "label" }, "Saved elsewhere"), text));
      const both = h("button", { type: "button", onclick: () => this.keepBoth(both, theirs.note) }, "Keep both");
      buttons.push(both, h("button", { type: "button", onclick: () => this.leave(theirs.note) }, "Keep the other"));
    } else {
      buttons.push(h("button", { type: "button", onclick: () => this.sayGone(field.value) }, "Let it go"));
    }
    const form = h(
      "form",
      { novalidate: true },
      heading,
      h("p", { class: "hint" }, theirs ? "Nothing is lost: both texts are here. Which one is to stay?" : "Your text is still here."),
      h("div", { class: "both" }, ...columns),
      this.error,
      h("div", { class: "row" }, ...buttons),
    );
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.save(saveMine, theirs ? { etag: theirs.etag } : { absent: true });
    });
    this.element.replaceChildren(form);
    heading.focus();
    announce(heading.textContent);
  }

  /** The other text stays under this number, and what is written here becomes a note of its own. */
  async keepBoth(button, theirs) {
    tell(this.error, "");
    await busy(button, "Saving …", async () => {
      try {
        const answer = await call("POST", "notes", { json: { Note: this.field.value } });
        this.show(theirs);
        this.list.add(await answer.json());
        this.editButton.focus();
      } catch (error) {
        tell(this.error, explain(error, "save the note"));
      }
    });
  }

  async remove() {
    tell(this.error, "");
    await busy(this.deleteButton, "Deleting …", async () => {
      try {
        const now = await this.fetch();
        if (now === null) {
          this.sayGone();
          return;
        }
        if (now.note.Note !== this.note.Note) {
          this.sayChanged(now.note);
          return;
        }
        await call("DELETE", this.path, { etag: now.etag });
        this.offerUndo("deleted", now.note);
      } catch (error) {
        const raced = error instanceof Refused && [404, 412].includes(error.status);
        tell(
          this.error,
          raced
            ? "Somebody changed the note just now. Look at it again before you delete it."
            : explain(error, "delete the note"),
        );
      }
    });
  }

  sayChanged(note) {
    this.show(note);
    tell(this.error, "This note was changed elsewhere, and you see the new text now. Delete it again if you still want to.");
    this.deleteButton.focus();
  }

  /** It was deleted elsewhere: take it out of the list, and let it be had back. */
  sayGone(text = this.note.Note) {
    this.offerUndo("already deleted elsewhere", { ...this.note, Note: text });
  }

  offerUndo(what, note) {
    this.field = null;
    const before = this.element.nextElementSibling;
    this.list.drop(this);
    const { button } = toast(`Note ${this.id} ${what}`, "Undo", (undo, close) =>
      busy(undo, "Bringing it back …", async () => {
        try {
          const card = this.list.restore(await putBack(note), before);
          close();
          card.editButton.focus();
        } catch (error) {
          undo.before(h("span", { role: "alert" }, explain(error, "bring the note back")));
        }
      }),
    );
    button.focus();
  }
}

/** Save a deleted note again, under another number if somebody has taken its own. */
async function putBack({ NoteId: id, Note: text }) {
  try {
    return await (await call("PUT", `notes/${id}`, { json: { Note: text }, absent: true })).json();
  } catch (error) {
    if (!(error instanceof Refused && error.status === 412)) throw error;
    return (await call("POST", "notes", { json: { Note: text } })).json();
  }
}

function errorLine(id) {
  return h("p", { class: "error", role: "alert", hidden: true, id });
}
