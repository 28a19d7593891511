// The sheet of all keys. A native dialog keeps the focus inside while it is open, and gives it back.

const find = (selector) => element.querySelector(selector);
const findAll = (selector) => [...element.querySelectorAll(selector)];
const sheet = find("dialog");
const languages = Object.keys(props.text);
const wished = navigator.language.split("-")[0].toLowerCase();
const language = languages.includes(wished) ? wished : languages[0];
const words = props.text[language];

for (const part of findAll("[data-label]")) part.setAttribute("aria-label", words[part.dataset.label]);
for (const part of findAll("[data-text]")) part.textContent = words[part.dataset.text];
find(".keys-open").title = `${words.keys_title} (${SHORTCUTS.page.help})`;
sheet.lang = language;

const made = (tag, text = "", inner = []) => {
  const node = Object.assign(document.createElement(tag), { textContent: text });
  node.append(...inner);
  return node;
};

for (const [group, shortcuts] of Object.entries(SHORTCUTS)) {
  const list = made("dl");
  for (const [name, keys] of Object.entries(shortcuts)) {
    const caps = keys.map((one) => made("span", "", capsOf(one).map((cap) => made("kbd", cap))));
    list.append(made("div", "", [made("dt", "", caps), made("dd", words[props.labels[group][name]])]));
  }
  find(".keys-groups").append(made("section", "", [made("h3", words[`keys_${group}`]), list]));
}

const toggle = () => (sheet.open ? sheet.close() : sheet.showModal());
find(".keys-open").addEventListener("click", toggle);
find(".keys-close").addEventListener("click", toggle);
sheet.addEventListener("click", (event) => event.target === sheet && sheet.close()); // beside it

document.addEventListener("keydown", function onKey(event) {
  if (!sheet.isConnected) return document.removeEventListener("keydown", onKey);
  const writing = event.target.closest?.("input:not([type=range], [type=radio], [type=checkbox]), textarea, select");
  if (shortcutOf("page", event) !== "help" || writing || event.repeat) return;
  if (!sheet.open && document.querySelector("dialog[open]")) return;
  event.preventDefault();
  toggle();
});
