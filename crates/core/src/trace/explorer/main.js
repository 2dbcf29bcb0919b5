// What the reader does: buttons, keys, the scrubber, the address.

let playing = null;

function show() {
  const root = document.documentElement;
  if (state.theme) root.dataset.theme = state.theme;
  else delete root.dataset.theme;
  root.classList.toggle("tangents", rows.some((row) => row.tangent !== null));
  at("scrubber").max = steps.length;
  at("scrubber").value = state.step;
  at("scrubber").setAttribute("aria-valuetext", `step ${state.step} of ${steps.length}`);
  at("numbers").checked = state.numbers;
  at("filter").value = state.filter;
  at("reset").hidden = inputs.size === 0;
  chosenRows();
  tell();
  list(false);
  detail();
  source();
  products();
  for (const box of document.querySelectorAll("#graph g[data-row]")) {
    box.classList.toggle("lit", Number(box.dataset.row) === state.row);
  }
  remember();
}

function goTo(step) {
  state.step = Math.min(Math.max(step, 0), steps.length);
  const now = steps[state.step - 1];
  if (now) state.row = (now.to ?? now.row).number;
  chosenRows();
  if (now) reveal(now.to ?? now.row);
  show();
}

function choose(row, scroll) {
  state.row = row;
  if (scroll) reveal(rowOf.get(row));
  show();
}

function play(on) {
  clearInterval(playing);
  playing = on ? setInterval(() => (state.step < steps.length ? goTo(state.step + 1) : play(false)), 700) : null;
  at("play").setAttribute("aria-pressed", on);
}

function move(by) {
  const place = shown.indexOf(rowOf.get(state.row));
  const next = shown[Math.min(Math.max(place + by, 0), shown.length - 1)];
  if (next) choose(next.number, true);
}

at("first").addEventListener("click", () => goTo(0));
at("back").addEventListener("click", () => goTo(state.step - 1));
at("next").addEventListener("click", () => goTo(state.step + 1));
at("last").addEventListener("click", () => goTo(steps.length));
at("play").addEventListener("click", () => {
  if (playing === null && state.step === steps.length) goTo(0);
  play(playing === null);
});
at("scrubber").addEventListener("input", (event) => goTo(Number(event.target.value)));
at("numbers").addEventListener("change", (event) => {
  state.numbers = event.target.checked;
  show();
});
at("theme").addEventListener("click", () => {
  const dark = state.theme ? state.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  state.theme = dark ? "light" : "dark";
  show();
});
at("reset").addEventListener("click", () => {
  inputs.clear();
  recompute(rows, (leaf) => recorded.get(leaf.number));
  show();
});
at("filter").addEventListener("input", (event) => {
  state.filter = event.target.value;
  at("list").scrollTop = 0;
  show();
});
at("list").addEventListener("scroll", () => list(false));
addEventListener("resize", () => list(false));
addEventListener("hashchange", () => {
  recall();
  show();
});
// On paper, all rows are in sight.
addEventListener("beforeprint", () => list(true));
addEventListener("afterprint", () => list(false));
at("graph").addEventListener("click", (event) => {
  const box = event.target.closest("g[data-row]");
  if (box) choose(Number(box.dataset.row), true);
});
const KEYS = {
  ArrowRight: () => goTo(state.step + 1),
  ArrowLeft: () => goTo(state.step - 1),
  Home: () => goTo(0),
  End: () => goTo(steps.length),
  ArrowDown: () => move(1),
  ArrowUp: () => move(-1),
  PageDown: () => move(10),
  PageUp: () => move(-10),
  " ": () => at("play").click(),
  n: () => at("numbers").click(),
  "/": () => at("filter").focus(),
};
addEventListener("keydown", (event) => {
  const typing = event.target.matches("input:not([type=range]):not([type=checkbox])");
  const pressing = event.target.matches("button, summary, a") && event.key === " ";
  if (typing && event.key === "Escape") event.target.blur();
  if (typing || pressing || event.ctrlKey || event.metaKey || event.altKey || !(event.key in KEYS)) return;
  event.preventDefault();
  KEYS[event.key]();
});

recall();
chosenRows();
reveal(rowOf.get(state.row));
show();
// For tests, and for whoever wants to ask from the console.
window.explorer = { trace, rows, steps, state, editable, obstacle, edit, goTo, choose };
