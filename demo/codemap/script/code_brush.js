// Cells that get codes: one for all by the code brush, one each by a paste. They go to the server, which decodes them;
// the region is not touched.

// A layer is what the canvas shows until their picture comes: {cells, codes}, and where there are pictures of its codes
// {patches, which}. `wet` are those that the server has not answered yet, each with its number.
let wet = [];
let lays = 0;

// `given`: the code of each of the cells, or one code for all.
function lay(layer, given) {
  if (!layer.cells.includes(1)) return refresh();
  const number = ++lays;
  wet.push({ ...layer, number });
  latest = "codes";
  trigger("stroke", {
    number,
    codes: packCodes(given),
    checkpoint: props.checkpoint,
    cells: { mask: packMask(layer.cells), ...sized(region) },
  });
  refresh();
}

function layers() {
  return drag?.kind === "code" ? [...wet, inked(drag.cells)] : wet;
}

// ---- the brush ----

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

// Cells as a layer of the code that the brush holds.
function inked(cells) {
  const codes = new Uint16Array(cells.length).fill(heldCode());
  return { cells, codes, which: codes, patches: patchesHere() };
}

// While it is drawn, a stroke is what its code decodes to among copies of itself. On two cores that is on the canvas 20 ms
// after the pointer; to have what there is of the stroke decoded took 150 ms at 256 × 256 pixels, and a second at
// 512 × 512 with others at work, when no brush waits any more.
let patches = null;
const patchesHere = () => (patches?.checkpoint === props.checkpoint ? patches : null);
let wanted = null; // the checkpoint whose patches were asked for

function dip() {
  if (tool !== "code" || !ready() || patchesHere() || wanted === props.checkpoint) return;
  wanted = props.checkpoint;
  trigger("dip");
}

async function takePatches({ sheet, columns, checkpoint }) {
  if (!sheet || patches?.sheet === sheet) return;
  const image = await decoded(sheet);
  if (!image) return;
  patches = { sheet, image, side: image.naturalWidth / columns, columns, checkpoint };
  refresh();
}

function brush(cells) {
  if (heldCode() === null) return refresh();
  lay(inked(cells), [heldCode()]);
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
  const swatch = find(".codemap-held");
  const side = (swatch.width = swatch.height = 20 * view.ratio); // which also clears it
  const whole = { rows: 1, cols: 1, span: [0, 0, side, side] };
  if (code !== null) drawLayer(swatch.getContext("2d"), inked([1]), whole, frame.palette);
}

codeField.addEventListener("input", () => refresh());
