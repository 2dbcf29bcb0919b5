//! How a trace is made.

use std::collections::HashMap;

use super::expression::{self, Expression, Quantity, Reference};
use super::replay::{cut, replay};
use super::source::Sources;
use super::{Activity, Partial, Role, Row, Term, Trace, Values, Work};
use crate::scalar::Real;
use crate::tape::elemental::{Call, Cost};
use crate::tape::{NodeId, Tape, Var};
use crate::tensor::Tensor;

impl<T: Real> Tape<T> {
    /// The evaluation trace of `y`: all that it depends on, downwards with values and upwards with the
    /// adjoints of the sum of `y`'s elements. It prints as text, and is written as
    /// [Markdown](Trace::to_markdown), [LaTeX](Trace::to_latex), [JSON](Trace::to_json), a
    /// [graph](Trace::to_svg), or a page to [explore](Trace::to_html).
    ///
    /// ```
    /// use wengert_core::Tape;
    ///
    /// let tape = Tape::new();
    /// let x = tape.variable(2.0).named("x");
    /// let y = (x.sin() * x).named("y");
    /// let trace = tape.trace(y);
    /// assert_eq!(trace.row("x").unwrap().adjoint.as_ref().unwrap().item(), Some(y.backward().wrt(x).item()));
    /// println!("{trace}");
    /// ```
    ///
    /// # Panics
    /// If `y` lies on another tape.
    #[track_caller]
    pub fn trace(&self, y: Var<'_, T>) -> Trace {
        self.trace_along(y, &[])
    }

    /// As [`trace`](Self::trace), with the tangents of directions in some variables, each as it is given to
    /// [`Var::jvp`].
    ///
    /// ```
    /// use wengert_core::{Tape, Tensor};
    ///
    /// let tape = Tape::new();
    /// let x = tape.variable([1.0, 2.0]);
    /// let y = x.square().sum();
    /// let trace = tape.trace_along(y, &[(x, Tensor::from([1.0, 10.0]))]);
    /// assert_eq!(trace.inner_products(), Some([42.0, 42.0]));
    /// ```
    ///
    /// # Panics
    /// As `trace`; if a direction is not of its variable's shape, or `y` does not depend on that.
    #[track_caller]
    pub fn trace_along(&self, y: Var<'_, T>, directions: &[(Var<'_, T>, Tensor<T>)]) -> Trace {
        self.expect_own(y);
        for (x, v) in directions {
            self.expect_own(*x);
            x.expect_shape_of_its("trace_along", "direction", v.shape());
        }
        let copy = Tape::new();
        let copies = replay(y, &copy);
        for (x, _) in directions {
            assert!(
                copies.get(x.id().index()).is_some_and(|copy| copy.is_some()) && x.is_active(),
                "trace_along: expected a variable that the output depends on, got {}",
                x.describe()
            );
        }
        let numbers = (0..copies.len()).filter(|&index| copies[index].is_some()).collect();
        let adjoint_names = self.given_names_of_adjoints().into_iter().collect();
        Recording { y, copies, numbers, names: names(y), adjoint_names }.trace(&copy, directions)
    }
}

/// A tape that is traced, and its copy.
struct Recording<'t, 'c, T: Real> {
    y: Var<'t, T>,
    copies: Vec<Option<Var<'c, T>>>,
    /// The numbers on the tape of the copy's first nodes, which are the same.
    numbers: Vec<usize>,
    names: Vec<String>,
    /// The names that adjoints have of their own.
    adjoint_names: HashMap<usize, String>,
}

