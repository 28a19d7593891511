// Joins pictures, camera and line to one another and to Gradio, which gives `props` and `watch`.

let views = []; // as they came, the original first; `pixels` of those that are there
let shown = "picture"; // or "error"
const sides = { left: null, right: null }; // ids of the two under the line
let chosen = false; // by the visitor
const there = () => views.filter((view) => view.pixels);
const viewOf = (id) => there().find((view) => view.id === id);
const nameAt = (side) => viewOf(sides[side])?.name ?? "";

function show(what) {
  shown = what;
  for (const button of findAll("[data-show]")) {
    button.setAttribute("aria-pressed", String(button.dataset.show === shown));
  }
  find(".comparison-legend").hidden = shown !== "error";
  render();
}

function render() {
  root.hidden = !there().length;
  if (root.hidden) return;
  const { width, height } = views[0].pixels;
  root.style.setProperty("--aspect", width / height);
  for (const side of ["left", "right"]) {
    const view = viewOf(sides[side]);
    if (view) draw(pair.querySelector(`[data-side=${side}] canvas`), view, shown === "error");
  }
  renderGrid();
  splitTo(split);
}

function renderGrid() {
  views.forEach((view, i) => {
    const figure = grid.children[i] ?? grid.appendChild(newFigure());
    const frame = figure.querySelector(".comparison-view");
    figure.dataset.view = view.id;
    figure.querySelector("strong").textContent = view.name;
    figure.querySelector("strong").title = view.name;
    figure.querySelector("figcaption span").textContent = view.failed ? "" : view.note;
    if (view.pixels) {
      if (!frame.querySelector("canvas")) {
        frame.replaceChildren(Object.assign(document.createElement("canvas"), { role: "img" }));
      }
      draw(frame.querySelector("canvas"), view, shown === "error");
    } else frame.textContent = view.failed ? view.note : say("waiting");
  });
  while (grid.children.length > views.length) grid.lastElementChild.remove();
}

function newFigure() {
  const figure = Object.assign(document.createElement("figure"), { role: "listitem" });
  const frame = Object.assign(document.createElement("div"), { className: "comparison-view" });
  const caption = document.createElement("figcaption");
  caption.append(document.createElement("strong"), document.createElement("span"));
  figure.append(frame, caption);
  return figure;
}

// What was chosen stays as long as it is there; at first the original beside the first of the others.
function renderSides() {
  const names = there();
  const ids = names.map((view) => view.id);
  if (!ids.includes(sides.left)) sides.left = ids[0] ?? null;
  const undecided = !ids.includes(sides.right) || (!chosen && sides.right === sides.left);
  if (undecided) sides.right = ids.find((id) => id !== sides.left) ?? sides.left;
  for (const side of ["left", "right"]) {
    const select = find(`select[data-side=${side}]`);
    const options = names.map((view) => new Option(view.name, view.id, false, view.id === sides[side]));
    select.replaceChildren(...options);
  }
}

let asked = 0;

async function update() {
  const order = ++asked;
  const next = (props.value?.views ?? []).map((view) => ({ ...view }));
  const pixels = await Promise.all(next.map((view) => (view.image ? pixelsOf(view.image) : null)));
  if (order !== asked) return; // a newer state is on its way
  const original = pixels[0];
  next.forEach((view, i) => (view.pixels = pixels[i]?.width === original?.width ? pixels[i] : null));
  const another = views[0]?.image?.url !== next[0]?.image?.url;
  if (another) {
    look({ zoom: 1, x: 0, y: 0 });
    const known = new Set(next.map((view) => view.image?.url));
    for (const url of loaded.keys()) if (!known.has(url)) loaded.delete(url);
  }
  views = next;
  renderSides();
  render();
}

root.addEventListener("click", (event) => {
  const button = event.target.closest("[data-show]");
  if (button) show(button.dataset.show);
});
root.addEventListener("change", (event) => {
  const { side } = event.target.dataset;
  if (!side) return;
  sides[side] = event.target.value;
  chosen = true;
  render();
});

const renderHint = () => (find(".comparison-hint").textContent = say(coarse.matches ? "hint_touch" : "hint"));
coarse.addEventListener("change", renderHint);
renderHint();
look(camera);
watch(["value"], update);
update();
