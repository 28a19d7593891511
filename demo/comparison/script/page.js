// The component's elements and its words. Gradio gives `element` and `props`.

const find = (selector) => element.querySelector(selector);
const findAll = (selector) => [...element.querySelectorAll(selector)];
const root = find(".comparison");
const pair = find(".comparison-pair");
const grid = find(".comparison-grid");
const coarse = window.matchMedia("(pointer: coarse)");

const languages = Object.keys(props.text);
const wished = navigator.language.split("-")[0].toLowerCase();
const language = languages.includes(wished) ? wished : languages[0];

// The words of one key, with {names} filled in.
const say = (key, values = {}) =>
  props.text[language][`comparison_${key}`].replace(/\{(\w+)\}/g, (all, name) => values[name] ?? all);

root.lang = language;
root.setAttribute("aria-label", say("label"));
for (const labelled of findAll("[data-label]")) {
  const { label, keys } = labelled.dataset;
  labelled.setAttribute("aria-label", say(label));
  if (labelled.matches("button")) labelled.title = keys ? `${say(label)} (${keys})` : say(label);
  if (keys) labelled.setAttribute("aria-keyshortcuts", keys);
}
for (const worded of findAll("[data-text]")) worded.textContent = say(worded.dataset.text);
const help = find(".comparison-help");
help.id = `comparison-help-${Math.random().toString(36).slice(2)}`;
pair.setAttribute("aria-describedby", help.id);

let saying = 0;
function announce(words) {
  clearTimeout(saying);
  saying = setTimeout(() => (find("[role=status]").textContent = words), 150);
}
