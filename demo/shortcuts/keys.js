// The keys of an event, as they are called in SHORTCUTS.

const mac = /Mac|iPhone|iPad/.test(navigator.platform);

// Null with Alt, which belongs to the browser; where it only helps to type a sign (AltGr), it does not count.
function keysOf(event) {
  const typing = event.getModifierState("AltGraph");
  if (event.altKey && !typing) return null;
  const control = (event.ctrlKey || event.metaKey) && !typing ? (event.shiftKey ? "Ctrl+Shift+" : "Ctrl+") : "";
  // A letter by its place on the keyboard where the layout has other letters, as the Korean one.
  const place = /^Key([A-Z])$/.exec(event.code)?.[1];
  const key = /^[!-~]$/.test(event.key) ? event.key.toUpperCase() : (place ?? event.key);
  return control + (key === " " ? "Space" : key);
}

function shortcutOf(group, event) {
  const keys = keysOf(event);
  return Object.keys(SHORTCUTS[group]).find((name) => SHORTCUTS[group][name].includes(keys));
}

// Keys as they are printed on the keyboard.
const CAPS = { ArrowLeft: "←", ArrowUp: "↑", ArrowDown: "↓", ArrowRight: "→", PageUp: "Page Up", PageDown: "Page Down" };
const capsOf = (keys) =>
  keys.split(/\+(?=.)/).map((key) => (key === "Ctrl" && mac ? "⌘" : key === "Escape" ? "Esc" : (CAPS[key] ?? key)));
