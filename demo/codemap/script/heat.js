// What surprises the judge: whether the bits at hand are those of what is on show, asking for them, and their legend.
// The server may send them late, or a part at a time; by then there may be other codes, or another judge.

const UNKNOWN = 65535; // and otherwise 256ths of a bit (packing.py)
const question = () => `${props.judge} ${props.codes}`;
let pending = ""; // the question that is under way

// The bits of the codes on show, NaN where still unknown; null where there are none.
function heatOf({ heat, codes, judge }, length) {
  if (!heat || heat.codes !== codes || heat.judge !== judge) return null;
  const parts = unpackCodes(heat.bits, length);
  if (!parts) return null;
  const bits = Float32Array.from(parts, (part) => (part === UNKNOWN ? NaN : part / 256));
  return { bits, name: heat.name, top: heat.top, known: bits.reduce((sum, one) => sum + !isNaN(one), 0) / length };
}

// Has the server compute what is not there, once; `again`: even if that was asked already, and came to nothing.
function ask(again = false) {
  const heat = heatOf(props, props.rows * props.cols);
  if (props.disabled || props.remaining || again) pending = ""; // a job that changes codes ends the computation
  if (shownView !== "surprise" || !props.codes || props.disabled || props.remaining) return;
  if (heat?.known === 1 || pending === question()) return;
  pending = question();
  trigger("ask");
}

const bitsAt = ({ row, col }) => (shownView === "surprise" ? frame.heat?.bits[row * region.cols + col] : NaN) ?? NaN;

// The colour of some bits: of `top`, and above, the last of the palette, and between two of them a mixture.
function heatColour(bits, top, palette) {
  const last = palette.length / 3 - 1;
  const place = Math.min(1, bits / top) * last;
  const below = Math.min(last - 1, Math.floor(place));
  const share = place - below;
  return [0, 1, 2].map((i) => palette[3 * below + i] * (1 - share) + palette[3 * below + 3 + i] * share);
}

function renderLegend(shown) {
  const { heat, heatPalette } = frame;
  const legend = find(".codemap-legend");
  legend.hidden = !shown || shownView !== "surprise" || !heat;
  if (legend.hidden) return;
  const colours = Array.from({ length: heatPalette.length / 3 }, (_, i) => `rgb(${heatPalette.slice(3 * i, 3 * i + 3)})`);
  find(".codemap-scale").style.background = `linear-gradient(to right, ${colours})`;
  find(".codemap-judged").textContent = say("heat", { name: heat.name });
  find(".codemap-high").textContent = say("heat_high", { top: heat.top });
}

// What is said while bits are on their way; empty when they are there.
function heatNote() {
  if (shownView !== "surprise" || !frame.codes || frame.heat?.known === 1) return "";
  if (!frame.heat) return say("heat_waiting");
  return say("heat_busy", { name: frame.heat.name, percent: Math.floor(100 * frame.heat.known) });
}
