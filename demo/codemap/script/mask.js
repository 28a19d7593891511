// Masks and codes as arrays, a cell an element, rows from the top: how they travel, and how they are painted.
// Nothing here knows of the page.

// The bytes behind base64 text; null where it is none.
function bytesOf(base64) {
  try {
    return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  } catch {
    return null;
  }
}

// Uint8Array of 0 and 1 from one bit a cell, the first in the highest bit (numpy.packbits); null where it does not fit.
function unpackMask(base64, length) {
  const bytes = bytesOf(base64);
  if (!bytes || bytes.length !== Math.ceil(length / 8)) return null;
  return Uint8Array.from({ length }, (_, i) => (bytes[i >> 3] >> (7 - (i & 7))) & 1);
}

function packMask(cells) {
  const bytes = new Uint8Array(Math.ceil(cells.length / 8));
  cells.forEach((cell, i) => (bytes[i >> 3] |= cell << (7 - (i & 7))));
  return btoa(String.fromCharCode(...bytes));
}

// Uint16Array from two bytes a code, the low one first; null where it does not fit.
function unpackCodes(base64, length) {
  const bytes = bytesOf(base64);
  if (!bytes || bytes.length !== 2 * length) return null;
  return Uint16Array.from({ length }, (_, i) => bytes[2 * i] | (bytes[2 * i + 1] << 8));
}

function packCodes(codes) {
  const bytes = Uint8Array.from({ length: 2 * codes.length }, (_, i) => (codes[i >> 1] >> (8 * (i & 1))) & 255);
  return btoa(String.fromCharCode(...bytes));
}

const countOf = (cells) => cells.reduce((sum, cell) => sum + cell, 0);
const sameCells = (a, b) => a.length === b.length && a.every((cell, i) => cell === b[i]);

// Where a round brush of `size` cells sits when the pointer is at (x, y), in cells. Centres are counted in half
// cells, so that painting is exact in integers: odd sizes sit on the middle of a cell, even ones on a corner.
function brushCentre(x, y, size) {
  const snap = (v) => (size % 2 ? 2 * Math.floor(v) + 1 : 2 * Math.round(v));
  return { x: snap(x), y: snap(y) };
}

// Sets every cell whose middle is within half the brush size of the segment from a to b (brush centres).
// The distance is to the segment itself, so a fast stroke has no gaps and a slow one no bulges.
function paintSegment({ rows, cols }, cells, a, b, size, ink) {
  const dx = b.x - a.x;
  const dy = b.y - a.y;
  const length2 = dx * dx + dy * dy;
  const reach2 = size * size; // half the size, in half cells, squared
  const first = (u, v) => Math.max(0, Math.floor((Math.min(u, v) - size) / 2));
  const last = (u, v, end) => Math.min(end - 1, Math.ceil((Math.max(u, v) + size) / 2));
  for (let row = first(a.y, b.y); row <= last(a.y, b.y, rows); row++) {
    for (let col = first(a.x, b.x); col <= last(a.x, b.x, cols); col++) {
      const x = 2 * col + 1 - a.x;
      const y = 2 * row + 1 - a.y;
      const along = x * dx + y * dy;
      let near;
      if (along <= 0) near = x * x + y * y <= reach2;
      else if (along >= length2) near = (x - dx) ** 2 + (y - dy) ** 2 <= reach2;
      else near = (x * dy - y * dx) ** 2 <= reach2 * length2;
      if (near) cells[row * cols + col] = ink;
    }
  }
}

// Sets the rectangle that has cells a and b at opposite corners.
function paintRectangle({ cols }, cells, a, b, ink) {
  const [left, right] = [Math.min(a.col, b.col), Math.max(a.col, b.col)];
  for (let row = Math.min(a.row, b.row); row <= Math.max(a.row, b.row); row++) {
    cells.fill(ink, row * cols + left, row * cols + right + 1);
  }
}

// The painted region and its history. This is the only copy: what is drawn, counted and sent is read from here.
class Region {
  constructor() {
    this.reset(0, 0);
  }

  reset(rows, cols) {
    this.rows = rows;
    this.cols = cols;
    this.cells = new Uint8Array(rows * cols);
    this.past = [];
    this.future = [];
  }

  // Makes the change since `before` one step of the history; false where nothing changed.
  commit(before) {
    if (sameCells(before, this.cells)) return false;
    this.past = [...this.past.slice(-99), before];
    this.future = [];
    return true;
  }

  undo() {
    return this.travel(this.past, this.future);
  }

  redo() {
    return this.travel(this.future, this.past);
  }

  travel(from, to) {
    if (!from.length) return false;
    to.push(this.cells);
    this.cells = from.pop();
    return true;
  }
}
