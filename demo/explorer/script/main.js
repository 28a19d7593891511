// Joins map, sheet and inspector to one another and to Gradio, which gives `props`, `watch` and `trigger`.

const dyes = { palette: bytesOf(props.palette), heat: bytesOf(props.heat) };
let book = null; // all codes, once they are here
let frame = { codes: null, counts: null, bits: null }; // the picture on show; `codes` is null where there is none
let colours = "similarity";
let sheetColours = "patches";
let priors = []; // names of those whose bits can be asked for
let prior = null;
let scores = new Map(); // prior → the bits of this picture's codes
let awaited = null; // the prior whose bits are under way
let pointing = null; // {board, square, byKey}: what is looked at now
let pinned = null; // {code, cell or null}: what is looked at while nothing is pointed at

const map = new Board(find(".explorer-map"), {
  point: (square, byKey) => point(map, square, byKey),
  pick: (square, byKey) => pin({ code: frame.codes[square], cell: square }, byKey),
});
const sheet = new Board(find(".explorer-sheet"), {
  point: (square, byKey) => point(sheet, square, byKey),
  pick: (square, byKey) => pin({ code: book.order[square], cell: null }, byKey),
});

function lookedAt() {
  if (!pointing) return pinned;
  const { board, square } = pointing;
  return board === map ? { code: frame.codes[square], cell: square } : { code: book.order[square], cell: null };
}

function point(board, square, byKey) {
  if (square === null && (pointing?.board !== board || pointing.byKey !== byKey)) return;
  pointing = square === null ? null : { board, square, byKey };
  if (byKey && pointing) announce(spoken(lookedAt(), frame, book));
  refresh();
}

// Keeps a code in view; the same once more lets it go. The other board's keys take up from it.
function pin(next, spoke) {
  const same = pinned && next && pinned.code === next.code && pinned.cell === next.cell;
  pinned = same ? null : next;
  if (pinned) {
    sheet.last = book.places[pinned.code];
    const cell = pinned.cell ?? frame.codes?.indexOf(pinned.code) ?? -1;
    if (cell >= 0) map.last = cell;
    if (!spoke || pinned.cell === null) announce(spoken(pinned, frame, book));
  }
  refresh();
}

// ---- what is drawn ----

const due = { base: false, frame: 0 };

// `base`: all of it, not only what follows the pointer.
function refresh({ base = false } = {}) {
  due.base ||= base;
  due.frame ||= requestAnimationFrame(render);
}

function render() {
  due.frame = 0;
  if (due.base) {
    map.stale = sheet.stale = true;
    renderControls();
    renderLegend();
  }
  due.base = false;
  if (!book) return;
  if (map.fit()) drawMap();
  if (sheet.fit()) drawSheet();
  const now = lookedAt();
  markMap(now);
  markSheet(now);
  inspect(now, frame, book, pinned);
}

function drawMap() {
  if (!map.stale) return;
  map.stale = false;
  if (colours === "decoded") return map.view.drawBase({ image: frame.image }, "picture");
  const colourOfCode = colouring(colours, { ...dyes, counts: frame.counts });
  // Every cell in a colour of its own: a map of cells instead of codes, and their colours as its palette.
  const palette = new Uint8Array(3 * frame.codes.length);
  frame.codes.forEach((code, i) => palette.set(colourOfCode(code, frame.bits?.[i]), 3 * i));
  map.view.drawBase({ codes: Uint16Array.from(frame.codes.keys()), palette }, "codes");
}

function drawSheet() {
  if (!sheet.stale) return;
  sheet.stale = false;
  const counts = frame.counts;
  const asMap = sheetColours === "map" && colours !== "decoded" && frame.codes;
  const kind = asMap ? colours : "patches";
  const colourOfCode = kind === "patches" ? null : colouring(kind, { ...dyes, counts });
  const bits = kind === "bits" && frame.bits ? bitsByCode(frame.codes, frame.bits, book.number) : null;
  sheet.paintEach((context, square, x, y, width, height) => {
    const code = book.order[square];
    // Dim is not enough: a pale patch that is used looks like a strong one that is not. Unused ones are small, too.
    const unused = frame.codes && !counts[code];
    context.globalAlpha = unused ? 0.35 : 1;
    if (unused) [x, y, width, height] = [x + width * 0.3, y + height * 0.3, width * 0.4, height * 0.4].map(Math.round);
    if (kind === "patches") {
      const from = patchAt(book, code);
      context.drawImage(book.image, from.x, from.y, book.patch, book.patch, x, y, width, height);
    } else {
      context.fillStyle = `rgb(${[...colourOfCode(code, bits?.[code])]})`;
      context.fillRect(x, y, width, height);
    }
  });
  sheet.below.globalAlpha = 1;
}

