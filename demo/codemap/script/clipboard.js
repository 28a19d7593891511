// Codes that were copied, and how they are pasted: the tool "paste" holds them over the map, each press lays them down.
// Every map of the page has the same codes in hand: what is copied on one can be pasted on another.

// Its `clip` is null or {checkpoint, rows, cols, cells, codes, which, patches}: the smallest rectangle around what was
// copied, cells as in a mask; `patches` are pictures of codes, edge to edge, and `which` of them is each cell's.
const clipboard = (window.codebrushClipboard ??= Object.assign(new EventTarget(), { clip: null }));
const onNews = (name, use) =>
  clipboard.addEventListener(name, function hear() {
    if (root.isConnected) use();
    else clipboard.removeEventListener(name, hear);
  });
onNews("copy", () => refresh());
onNews("paste", () => {
  if (props.copy_only) return; // the news is from there
  if (tool !== "paste") take("paste");
  stage.scrollIntoView({ block: "center" });
  pressed = coarse.matches; // a finger needs no cursor
  stage.focus({ preventScroll: true });
  pressed = false;
});

function copy() {
  const { rows, cols, cells } = region;
  const set = [...cells.keys()].filter((i) => cells[i]);
  const [ys, xs] = [set.map((i) => Math.floor(i / cols)), set.map((i) => i % cols)];
  const [top, left] = [Math.min(...ys), Math.min(...xs)];
  const clip = { checkpoint: props.checkpoint, rows: Math.max(...ys) - top + 1, cols: Math.max(...xs) - left + 1 };
  const from = Array.from({ length: clip.rows * clip.cols }, (_, i) => {
    return (top + Math.floor(i / clip.cols)) * cols + left + (i % clip.cols);
  });
  clip.cells = Uint8Array.from(from, (i) => cells[i]);
  clip.codes = Uint16Array.from(from, (i) => frame.codes[i]);
  clip.which = Uint16Array.from(from.keys());
  if (frame.image) clip.patches = patchesOf(frame.image, { rows, cols }, { top, left, ...sized(clip) });
  clipboard.clip = clip;
  tell(say("copied", { count: set.length }));
  clipboard.dispatchEvent(new Event("copy"));
  // Out of the page as numbers; and a picture that lay there can no longer be pasted by mistake, in place of all work.
  navigator.clipboard?.writeText(clipAsText(clip)).catch(() => {});
}

// Row by row, blanks between the codes, a dash for what was not copied.
function clipAsText({ cols, cells, codes }) {
  const words = Array.from(codes, (code, i) => (cells[i] ? String(code) : "-"));
  const rows = Array.from({ length: codes.length / cols }, (_, row) => words.slice(row * cols, (row + 1) * cols));
  return rows.map((row) => row.join(" ")).join("\n");
}

// The pictures of some cells of a map, as they are in its picture.
function patchesOf(image, map, { top, left, rows, cols }) {
  const side = Math.max(1, Math.round(image.naturalWidth / map.cols));
  const sheet = Object.assign(document.createElement("canvas"), { width: cols * side, height: rows * side });
  const [width, height] = [image.naturalWidth / map.cols, image.naturalHeight / map.rows];
  const from = [left * width, top * height, cols * width, rows * height];
  sheet.getContext("2d").drawImage(image, ...from, 0, 0, sheet.width, sheet.height);
  return { image: sheet, side, columns: cols };
}

// Mirrors where the codes stand. What each decodes to stays as it is, so the ghost does not turn its patches.
function flip(across) {
  const { clip } = clipboard;
  const { rows, cols } = clip;
  const mirrored = (values) =>
    values.map((_, i) => {
      const [row, col] = [Math.floor(i / cols), i % cols];
      return values[across ? row * cols + cols - 1 - col : (rows - 1 - row) * cols + col];
    });
  const { cells, codes, which } = clip;
  clipboard.clip = { ...clip, cells: mirrored(cells), codes: mirrored(codes), which: mirrored(which) };
  clipboard.dispatchEvent(new Event("copy"));
}

// Whether the codes in hand mean the same here.
const pastable = () => clipboard.clip?.checkpoint === props.checkpoint;

// The codes in hand as a layer of this map, their middle at a place; what would be outside is cut off.
function clipAt({ x, y }) {
  const { clip } = clipboard;
  const { length } = region.cells;
  const layer = { cells: new Uint8Array(length), codes: new Uint16Array(length), which: new Uint16Array(length) };
  const [top, left] = [Math.round(y - clip.rows / 2), Math.round(x - clip.cols / 2)];
  clip.cells.forEach((cell, i) => {
    const [row, col] = [top + Math.floor(i / clip.cols), left + (i % clip.cols)];
    if (!cell || !inside({ x: col, y: row })) return;
    const to = row * region.cols + col;
    layer.cells[to] = 1;
    layer.codes[to] = clip.codes[i];
    layer.which[to] = clip.which[i];
  });
  return { ...layer, patches: clip.patches };
}

// The codes in hand where they would be pasted now; null where they could not.
function ghost() {
  if (tool !== "paste" || !pastable() || props.disabled) return null;
  return clipAt(cursor || !hover ? middleOf(cursor ?? placeOfCursor()) : hover);
}

function paste() {
  const layer = ghost();
  if (layer) lay(layer, layer.codes.filter((_, i) => layer.cells[i]));
  refresh();
}

function pasteNote() {
  const { clip } = clipboard;
  if (pastable()) return say(coarse.matches ? "hint_paste_touch" : "hint_paste", { count: countOf(clip.cells) });
  return say("other_checkpoint");
}
