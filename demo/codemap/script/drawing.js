// Draws on two canvases: the picture and its codes below, everything that moves above.
// Both have one pixel for each pixel of the screen, and cells end on whole pixels.

const REGION = "255, 45, 120"; // on every picture the colour least likely to be in it
const LARGEST = 720; // CSS pixels along either side of the map

// Hues a golden angle apart: any number of codes, neighbours in number far apart in colour.
function fallbackColour(code) {
  const hue = (code * 137.508) % 360;
  const light = 0.42 + 0.08 * (code % 4);
  const channel = (n) => {
    const k = (n + hue / 30) % 12;
    return 255 * (light - 0.5 * Math.min(light, 1 - light) * Math.max(-1, Math.min(k - 3, 9 - k, 1)));
  };
  return [channel(0), channel(8), channel(4)];
}

function colourOf(code, palette) {
  const colour = palette?.subarray(3 * code, 3 * code + 3);
  return colour?.length === 3 ? colour : fallbackColour(code);
}

// Lays cells of a map over a canvas, as pictures of their codes: {cells, codes} in the colours of the palette,
// {cells, patches: {image, side, columns}, which} as these patches of an image that has them edge to edge, `side` pixels
// each. One pixel after another first, and all of it enlarged then: no patch runs into one that is no neighbour. `span`
// is where on the canvas the whole map would be.
function drawLayer(context, { cells, codes, patches, which }, { rows, cols, span }, palette) {
  const side = patches?.side ?? 1;
  const small = Object.assign(document.createElement("canvas"), { width: cols * side, height: rows * side });
  const pixels = small.getContext("2d");
  cells.forEach((cell, i) => {
    if (!cell) return;
    const [x, y] = [side * (i % cols), side * Math.floor(i / cols)];
    if (patches) {
      const [column, row] = [which[i] % patches.columns, Math.floor(which[i] / patches.columns)];
      pixels.drawImage(patches.image, column * side, row * side, side, side, x, y, side, side);
    } else {
      pixels.fillStyle = `rgb(${[...colourOf(codes[i], palette)]})`;
      pixels.fillRect(x, y, 1, 1);
    }
  });
  context.imageSmoothingEnabled = Boolean(patches);
  context.drawImage(small, ...span);
}

class MapView {
  constructor(stage, base, overlay) {
    Object.assign(this, { stage, base, overlay, rows: 0, cols: 0, ratio: 0, width: 0, height: 0 });
    Object.assign(this, { zoom: 1, left: 0, top: 0 });
    this.below = base.getContext("2d");
    this.above = overlay.getContext("2d");
  }

  // Takes as much of `available` CSS pixels as a map of square cells can; true where the size changed.
  fit(rows, cols, available) {
    const ratio = window.devicePixelRatio || 1;
    const tallest = Math.min(LARGEST, 0.72 * (window.screen.height || LARGEST));
    const room = Math.min(available, LARGEST) * ratio;
    let cell = Math.min(room / cols, (tallest * ratio) / rows);
    // Cells all of one size look better than cells that differ by a pixel, unless it costs much room.
    if (Math.floor(cell) > 0.92 * cell) cell = Math.floor(cell);
    const width = Math.max(1, Math.floor(cell * cols));
    const height = Math.max(1, Math.floor(cell * rows));
    const same = rows === this.rows && cols === this.cols && ratio === this.ratio;
    if (same && width === this.width && height === this.height) return false;
    Object.assign(this, { rows, cols, ratio, width, height, cell: cell / ratio });
    for (const canvas of [this.base, this.overlay]) Object.assign(canvas, { width, height });
    Object.assign(this.stage.style, { width: `${width / ratio}px`, height: `${height / ratio}px` });
    this.hatch = this.makeHatch();
    this.look(this.zoom, this.left, this.top);
    return true;
  }

