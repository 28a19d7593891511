// The pictures, as they came and as errors: how far each pixel is from the first picture's.

const palette = Uint8Array.from(atob(props.palette), (letter) => letter.charCodeAt(0));
const loaded = new Map(); // address → promise of ImageData, or of null where it cannot be had

// Lossless files, drawn without any change: the pixels are those that Python has.
function pixelsOf({ url }) {
  if (!loaded.has(url)) {
    const image = Object.assign(new Image(), { src: url });
    const pixels = image.decode().then(() => {
      const { naturalWidth: width, naturalHeight: height } = image;
      const context = canvasOf(width, height).getContext("2d", { willReadFrequently: true });
      context.drawImage(image, 0, 0);
      return context.getImageData(0, 0, width, height);
    });
    loaded.set(url, pixels.catch(() => null));
  }
  return loaded.get(url);
}

const canvasOf = (width, height) => Object.assign(document.createElement("canvas"), { width, height });

// Root mean square over the channels, in the colours of demo/drawing.py.
function errorOf(pixels, original) {
  const error = new ImageData(pixels.width, pixels.height);
  const { data: a } = pixels;
  const { data: b } = original;
  for (let i = 0; i < a.length; i += 4) {
    const square = (a[i] - b[i]) ** 2 + (a[i + 1] - b[i + 1]) ** 2 + (a[i + 2] - b[i + 2]) ** 2;
    const at = 3 * Math.min(255, Math.round((255 * Math.sqrt(square / 3)) / props.limit));
    error.data.set([palette[at], palette[at + 1], palette[at + 2], 255], i);
  }
  return error;
}

// A canvas of one pixel for each of the picture's.
function draw(canvas, view, asError) {
  const { width, height } = view.pixels;
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  view.error ??= errorOf(view.pixels, views[0].pixels);
  canvas.getContext("2d").putImageData(asError ? view.error : view.pixels, 0, 0);
  canvas.setAttribute("aria-label", `${view.name}, ${say(asError ? "error" : "picture")}`);
}

const colours = Array.from({ length: 17 }, (_, i) => {
  const at = 3 * Math.round((255 * i) / 16);
  return `rgb(${[...palette.subarray(at, at + 3)]})`;
});
find(".comparison-scale").style.background = `linear-gradient(to right, ${colours})`;
