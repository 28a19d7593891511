// What the page shows: the canvas, the state of the controls, the words below. Gradio gives `element` and `props`.

const find = (selector) => element.querySelector(selector);
const findAll = (selector) => [...element.querySelectorAll(selector)];
const root = find(".codemap");
const stage = find(".codemap-stage");
const overlay = find(".codemap-overlay");
const slider = find(".codemap-size input");

const region = new Region();
const view = new MapView(stage, find(".codemap-base"), overlay);
const stillness = window.matchMedia("(prefers-reduced-motion: reduce)");
const coarse = window.matchMedia("(pointer: coarse)");

const languages = Object.keys(props.text);
const wished = navigator.language.split("-")[0].toLowerCase();
const language = languages.includes(wished) ? wished : languages[0];
// The words of one key, with {names} filled in.
const say = (key, values = {}) =>
  props.text[language][`codemap_${key}`].replace(/\{(\w+)\}/g, (all, name) => values[name] ?? all);

// What is on the canvas. A new picture takes its place whole, once it is decoded.
let frame = { rows: 0, cols: 0 };
let tool = "brush";
let shownView = props.view;
let hover = null; // where the pointer is, in cells: {x, y}
let erasing = false; // what the next stroke would do, for the outline of the brush
let cursor = null; // the keyboard's cell, while it is in use: {row, col}
let lastCell = null; // where the keyboard takes up from
let drag = null; // the stroke or rectangle under way
let settled = false; // the picture below is newer than the region: a tint would hide what came of it
let picked = null; // the code that was inspected, with its cell
let told = ""; // what just happened, until something else does

const size = () => Number(slider.value);
const ready = () =>
  Boolean(frame.image || frame.codes) && frame.rows === region.rows && frame.cols === region.cols;
const codeAt = ({ row, col }) => (frame.codes ? frame.codes[row * region.cols + col] : null);
const sized = (from) => ({ rows: from.rows, cols: from.cols });

const due = { base: false, frame: 0, timer: 0 };

function refresh({ base = false } = {}) {
  due.base ||= base;
  due.frame ||= requestAnimationFrame(render);
}

function render(now) {
  due.frame = 0;
  clearTimeout(due.timer);
  const shown = Boolean(frame.image || frame.codes);
  stage.hidden = !shown;
  find(".codemap-empty").hidden = shown;
  renderControls(shown);
  renderStatus(shown);
  renderLegend(shown);
  renderCode(shown);
  const room = find(".codemap-space").clientWidth;
  if (!shown || room === 0) return; // zero in a tab that is not open
  if (view.fit(frame.rows, frame.cols, room)) due.base = true;
  if (due.base) view.drawBase(frame, shownView);
  due.base = false;
  const pulses = frame.remaining && !stillness.matches;
  const cells = ready() ? region.cells : new Uint8Array(frame.rows * frame.cols);
  const above = ready() ? ghost() : null;
  view.drawOverlay({
    region: cells,
    tinted: frame.remaining ?? (settled || above ? null : cells), // while a job runs, only what it has still to fill
    fade: pulses ? 0.7 + 0.3 * Math.sin(now / 260) : 1,
    marks: ready() ? [...(above ? [{ cells: above.cells, kind: "paint" }] : []), ...marks()] : [],
    layers: ready() ? layers() : [],
    ghost: above,
    palette: frame.palette,
  });
  // Twenty pictures a second are enough to breathe, and leave the processor to the job.
  if (pulses) due.timer = setTimeout(refresh, 50);
}

function renderControls(shown) {
  root.classList.toggle("codemap-locked", Boolean(props.disabled));
  root.classList.toggle("codemap-keyboard", Boolean(cursor));
  stage.setAttribute("aria-disabled", String(Boolean(props.disabled)));
  for (const button of findAll("button")) {
    const { tool: name, view: look } = button.dataset;
    if (name === "code") button.hidden = Boolean(props.copy_only);
    if (name) button.setAttribute("aria-pressed", String(name === tool));
    if (look) button.setAttribute("aria-pressed", String(look === shownView));
    if (look === "surprise") button.hidden = !props.heat_palette;
    // Not the disabled property: that would take the focus from a button under the visitor's finger.
    button.setAttribute("aria-disabled", String(!shown || !able(button.dataset)));
  }
  find(".codemap-flips").hidden = !shown || tool !== "paste";
  find(".codemap-same").hidden = !shown || tool !== "inspect";
  root.classList.toggle("codemap-sizeless", ["paste", "inspect"].includes(tool));
  find(".codemap-zoom").hidden = view.zoom === 1;
  find(".codemap-zoom").textContent = say("zoom", { zoom: view.zoom.toFixed(1) });
  slider.disabled = !shown || props.disabled || !["brush", "eraser", "code"].includes(tool);
  find(".codemap-size output").textContent = slider.value;
  find(".codemap-dot").setAttribute("r", String(1.5 + 0.9 * size()));
  overlay.dataset.cursor = tool;
}