  // Shows the map `zoom` times as large, from the column `left` and the row `top` on, or as near to that as it goes.
  look(zoom, left, top) {
    const { rows, cols, width, height } = this;
    const within = (value, cells) => Math.max(0, Math.min(cells - cells / zoom, value));
    const [across, down] = [(zoom * width) / cols, (zoom * height) / rows]; // pixels a cell
    // Whole pixels, so that the picture and the lines on it move together.
    const [x, y] = [-Math.round(across * within(left, cols)), -Math.round(down * within(top, rows))];
    Object.assign(this, { zoom, left: -x / across, top: -y / down, span: [x, y, zoom * width, zoom * height] });
    // The first pixel of each column and row, as nearest-neighbour scaling of the codes has it.
    this.xs = Array.from({ length: cols + 1 }, (_, c) => x + Math.ceil(c * across - 0.5));
    this.ys = Array.from({ length: rows + 1 }, (_, r) => y + Math.ceil(r * down - 0.5));
  }

  makeHatch() {
    const side = Math.round(7 * this.ratio);
    const tile = Object.assign(document.createElement("canvas"), { width: side, height: side });
    const context = tile.getContext("2d");
    context.strokeStyle = "#fff";
    context.lineWidth = 1.1 * this.ratio;
    context.beginPath();
    for (const shift of [-side, 0, side]) {
      context.moveTo(shift - 1, side + 1);
      context.lineTo(shift + side + 1, -1);
    }
    context.stroke();
    return this.above.createPattern(tile, "repeat");
  }

  drawBase({ image, codes, palette, heat, heatPalette }, view) {
    const { below, width, height } = this;
    below.clearRect(0, 0, width, height);
    if (image && (view !== "codes" || !codes)) {
      below.imageSmoothingQuality = "high";
      below.imageSmoothingEnabled = true;
      below.drawImage(image, ...this.span);
    }
    if (codes && (["codes", "both"].includes(view) || !image)) {
      const colours = Array.from(codes, (code) => colourOf(code, palette));
      this.drawCells(colours, view === "both" && image ? 0.55 : 1);
    }
    if (heat && view === "surprise") {
      this.drainColour(); // or the picture's would be taken for the heat's
      const colours = Array.from(heat.bits, (bits) => (isNaN(bits) ? null : heatColour(bits, heat.top, heatPalette)));
      this.drawCells(colours, 0.7);
    }
    if (this.zoom * this.cell >= 5) this.drawGrid(below);
  }

  // Leaves what is there in greys.
  drainColour() {
    const { below, width, height } = this;
    below.globalCompositeOperation = "saturation";
    below.fillStyle = "#808080";
    below.fillRect(0, 0, width, height);
    below.globalCompositeOperation = "source-over";
  }

  // One colour a cell, or null for none, over what is there.
  drawCells(colours, opacity) {
    const { below, rows, cols } = this;
    const picture = new ImageData(cols, rows);
    colours.forEach((colour, i) => colour && picture.data.set([...colour, 255], 4 * i));
    const canvas = Object.assign(document.createElement("canvas"), { width: cols, height: rows });
    canvas.getContext("2d").putImageData(picture, 0, 0);
    below.globalAlpha = opacity;
    below.imageSmoothingEnabled = false;
    below.drawImage(canvas, ...this.span);
    below.globalAlpha = 1;
  }

  // A dark and a light hairline side by side: one of the two shows on any picture.
  drawGrid(context) {
    const { width, height } = this;
    for (const [colour, shift] of [["rgba(0, 0, 0, 0.1)", -1], ["rgba(255, 255, 255, 0.13)", 0]]) {
      context.fillStyle = colour;
      for (const x of this.xs.slice(1, -1)) context.fillRect(x + shift, 0, 1, height);
      for (const y of this.ys.slice(1, -1)) context.fillRect(0, y + shift, width, 1);
    }
  }

