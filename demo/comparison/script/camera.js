// Where all views look: one zoom and one place for every picture, in parts of a view's own size.

const MOST = 32;
const camera = { zoom: 1, x: 0, y: 0 }; // the picture's corner is at (x, y) of a view

function look({ zoom, x, y }) {
  camera.zoom = Math.max(1, Math.min(MOST, zoom));
  const within = (at) => Math.max(1 - camera.zoom, Math.min(0, at));
  camera.x = within(x);
  camera.y = within(y);
  for (const name of ["zoom", "x", "y"]) root.style.setProperty(`--${name}`, camera[name]);
  root.classList.toggle("comparison-zoomed", camera.zoom > 1);
  find(".comparison-zoom").textContent = `${Number(camera.zoom.toFixed(1))}×`;
  find("[data-zoom=out]").setAttribute("aria-disabled", String(camera.zoom === 1));
  find("[data-zoom=fit]").setAttribute("aria-disabled", String(camera.zoom === 1));
  find("[data-zoom=in]").setAttribute("aria-disabled", String(camera.zoom === MOST));
}

// What is at (u, v) of a view stays there.
function zoomBy(factor, u = 0.5, v = 0.5) {
  const zoom = Math.max(1, Math.min(MOST, camera.zoom * factor));
  const grown = zoom / camera.zoom;
  look({ zoom, x: u - (u - camera.x) * grown, y: v - (v - camera.y) * grown });
}

const panBy = (dx, dy) => look({ ...camera, x: camera.x + dx, y: camera.y + dy });

function zoomTo(step) {
  if (step === "fit") look({ zoom: 1, x: 0, y: 0 });
  else zoomBy(step === "in" ? 2 : 0.5);
  announce(say("zoomed", { zoom: find(".comparison-zoom").textContent }));
}

// Where a pointer is, in parts of the view.
function within(view, { clientX, clientY }) {
  const box = view.getBoundingClientRect();
  return { u: (clientX - box.left) / box.width, v: (clientY - box.top) / box.height };
}

const viewAt = (event) => event.target.closest(".comparison-view:has(canvas)");

// The wheel scrolls the page as long as there is nothing to zoom: over the small views it needs
// Ctrl at first, which is also what a pinch on a touchpad sends.
root.addEventListener(
  "wheel",
  (event) => {
    const view = viewAt(event);
    if (!view || !(event.ctrlKey || camera.zoom > 1 || view === pair)) return;
    if (!event.ctrlKey && camera.zoom === 1 && event.deltaY > 0) return;
    event.preventDefault();
    const { u, v } = within(view, event);
    const lines = event.deltaMode === 1 ? 18 : 1;
    zoomBy(Math.exp(-Math.max(-120, Math.min(120, event.deltaY * lines)) * (event.ctrlKey ? 0.01 : 0.003)), u, v);
  },
  { passive: false },
);

const held = new Map(); // pointers that are down on a view → where they are in it

root.addEventListener("pointerdown", (event) => {
  const view = viewAt(event);
  if (!view || event.button !== 0 || event.target.closest(".comparison-split")) return;
  if (held.size && held.values().next().value.view !== view) return; // the fingers of a pinch are on one view
  held.set(event.pointerId, { view, ...within(view, event) });
  view.setPointerCapture(event.pointerId);
  if (view === pair && held.size === 1 && camera.zoom === 1) splitTo(within(view, event).u);
});

root.addEventListener("pointermove", (event) => {
  const before = held.get(event.pointerId);
  if (!before) return;
  const { view } = before;
  const now = within(view, event);
  const others = [...held.entries()].filter(([id]) => id !== event.pointerId);
  if (others.length) {
    const [, other] = others[0];
    const aspect = pair.clientHeight / pair.clientWidth;
    const apart = (at) => Math.hypot(at.u - other.u, (at.v - other.v) * aspect) || 0.001;
    const middle = (at) => [(at.u + other.u) / 2, (at.v + other.v) / 2];
    const [[u0, v0], [u1, v1]] = [middle(before), middle(now)];
    zoomBy(apart(now) / apart(before), u0, v0);
    panBy(u1 - u0, v1 - v0);
  } else if (camera.zoom > 1) panBy(now.u - before.u, now.v - before.v);
  else if (view === pair) splitTo(now.u);
  held.set(event.pointerId, { view, ...now });
});

for (const end of ["pointerup", "pointercancel"]) {
  root.addEventListener(end, (event) => held.delete(event.pointerId));
}

root.addEventListener("click", (event) => {
  const button = event.target.closest("[data-zoom]");
  if (button && button.getAttribute("aria-disabled") !== "true") zoomTo(button.dataset.zoom);
});

const ARROWS = { ArrowLeft: [1, 0], ArrowRight: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };

pair.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const step = { "+": "in", "=": "in", "-": "out", 0: "fit" }[event.key];
  const arrow = event.target === pair && camera.zoom > 1 && ARROWS[event.key];
  if (step) zoomTo(step);
  else if (arrow) panBy(0.1 * arrow[0], 0.1 * arrow[1]);
  else if (event.key.toLowerCase() === "e") show(shown === "error" ? "picture" : "error");
  else return;
  event.preventDefault();
  event.stopPropagation();
});
