// The component's elements and its words. Gradio gives `element` and `props`.

const find = (selector) => element.querySelector(selector);
const findAll = (selector) => [...element.querySelectorAll(selector)];
const root = find(".history");
const list = find(".history-steps");
const stillness = window.matchMedia("(prefers-reduced-motion: reduce)");

const languages = Object.keys(props.text);
const wished = navigator.language.split("-")[0].toLowerCase();
const language = languages.includes(wished) ? wished : languages[0];

// The words of one key, with {names} filled in.
const say = (key, values = {}) =>
  props.text[language][`history_${key}`].replace(/\{(\w+)\}/g, (all, name) => values[name] ?? all);

root.lang = language;
root.setAttribute("aria-label", say("title"));
for (const worded of findAll("[data-text]")) worded.textContent = say(worded.dataset.text.slice("history_".length));
find(".history-help").id = `history-help-${Math.random().toString(36).slice(2)}`;
list.setAttribute("aria-describedby", find(".history-help").id);

let saying = 0;
function announce(words) {
  clearTimeout(saying);
  saying = setTimeout(() => (find("[role=status]").textContent = words), 150);
}
