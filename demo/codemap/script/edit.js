// What the visitor does: changes of the region by pointer and keys. Gradio gives `props` and `trigger`.

function stamp(cells, at, ink) {
  const centre = brushCentre(at.x, at.y, size());
  paintSegment(region, cells, centre, centre, size(), ink);
}

const middleOf = ({ row, col }) => ({ x: col + 0.5, y: row + 0.5 });

let sent = JSON.stringify(props.value); // what props.value was when it last agreed with the region

function send() {
  const value = { mask: packMask(region.cells), ...sized(region) };
  sent = JSON.stringify(value);
  props.value = value;
}

// Everything that changes the region on the visitor's word ends here.
function changed(real) {
  if (real) {
    settled = false;
    send();
    trigger("input");
    announce(countText());
  }
  refresh();
}

function change(paint) {
  const before = region.cells.slice();
  paint(region.cells);
  changed(region.commit(before));
}

const ACTIONS = {
  undo: () => changed(region.undo()),
  redo: () => changed(region.redo()),
  clear: () => change((cells) => cells.fill(0)),
  fill: () => lay(region.cells.slice()),
  invert: () => change((cells) => cells.forEach((cell, i) => (cells[i] = 1 - cell))),
};

// With the code brush in hand, what is undone is a stroke of it: the server has that history.
function act(name) {
  if (!ready() || props.disabled || drag) return;
  if (tool === "code" && ["undo", "redo"].includes(name)) return trigger(`${name}_stroke`);
  ACTIONS[name]();
}

function take(name) {
  if (drag || !able({ tool: name })) return;
  tool = name;
  refresh();
}

function inspect(cell) {
  const code = codeAt(cell);
  picked = code === null ? null : { ...cell, code };
  if (picked) codeField.value = code; // the code brush takes it up
  trigger("pick", { ...cell, code });
  announce(`${cellText(cell)}. ${picked ? note() : ""}`);
  refresh();
}

// ---- pointer ----

function placeOf(event) {
  const box = overlay.getBoundingClientRect();
  return {
    x: ((event.clientX - box.left) / box.width) * region.cols,
    y: ((event.clientY - box.top) / box.height) * region.rows,
  };
}

let lastPlace = ""; // of the pointer, on the page
function moved({ clientX, clientY }) {
  const before = lastPlace;
  lastPlace = `${clientX} ${clientY}`;
  return lastPlace !== before;
}

let pressed = false;
const PEN_ERASER = 32; // in event.buttons
const erases = (event) => event.shiftKey || event.button === 2 || Boolean(event.buttons & (2 | PEN_ERASER));

overlay.addEventListener("pointerdown", (event) => {
  if (!event.isPrimary || event.button === 1 || !ready() || drag) return;
  event.preventDefault();
  pressed = true; // so that this focus is not taken for the keyboard's
  stage.focus({ preventScroll: true });
  pressed = false;
  cursor = null;
  moved(event);
  hover = placeOf(event);
  const cell = cellOf(hover);
  lastCell = cell;
  if (tool === "inspect") return inspect(cell);
  if (props.disabled) return;
  if (tool === "code" && (heldCode() === null || event.altKey || event.button === 2)) return takeUp(cell);
  overlay.setPointerCapture(event.pointerId);
  const ink = tool === "eraser" || erases(event) ? 0 : 1;
  if (tool === "rectangle") {
    drag = { kind: "rectangle", byPointer: true, ink, start: cell, end: cell };
  } else {
    const last = brushCentre(hover.x, hover.y, size());
    const { cells } = region;
    drag = { kind: "stroke", byPointer: true, ink, cells, before: cells.slice(), last };
    if (tool === "code") drag = { kind: "code", byPointer: true, ink: 1, cells: new Uint8Array(cells.length), last };
    else settled = false;
    paintSegment(region, drag.cells, last, last, size(), drag.ink);
  }
  refresh();
});

overlay.addEventListener("pointermove", (event) => {
  if (!event.isPrimary || !ready()) return;
  if (!moved(event)) return; // browsers also send this when the page moves under the pointer
  if (drag?.byPointer && event.buttons === 0) finish(); // the button was let go where nothing was told
  // Browsers report one movement a picture; the places in between come with it.
  const between = drag ? event.getCoalescedEvents?.() : null;
  for (const each of between?.length ? between : [event]) {
    hover = placeOf(each);
    if (drag?.cells) {
      const centre = brushCentre(hover.x, hover.y, size());
      paintSegment(region, drag.cells, drag.last, centre, size(), drag.ink);
      drag.last = centre;
    } else if (drag) {
      drag.end = cellOf(hover);
    }
  }
  erasing = erases(event);
  cursor = null;
  refresh();
});

function finish() {
  const done = drag;
  drag = null;
  if (done?.kind === "stroke") changed(region.commit(done.before));
  if (done?.kind === "code") lay(done.cells);
  if (done?.kind === "rectangle") change((cells) => paintRectangle(region, cells, done.start, done.end, done.ink));
}

function cancel() {
  if (drag?.kind === "stroke") region.cells = drag.before;
  drag = null;
  refresh();
}

overlay.addEventListener("pointerup", (event) => event.isPrimary && finish());
overlay.addEventListener("pointercancel", (event) => event.isPrimary && finish()); // undo can take it back
overlay.addEventListener("contextmenu", (event) => event.preventDefault());
overlay.addEventListener("pointerleave", () => {
  lastPlace = "";
  if (!drag) hover = null;
  refresh();
});

// ---- keys ----

const TOOL_KEYS = { b: "brush", e: "eraser", r: "rectangle", i: "inspect", c: "code" };
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

// Keys that work while the focus is in the component or the pointer over the map. True where the key was used.
function shortcut(event) {
  const key = event.key.toLowerCase();
  if (event.ctrlKey || event.metaKey) {
    if (key !== "z" && key !== "y") return false;
    act(key === "y" || event.shiftKey ? "redo" : "undo");
    return true;
  }
  if (event.altKey) return false;
  if (event.key === "Escape" && drag) cancel();
  else if (key === "[" || key === "]") resize(size() + (key === "]" ? 1 : -1));
  else if (TOOL_KEYS[key]) take(TOOL_KEYS[key]);
  else return false;
  return true;
}

function resize(next) {
  slider.value = next; // the slider keeps it between 1 and 9
  if (!drag) refresh();
}

// Keys that move and use the keyboard's cursor, while the focus is on the map itself.
function cursorKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return false;
  if (STEPS[event.key]) {
    const [down, right] = STEPS[event.key];
    const from = cursor ?? placeOfCursor();
    cursor = lastCell = cellOf({ x: from.col + right, y: from.row + down });
    if (drag?.kind === "rectangle") drag.end = cursor;
    describe(cursor);
    refresh();
    return true;
  }
  if (event.key !== " " && event.key !== "Enter") return false;
  if (!event.repeat && ready()) useCursor();
  return true;
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
    return lay(cells);
  }
  const ink = tool === "eraser" || region.cells[cursor.row * region.cols + cursor.col] ? 0 : 1;
  if (tool !== "rectangle") return change((cells) => stamp(cells, middleOf(cursor), ink));
  if (drag) return finish();
  drag = { kind: "rectangle", ink, start: cursor, end: cursor };
  refresh();
}

const editable = (target) => target.closest?.("input:not([type=range]), textarea, select, [contenteditable=true]");

document.addEventListener("keydown", function onKey(event) {
  if (!root.isConnected) return document.removeEventListener("keydown", onKey);
  const within = root.contains(event.target);
  if (!ready() || !(within || hover) || editable(event.target)) return;
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
