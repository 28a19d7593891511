// How large the map is shown, and which part of it: by the wheel, two fingers, the middle button and keys.
// MapView keeps it, in cells; everything else goes on in cells as well.

const MOST = 8;

// Zooms about a place of the map, which stays where it is on the screen.
function zoomBy(factor, { x, y } = middle()) {
  const zoom = Math.max(1, Math.min(MOST, view.zoom * factor));
  const share = view.zoom / zoom;
  lookAt(zoom, x - (x - view.left) * share, y - (y - view.top) * share);
}

// What keys zoom about: where the cursor or the pointer is, or else the middle of what can be seen.
function middle() {
  if (cursor) return middleOf(cursor);
  return hover ?? { x: view.left + region.cols / view.zoom / 2, y: view.top + region.rows / view.zoom / 2 };
}

// Moves the map by so many pixels of the page; false where it cannot.
function panBy(across, down) {
  const box = overlay.getBoundingClientRect();
  const cell = (view.zoom * box.width) / region.cols;
  return lookAt(view.zoom, view.left - across / cell, view.top - down / cell);
}

function lookAt(zoom, left, top) {
  const before = [view.zoom, view.left, view.top];
  view.look(zoom, left, top);
  if (sameCells(before, [view.zoom, view.left, view.top])) return false;
  refresh({ base: true });
  return true;
}

const wholeMap = () => lookAt(1, 0, 0);

// Moves the map until a cell of it, and one on each side, can be seen.
function bringIntoView({ row, col }) {
  const near = (first, cell, cells) => Math.max(cell + 2 - cells / view.zoom, Math.min(cell - 1, first));
  lookAt(view.zoom, near(view.left, col, region.cols), near(view.top, row, region.rows));
}

overlay.addEventListener("wheel", (event) => {
  if (!ready()) return;
  const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 16 : 1;
  if (event.ctrlKey || event.metaKey) {
    // A pinch on a touch pad comes in small steps, a notch of a wheel in one large one.
    zoomBy(Math.exp(-Math.max(-60, Math.min(60, lines * event.deltaY)) / 150), placeOf(event));
  } else if (view.zoom === 1 || !panBy(-lines * event.deltaX, -lines * event.deltaY)) {
    return; // the page scrolls
  }
  event.preventDefault();
  if (hover) hover = placeOf(event);
}, { passive: false });

// Fingers on the map, and the mouse while its middle button is down: pointer → where it was last.
const held = new Map();
let pinched = false; // two fingers were down; until all are up again, none of them paints
const moving = () => pinched || held.has("middle");

overlay.addEventListener("pointerdown", (event) => {
  if (event.button === 1) {
    event.preventDefault(); // no scrolling by itself
    overlay.setPointerCapture(event.pointerId);
    held.set("middle", event);
  }
  if (event.pointerType !== "touch" || !ready()) return;
  held.set(event.pointerId, event);
  if (held.size < 2) return;
  pinched = true;
  cancel();
  hover = null;
}, { capture: true });

overlay.addEventListener("pointermove", (event) => {
  const name = held.has("middle") ? "middle" : event.pointerId;
  if (!held.has(name)) return;
  const before = spanOf(held);
  held.set(name, event);
  if (!moving()) return;
  const after = spanOf(held);
  panBy(after.clientX - before.clientX, after.clientY - before.clientY);
  if (held.size > 1) zoomBy(after.width / before.width, placeOf(after));
}, { capture: true });

function release(event) {
  held.delete(event.pointerId);
  if (event.button === 1) held.delete("middle");
  if (!held.size) pinched = false;
}
overlay.addEventListener("pointerup", release);
overlay.addEventListener("pointercancel", release);

// The middle of some pointers, and how far the first two are from each other.
function spanOf(pointers) {
  const [a, b = a] = pointers.values();
  return {
    clientX: (a.clientX + b.clientX) / 2,
    clientY: (a.clientY + b.clientY) / 2,
    width: Math.max(1, Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY)),
  };
}
