// What the page does in the browser beside Gradio: keys, pictures pasted or dropped anywhere, and care for unsaved work.

// The keys of the whole page (demo/shortcuts): they press Resample, or Generate in that tab, and the Stop beside it.
const PRESSED_BY_KEYS = { start: "#resample, #generate", stop: "#stop, #generate-stop" };
document.addEventListener("keydown", (event) => {
  const buttons = [...document.querySelectorAll(PRESSED_BY_KEYS[shortcutOf("page", event)] ?? "none")];
  const button = buttons.find((one) => one.offsetParent !== null);
  if (!button || button.disabled || event.repeat || document.querySelector("dialog[open]")) return;
  if (event.target.closest("[aria-expanded=true]")) return; // Escape closes the list
  event.preventDefault();
  // A number field gives its value when it loses the focus.
  if (document.activeElement instanceof HTMLInputElement) document.activeElement.blur();
  button.click();
});

// Gives a file to an input, as if the visitor had chosen it there; false where one of the two is missing.
function openFile(file, input) {
  if (!file || !input) return false;
  const transfer = new DataTransfer();
  transfer.items.add(file);
  input.files = transfer.files;
  input.dispatchEvent(new Event("change", { bubbles: true }));
  return true;
}

// Opens the first picture among some files: as the second one where that is what the visitor is at, or else as the first.
function openPicture(files, { target }) {
  const file = [...(files ?? [])].find((one) => one.type.startsWith("image/"));
  const place = target instanceof Element && target.closest("#transplant") ? "#second-picture" : "#picture";
  return openFile(file, document.querySelector(`${place} input[type=file]`));
}

// Opens the first code map among some files: the browser knows no type of it.
function openCodes(files) {
  const file = [...(files ?? [])].find((one) => one.name.endsWith(".codes"));
  return openFile(file, document.querySelector("input[type=file]:has(+ #dropped-codes)"));
}

document.addEventListener("paste", (event) => {
  if (openPicture(event.clipboardData?.files, event)) event.preventDefault();
});

// A file dropped beside the picture would make the browser leave the page for it, and lose what was made.
const carriesFiles = (event) => event.dataTransfer?.types.includes("Files");
const onPicture = (event) => event.target instanceof Element && event.target.closest("#picture, #second-picture");
document.addEventListener("dragover", (event) => {
  if (carriesFiles(event) && !onPicture(event)) event.preventDefault();
});
document.addEventListener("drop", (event) => {
  if (!carriesFiles(event) || onPicture(event)) return;
  event.preventDefault();
  if (!openCodes(event.dataTransfer.files)) openPicture(event.dataTransfer.files, event);
});

// A reload starts afresh: ask first where there is an edit, or one to be decided on.
window.addEventListener("beforeunload", (event) => {
  const undo = document.querySelector("#undo");
  const keep = document.querySelector("#keep");
  if ((undo && !undo.disabled) || keep?.offsetParent) event.preventDefault();
});

// The settings that differ from the defaults, under their names in a link; `values` in the order of `defaults`.
function changedSettings(defaults, newSeeds, values) {
  const named = Object.keys(defaults).map((name, i) => [name, values[i]]);
  const changed = Object.fromEntries(named.filter(([name, value]) => value !== defaults[name] && value !== null));
  if (newSeeds) delete changed.seed; // it is drawn anew, whatever the field says
  return changed;
}

// Puts a link to this page with these settings into the clipboard, if the browser lets it.
async function copyLink(settings) {
  const query = new URLSearchParams(settings).toString();
  const link = location.origin + location.pathname + (query && `?${query}`);
  try {
    await navigator.clipboard.writeText(link);
    return { link, copied: true };
  } catch {
    return { link, copied: false };
  }
}
