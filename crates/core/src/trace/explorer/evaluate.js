// The values of formulas: those of a tape of single numbers, where inputs can be changed. It knows what
// operations compute, and no derivative: formulas of adjoints and tangents come from the rules.

const FUNCTIONS = {
  add: (a, b) => a + b,
  sub: (a, b) => a - b,
  mul: (a, b) => a * b,
  div: (a, b) => a / b,
  neg: (a) => -a,
  abs: Math.abs,
  maximum: (a, b) => (a >= b ? a : b),
  minimum: (a, b) => (a <= b ? a : b),
  square: (a) => a * a,
  sqrt: Math.sqrt,
  reciprocal: (a) => 1 / a,
  pow: Math.pow,
  cbrt: Math.cbrt,
  hypot: Math.hypot,
  exp: Math.exp,
  expm1: Math.expm1,
  exp2: (a) => Math.pow(2, a),
  ln: Math.log,
  ln1p: Math.log1p,
  log2: Math.log2,
  log10: Math.log10,
  log_add_exp: (a, b) => Math.max(a, b) + Math.log1p(Math.exp(-Math.abs(a - b))),
  xlogy: (a, b) => (a === 0 ? 0 : a * Math.log(b)),
  sin: Math.sin,
  cos: Math.cos,
  tan: Math.tan,
  asin: Math.asin,
  acos: Math.acos,
  atan: Math.atan,
  atan2: Math.atan2,
  sinh: Math.sinh,
  cosh: Math.cosh,
  tanh: Math.tanh,
  asinh: Math.asinh,
  acosh: Math.acosh,
  atanh: Math.atanh,
  sigmoid: (a) => (a >= 0 ? 1 / (1 + Math.exp(-a)) : Math.exp(a) / (1 + Math.exp(a))),
  softplus: (a) => Math.max(a, 0) + Math.log1p(Math.exp(-Math.abs(a))),
  relu: (a) => (a > 0 ? a : 0),
  floor: Math.floor,
  ceil: Math.ceil,
  trunc: Math.trunc,
  sign: Math.sign,
  greater: (a, b) => Number(a > b),
  greater_equal: (a, b) => Number(a >= b),
  less: (a, b) => Number(a < b),
  less_equal: (a, b) => Number(a <= b),
  equal: (a, b) => Number(a === b),
  not_equal: (a, b) => Number(a !== b),
  select: (a, b, c) => (a !== 0 ? b : c),
};
// Of one element, the element itself.
for (const name of ["sum", "mean", "sum_to", "broadcast", "reshape", "permute", "stop_gradient"]) {
  FUNCTIONS[name] = (a) => a;
}
const POWERS = ["powi", "powf"];

// Adds what a tree has that cannot be evaluated.
function unknown(tree, found) {
  if (isNumber(tree) || "row" in Object(tree)) return;
  if (!Array.isArray(tree)) {
    found.add(tree.words ?? tree);
    return;
  }
  const [op, , ...args] = tree;
  if (!(op in FUNCTIONS || POWERS.includes(op))) found.add(op);
  args.forEach((arg) => unknown(arg, found));
}

// The number of a tree, where `get` gives those of references.
function evaluate(tree, get) {
  if (isNumber(tree)) return number(tree);
  if (!Array.isArray(tree)) return get(tree);
  const [op, parameters, ...args] = tree;
  const numbers = args.map((arg) => evaluate(arg, get));
  return POWERS.includes(op) ? Math.pow(numbers[0], Number(parameters)) : FUNCTIONS[op](...numbers);
}

// Why the inputs of a trace cannot be changed: nothing if they can.
function obstacles(rows) {
  const single = (values) => values === null || values.elements.length === 1;
  const found = new Set();
  for (const row of rows) {
    if (![row.value, row.adjoint, row.tangent].every(single)) return ["tensors"];
    const formulas = [row.formula, row.tangent_formula, ...row.terms.map((term) => term.formula)];
    formulas.filter((formula) => formula !== null).forEach((formula) => unknown(formula.tree, found));
  }
  return [...found];
}

// All numbers again, down and up, from the leaves' values.
function recompute(rows, at) {
  const numbers = { value: new Map(), adjoint: new Map(), tangent: new Map() };
  const get = (reference) => numbers[reference.of].get(reference.row) ?? 0;
  const set = (values, of, row, x) => {
    numbers[of].set(row.number, x);
    values.elements = [x];
    values.brief = short(x);
  };
  for (const row of rows) {
    set(row.value, "value", row, row.op === null ? at(row) : evaluate(row.formula.tree, get));
    if (row.tangent === null) continue;
    const formula = row.tangent_formula;
    set(row.tangent, "tangent", row, formula === null ? number(row.tangent.elements[0]) : evaluate(formula.tree, get));
  }
  const seed = rows[rows.length - 1];
  if (seed.adjoint === null) return;
  for (const row of rows) if (row.adjoint !== null) set(row.adjoint, "adjoint", row, row === seed ? 1 : 0);
  for (const row of [...rows].reverse()) {
    for (const term of row.terms) {
      const x = evaluate(term.formula.tree, get);
      term.value.elements = [x];
      term.value.brief = short(x);
      if (term.partial !== null) term.partial.value = evaluate(term.partial.formula.tree, get);
      const to = rowOf.get(term.to);
      set(to.adjoint, "adjoint", to, get({ of: "adjoint", row: term.to }) + x);
    }
  }
}

function isNumber(tree) {
  return typeof tree === "number" || typeof tree === "string";
}

// A number of the data, where infinities are words.
function number(x) {
  return typeof x === "number" ? x : x === "inf" ? Infinity : x === "-inf" ? -Infinity : NaN;
}

// Six digits, as short as they allow.
function short(x) {
  x = number(x);
  if (!Number.isFinite(x)) return String(x);
  const size = Math.abs(x);
  if (x !== 0 && (size < 1e-4 || size >= 1e7)) return x.toExponential(5);
  return String(Number(x.toPrecision(6)));
}