impl<'c, T: Real> Recording<'_, 'c, T> {
    fn trace(&self, copy: &'c Tape<T>, directions: &[(Var<'_, T>, Tensor<T>)]) -> Trace {
        let cut = cut(self.y);
        let mut sources = Sources::default();
        let mut rows: Vec<Row> = Vec::new();
        for (index, copied) in self.copies.iter().enumerate() {
            let Some(copied) = *copied else { continue };
            if !self.is_written_in_formulas(index, copied) {
                rows.push(self.row(index, copied, cut[index], &mut sources));
            }
        }
        let adjoints = self.adjoints(copy);
        self.add_adjoints(&mut rows, &adjoints);
        scopes_by_parameters(&mut rows);
        let products =
            (!directions.is_empty()).then(|| self.add_tangents(&mut rows, &adjoints, directions));
        Trace { rows, precision: T::NAME, products, shows_lines: true, depth: None }
    }

    fn copied(&self, index: usize) -> Var<'c, T> {
        self.copies[index].expect("a row is copied")
    }

    /// Whether a node is a plain number without a name.
    fn is_written_in_formulas(&self, index: usize, copied: Var<'_, T>) -> bool {
        let is_number = copied.tape().call(copied.id()).is_none()
            && !copied.is_active()
            && copied.elements() == 1;
        is_number
            && self.names[index].starts_with('v')
            && index != self.y.id().index()
            && self.names[index][1..].parse() == Ok(index)
    }

    fn reference(&self, quantity: Quantity, row: usize) -> Expression {
        let own = self.adjoint_names.get(&row).filter(|_| quantity == Quantity::Adjoint);
        let name = own.unwrap_or(&self.names[row]).clone();
        Expression::Reference(Reference { quantity, row, name, is_own: own.is_some() })
    }

    /// A value as it stands in formulas.
    fn value(&self, id: NodeId) -> Option<Expression> {
        let &row = self.numbers.get(id.index())?;
        let copied = self.copied(row);
        if self.is_written_in_formulas(row, copied) {
            return Some(Expression::Number(copied.with_value(|x| x.first().as_f64())));
        }
        Some(self.reference(Quantity::Value, row))
    }

    fn row(&self, index: usize, copied: Var<'_, T>, is_cut: bool, sources: &mut Sources) -> Row {
        let (tape, id) = (self.y.tape(), NodeId::new(index));
        let location = tape.location_of(id);
        let shape = copied.shape();
        let call = copied.tape().call(copied.id());
        let is_active = copied.is_active();
        let (mut formula, mut operands) = (self.reference(Quantity::Value, index), Vec::new());
        if let Some((op, args)) = &call {
            let written = args.iter().map(|arg| self.value(arg.id()).expect("an earlier row"));
            formula = expression::call(op.get(), &shape, args, written.collect());
            operands = args.iter().map(|arg| self.numbers[arg.id().index()]).collect();
        }
        let (forward, is_view) = copied.tape().work_of(copied.id());
        Row {
            number: index,
            name: self.names[index].clone(),
            own_adjoint_name: self.adjoint_names.get(&index).cloned(),
            role: match &call {
                _ if index == self.y.id().index() => Role::Dependent,
                Some(_) => Role::Intermediate,
                None if is_active => Role::Independent,
                None => Role::Constant,
            },
            op: call.as_ref().map(|(op, _)| op.get().name()),
            formula,
            operands,
            value: copied.tape().with_value(copied.id(), Values::of),
            adjoint: None,
            terms: Vec::new(),
            tangent: None,
            tangent_formula: None,
            activity: match (is_active, is_cut) {
                (true, _) => Activity::Active,
                (_, true) => Activity::Cut,
                _ => Activity::Constant,
            },
            is_view,
            scope: tape.places_around(id).into_iter().map(|place| place.label).collect(),
            file: location.file(),
            line: location.line(),
            source: sources.line(location.file(), location.line()),
            forward,
            reverse: Work::default(),
        }
    }

    /// The adjoints of all active nodes, by one recorded sweep over the copy.
    fn adjoints(&self, copy: &'c Tape<T>) -> HashMap<usize, Var<'c, T>> {
        let output = self.copied(self.y.id().index());
        if !output.is_active() {
            return HashMap::new();
        }
        let active: Vec<usize> = (0..self.copies.len())
            .filter(|&index| self.copies[index].is_some_and(Var::is_active))
            .collect();
        let vars: Vec<_> = active.iter().map(|&index| self.copied(index)).collect();
        let seed = copy.constant(Tensor::<T>::ones(output.shape()));
        active.into_iter().zip(output.vjp(seed, &vars)).collect()
    }

    /// Asks each rule by itself what the adjoint of its row passes on.
    fn add_adjoints(&self, rows: &mut [Row], adjoints: &HashMap<usize, Var<'c, T>>) {
        let mut reached = vec![false; self.copies.len()];
        reached[self.y.id().index()] = true;
        for row in rows.iter_mut().rev() {
            let index = row.number;
            let Some(&adjoint) = adjoints.get(&index) else { continue };
            let tape = adjoint.tape();
            row.adjoint = Some(tape.with_value(adjoint.id(), Values::of));
            let var = self.copied(index);
            let Some((op, args)) = tape.call(var.id()).filter(|_| reached[index]) else { continue };
            let (call, mut sums) = (Call::new(&args, var), 0);
            let name = |id: NodeId| match id == adjoint.id() {
                true => Some(self.reference(Quantity::Adjoint, index)),
                false => self.value(id),
            };
            for (position, arg) in args.iter().enumerate().filter(|(_, arg)| arg.is_active()) {
                let Some(term) = op.get().vjp(&call, position, adjoint) else { continue };
                let to = self.numbers[arg.id().index()];
                // A product of matrices is added up where it is computed.
                if reached[to] && op.get().vjp_factors(&call, position, adjoint).is_none() {
                    sums += arg.elements() as u64;
                }
                reached[to] = true;
                let words = || {
                    let bar = self.reference(Quantity::Adjoint, index);
                    format!("{}' of {bar}", op.get().name())
                };
                row.terms.push(Term {
                    to,
                    formula: expression::expression(term, &name, words),
                    value: tape.with_value(term.id(), Values::of),
                    partial: self.partial(&args, var, position),
                });
            }
            // As a fast sweep does it, which takes each partial and the product as one.
            let first = tape.len();
            let _mode = tape.mode(false);
            let call = Call::new(&args, var);
            for (position, _) in args.iter().enumerate().filter(|(_, arg)| arg.is_active()) {
                op.get().vjp(&call, position, adjoint);
            }
            row.reverse = tape.work_since(first);
            row.reverse.cost = row.reverse.cost.and(Cost::adds(sums));
        }
    }

    /// The local partial derivative of a number with respect to a number: what the rule passes on of 1.
    fn partial(&self, args: &[Var<'c, T>], var: Var<'c, T>, position: usize) -> Option<Partial> {
        let tape = var.tape();
        if var.elements() != 1 || args[position].elements() != 1 {
            return None;
        }
        let (op, _) = tape.call(var.id())?;
        let one = tape.constant(Tensor::<T>::ones(var.shape()));
        let partial = op.get().vjp(&Call::new(args, var), position, one)?;
        let name = |id: NodeId| match id == one.id() {
            true => Some(Expression::Number(1.0)),
            false => self.value(id),
        };
        let formula = expression::expression(partial, &name, || format!("{}'", op.get().name()));
        Some(Partial { formula, value: partial.with_value(|x| x.first().as_f64()) })
    }

    /// The tangents of all rows by one forward sweep, and both inner products.
    fn add_tangents(
        &self,
        rows: &mut [Row],
        adjoints: &HashMap<usize, Var<'c, T>>,
        directions: &[(Var<'_, T>, Tensor<T>)],
    ) -> [f64; 2] {
        let tape = self.copied(self.y.id().index()).tape();
        let given: Vec<_> = directions
            .iter()
            .map(|(x, v)| (self.copied(x.id().index()), tape.constant(v)))
            .collect();
        let active: Vec<usize> = rows
            .iter()
            .filter(|row| row.activity == Activity::Active)
            .map(|row| row.number)
            .collect();
        let vars: Vec<_> = active.iter().map(|&index| self.copied(index)).collect();
        let tangents: HashMap<usize, Var<'c, T>> =
            active.iter().copied().zip(tape.tangents_of(&vars, &given)).collect();
        for row in rows.iter_mut() {
            let Some(&tangent) = tangents.get(&row.number) else { continue };
            row.tangent = Some(tape.with_value(tangent.id(), Values::of));
            if row.is_leaf() {
                continue;
            }
            let name = |id: NodeId| {
                let from =
                    |operand: &&usize| tangents.get(operand).is_some_and(|dot| dot.id() == id);
                match row.operands.iter().find(from) {
                    Some(&operand) => Some(self.reference(Quantity::Tangent, operand)),
                    None => self.value(id),
                }
            };
            let words = || format!("{}' of tangents", row.op.unwrap_or_default());
            row.tangent_formula = Some(expression::expression(tangent, &name, words));
        }
        let dot = |a: Var<'_, T>, b: Var<'_, T>| a.value().dot(&b.value());
        let output = self.y.id().index();
        let forward = match (tangents.get(&output), adjoints.get(&output)) {
            (Some(&tangent), Some(&seed)) => dot(seed, tangent),
            _ => 0.0,
        };
        let mut reverse = 0.0;
        for ((x, _), (_, v)) in directions.iter().zip(&given) {
            reverse += adjoints.get(&x.id().index()).map_or(0.0, |&adjoint| dot(adjoint, *v));
        }
        [forward, reverse]
    }
}

/// Of a recording without scopes or layers, those that the names of parameters tell: a row stands where a
/// parameter stands that it reads (`hidden.weight` in `hidden`), or else where its operands do.
fn scopes_by_parameters(rows: &mut [Row]) {
    if rows.iter().any(|row| !row.scope.is_empty()) {
        return;
    }
    let mut scopes: HashMap<usize, Vec<String>> = HashMap::new();
    for row in rows {
        row.scope = match row.is_leaf() {
            true => {
                let mut path: Vec<String> = row.name.split('.').map(str::to_owned).collect();
                path.pop();
                path
            }
            false => {
                let of = |operand: &usize| scopes.get(operand).filter(|scope| !scope.is_empty());
                let last = row.operands.iter().filter_map(|operand| Some((operand, of(operand)?)));
                last.max_by_key(|(operand, _)| **operand)
                    .map(|(_, scope)| scope.clone())
                    .unwrap_or_default()
            }
        };
        scopes.insert(row.number, row.scope.clone());
    }
}

/// What the nodes up to `y` are called: by a given name, as a parameter of a layer, or by number. A name
/// that is given again gets a number behind it.
fn names<T: Real>(y: Var<'_, T>) -> Vec<String> {
    let tape = y.tape();
    let count = y.id().index() + 1;
    let mut given: Vec<Option<String>> = vec![None; count];
    for (index, name) in given.iter_mut().enumerate() {
        let id = NodeId::new(index);
        if let Some(own) = tape.parameter_name(id) {
            let prefixes = tape.places_around(id).into_iter().map(|place| place.prefix);
            *name = Some(prefixes.chain([own.to_owned()]).collect::<Vec<_>>().join("."));
        }
    }
    for (index, name) in tape.given_names() {
        if index < count {
            given[index] = Some(name);
        }
    }
    let mut seen: HashMap<String, usize> = HashMap::new();
    let name = |(index, name): (usize, Option<String>)| {
        let Some(name) = name else { return format!("v{index}") };
        let times = seen.entry(name.clone()).or_insert(0);
        *times += 1;
        if *times == 1 { name } else { format!("{name}_{times}") }
    };
    given.into_iter().enumerate().map(name).collect()
}
