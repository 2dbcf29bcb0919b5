//! The adjoint of attention, as an op: a recorded reverse sweep needs no matrix of all scores either.

use super::Attention;
use super::attention::{along_softmax, extents, of_matrices};
use crate::kernel::attention::Heads;
use crate::op::{Call, Cost, Domain, Formula, Op, Samples, Term, concat, operands};
use crate::scalar::Real;
use crate::tape::Var;
use crate::tape::elemental::add_terms;
use crate::tensor::{Shape, View};

/// What a cotangent of [`Attention`]'s result adds to the adjoints of queries, keys and values. Operands:
/// these, of which values are as wide as keys, and the cotangent, `[.., queries, width]`. The adjoints
/// stand one below the other: `[.., queries + 2 keys, width]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AttentionAdjoint(pub Attention);

impl AttentionAdjoint {
    fn scale<T: Real>(&self) -> T {
        T::from_f64(self.0.scale)
    }
}

/// What the formula of the adjoint is made of.
struct Parts<'t, T: Real> {
    /// `P`: the shares.
    shares: Var<'t, T>,
    /// `G`: their cotangents.
    bars: Var<'t, T>,
    /// `H`: these without their mean by row, in which they have the shares as weights.
    centred: Var<'t, T>,
    /// `D`: the product of `P` and `H`, the cotangents of the scores.
    scores: Var<'t, T>,
}

impl AttentionAdjoint {
    fn parts<'t, T: Real>(&self, call: &Call<'_, 't, T>) -> Parts<'t, T> {
        let [q, k, v, c] = [0, 1, 2, 3].map(|arg| call.arg(arg));
        let (shares, bars) = (self.0.shares(q, k), c.matmul_transposed(v));
        let centred = bars - (shares * bars).sum_keep(-1);
        Parts { shares, bars, centred, scores: shares * centred }
    }
}

/// The rows of queries, of keys and of values.
fn rows<'t, T: Real>(call: &Call<'_, 't, T>, all: Var<'t, T>) -> [Var<'t, T>; 3] {
    let [queries, keys] = [0, 1].map(|arg| call.arg(arg).shape()[call.arg(arg).rank() - 2]);
    let ends = [queries, queries + keys, queries + 2 * keys];
    [0..ends[0], ends[0]..ends[1], ends[1]..ends[2]].map(|rows| all.slice(-2, rows))
}

/// `x^T y` of the last two axes.
fn transposed_matmul<'t, T: Real>(x: Var<'t, T>, y: Var<'t, T>) -> Var<'t, T> {
    x.swap_axes(-1, -2).matmul(y)
}

impl Op for AttentionAdjoint {
    const NAME: &'static str = "attention_adjoint";
    const FORMULA: Formula = Formula::new(
        "scale D K, scale D^T Q and P^T C, D = P (G - row sums of P G), G = C V^T, P the shares of attention",
        "by the product rule, with dD = dP H + P (dG - row sums of (dP G + P dG)), H = G - row sums of P G, dP as of attention",
        r"\sigma D K,\ \sigma D^T Q,\ P^T C,\quad D_{ij} = P_{ij} (G_{ij} - \textstyle\sum_k P_{ik} G_{ik}),\quad G = C V^T",
    )
    .with_convention("0 where a query sees nothing");
    const LEADING_AXES: bool = true;

    fn shape(&self, args: &[&Shape]) -> Result<Shape, String> {
        let [q, k, v, c] = operands(args)?;
        let (lead, [queries, keys, width, outputs]) = extents(&[q, k, v])?;
        if outputs != width || self.0.shape(&[q, k, v])? != *c {
            return Err(format!(
                "takes values as wide as the keys {k} and a cotangent like the queries {q}, not {v} and {c}"
            ));
        }
        let rows = keys.checked_mul(2).and_then(|rows| rows.checked_add(queries));
        let rows = rows.ok_or("the adjoints have more rows than can be counted")?;
        Ok(lead.iter().copied().chain([rows, width]).collect())
    }

