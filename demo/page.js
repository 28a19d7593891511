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

// Opens the first picture among some files; false where there is none, or no place for it.
function openPicture(files) {
  const file = [...(files ?? [])].find((one) => one.type.startsWith("image/"));
  const input = document.querySelector("#picture input[type=file]");
  if (!file || !input) return false;
  const transfer = new DataTransfer();
  transfer.items.add(file);
  input.files = transfer.files;
  input.dispatchEvent(new Event("change", { bubbles: true }));
  return true;
}

document.addEventListener("paste", (event) => {
  if (openPicture(event.clipboardData?.files)) event.preventDefault();
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
  openPicture(event.dataTransfer.files);
});

// A reload starts afresh: ask first where there is an edit, or one to be decided on.
window.addEventListener("beforeunload", (event) => {
  const undo = document.querySelector("#undo");
  const keep = document.querySelector("#keep");
  if ((undo && !undo.disabled) || keep?.offsetParent) event.preventDefault();
});
