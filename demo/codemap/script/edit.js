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
    latest = "region";
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
  fill: () => brush(region.cells.slice()),
  invert: () => change((cells) => cells.forEach((cell, i) => (cells[i] = 1 - cell))),
  same: () => selectCode(codeInQuestion()),
  copy,
  flip_across: () => flip(true),
  flip_down: () => flip(false),
};

// What the visitor changed last, the region or the codes, is what can be undone: the server has the history of codes.
let latest = "region";
const undoesCodes = () => ["code", "paste"].includes(tool) || latest === "codes";

function act(name) {
  if (!ready() || drag || !able({ action: name })) return;
  told = "";
  if (["undo", "redo"].includes(name) && undoesCodes()) return trigger(`${name}_stroke`);
  ACTIONS[name]();
}

let toolBefore = "brush"; // the one to go back to after pasting

function take(name) {
  if (drag || !able({ tool: name })) return;
  if (name === "paste" && props.copy_only) return clipboard.dispatchEvent(new Event("paste"));
  told = "";
  if (tool !== "paste") toolBefore = tool;
  tool = name === tool && name === "paste" ? toolBefore : name; // the stamp once more ends it
  if (tool === "paste") announce(pasteNote());
  dip();
  refresh();
}

// The code that was inspected, or the one that is pointed at; null where there is none.
function codeInQuestion() {
  if (tool === "inspect" && picked) return picked.code;
  const cell = pointedCell();
  return cell && codeAt(cell);
}

// Adds every cell of this code to the region.
const selectCode = (code) => change((cells) => frame.codes.forEach((one, i) => one === code && (cells[i] = 1)));

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
    x: view.left + (((event.clientX - box.left) / box.width) * region.cols) / view.zoom,
    y: view.top + (((event.clientY - box.top) / box.height) * region.rows) / view.zoom,
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
  if (!event.isPrimary || event.button === 1 || !ready() || drag || moving()) return;
  event.preventDefault();
  pressed = true; // so that this focus is not taken for the keyboard's
  stage.focus({ preventScroll: true });
  pressed = false;
  cursor = null;
  moved(event);
  hover = placeOf(event);
  told = "";
  const cell = cellOf(hover);
  lastCell = cell;
  if (tool === "inspect") return inspect(cell);
  if (props.disabled) return;
  if (tool === "code" && (heldCode() === null || event.altKey || event.button === 2)) return takeUp(cell);
  overlay.setPointerCapture(event.pointerId);
  const ink = tool === "eraser" || erases(event) ? 0 : 1;
  if (tool === "paste") {
    drag = { kind: "paste", byPointer: true }; // let go, they are pasted
  } else if (tool === "rectangle") {
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
  if (!event.isPrimary || !ready() || moving()) return;
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
    } else if (drag?.kind === "rectangle") {
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
  if (done?.kind === "code") brush(done.cells);
  if (done?.kind === "paste") paste();
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
  if (hover && tool === "paste") lastCell = cellOf(hover); // there the ghost stays
  if (!drag) hover = null;
  refresh();
});
