// What the visitor does by keys; which do what, says the table SHORTCUTS.

const STEPS = {
  ArrowUp: [-1, 0],
  ArrowDown: [1, 0],
  ArrowLeft: [0, -1],
  ArrowRight: [0, 1],
  PageUp: [-8, 0],
  PageDown: [8, 0],
  Home: [0, -Infinity],
  End: [0, Infinity],
};

// What is no change of anything, and goes on while a job runs.
const LOOKS = {
  smaller: () => resize(size() - 1),
  larger: () => resize(size() + 1),
  zoom_in: () => zoomBy(1.5),
  zoom_out: () => zoomBy(1 / 1.5),
  zoom_off: wholeMap,
};

// Keys that work while the focus is in the component or the pointer over the map. True where the keys did something.
function shortcut(event) {
  const name = shortcutOf("tools", event);
  if (name === "paste" && !clipboard.clip) return false; // the page may have a picture to paste
  if (name) return take(name), true;
  const action = shortcutOf("actions", event);
  if (action === "copy" && String(getSelection())) return false; // of text
  if (action === "leave") return leave();
  if (LOOKS[action]) LOOKS[action]();
  else if (action) act(action);
  return Boolean(action);
}

function leave() {
  if (drag) cancel();
  else if (tool === "paste") take(toolBefore);
  else return false;
  return true;
}

function resize(next) {
  slider.value = next; // the slider keeps it between 1 and 9
  if (!drag) refresh();
}

// Keys that move and use the keyboard's cursor, while the focus is on the map itself.
function cursorKey(event) {
  const name = shortcutOf("cursor", event);
  if (name === "walk") walk(STEPS[event.key]);
  if (name === "use" && !event.repeat && ready()) useCursor();
  return Boolean(name);
}

function walk([down, right]) {
  const from = cursor ?? placeOfCursor();
  cursor = lastCell = cellOf({ x: from.col + right, y: from.row + down });
  if (drag?.kind === "rectangle") drag.end = cursor;
  bringIntoView(cursor);
  describe(cursor);
  refresh();
}

const placeOfCursor = () => lastCell ?? { row: region.rows >> 1, col: region.cols >> 1 };

function describe(cell) {
  const painted = region.cells[cell.row * region.cols + cell.col];
  announce(`${cellText(cell)}, ${say(painted ? "selected" : "not_selected")}`);
}

function useCursor() {
  cursor ??= placeOfCursor();
  if (tool === "inspect") return inspect(cursor);
  if (props.disabled) return;
  if (tool === "code") {
    if (heldCode() === null) return takeUp(cursor);
    const cells = new Uint8Array(region.cells.length);
    stamp(cells, middleOf(cursor), 1);
    return brush(cells);
  }
  if (tool === "paste") return paste();
  const ink = tool === "eraser" || region.cells[cursor.row * region.cols + cursor.col] ? 0 : 1;
  if (tool !== "rectangle") return change((cells) => stamp(cells, middleOf(cursor), ink));
  if (drag) return finish();
  drag = { kind: "rectangle", ink, start: cursor, end: cursor };
  refresh();
}

const editable = (target) => target.closest?.("input:not([type=range]), textarea, select, [contenteditable=true]");

document.addEventListener("keydown", function onKey(event) {
  if (!root.isConnected) return document.removeEventListener("keydown", onKey);
  const map = event.target.closest?.(".codemap"); // there may be others on the page
  if (!ready() || !(map ? map === root : hover) || editable(event.target)) return;
  if (event.defaultPrevented || document.querySelector("dialog[open]")) return;
  if (shortcut(event) || (event.target === stage && cursorKey(event))) event.preventDefault();
});

stage.addEventListener("focus", () => {
  if (!ready() || pressed) return;
  cursor ??= placeOfCursor();
  describe(cursor);
  refresh();
});
stage.addEventListener("blur", () => {
  if (drag && cursor) cancel();
  cursor = null;
  refresh();
});
