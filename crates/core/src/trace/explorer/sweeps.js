// The data, and the steps of both sweeps: rows downwards, the seed, and upwards what rows pass on.

const trace = JSON.parse(document.getElementById("trace").textContent);
const rows = trace.rows;
const rowOf = new Map(rows.map((row) => [row.number, row]));
const steps = [];
rows.forEach((row, at) => {
  row.at = at;
  row.uses = [];
  row.complete = Infinity;
  steps.push({ kind: "value", row });
});
const output = rows[rows.length - 1];
if (output.adjoint !== null) {
  steps.push({ kind: "seed", row: output });
  output.complete = steps.length;
  for (const row of [...rows].reverse()) {
    for (const term of row.terms) {
      const to = rowOf.get(term.to);
      steps.push({ kind: "term", row, term, to });
      term.step = steps.length;
      to.uses.push({ row, term });
      to.complete = steps.length;
    }
  }
}

const obstacle = obstacles(rows);
const editable = obstacle.length === 0;
const recorded = new Map(rows.filter((row) => row.op === null).map((row) => [row.number, number(row.value.elements[0])]));
const inputs = new Map();
const state = { step: steps.length, row: output.number, numbers: false, theme: "", filter: "" };

function edit(row, x) {
  if (x === recorded.get(row)) inputs.delete(row);
  else inputs.set(row, x);
  recompute(rows, (leaf) => inputs.get(leaf.number) ?? recorded.get(leaf.number));
  show();
}

// The adjoint as far as the sweep has come.
function adjointAt(row, step) {
  if (row.adjoint === null || step <= rows.length) return "";
  if (step >= row.complete) return row.adjoint.brief;
  const there = row.uses.filter((use) => use.term.step <= step);
  if (there.length === 0) return "";
  const single = there.every((use) => use.term.value.elements.length === 1 && use.term.value.shape.length === 0);
  return single ? short(there.reduce((sum, use) => sum + number(use.term.value.elements[0]), 0)) + " .." : "..";
}

// State in the address, so that a view can be kept and sent.
function remember() {
  const parts = [`step=${state.step}`, `row=${state.row}`];
  if (state.numbers) parts.push("numbers=1");
  if (state.theme) parts.push(`theme=${state.theme}`);
  if (state.filter) parts.push(`find=${encodeURIComponent(state.filter)}`);
  for (const [row, x] of inputs) parts.push(`in${row}=${x}`);
  history.replaceState(null, "", "#" + parts.join("&"));
}

function recall() {
  const found = new URLSearchParams(location.hash.slice(1));
  const whole = (name, least, most, otherwise) => {
    const x = parseInt(found.get(name), 10);
    return Number.isNaN(x) ? otherwise : Math.min(Math.max(x, least), most);
  };
  state.step = whole("step", 0, steps.length, steps.length);
  const row = whole("row", 0, Infinity, output.number);
  state.row = rowOf.has(row) ? row : output.number;
  state.numbers = found.get("numbers") === "1";
  state.theme = ["dark", "light"].includes(found.get("theme")) ? found.get("theme") : "";
  state.filter = found.get("find") ?? "";
  if (!editable) return;
  for (const row of recorded.keys()) {
    const x = parseFloat(found.get(`in${row}`));
    if (!Number.isNaN(x)) inputs.set(row, x);
  }
  if (inputs.size > 0) recompute(rows, (leaf) => inputs.get(leaf.number) ?? recorded.get(leaf.number));
}
