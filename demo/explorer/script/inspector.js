// One code in words and pictures: alone, in the picture, and its nearest others. Nothing here knows of the pointer.

const NEAR = 8;
const AROUND = 2; // cells on each side of the one that is shown in context

// Makes a canvas as many pixels as the screen shows of it, and clears it.
function tile(canvas, side) {
  const pixels = Math.round(side * (window.devicePixelRatio || 1));
  Object.assign(canvas, { width: pixels, height: pixels });
  const context = canvas.getContext("2d");
  context.imageSmoothingEnabled = false;
  return { context, pixels };
}

function drawPatch(canvas, side, book, code) {
  const { context, pixels } = tile(canvas, side);
  if (code === null) return;
  const { x, y } = patchAt(book, code);
  context.drawImage(book.image, x, y, book.patch, book.patch, 0, 0, pixels, pixels);
}

// Where in the sheet's picture the patch of a code is, in its pixels.
function patchAt({ places, columns, patch }, code) {
  const place = places[code];
  return { x: (place % columns) * patch, y: Math.floor(place / columns) * patch };
}

// The picture around a cell, the cell itself outlined.
function drawContext(canvas, side, { image, rows, cols }, cell) {
  const { context, pixels } = tile(canvas, side);
  if (cell === null || !image) return;
  const [row, col] = [Math.floor(cell / cols), cell % cols];
  const stride = image.naturalWidth / cols;
  const span = 2 * AROUND + 1;
  const unit = pixels / span;
  // Beyond the edge of the picture the canvas stays empty.
  const [top, left] = [Math.max(0, row - AROUND), Math.max(0, col - AROUND)];
  const [bottom, right] = [Math.min(rows, row + AROUND + 1), Math.min(cols, col + AROUND + 1)];
  context.drawImage(
    image,
    ...[left, top, right - left, bottom - top].map((cells) => cells * stride),
    ...[left - col + AROUND, top - row + AROUND, right - left, bottom - top].map((cells) => cells * unit),
  );
  const ratio = window.devicePixelRatio || 1;
  for (const [colour, width] of [["rgba(0, 0, 0, 0.65)", 3.5], ["#fff", 1.5]]) {
    context.strokeStyle = colour;
    context.lineWidth = width * ratio;
    context.strokeRect(AROUND * unit, AROUND * unit, unit, unit);
  }
}

const nearButtons = Array.from({ length: NEAR }, () => {
  const button = document.createElement("button");
  Object.assign(button, { type: "button", className: "explorer-near" });
  const distance = document.createElement("span");
  button.append(document.createElement("canvas"), distance);
  find(".explorer-nearest > div").append(button);
  return button;
});

// {code, cell or null} or null; `frame` and `book` as in main.js.
function inspect(now, frame, book, pinned) {
  const code = now?.code ?? null;
  const each = book.near.length / book.number;
  find(".explorer-inspector").classList.toggle("explorer-blank", code === null);
  // A code of the sheet is shown in context where it stands first.
  const cell = now ? (now.cell ?? frame.codes?.indexOf(code) ?? -1) : -1;
  drawPatch(find(".explorer-alone"), 84, book, code);
  drawContext(find(".explorer-context"), 84, frame, cell < 0 ? null : cell);
  find(".explorer-facts strong").textContent = code === null ? "" : say("code", { code });
  find(".explorer-places").textContent = code === null ? hint() : placesText(code, frame);
  find(".explorer-cell").textContent = cell < 0 ? "" : cellText(cell, frame);
  find(".explorer-unpin").hidden = !pinned;
  // Always there, if hidden: the sheet below must not move when the pointer comes.
  find(".explorer-nearest p").textContent = `${say("nearest")} ${say("typical", { distance: number(book.typical, 1) })}`;
  nearButtons.forEach((button, i) => {
    button.hidden = i >= each;
    if (code === null || button.hidden) return;
    const other = book.near[code * each + i];
    const distance = number(book.distances[code * each + i], 2);
    button.dataset.code = other;
    button.title = say("nearest_one", { code: other, distance, count: number(frame.counts[other]) });
    button.setAttribute("aria-label", button.title);
    drawPatch(button.querySelector("canvas"), 32, book, other);
    button.querySelector("span").textContent = distance;
  });
}

const hint = () => say(coarse.matches ? "hint_touch" : "hint");

function placesText(code, { codes, counts }) {
  if (!codes) return "";
  const count = counts[code];
  if (!count) return say("nowhere");
  const share = (100 * count) / codes.length;
  return say("places", { count: number(count), total: number(codes.length), share: number(share, share < 1 ? 2 : 1) });
}

function cellText(cell, { cols, bits }) {
  const at = { row: Math.floor(cell / cols), col: cell % cols };
  const known = bits && !Number.isNaN(bits[cell]);
  return known ? say("cell_bits", { ...at, bits: number(bits[cell], 1) }) : say("cell", at);
}

// What a screen reader says of a code.
function spoken({ code, cell }, frame, book) {
  const each = book.near.length / book.number;
  const near = [...book.near.subarray(code * each, code * each + Math.min(3, each))].join(", ");
  const where = cell === null ? say("code", { code }) : say("cell_spoken", { code, where: cellText(cell, frame) });
  const facts = [where, placesText(code, frame)].filter(Boolean).join(", ");
  return near ? `${facts}. ${say("nearest_spoken", { near })}` : facts;
}
