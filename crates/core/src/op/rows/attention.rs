//! Attention: values mixed in shares that queries give to their keys.

use super::AttentionAdjoint;
use crate::kernel::attention::Heads;
use crate::op::{Call, Cost, Domain, Formula, Op, Samples, ShapeClass, Term, operands};
use crate::scalar::Real;
use crate::tape::Var;
use crate::tape::elemental::add_terms;
use crate::tensor::{Shape, View};

/// Scaled dot-product attention (Vaswani et al., 2017), of queries `[.., queries, width]`, keys `[..,
/// keys, width]` and values `[.., keys, outputs]`, whose leading axes (batch, heads) are the same: it gives
/// `[.., queries, outputs]`.
///
/// It holds the scores of a few queries at a time and never all: memory grows with the length of a sequence
/// and not with its square, in the reverse sweep as well, where values are as wide as keys. Tangents and second derivatives
/// hold all of them.
///
/// Of a query that sees no key, the result is 0. Where a value that a query does not see is infinite or
/// NaN, the query's result may be NaN.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Attention {
    /// What products of queries and keys are multiplied by: `1 / sqrt(width)`, as a rule.
    pub scale: f64,
    /// Whether query number `i` sees no key after number `i`.
    pub causal: bool,
}

/// The leading axes, and the numbers of queries, of keys, of the width and of outputs.
pub(super) fn extents<'a>(args: &[&'a Shape]) -> Result<(&'a [usize], [usize; 4]), String> {
    let [q, k, v] = operands(args)?;
    let parts = |x: &'a Shape| match x[..] {
        [ref lead @ .., rows, columns] => Some((lead, rows, columns)),
        _ => None,
    };
    match [q, k, v].map(parts) {
        [
            Some((lead, queries, width)),
            Some((of_k, keys, of_keys)),
            Some((of_v, values, outputs)),
        ] if lead == of_k && lead == of_v && width == of_keys && keys == values => {
            Ok((lead, [queries, keys, width, outputs]))
        }
        _ => Err(format!(
            "takes queries [.., queries, width], keys [.., keys, width] and values [.., keys, outputs], \
             not {q}, {k} and {v}"
        )),
    }
}

impl Attention {
    /// Scores `[.., queries, keys]`, with minus infinity for the keys that a query does not see.
    ///
    /// ```
    /// use wengert_core::{Tape, op::Attention};
    ///
    /// let tape = Tape::new();
    /// let scores = tape.constant([[1.0, 2.0], [3.0, 4.0]]);
    /// let causal = Attention { scale: 1.0, causal: true };
    /// assert_eq!(causal.masked(scores).value().to_vec(), [1.0, f64::NEG_INFINITY, 3.0, 4.0]);
    /// ```
    ///
    /// # Panics
    /// If there are fewer than two axes, and the attention is causal.
    #[track_caller]
    pub fn masked<'t, T: Real>(&self, scores: Var<'t, T>) -> Var<'t, T> {
        if !self.causal {
            return scores;
        }
        let shape = scores.shape();
        assert!(
            shape.rank() >= 2,
            "scores have axes [.., queries, keys], not {}",
            scores.describe()
        );
        let pairs = &shape[shape.rank() - 2..];
        let later = scores.tape().constant(T::one()).broadcast_to(pairs).triu(1);
        scores.masked_fill(later, f64::NEG_INFINITY)
    }

    /// The shares of all keys in all queries, `[.., queries, keys]`.
    pub(super) fn shares<'t, T: Real>(&self, q: Var<'t, T>, k: Var<'t, T>) -> Var<'t, T> {
        self.masked(self.scores(q, k)).softmax(-1)
    }

    /// The scores of all keys, also of those that are not seen.
    pub(super) fn scores<'t, T: Real>(&self, q: Var<'t, T>, k: Var<'t, T>) -> Var<'t, T> {
        q.matmul_transposed(k) * T::from_f64(self.scale)
    }

    /// The cost of all pairs of a query and a key that it sees, from that of one, which is told the width
    /// and the number of outputs.
    pub(super) fn cost_of_pairs(
        &self,
        args: &[&Shape],
        one: impl Fn(usize, usize) -> Cost,
    ) -> Cost {
        let Ok((lead, [queries, keys, width, outputs])) = extents(args) else { return Cost::NONE };
        let seen = |query: usize| if self.causal { keys.min(query + 1) } else { keys };
        let pairs = lead.iter().product::<usize>() * (0..queries).map(seen).sum::<usize>();
        one(width, outputs).times(pairs)
    }
}

/// Says that there are no operands of fewer than two axes.
pub(super) fn of_matrices<O: Clone>(samples: &mut Samples<O>) {
    let reason = "queries, keys and values are rows of matrices";
    samples.absent(ShapeClass::Scalar, reason);
    samples.absent(ShapeClass::Vector, reason);
}

/// The Jacobian of softmax, which is symmetric, times `c`, where softmax gives `y`.
pub(super) fn along_softmax<'t, T: Real>(y: Var<'t, T>, c: Var<'t, T>) -> Var<'t, T> {
    y * (c - (c * y).sum_keep(-1))
}

impl Op for Attention {
    const NAME: &'static str = "attention";
    const FORMULA: Formula = Formula::new(
        "P V, P = softmax(scale Q K^T) by row, of causal attention without what comes later",
        "dY = dP V + P dV, dP = P (dS - row sums of P dS), dS = scale (dQ K^T + Q dK^T)",
        r"Y = P V,\quad P = \operatorname{softmax}(\sigma Q K^T),\quad \dot Y = \dot P V + P \dot V,\quad \dot P_{ij} = P_{ij} (\dot S_{ij} - \textstyle\sum_k P_{ik} \dot S_{ik}),\quad \dot S = \sigma (\dot Q K^T + Q \dot K^T)",
    )
    .with_convention("0 where a query sees nothing");
    const LEADING_AXES: bool = true;

