// A grid of squares that is pointed at and walked over by keys: the map is one, the sheet of all codes another.
// Squares are counted row by row; the last row may be short.

const WALK = {
  ArrowUp: (at, { cols }) => at - cols,
  ArrowDown: (at, { cols }) => at + cols,
  ArrowLeft: (at, { cols }) => (at % cols ? at - 1 : at),
  ArrowRight: (at, { cols }) => ((at + 1) % cols ? at + 1 : at),
  Home: (at, { cols }) => at - (at % cols),
  End: (at, { cols, count }) => Math.min(count - 1, at - (at % cols) + cols - 1),
  PageUp: (at, { cols }) => at % cols,
  PageDown: (at, { cols, count }) => (at % cols) + cols * Math.floor((count - 1 - (at % cols)) / cols),
};

class Board {
  // point(square or null, by key?) and pick(square, by key?) are told what the visitor does.
  constructor(stage, { point, pick }) {
    const [base, overlay] = stage.querySelectorAll("canvas");
    Object.assign(this, { stage, overlay, rows: 0, cols: 0, count: 0, last: 0 });
    this.view = new MapView(stage, base, overlay);
    this.below = this.view.below;

    overlay.addEventListener("pointermove", (event) => {
      if (event.pointerType !== "touch") point(this.squareAt(event), false);
    });
    overlay.addEventListener("pointerleave", () => point(null, false));
    overlay.addEventListener("click", (event) => {
      const square = this.squareAt(event);
      if (square === null) return;
      this.last = square;
      pick(square, false);
    });
    stage.addEventListener("focus", () => {
      if (this.count && stage.matches(":focus-visible")) point(this.last, true);
    });
    stage.addEventListener("blur", () => point(null, true));
    stage.addEventListener("keydown", (event) => {
      if (!this.count || event.ctrlKey || event.metaKey || event.altKey) return;
      if (WALK[event.key]) {
        const to = WALK[event.key](this.last, this);
        if (to >= 0 && to < this.count) this.last = to;
        point(this.last, true);
      } else if (event.key === "Enter" || event.key === " ") {
        if (!event.repeat) pick(this.last, true);
      } else {
        return;
      }
      event.preventDefault();
    });
  }

  // Makes it a grid of `count` squares, `cols` in a row; none hides it.
  lay(count, cols) {
    if (count !== this.count || cols !== this.cols) this.last = 0;
    Object.assign(this, { count, cols, rows: Math.ceil(count / cols) });
    this.stage.hidden = count === 0;
  }

  squareAt({ clientX, clientY }) {
    const box = this.overlay.getBoundingClientRect();
    const col = Math.floor(((clientX - box.left) / box.width) * this.cols);
    const row = Math.floor(((clientY - box.top) / box.height) * this.rows);
    const inside = col >= 0 && row >= 0 && col < this.cols && row < this.rows;
    const square = row * this.cols + col;
    return inside && square < this.count ? square : null;
  }

  // True where it can be drawn on; its size may have changed.
  fit() {
    const room = this.stage.parentElement.clientWidth;
    if (!this.count || !room) return false; // zero in a tab that is not open
    if (this.view.fit(this.rows, this.cols, room)) this.stale = true;
    return true;
  }

  // Calls paint(context, square, x, y, side, side) for every square of a sheet, small gaps between them.
  paintEach(paint) {
    const { view, below } = this;
    const gap = view.cell >= 8 ? Math.max(1, Math.round(view.ratio)) : 0;
    below.clearRect(0, 0, view.width, view.height);
    below.imageSmoothingEnabled = false;
    for (let square = 0; square < this.count; square++) {
      const [row, col] = [Math.floor(square / this.cols), square % this.cols];
      const [x, y] = [view.xs[col], view.ys[row]];
      paint(below, square, x, y, view.xs[col + 1] - x - gap, view.ys[row + 1] - y - gap);
    }
  }

  // marks: {squares, kind}, drawn one over the other.
  mark(marks) {
    const cells = this.rows * this.cols;
    const drawn = marks.map(({ squares, kind }) => {
      const set = new Uint8Array(cells);
      for (const square of squares) set[square] = 1;
      return { cells: set, kind };
    });
    this.view.drawOverlay({ region: new Uint8Array(0), tinted: null, fade: 1, marks: drawn });
  }
}

MARKS.here = [["rgba(0, 0, 0, 0.75)", 4.5], ["#ffd84d", 2.5]];
MARKS.near = [["#fff", 3], ["#0f766e", 1.75]];
