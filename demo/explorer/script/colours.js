// The colour of each code of the map: by number, by likeness, by how often it stands there, by its bits.

const UNKNOWN = [128, 128, 128];

// Numbers of two and of four bytes, the low byte first as in every browser's arrays.
const codesOf = (base64) => new Uint16Array(bytesOf(base64)?.buffer ?? new ArrayBuffer(0));
const floatsOf = (base64) => new Float32Array(bytesOf(base64)?.buffer ?? new ArrayBuffer(0));

// How often each of `number` codes stands in the map.
function countsOf(codes, number) {
  const counts = new Uint32Array(number);
  for (const code of codes) counts[code]++;
  return counts;
}

// The colour of a share from 0 to 1 on a scale of 256 colours; shares above 1 have the last.
function heatOf(share, heat) {
  const level = Math.round(255 * Math.max(0, Math.min(1, share)));
  return heat.subarray(3 * level, 3 * level + 3);
}

// From rare to frequent, in logarithms: a code that stands twice as often is one step lighter anywhere.
const shareOfCount = (count, most) => (most > 1 ? Math.log(Math.max(1, count)) / Math.log(most) : 1);

// The end of the scale of bits: one and a half times a blind guess among all codes.
const mostBits = (number) => Math.ceil(1.5 * Math.log2(number));

// The mean bits of each code of the book over its places; NaN where none is known.
function bitsByCode(codes, bits, number) {
  const [sums, known] = [new Float64Array(number), new Uint32Array(number)];
  codes.forEach((code, i) => {
    if (Number.isNaN(bits[i])) return;
    sums[code] += bits[i];
    known[code]++;
  });
  return sums.map((sum, code) => sum / known[code]);
}

// A function from a code and its bits to a colour.
function colouring(kind, { palette, heat, counts }) {
  const most = Math.max(1, ...counts);
  const top = mostBits(counts.length);
  return {
    codes: (code) => fallbackColour(code),
    similarity: (code) => colourOf(code, palette),
    frequency: (code) => heatOf(shareOfCount(counts[code], most), heat),
    bits: (_, bits) => (Number.isNaN(bits ?? NaN) ? UNKNOWN : heatOf(bits / top, heat)),
  }[kind];
}
