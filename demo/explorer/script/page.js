// The component's elements and its words. Gradio gives `element` and `props`.

const find = (selector) => element.querySelector(selector);
const findAll = (selector) => [...element.querySelectorAll(selector)];
const root = find(".explorer");
const coarse = window.matchMedia("(pointer: coarse)");

const languages = Object.keys(props.text);
const wished = navigator.language.split("-")[0].toLowerCase();
const language = languages.includes(wished) ? wished : languages[0];

// The words of one key, with {names} filled in.
const word = (key, values = {}) =>
  (props.text[language][key] ?? key).replace(/\{(\w+)\}/g, (all, name) => values[name] ?? all);
// A prior in the visitor's language if there is a word for it, else as it is.
const nameOf = (prior) => props.text[language][`prior_${prior}`] ?? prior;
const say = (key, values) => word(`explorer_${key}`, values);
const number = (value, digits = 0) =>
  value.toLocaleString(language, { minimumFractionDigits: digits, maximumFractionDigits: digits });

root.lang = language;
for (const labelled of findAll("[data-label]")) labelled.setAttribute("aria-label", word(labelled.dataset.label));
for (const worded of findAll("[data-text]")) worded.textContent = word(worded.dataset.text);
for (const help of findAll("[data-help]")) {
  help.id = `explorer-help-${Math.random().toString(36).slice(2)}`;
  find(`.explorer-${help.dataset.help}`).setAttribute("aria-describedby", help.id);
}

let saying = 0;
function announce(words) {
  clearTimeout(saying);
  saying = setTimeout(() => (find("[role=status]").textContent = words), 150);
}