    fn eval<T: Real>(&self, args: &[View<'_, T>], out: &mut [T]) {
        let Attention { scale, causal } = self.0;
        Heads::new([args[0], args[1], args[2]], scale, causal).adjoint(args[3], out);
    }

    fn jvp<'t, T: Real>(&self, call: &Call<'_, 't, T>, tangents: &[Term<'t, T>]) -> Term<'t, T> {
        tangents.iter().flatten().next()?;
        let [q, k, v, c] = [0, 1, 2, 3].map(|arg| call.arg(arg));
        let [dq, dk, dv, dc] = [0, 1, 2, 3].map(|arg| tangents[arg]);
        let Parts { shares, bars, centred, scores } = self.parts(call);
        let of_queries = dq.map(|dq| self.0.scores(dq, k));
        let of_keys = dk.map(|dk| self.0.scores(q, dk));
        let d_shares = add_terms([of_queries, of_keys]).map(|ds| along_softmax(shares, ds));
        let of_shares = d_shares.map(|dp| dp * centred - shares * (dp * bars).sum_keep(-1));
        let of_cotangents = dc.map(|dc| dc.matmul_transposed(v));
        let of_values = dv.map(|dv| c.matmul_transposed(dv));
        let d_bars = add_terms([of_cotangents, of_values]);
        let d_scores = add_terms([of_shares, d_bars.map(|dg| along_softmax(shares, dg))]);
        let scale = self.scale::<T>();
        let adjoints = [
            (q, d_scores.map(|ds| ds.matmul(k) * scale), dk.map(|dk| scores.matmul(dk) * scale)),
            (
                k,
                d_scores.map(|ds| transposed_matmul(ds, q) * scale),
                dq.map(|dq| transposed_matmul(scores, dq) * scale),
            ),
            (
                v,
                d_shares.map(|dp| transposed_matmul(dp, c)),
                dc.map(|dc| transposed_matmul(shares, dc)),
            ),
        ];
        let tangents =
            adjoints.map(|(of, a, b)| add_terms([a, b]).unwrap_or_else(|| of.zeros_like()));
        Some(concat(&tangents, -2))
    }

    fn vjp<'t, T: Real>(&self, call: &Call<'_, 't, T>, arg: usize, bar: Var<'t, T>) -> Term<'t, T> {
        let [q, k, v, c] = [0, 1, 2, 3].map(|arg| call.arg(arg));
        let (scale, [of_q, of_k, of_v]) = (self.scale::<T>(), rows(call, bar));
        // `P`, `D`, and the adjoints of the scores of attention and of `G`.
        let [shares, scores, scores_bar, bars_bar] = call.shared(|| {
            let Parts { shares, bars, centred, scores } = self.parts(call);
            let own = (of_q.matmul_transposed(k) + q.matmul_transposed(of_k)) * scale;
            let mean = (shares * own).sum_keep(-1);
            let shares_bar = c.matmul_transposed(of_v) + own * centred - mean * bars;
            [shares, scores, along_softmax(shares, shares_bar), shares * (own - mean)]
        });
        Some(match arg {
            0 => (scores.matmul(of_k) + scores_bar.matmul(k)) * scale,
            1 => (transposed_matmul(scores, of_q) + transposed_matmul(scores_bar, q)) * scale,
            2 => transposed_matmul(bars_bar, c),
            _ => shares.matmul(of_v) + bars_bar.matmul(v),
        })
    }

    fn cost(&self, args: &[&Shape], _: &Shape) -> Cost {
        self.0.cost_of_pairs(&args[..3], |width, _| {
            let terms = 5 * width as u64;
            Cost { adds: terms + 5, muls: terms + 4, divs: 0, nonlinear: 1 }
        })
    }

    #[inline]
    fn samples(samples: &mut Samples<Self>) {
        of_matrices(samples);
        let args_of = |lead: &[usize], [queries, keys, width]: [usize; 3]| {
            let of = |rows: usize| Shape::from([lead, &[rows, width]].concat());
            [queries, keys, keys, queries].map(of)
        };
        let op = |scale, causal| AttentionAdjoint(Attention { scale, causal });
        for op in [op(0.5, false), op(0.7, true)] {
            for (lead, extents) in [
                (&[][..], [3, 4, 2]),
                (&[2], [4, 3, 3]),
                (&[2, 1], [3, 3, 2]),
                (&[], [1, 3, 1]),
                (&[], [0, 3, 2]),
                (&[], [2, 0, 2]),
                (&[0], [2, 3, 2]),
            ] {
                let args = args_of(lead, extents).map(|shape| (shape, Domain::reals()));
                samples.case(op, args);
            }
        }
        let [q, k, v, c] = args_of(&[2], [3, 4, 2]);
        samples.error(
            op(0.5, false),
            &[q.clone(), k.clone(), v.clone(), v.clone()],
            "a cotangent like",
        );
        samples.error(op(0.5, false), &[q, k, [2, 4, 3].into(), c], "as wide as the keys");
    }
}