// Whether a button would do anything now.
function able({ tool: name, action, view: look }) {
  if (look) return Boolean(frame.image && frame.codes);
  if (name === "inspect" || action === "zoom_off") return true;
  if (name === "paste" && props.copy_only) return Boolean(clipboard.clip);
  if (props.disabled) return false;
  if (name === "code") return Boolean(frame.codes) && !props.copy_only;
  if (name === "paste") return Boolean(frame.codes && clipboard.clip);
  if (action === "copy") return Boolean(frame.codes) && region.cells.includes(1);
  if (action === "fill") return heldCode() !== null && region.cells.includes(1);
  if (action === "same") return Boolean(frame.codes) && codeInQuestion() !== null;
  if (["flip_across", "flip_down"].includes(action)) return tool === "paste";
  if (undoesCodes() && ["undo", "redo"].includes(action)) return true; // only the server knows
  if (action === "undo") return region.past.length > 0;
  if (action === "redo") return region.future.length > 0;
  return action !== "clear" || region.cells.includes(1);
}

function renderStatus(shown) {
  find(".codemap-count").textContent = shown ? countText() : "";
  find(".codemap-note").textContent = shown ? note() : "";
  const cell = shown && ready() ? pointedCell() : null;
  find(".codemap-cell").classList.toggle("codemap-present", Boolean(cell));
  if (!cell) return;
  find(".codemap-cell span").textContent = cellText(cell);
  const colour = cellColour(cell);
  find(".codemap-swatch").style.background = colour ? `rgb(${[...colour]})` : "";
}

// The colour in which a cell is on the map.
function cellColour(cell) {
  const bits = bitsAt(cell);
  if (!isNaN(bits)) return heatColour(bits, frame.heat.top, frame.heatPalette);
  return codeAt(cell) === null ? null : colourOf(codeAt(cell), frame.palette);
}

const countText = () => say("count", { count: countOf(region.cells), total: region.cells.length });

function cellText(cell) {
  const bits = bitsAt(cell);
  if (!isNaN(bits)) return say("cell_bits", { ...cell, code: codeAt(cell), bits: bits.toFixed(1) });
  return say(codeAt(cell) === null ? "cell" : "cell_code", { ...cell, code: codeAt(cell) });
}

function note() {
  if (frame.remaining) return say("remaining", { count: countOf(frame.remaining) });
  if (props.disabled) return say("locked");
  if (heatNote()) return heatNote();
  if (told) return told;
  if (tool === "inspect" && picked && frame.codes) {
    const { code } = picked;
    return say("same_code", { code, count: frame.codes.filter((one) => one === code).length });
  }
  if (tool === "inspect") return say("hint_inspect");
  if (tool === "code") return codeNote();
  if (tool === "paste") return pasteNote();
  if (region.cells.includes(1)) return "";
  if (tool === "rectangle") return say("hint_rectangle");
  return say(coarse.matches ? "hint_touch" : "hint");
}

// The cell that is spoken of: the keyboard's while it is in use, else the pointer's.
function pointedCell() {
  if (cursor) return cursor;
  return hover && inside(hover) ? cellOf(hover) : null;
}

const cellOf = ({ x, y }) => ({
  row: Math.max(0, Math.min(region.rows - 1, Math.floor(y))),
  col: Math.max(0, Math.min(region.cols - 1, Math.floor(x))),
});
const inside = ({ x, y }) => x >= 0 && y >= 0 && x < region.cols && y < region.rows;

// What is outlined above the region.
function marks() {
  const drawn = (paint) => {
    const cells = new Uint8Array(region.cells.length);
    paint(cells);
    return cells;
  };
  const one = (cell) => drawn((cells) => paintRectangle(region, cells, cell, cell, 1));
  const list = [];
  if (tool === "inspect" && picked && frame.codes) {
    list.push({ cells: Uint8Array.from(frame.codes, (code) => Number(code === picked.code)), kind: "same" });
  }
  if (drag?.kind === "rectangle") {
    const kind = drag.ink ? "paint" : "erase";
    list.push({ cells: drawn((cells) => paintRectangle(region, cells, drag.start, drag.end, 1)), kind });
  } else if (tool !== "paste" && hover && (inside(hover) || drag) && !cursor) {
    const erase = drag ? !drag.ink : erasing || tool === "eraser";
    const looking = tool === "inspect" || (tool === "code" && heldCode() === null);
    const kind = looking || props.disabled ? "look" : erase && tool !== "code" ? "erase" : "paint";
    const single = kind === "look" || tool === "rectangle";
    list.push({ cells: single ? one(cellOf(hover)) : drawn((cells) => stamp(cells, hover, 1)), kind });
  }
  if (cursor) {
    if (!props.disabled && ["brush", "eraser", "code"].includes(tool)) {
      const erase = tool === "eraser" || (tool === "brush" && region.cells[cursor.row * region.cols + cursor.col]);
      const kind = erase ? "erase" : "paint";
      list.push({ cells: drawn((cells) => stamp(cells, middleOf(cursor), 1)), kind });
    }
    list.push({ cells: one(cursor), kind: "cursor" });
  }
  return list;
}

function tell(words) {
  told = words;
  announce(words);
}

let saying = 0;
function announce(words) {
  clearTimeout(saying);
  saying = setTimeout(() => (find("[role=status]").textContent = words), 150);
}
