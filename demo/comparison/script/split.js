// The line between the two pictures: left of it the one, right of it the other.

const line = find(".comparison-split");
let split = 0.5;

function splitTo(part) {
  split = Math.max(0, Math.min(1, part));
  const percent = Math.round(100 * split);
  root.style.setProperty("--split", `${100 * split}%`);
  line.setAttribute("aria-valuenow", percent);
  line.setAttribute("aria-valuetext", say("split_value", { percent, left: nameAt("left"), right: nameAt("right") }));
}

line.addEventListener("pointerdown", (event) => {
  if (event.button === 0) line.setPointerCapture(event.pointerId);
});
line.addEventListener("pointermove", (event) => {
  if (line.hasPointerCapture(event.pointerId)) splitTo(within(pair, event).u);
});
line.addEventListener("keydown", (event) => {
  const step = { ArrowLeft: -0.02, ArrowDown: -0.02, ArrowRight: 0.02, ArrowUp: 0.02, PageUp: 0.1, PageDown: -0.1 };
  const ends = { Home: 0, End: 1 };
  if (event.key in step) splitTo(split + step[event.key]);
  else if (event.key in ends) splitTo(ends[event.key]);
  else return;
  event.preventDefault();
});