  // The area of the cells that are set.
  areaOf(cells) {
    const path = new Path2D();
    this.eachRun((row, col) => cells[row * this.cols + col], this.rows, this.cols, (row, from, to) => {
      const [x, y] = [this.xs[from], this.ys[row]];
      path.rect(x, y, this.xs[to] - x, this.ys[row + 1] - y);
    });
    return path;
  }

  // The border between cells that are set and cells that are not; the edge of the map counts as not set.
  outlineOf(cells) {
    const { rows, cols } = this;
    const path = new Path2D();
    // Along the edge of the map lines move inwards, where all of them can be seen.
    const inset = 1.75 * this.ratio;
    const within = (places) => places.map((at) => Math.max(places[0] + inset, Math.min(places.at(-1) - inset, at)));
    const [xs, ys] = [within(this.xs), within(this.ys)];
    const at = (row, col) => row >= 0 && col >= 0 && row < rows && col < cols && cells[row * cols + col];
    this.eachRun((k, col) => !at(k - 1, col) !== !at(k, col), rows + 1, cols, (k, from, to) => {
      path.moveTo(xs[from], ys[k]);
      path.lineTo(xs[to], ys[k]);
    });
    this.eachRun((k, row) => !at(row, k - 1) !== !at(row, k), cols + 1, rows, (k, from, to) => {
      path.moveTo(xs[k], ys[from]);
      path.lineTo(xs[k], ys[to]);
    });
    return path;
  }

  // Calls use(line, from, to) for each unbroken run of true along each line.
  eachRun(test, lines, length, use) {
    for (let line = 0; line < lines; line++) {
      for (let from = 0; from < length; from++) {
        if (!test(line, from)) continue;
        let to = from + 1;
        while (to < length && test(line, to)) to++;
        use(line, from, to);
        from = to;
      }
    }
  }

  // region, tinted: cells, the one to outline, the other to fill; fade: 0..1, how strongly; marks: {cells, kind};
  // layers, ghost: as drawLayer has them, below all of that.
  drawOverlay({ region, tinted, fade, marks, layers = [], ghost = null, palette = null }) {
    const { above } = this;
    above.clearRect(0, 0, this.width, this.height);
    above.lineJoin = above.lineCap = "round";
    for (const layer of layers) drawLayer(above, layer, this, palette);
    above.globalAlpha = 0.85;
    if (ghost) drawLayer(above, ghost, this, palette);
    above.globalAlpha = 1;
    if (tinted?.includes(1)) this.fill(this.areaOf(tinted), fade);
    if (region.includes(1)) {
      this.stroke(this.outlineOf(region), [["rgba(110, 0, 50, 0.85)", 3.5], ["#fff", 1.5]]);
    }
    for (const { cells, kind } of marks) this.stroke(this.outlineOf(cells), MARKS[kind]);
  }

  fill(area, strength) {
    const { above } = this;
    above.fillStyle = `rgba(${REGION}, ${0.36 * strength})`;
    above.fill(area);
    above.globalAlpha = 0.38 * strength;
    above.fillStyle = this.hatch;
    above.fill(area);
    above.globalAlpha = 1;
  }

  stroke(path, lines) {
    for (const [colour, thickness, dash = []] of lines) {
      this.above.strokeStyle = colour;
      this.above.lineWidth = thickness * this.ratio;
      this.above.setLineDash(dash.map((length) => length * this.ratio));
      this.above.stroke(path);
    }
    this.above.setLineDash([]);
  }
}

// Lines drawn one over the other: [colour, thickness, dashes].
const MARKS = {
  paint: [["rgba(0, 0, 0, 0.55)", 3.5], [`rgb(${REGION})`, 1.75]],
  erase: [["rgba(0, 0, 0, 0.7)", 3.5], ["#fff", 1.75, [4, 4]]],
  look: [["rgba(0, 0, 0, 0.6)", 3.5], ["#fff", 1.75]],
  same: [["rgba(0, 0, 0, 0.6)", 3], ["#ffd84d", 1.5]],
  cursor: [["#fff", 5], ["#1d4ed8", 2.5]],
};
