// What is seen: the list, of which only the rows in sight exist; the selected row; its source.

const at = (id) => document.getElementById(id);
const HEIGHT = 28;

function element(name, text, kind) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (kind) made.className = kind;
  return made;
}

// A name, or the number that stands for it.
function quantity(reference, asNumber) {
  const row = rowOf.get(reference.row);
  const values = row[reference.of];
  if (asNumber && values !== null) {
    const isWhole = values.elements.length === 1 || values.brief.startsWith("[");
    const text = isWhole ? values.brief : `[${values.brief}]`;
    return element("span", text.startsWith("-") ? `(${text})` : text, reference.of);
  }
  const made = element("span", row.name, reference.of);
  if (reference.of === "adjoint") {
    if (row.own_adjoint_name === null) made.classList.add("bar");
    else made.textContent = row.own_adjoint_name;
  }
  if (reference.of === "tangent") made.classList.add("point");
  return made;
}

function formula(written, asNumber) {
  const made = element("span");
  for (const token of written.tokens) {
    made.append(typeof token === "string" ? token : quantity(token, asNumber));
  }
  return made;
}

// The formula, and where it is more than a name, the same with numbers.
function both(written) {
  const isName = written.tokens.length === 1 && typeof written.tokens[0] !== "string";
  const made = formula(written, false);
  if (!isName) made.append(" = ", formula(written, true));
  return made;
}

function named(row, of) {
  return quantity({ row: row.number, of }, false);
}

function link(row) {
  const made = element("a", row.name);
  made.href = "#";
  made.setAttribute("aria-label", `select row ${row.name}`);
  made.addEventListener("click", (event) => {
    event.preventDefault();
    choose(row.number, true);
  });
  return made;
}

function words(row) {
  const [adds, muls, divs, nonlinear, bytes] = row.forward;
  const count = adds + muls + divs + nonlinear;
  const shape = row.value.shape.length > 0 ? `, shape [${row.value.shape.join(", ")}]` : "";
  const back = row.reverse.slice(0, 4).reduce((a, b) => a + b, 0);
  const many = (n, what) => `${n} ${what}${n === 1 ? "" : "s"}`;
  const parts = [`${row.op ?? row.role}${shape}`];
  if (row.op !== null) parts.push(many(count, "operation"), many(bytes, "byte"));
  if (row.terms.length > 0) parts.push(`${many(back, "operation")} to pass on`);
  if (row.view) parts.push("a view");
  if (row.activity === "cut") parts.push("derivatives end here");
  return parts.join("; ");
}

let shown = rows;

function chosenRows() {
  const wanted = state.filter.trim().toLowerCase();
  const text = (row) => `${row.name} ${row.op ?? row.role} ${row.scope.join(" ")}`.toLowerCase();
  shown = wanted ? rows.filter((row) => text(row).includes(wanted)) : rows;
  at("found").textContent = wanted ? `${shown.length} of ${rows.length}` : `${rows.length} rows`;
}

function line(row, place) {
  const step = steps[state.step - 1];
  const made = element("div", undefined, "line row");
  made.style.top = `${place * HEIGHT}px`;
  made.id = `row${row.number}`;
  made.setAttribute("role", "option");
  made.setAttribute("aria-selected", row.number === state.row);
  made.setAttribute("aria-posinset", place + 1);
  made.setAttribute("aria-setsize", shown.length);
  const is = step && step.row === row;
  made.classList.toggle("chosen", row.number === state.row);
  made.classList.toggle("lit", Boolean(is && step.kind === "value") || Boolean(step && step.to === row));
  made.classList.toggle("giving", Boolean(is && step.kind !== "value"));
  made.classList.toggle("waiting", row.at >= state.step);
  made.title = `${row.name}: ${words(row)}\n${(row.source ?? "").trim()}`;
  const left = element("span", undefined, "formula");
  const scope = row.scope.join(", ");
  const before = place > 0 ? shown[place - 1].scope.join(", ") : "";
  if (scope && scope !== before) left.append(element("span", scope, "scope"));
  left.append(named(row, "value"));
  if (row.op !== null) left.append(" = ", formula(row.formula, state.numbers && row.at < state.step));
  const value = element("span", row.at < state.step ? row.value.brief : "", "number value");
  const tangent = element("span", row.tangent && row.at < state.step ? row.tangent.brief : "", "number tangent dot");
  const adjoint = element("span", adjointAt(row, state.step), "number adjoint");
  made.append(left, value, tangent, adjoint);
  made.addEventListener("click", () => choose(row.number, false));
  return made;
}