function markMap(now) {
  if (!map.count) return;
  const marks = [];
  if (now) {
    const same = [...frame.codes.keys()].filter((cell) => frame.codes[cell] === now.code);
    marks.push({ squares: same, kind: "same" });
    if (now.cell !== null) marks.push({ squares: [now.cell], kind: kindOn(map) });
  }
  map.mark(marks);
}

function markSheet(now) {
  if (!sheet.count) return;
  const marks = [];
  if (now) {
    const each = book.near.length / book.number;
    const near = book.near.subarray(now.code * each, (now.code + 1) * each);
    for (const code of near) marks.push({ squares: [book.places[code]], kind: "near" });
    marks.push({ squares: [book.places[now.code]], kind: kindOn(sheet) });
  }
  sheet.mark(marks);
}

// How the one square that is looked at is outlined.
function kindOn(board) {
  if (pointing?.board === board) return pointing.byKey ? "cursor" : "look";
  return "here";
}

function renderControls() {
  for (const button of findAll("[data-colours]")) {
    button.setAttribute("aria-pressed", String(button.dataset.colours === colours));
    button.setAttribute("aria-disabled", String(!frame.codes));
    if (button.dataset.colours === "bits") button.hidden = !priors.length;
  }
  for (const button of findAll("[data-sheet]")) {
    button.setAttribute("aria-pressed", String(button.dataset.sheet === sheetColours));
  }
  find(".explorer-prior").hidden = colours !== "bits" || priors.length < 2 || !frame.codes;
  find(".explorer-empty").hidden = !book || Boolean(frame.codes);
  find(".explorer-used").textContent = usedText();
}

function usedText() {
  if (!book) return say("loading");
  if (!frame.codes) return "";
  const used = frame.counts.filter((count) => count > 0);
  const total = frame.codes.length;
  const entropy = -used.reduce((sum, count) => sum + (count / total) * Math.log2(count / total), 0);
  const values = { used: number(used.length), number: number(book.number), entropy: number(entropy, 1) };
  return say("used", values);
}

function renderLegend() {
  const scale = find(".explorer-scale");
  scale.hidden = !frame.codes || !["frequency", "bits"].includes(colours);
  find(".explorer-about").textContent = frame.codes ? aboutText() : "";
  if (scale.hidden) return;
  const most = Math.max(...frame.counts);
  const top = mostBits(book.number);
  const blind = Math.log2(book.number);
  find(".explorer-low").textContent = colours === "bits" ? number(0) : number(1);
  find(".explorer-high").textContent = colours === "bits" ? say("bits_end", { bits: number(top) }) : number(most);
  find(".explorer-bar i").hidden = colours !== "bits";
  find(".explorer-bar i").style.left = `${(100 * blind) / top}%`;
}

function aboutText() {
  if (colours !== "bits") return say(`about_${colours}`);
  const blind = number(Math.log2(book.number), 1);
  const known = [...(frame.bits ?? [])].filter((bits) => !Number.isNaN(bits));
  if (known.length < frame.codes.length) {
    const share = Math.round((100 * known.length) / frame.codes.length);
    return awaited ? say("computing", { prior: nameOf(awaited), share }) : say("about_bits", { blind });
  }
  const total = known.reduce((sum, bits) => sum + bits, 0);
  const sum = { total: number(total), mean: number(total / known.length, 1), blind };
  return `${say("about_bits", { blind })} ${say("about_bits_sum", sum)}`;
}

// ---- what the visitor does beside pointing ----

