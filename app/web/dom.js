// Small helpers around the document. Text only ever becomes text: nothing here parses HTML.

export const byId = (id) => document.getElementById(id);

/** Make an element: h("button", { class: "primary", type: "button", onclick }, "Save"). */
export function h(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (value === true) element.setAttribute(key, "");
    else if (value !== false && value !== undefined) element.setAttribute(key, value);
  }
  element.append(...children);
  return element;
}

/** Show a text in an element that is hidden without one. */
export function tell(element, text) {
  element.textContent = text;
  element.hidden = !text;
}

/** Let screen readers say something that the eye sees anyway. */
export function announce(text) {
  const live = byId("live");
  // The same text twice would not be said twice.
  live.textContent = live.textContent === text ? `${text}\u00a0` : text;
}

/**
 * Run `work` while a button shows that it is under way. The button stays focusable, and presses
 * meanwhile do nothing.
 */
export async function busy(button, label, work) {
  if (button.getAttribute("aria-busy") === "true") return undefined;
  const text = button.textContent;
  button.setAttribute("aria-busy", "true");
  button.textContent = label;
  try {
    return await work();
  } finally {
    button.removeAttribute("aria-busy");
    button.textContent = text;
  }
}

/**
 * Show a message with one thing to do. It goes away after a while, but never while the keyboard or
 * the mouse is on it. Returns a function that takes it away.
 */
export function toast(text, action, onaction, seconds = 12) {
  let timer;
  const close = () => {
    clearTimeout(timer);
    if (element.contains(document.activeElement)) byId("list-heading").focus();
    element.remove();
  };
  const wait = () => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      if (element.matches(":hover") || element.contains(document.activeElement)) wait();
      else close();
    }, seconds * 1000);
  };
  const button = h("button", { type: "button" }, action);
  button.addEventListener("click", () => onaction(button, close));
  const element = h(
    "div",
    { class: "toast" },
    h("span", {}, text),
    button,
    h("button", { type: "button", "aria-label": "Dismiss", onclick: () => close() }, "✕"),
  );
  byId("toasts").replaceChildren(element);
  wait();
  announce(text);
  return { close, button };
}

/** A time as people read it; the exact one is in the element's `datetime`. */
export function time(iso) {
  const date = new Date(iso);
  const shown = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
  return h("time", { datetime: iso }, Number.isNaN(date.getTime()) ? iso : shown.format(date));
}

/** Ctrl or ⌘ with Enter sends a form, as a text field's Enter cannot. */
export function sendsWithKeys(textarea) {
  textarea.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      textarea.form.requestSubmit();
    }
  });
}
