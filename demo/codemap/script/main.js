// Joins the component to Gradio: the toolbar and its words, properties in. Gradio gives `props` and `watch`.

root.addEventListener("click", (event) => {
  const { tool: name, action, view: look } = event.target.closest("button")?.dataset ?? {};
  if (name) take(name);
  if (action === "zoom_off") wholeMap();
  else if (action) act(action);
  if (look && able({ view: look })) {
    shownView = look;
    refresh({ base: true });
    ask(true);
  }
});
slider.addEventListener("input", () => refresh());

for (const labelled of findAll("[data-label]")) {
  const words = say(labelled.dataset.label.slice("codemap_".length));
  const { tool: name, action } = labelled.dataset;
  const keys = (SHORTCUTS.tools[name] ?? SHORTCUTS.actions[action] ?? []).map((one) => capsOf(one).join("+"));
  labelled.setAttribute("aria-label", words);
  if (labelled.matches("button, label")) labelled.title = keys.length ? `${words} (${keys.join(", ")})` : words;
}
for (const worded of findAll("[data-text]")) worded.textContent = say(worded.dataset.text.slice("codemap_".length));
root.lang = language;
find(".codemap-help").id = `codemap-help-${Math.random().toString(36).slice(2)}`;
stage.setAttribute("aria-describedby", find(".codemap-help").id);

let known = {};
let asked = 0;
let answered = 0;

function update() {
  const { rows, cols, picture_id, disabled } = props;
  const fresh = picture_id !== known.picture_id || rows !== known.rows || cols !== known.cols;
  const first = known.rows === undefined;
  if (fresh) {
    drag = picked = cursor = lastCell = null;
    wet = [];
    told = "";
    latest = "region";
    Object.assign(view, { zoom: 1, left: 0, top: 0, width: 0 }); // no width: to be fitted anew
    if (tool === "paste") tool = toolBefore;
    region.reset(rows, cols);
    settled = false;
  } else if (props.image !== known.image) {
    settled = true;
  }
  if (disabled && drag) cancel();
  const replaced = JSON.stringify(props.value) !== sent;
  if (first || replaced) adopt();
  else if (fresh && props.value) send();
  if (props.view !== known.view) shownView = props.view;
  if (shownView === "surprise" && known.heat && !props.heat) shownView = "picture";
  known = { rows, cols, picture_id, view: props.view, image: props.image, heat: props.heat };
  takePatches(props.patches);
  load({
    ...sized(props),
    url: props.image,
    codes: unpackCodes(props.codes, rows * cols),
    remaining: unpackMask(props.remaining, rows * cols),
    palette: bytesOf(props.palette),
    heat: heatOf(props, rows * cols),
    heatPalette: bytesOf(props.heat_palette),
    answered: props.answered,
  });
  ask();
}

// The server has set the value: a step of the history like any other.
function adopt() {
  const { rows, cols, mask } = props.value || {};
  const fits = rows === region.rows && cols === region.cols;
  const before = drag?.before ?? region.cells;
  drag = null;
  settled = false;
  const cells = fits ? unpackMask(mask, rows * cols) : null;
  region.cells = cells ?? new Uint8Array(region.rows * region.cols);
  if (known.rows !== undefined) region.commit(before);
  sent = JSON.stringify(props.value);
  if (props.value && !cells) send();
}

// The picture at a URL; null where it is none.
function decoded(url) {
  const image = Object.assign(new Image(), { src: url });
  return image.decode().then(() => image, () => null);
}

// Puts a frame on the canvas when its picture is decoded, so that nothing flickers; never an older one over a newer.
async function load(next) {
  const number = ++asked;
  if (next.url && next.url === frame.url) {
    next.image = frame.image;
  } else if (next.url) {
    next.image = await decoded(next.url);
  }
  if (number < answered) return;
  answered = number;
  frame = next;
  wet = wet.filter(({ number }) => number > frame.answered);
  dip();
  refresh({ base: true });
}

watch(
  [
    ...["value", "rows", "cols", "codes", "image", "remaining", "palette", "patches"],
    ...["heat", "heat_palette", "judge", "picture_id", "checkpoint", "view", "disabled", "answered"],
  ],
  update,
);
new ResizeObserver(() => refresh()).observe(find(".codemap-space"));
update();
