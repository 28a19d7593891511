// The code brush: cells that all get one code. A stroke goes to the server as it ends; the region is not touched.

const codeField = find(".codemap-code input");

// How many codes there are to choose from.
const codeCount = () => (frame.palette ? frame.palette.length / 3 : 1 << 16);

// The code that the brush holds; null where the field has no number of a code.
function heldCode() {
  const text = codeField.value.trim();
  return /^\d+$/.test(text) && Number(text) < codeCount() ? Number(text) : null;
}

function takeUp(cell) {
  const code = codeAt(cell);
  if (code === null) return;
  codeField.value = code;
  announce(say("taken", { code }));
  refresh();
}

// Strokes that the server has not answered yet, {number, cells, code}: until then their place is the code's colour.
let wet = [];
let strokes = 0;

function lay(cells) {
  const stroke = { number: ++strokes, cells, code: heldCode() };
  if (stroke.code === null || !cells.includes(1)) return refresh();
  wet.push(stroke);
  trigger("stroke", {
    number: stroke.number,
    code: stroke.code,
    cells: { mask: packMask(cells), ...sized(region) },
  });
  refresh();
}

// What is to be seen of strokes whose picture is still to come.
function layers() {
  const under = drag?.kind === "code" ? [...wet, { cells: drag.cells, code: heldCode() }] : wet;
  return under.map(({ cells, code }) => ({ cells, colour: colourOf(code, frame.palette) }));
}

function codeNote() {
  const code = heldCode();
  if (code !== null) return say(coarse.matches ? "hint_code_touch" : "hint_code", { code });
  if (codeField.value || codeField.validity.badInput) return say("code_range", { last: codeCount() - 1 });
  return say("hint_take");
}

function renderCode(shown) {
  find(".codemap-ink").hidden = !shown || tool !== "code";
  const code = heldCode();
  codeField.max = codeCount() - 1;
  codeField.disabled = Boolean(props.disabled);
  codeField.setAttribute("aria-invalid", String(code === null && Boolean(codeField.value)));
  find(".codemap-held").style.background = code === null ? "" : `rgb(${[...colourOf(code, frame.palette)]})`;
}

codeField.addEventListener("input", () => refresh());