function list(all) {
  const box = at("list");
  const space = at("space");
  space.style.height = `${shown.length * HEIGHT}px`;
  const first = all ? 0 : Math.max(0, Math.floor(box.scrollTop / HEIGHT) - 5);
  const end = all ? shown.length : Math.min(shown.length, first + Math.ceil(box.clientHeight / HEIGHT) + 12);
  space.replaceChildren(...shown.slice(first, end).map((row, i) => line(row, first + i)));
  box.setAttribute("aria-activedescendant", `row${state.row}`);
}

function reveal(row) {
  const box = at("list");
  const place = shown.indexOf(row);
  if (place < 0) return;
  const [top, bottom] = [place * HEIGHT, (place + 1) * HEIGHT];
  if (top < box.scrollTop || bottom > box.scrollTop + box.clientHeight) {
    box.scrollTop = Math.max(0, top - box.clientHeight / 2);
  }
}

// The step in words, with its numbers.
function tell() {
  const step = steps[state.step - 1];
  const said = at("step");
  said.replaceChildren();
  at("count").textContent = `${state.step} / ${steps.length}`;
  if (!step) {
    said.append("Nothing is evaluated yet: step on.");
    return;
  }
  const write = (direction, ...parts) => said.append(element("b", direction), " ", ...parts);
  if (step.kind === "value" && step.row.op === null) {
    write("down", named(step.row, "value"), ` = ${step.row.value.brief}  (${step.row.role})`);
  } else if (step.kind === "value") {
    write("down", named(step.row, "value"), " = ", both(step.row.formula), " = ", element("span", step.row.value.brief, "value"));
  } else if (step.kind === "seed") {
    write("turn", named(step.row, "adjoint"), " = 1");
  } else {
    const value = element("span", step.term.value.brief, "adjoint");
    write("up", named(step.to, "adjoint"), " += ", both(step.term.formula), " = ", value, element("span", `  (rule of ${step.row.op} in ${step.row.name})`, "soft"));
  }
}

// A tensor as heat map and histogram: blue below zero, red above.
function map(values, name) {
  const made = element("figure");
  const LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  const [low, high] = [number(values.smallest), number(values.largest)];
  const { columns, levels } = values.picture;
  const count = levels.length / columns;
  const canvas = element("canvas");
  [canvas.width, canvas.height] = [columns, count];
  const scale = Math.max(4, Math.min(16, 150 / Math.max(columns, count)));
  canvas.style.width = `${columns * scale}px`;
  canvas.style.height = `${count * scale}px`;
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", `heat map of the ${name}: ${values.brief}`);
  const draw = canvas.getContext("2d");
  const most = Math.max(Math.abs(low), Math.abs(high)) || 1;
  for (let i = 0; i < levels.length; i++) {
    const level = LETTERS.indexOf(levels[i]);
    if (level < 0) draw.fillStyle = "#888";
    else {
      const x = (low + (level / 63) * (high - low)) / most;
      const fade = Math.round(255 * (1 - Math.min(1, Math.abs(x))));
      draw.fillStyle = x < 0 ? `rgb(${fade},${Math.round(95 + 0.627 * fade)},255)` : `rgb(255,${Math.round(60 + 0.765 * fade)},${fade})`;
    }
    draw.fillRect(i % columns, Math.floor(i / columns), 1, 1);
  }
  made.append(canvas);
  if (values.histogram.length > 0) {
    const bars = element("canvas");
    [bars.width, bars.height] = [values.histogram.length * 6, 40];
    bars.setAttribute("role", "img");
    bars.setAttribute("aria-label", `histogram of the ${name} from ${short(low)} to ${short(high)}`);
    const paint = bars.getContext("2d");
    paint.fillStyle = "#7b8794";
    const top = Math.max(...values.histogram);
    values.histogram.forEach((n, i) => paint.fillRect(i * 6, 40 - (38 * n) / top, 5, (38 * n) / top));
    made.append(bars);
  }
  made.append(element("figcaption", `${name}, ${short(low)} to ${short(high)}`));
  return made;
}

