// The steps as buttons in a row, of which Tab reaches one and the arrow keys the others. Gradio gives `props`,
// `watch` and `trigger`.

const NOBODY = -1;
let laid = ""; // the steps that there are buttons for
let known = NOBODY; // the step that was the current one
let reached = NOBODY; // the step that Tab reaches
let picking = false; // the next step to be pressed is the one to compare with

const buttons = () => findAll(".history-step");
const numberOf = (button) => Number(button.dataset.number);
const buttonOf = (number) => buttons().find((one) => numberOf(one) === number);
const comparing = () => props.reference !== NOBODY;

// ---- what is seen ----

function update() {
  root.hidden = props.steps.length === 0;
  if (root.hidden || props.disabled) picking = false;
  const steps = JSON.stringify(props.steps);
  const fresh = steps !== laid;
  if (fresh) lay();
  laid = steps;
  if (fresh || props.current !== known) centre(buttonOf(props.current));
  if (props.current !== known || !buttonOf(reached)) reached = props.current;
  known = props.current;
  render();
}

function lay() {
  const focused = list.contains(document.activeElement) ? numberOf(document.activeElement) : NOBODY;
  const items = props.steps.map(item);
  // The oldest edits fall off behind the first step, which stays.
  const [first, second] = props.steps;
  if (second && second.number > first.number + 1) items.splice(1, 0, gap());
  list.replaceChildren(...items);
  if (focused !== NOBODY) (buttonOf(focused) ?? buttonOf(props.current))?.focus();
}

function item({ number, name, image }) {
  const item = document.createElement("li");
  const button = document.createElement("button");
  const picture = Object.assign(new Image(), { src: image, alt: "", draggable: false });
  const words = Object.assign(document.createElement("span"), { textContent: name });
  const mark = Object.assign(document.createElement("i"), { textContent: number || "" });
  button.type = "button";
  button.className = "history-step";
  button.dataset.number = number;
  button.title = name;
  mark.setAttribute("aria-hidden", "true");
  button.append(picture, mark, words);
  item.append(button);
  return item;
}

function gap() {
  const item = Object.assign(document.createElement("li"), { className: "history-gap", textContent: "…" });
  item.title = say("gap");
  return item;
}

function render() {
  const names = new Map(props.steps.map(({ number, name }) => [number, name]));
  for (const button of buttons()) {
    const number = numberOf(button);
    const here = number === props.current;
    const undone = number > props.current;
    const left = number === props.reference;
    const states = [here && say("here"), undone && say("undone"), left && say("left")].filter(Boolean);
    const spoken = number ? say("step", { number, name: names.get(number) }) : names.get(number);
    button.setAttribute("aria-label", [spoken, ...states].join(", "));
    button.toggleAttribute("data-undone", undone);
    button.toggleAttribute("data-left", left);
    if (here) button.setAttribute("aria-current", "step");
    else button.removeAttribute("aria-current");
    // While something is to be decided on a press tells so, and C compares: that is not disabled.
    button.setAttribute("aria-disabled", String(!able(number) && (props.disabled || picking)));
    button.tabIndex = number === reached ? 0 : -1;
  }
  const compare = find(".history-compare");
  compare.setAttribute("aria-pressed", String(picking));
  compare.setAttribute("aria-disabled", String(props.disabled));
  compare.querySelector("span").textContent = say(comparing() ? "end" : "compare");
  root.classList.toggle("history-picking", picking);
  find(".history-note").textContent = note();
}

const note = () => (picking ? say("pick") : props.waiting && !props.disabled ? say("decide") : "");

// Whether pressing a step would do anything now.
function able(number) {
  if (props.disabled) return false;
  if (picking) return props.waiting || number !== props.current;
  return !props.waiting;
}

// Scrolls the row, and never the page.
function centre(button) {
  const item = button?.parentElement;
  if (!item) return;
  const left = item.offsetLeft - (list.clientWidth - item.offsetWidth) / 2;
  list.scrollTo({ left, behavior: stillness.matches ? "auto" : "smooth" });
}

// ---- what the visitor does ----

function press(number, toCompare) {
  reached = number;
  if (toCompare && !props.disabled) {
    compareWith(number);
  } else if (able(number) && number !== props.current) {
    trigger("jump", { number });
  } else if (note()) {
    announce(note());
  }
  render();
}

function compareWith(number) {
  const itself = number === props.current && !props.waiting;
  if (itself && !comparing()) return;
  picking = false;
  trigger("compare", { number: number === props.reference || itself ? NOBODY : number });
}

list.addEventListener("click", (event) => {
  const button = event.target.closest(".history-step");
  if (button) press(numberOf(button), picking || event.shiftKey);
});

// Where the keys lead from the step of that place.
const WALK = {
  ArrowLeft: (at) => at - 1,
  ArrowRight: (at) => at + 1,
  Home: () => 0,
  End: () => Infinity,
};

list.addEventListener("keydown", (event) => {
  const all = buttons();
  const at = all.indexOf(event.target.closest(".history-step"));
  const name = at < 0 ? undefined : shortcutOf("history", event);
  if (name === "walk") {
    const next = all[Math.max(0, Math.min(all.length - 1, WALK[event.key](at)))];
    reached = numberOf(next);
    render();
    next.focus();
  } else if (name === "compare") {
    press(numberOf(all[at]), true);
  } else if (name === "leave" && (picking || comparing()) && !props.disabled) {
    endComparing();
  } else {
    return; // a button goes to its step by itself
  }
  event.preventDefault();
  event.stopPropagation(); // Escape would stop what is running
});

find(".history-compare").addEventListener("click", () => {
  if (props.disabled) return;
  if (comparing()) return endComparing();
  picking = !picking;
  if (picking) announce(say("pick"));
  render();
});

function endComparing() {
  picking = false;
  if (comparing()) trigger("compare", { number: NOBODY });
  render();
}

watch(["steps", "current", "reference", "waiting", "disabled"], update);
update();