function show(kind) {
  if (!frame.codes) return;
  colours = kind;
  askForBits();
  announce(aboutText());
  refresh({ base: true });
}

function askForBits() {
  frame.bits = scores.get(prior) ?? null;
  if (colours !== "bits" || frame.bits || awaited === prior || !frame.codes) return;
  awaited = prior;
  trigger("score", { prior });
}

root.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (!button) return;
  const { colours: kind, sheet: look, code } = button.dataset;
  if (kind) show(kind);
  if (look) {
    sheetColours = look;
    refresh({ base: true });
  }
  if (code !== undefined && book) {
    pointing = null;
    pin({ code: Number(code), cell: null });
  }
  if (button.matches(".explorer-unpin")) pin(null);
  if (button.matches(".explorer-go")) trigger("leave");
});
root.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && pinned) pin(null);
});
const bar = Array.from({ length: 17 }, (_, i) => `rgb(${[...heatOf(i / 16, dyes.heat)]})`);
find(".explorer-bar").style.background = `linear-gradient(to right, ${bar})`;
const choice = find(".explorer-prior");
choice.addEventListener("change", () => {
  prior = choice.value;
  show("bits");
});

// ---- properties in ----

// Another checkpoint has other colours and priors; what was chosen stays where it can.
function takeCheckpoint() {
  dyes.palette = bytesOf(props.palette);
  if (String(priors) === String(props.priors)) return;
  priors = props.priors;
  if (!priors.includes(prior)) prior = priors[0] ?? null;
  if (!prior && colours === "bits") colours = "similarity";
  choice.replaceChildren(...priors.map((name) => new Option(nameOf(name), name, false, name === prior)));
}

let asked = 0;
let answered = 0;
let lastFailure = "";

async function update() {
  const order = ++asked;
  takeCheckpoint();
  const [nextBook, nextFrame] = await Promise.all([bookOf(props.book), frameOf(props)]);
  if (order < answered) return; // never an older state over a newer
  answered = order;
  if (nextFrame.id !== frame.id) {
    scores = new Map();
    awaited = pointing = null;
    if (pinned) pinned.cell = null;
  }
  if (pinned && nextBook !== book) pinned = null; // a code of another book
  book = nextBook;
  frame = nextFrame;
  takeBits(props.bits);
  askForBits();
  if (book) {
    map.lay(frame.codes ? frame.codes.length : 0, frame.codes ? frame.cols : 1);
    sheet.lay(book.number, book.columns);
  }
  refresh({ base: true });
}

async function bookOf({ sheet: url, columns, order, near, distances, typical }) {
  if (!url || book?.url === url) return book;
  const image = await pictureOf(url);
  if (!image) return book;
  const codes = codesOf(order);
  const places = new Uint16Array(codes.length);
  codes.forEach((code, place) => (places[code] = place));
  const nearest = { near: codesOf(near), distances: floatsOf(distances), typical };
  const patch = image.naturalWidth / columns;
  return { url, image, patch, columns, order: codes, places, number: codes.length, ...nearest };
}

async function frameOf({ codes, image: url, rows, cols, picture_id: id }) {
  const number = dyes.palette.length / 3;
  if (id === frame.id) return frame;
  if (!codes) return { id, codes: null, counts: new Uint32Array(number), bits: null };
  const cells = codesOf(codes);
  return { id, rows, cols, codes: cells, counts: countsOf(cells, number), bits: null, image: await pictureOf(url) };
}

const pictureOf = (url) => {
  const image = Object.assign(new Image(), { src: url });
  return image.decode().then(() => image, () => null);
};

function takeBits({ picture_id, prior: of, values, failed = lastFailure }) {
  if (failed !== lastFailure) {
    lastFailure = failed;
    scores.delete(awaited); // what there is of them
    awaited = null;
    if (colours === "bits") colours = "similarity";
  } else if (of && picture_id === frame.id) {
    const bits = floatsOf(values);
    scores.set(of, bits);
    if (of === awaited && !bits.some(Number.isNaN)) awaited = null;
  }
}

watch(["book", "palette", "priors", "codes", "image", "rows", "cols", "picture_id", "bits"], update);
new ResizeObserver(() => refresh()).observe(root);
update();