function item(parent, ...parts) {
  const made = element("li");
  made.append(...parts);
  parent.append(made);
}

function detail() {
  const row = rowOf.get(state.row);
  const box = at("detail");
  box.replaceChildren();
  const head = element("h2");
  head.append(named(row, "value"));
  if (row.op !== null) head.append(" = ", formula(row.formula, false));
  const place = element("p", `${words(row)}${row.scope.length > 0 ? `; in ${row.scope.join(", ")}` : ""}`, "soft");
  box.append(head, place);
  const value = element("p");
  value.append(named(row, "value"), " = ");
  if (row.op !== null) value.append(formula(row.formula, true), " = ");
  value.append(element("span", row.value.brief, "value"));
  box.append(value);
  if (editable && row.op === null) box.append(input(row));
  if (row.op === null && !editable && obstacle[0] !== "tensors") {
    box.append(element("p", `inputs cannot be changed: this page does not know ${obstacle.join(", ")}`, "soft"));
  }
  if (row.tangent !== null) {
    const tangent = element("p");
    tangent.append(named(row, "tangent"), " = ");
    if (row.tangent_formula) tangent.append(both(row.tangent_formula), " = ");
    tangent.append(element("span", row.tangent.brief, "tangent"));
    box.append(tangent);
  }
  if (row.adjoint !== null) {
    box.append(element("h2", "its adjoint: the sum over its uses"));
    const sum = element("ul");
    if (row === output) item(sum, "1, the seed");
    for (const { row: use, term } of row.uses) {
      item(sum, "by ", link(use), ": ", both(term.formula), " = ", element("span", term.value.brief, "adjoint"));
    }
    const total = element("p");
    total.append(named(row, "adjoint"), " = ", element("span", row.adjoint.brief, "adjoint"));
    box.append(sum, total);
  }
  if (row.terms.length > 0) {
    box.append(element("h2", "what it passes on"));
    const passed = element("ul");
    for (const term of row.terms) {
      const to = rowOf.get(term.to);
      const parts = ["to ", link(to), ": ", formula(term.formula, false), " = ", element("span", term.value.brief, "adjoint")];
      if (term.partial !== null) {
        const partial = element("span", undefined, "soft");
        partial.append(`; \u2202${row.name}/\u2202${to.name} = `, formula(term.partial.formula, false), ` = ${short(term.partial.value)}`);
        parts.push(partial);
      }
      item(passed, ...parts);
    }
    box.append(passed);
  }
  const maps = element("div", undefined, "maps");
  for (const of of ["value", "adjoint", "tangent"]) {
    if (row[of] !== null && row[of].picture !== null) maps.append(map(row[of], of));
  }
  if (maps.childElementCount > 0) box.append(maps);
}

function input(row) {
  const made = element("label", `try another ${row.name}: `);
  const field = element("input");
  field.type = "number";
  field.step = "any";
  field.id = "try";
  field.value = number(row.value.elements[0]);
  field.addEventListener("change", () => {
    if (field.value !== "") edit(row.number, Number(field.value));
  });
  made.append(field);
  return made;
}

function source() {
  const row = rowOf.get(state.row);
  const text = trace.sources[row.file];
  const box = at("source");
  at("file").textContent = `${row.file.replace(/^.*[\\/]/, "")}:${row.line}`;
  box.replaceChildren();
  if (!text) {
    box.append(element("span", row.source ?? "the file could not be read"));
    return;
  }
  text.lines.forEach((words, i) => {
    const made = element("span", undefined, text.first + i === row.line ? "lit" : "");
    made.append(element("i", `${String(text.first + i).padStart(4)}  `), words);
    box.append(made);
  });
  const lit = box.querySelector(".lit");
  if (lit) box.scrollTop = lit.offsetTop - box.offsetTop - box.clientHeight / 2;
}

function products() {
  if (!trace.inner_products) return;
  const [forward, reverse] = trace.inner_products.map(number);
  const same = forward === reverse ? "the same number" : `they differ by ${(forward - reverse).toExponential(1)}`;
  at("products").textContent = `by tangents <w, J v> = ${forward}; by adjoints <J' w, v> = ${reverse}: ${same}${inputs.size > 0 ? " (as recorded)" : ""}`;
}