    fn shape(&self, args: &[&Shape]) -> Result<Shape, String> {
        let (lead, [queries, .., outputs]) = extents(args)?;
        Ok(lead.iter().copied().chain([queries, outputs]).collect())
    }

    fn eval<T: Real>(&self, args: &[View<'_, T>], out: &mut [T]) {
        Heads::new([args[0], args[1], args[2]], self.scale, self.causal).eval(out);
    }

    fn jvp<'t, T: Real>(&self, call: &Call<'_, 't, T>, tangents: &[Term<'t, T>]) -> Term<'t, T> {
        let [q, k, v] = [0, 1, 2].map(|arg| call.arg(arg));
        let of_queries = tangents[0].map(|dq| self.scores(dq, k));
        let of_keys = tangents[1].map(|dk| self.scores(q, dk));
        let of_scores = add_terms([of_queries, of_keys])
            .map(|ds| along_softmax(self.shares(q, k), ds).matmul(v));
        let of_values = tangents[2].map(|dv| q.tape().apply(*self, &[q, k, dv]));
        add_terms([of_scores, of_values])
    }

    fn vjp<'t, T: Real>(&self, call: &Call<'_, 't, T>, arg: usize, bar: Var<'t, T>) -> Term<'t, T> {
        let [q, k, v] = [0, 1, 2].map(|arg| call.arg(arg));
        let last = |x: Var<'t, T>, axis: usize| x.shape()[x.rank() - axis];
        if last(v, 1) == last(k, 1) {
            let [all] =
                call.shared(|| [bar.tape().apply(AttentionAdjoint(*self), &[q, k, v, bar])]);
            let first: usize = [q, k, v][..arg].iter().map(|&x| last(x, 2)).sum();
            return Some(all.slice(-2, first..first + last(call.arg(arg), 2)));
        }
        let [shares, scores] = call.shared(|| {
            let shares = self.shares(q, k);
            [shares, along_softmax(shares, bar.matmul_transposed(v))]
        });
        let scale = T::from_f64(self.scale);
        Some(match arg {
            0 => scores.matmul(k) * scale,
            1 => scores.swap_axes(-1, -2).matmul(q) * scale,
            _ => shares.swap_axes(-1, -2).matmul(bar),
        })
    }

    fn cost(&self, args: &[&Shape], _: &Shape) -> Cost {
        self.cost_of_pairs(args, |width, outputs| {
            let terms = (width + outputs) as u64;
            Cost { adds: terms + 3, muls: terms + 2, divs: 0, nonlinear: 1 }
        })
    }

    #[inline]
    fn samples(samples: &mut Samples<Self>) {
        of_matrices(samples);
        let (all, causal) =
            (Attention { scale: 0.5, causal: false }, Attention { scale: 0.7, causal: true });
        let args_of = |lead: &[usize], [queries, keys, width, outputs]: [usize; 4]| {
            let of = |matrix: [usize; 2]| Shape::from([lead, &matrix].concat());
            [[queries, width], [keys, width], [keys, outputs]].map(of)
        };
        for op in [all, causal] {
            for (lead, extents) in [
                (&[][..], [3, 4, 2, 3]),
                (&[2], [4, 3, 3, 2]),
                (&[2, 1], [3, 3, 2, 2]),
                (&[], [1, 3, 1, 1]),
                (&[], [0, 3, 2, 2]),
                (&[], [2, 0, 2, 2]),
                (&[], [2, 3, 0, 2]),
                (&[0], [2, 3, 2, 2]),
            ] {
                let args = args_of(lead, extents).map(|shape| (shape, Domain::reals()));
                samples.case(op, args);
            }
        }
        let [q, k, v] = args_of(&[2], [3, 4, 2, 3]);
        samples.error(all, &[q.clone(), v.clone(), k.clone()], "takes queries");
        samples.error(all, &[q.clone(), k.clone(), [4].into()], "takes queries");
        samples.error(causal, &[q, [4, 2].into(), v], "takes queries");
    }
}

/// # Attention
impl<'t, T: Real> Var<'t, T> {
    /// The values of the keys that queries see, mixed in shares that they give to the keys: `softmax(scale
    /// self key^T) value`. See [`Attention`] for shapes and memory.
    ///
    /// ```
    /// use wengert_core::{Tape, op::Attention};
    ///
    /// let tape = Tape::new();
    /// let (q, k) = (tape.constant([[0.0], [0.0]]), tape.constant([[1.0], [3.0], [5.0]]));
    /// let v = tape.constant([[1.0], [2.0], [6.0]]);
    /// let mixed = |causal| q.attention(k, v, Attention { scale: 1.0, causal }).value().to_vec();
    /// // A query that is 0 likes all keys alike.
    /// assert!(mixed(false).iter().all(|y: &f64| (y - 3.0).abs() < 1e-12));
    /// assert_eq!(mixed(true), [1.0, 1.5]);
    /// ```
    ///
    /// # Panics
    /// If the shapes do not fit, or the operands are on two tapes.
    #[doc(alias = "scaled_dot_product_attention")]
    #[doc(alias = "dot_product_attention")]
    #[track_caller]
    pub fn attention(self, key: Self, value: Self, op: Attention) -> Self {
        self.tape().apply(op, &[self, key, value])
    }
}
