//! The family of products: linear in each of two operands.
//!
//! With one operand held fixed a product is a linear map of the other, so two
//! transposes state both rules: `dy = da b + a db`, and each adjoint is a
//! transpose applied to the cotangent.

use std::any::Any;
use std::fmt::Debug;

use crate::kernel::gemm::MatrixLayout;
use crate::op::{
    Call, Cost, Dependence, DynOp, Formula, Operation, Role, SampleSet, Samples, Series,
    SeriesCall, Stacked, Term, TwoFactors, add_terms, family, operands,
};
use crate::scalar::Real;
use crate::tape::Var;
use crate::tensor::{Layout, Shape, View};

/// A product of two operands.
pub trait Bilinear: Clone + PartialEq + Debug + 'static {
    /// The name, as it stands in tapes and messages.
    const NAME: &'static str;
    /// What it computes.
    const FORMULA: Formula = Formula::new("", "", "");

    /// The shape of the result.
    ///
    /// # Errors
    /// The reason, as a sentence, if the operands do not fit.
    fn shape(&self, a: &Shape, b: &Shape) -> Result<Shape, String>;

    /// Writes every element of the result.
    fn eval<T: Real>(&self, a: View<'_, T>, b: View<'_, T>, out: &mut [T]);

    /// The transpose of `a -> a b`, applied to a cotangent; the result has the
    /// shape of `a`.
    fn transpose_left<'t, T: Real>(&self, a: &Shape, b: Var<'t, T>, bar: Var<'t, T>) -> Var<'t, T>;

    /// The transpose of `b -> a b`, applied to a cotangent; the result has the
    /// shape of `b`.
    fn transpose_right<'t, T: Real>(&self, a: Var<'t, T>, b: &Shape, bar: Var<'t, T>)
    -> Var<'t, T>;

    /// The factors of [`transpose_left`](Self::transpose_left), where it is a product
    /// of two matrices: sums of such products are added up in place.
    fn factors_of_left<'t, T: Real>(
        &self,
        _a: &Shape,
        _b: Var<'t, T>,
        _cotangent: Var<'t, T>,
    ) -> Option<[Var<'t, T>; 2]> {
        None
    }

    /// The factors of [`transpose_right`](Self::transpose_right), where it is a product
    /// of two matrices.
    fn factors_of_right<'t, T: Real>(
        &self,
        _a: Var<'t, T>,
        _b: &Shape,
        _cotangent: Var<'t, T>,
    ) -> Option<[Var<'t, T>; 2]> {
        None
    }

    /// For products of two matrices: how their elements lie.
    #[doc(hidden)]
    fn factors(&self, _a: &Layout, _b: &Layout) -> Option<[MatrixLayout; 2]> {
        None
    }

    /// The op applied to many operands at once. `None` for one after the other.
    fn stacked<'t, T: Real>(&self, _operands: &Stacked<'_, 't, T>) -> Term<'t, T> {
        None
    }

    /// The elements of operand `arg` on which an element of the result depends.
    fn dependence(&self, _args: &[&Shape], _arg: usize, _result: &Shape) -> Dependence {
        Dependence::Everything
    }

    /// The scalar operations of one evaluation.
    fn cost(&self, a: &Shape, b: &Shape, result: &Shape) -> Cost;

    /// Where to test the product.
    fn samples(samples: &mut Samples<Self>);
}

shell! {
    /// Shell of a [`Bilinear`] op.
    BilinearMap of Bilinear as family::Bilinear
}

impl<T: Real, B: Bilinear> DynOp<T> for BilinearMap<B> {
    as_written!(B);

    fn shape(&self, args: &[&Shape]) -> Result<Shape, String> {
        let [a, b] = operands(args)?;
        self.0.shape(a, b)
    }

    fn eval(&self, args: &[View<'_, T>], _: &Shape, out: &mut [T]) {
        self.0.eval(args[0], args[1], out);
    }

    fn jvp<'t>(&self, call: &Call<'_, 't, T>, tangents: &[Term<'t, T>]) -> Term<'t, T> {
        let tape = call.value().tape();
        let product = |a, b| tape.record(self.clone(), &[a, b]);
        add_terms([
            tangents[0].map(|tangent| product(tangent, call.arg(1))),
            tangents[1].map(|tangent| product(call.arg(0), tangent)),
        ])
    }

    fn vjp<'t>(&self, call: &Call<'_, 't, T>, arg: usize, bar: Var<'t, T>) -> Term<'t, T> {
        let (a, b) = (call.arg(0), call.arg(1));
        Some(match arg {
            0 => self.0.transpose_left(&a.shape(), b, bar),
            _ => self.0.transpose_right(a, &b.shape(), bar),
        })
    }

    fn taylor<'s, 't>(&self, call: SeriesCall<'s, 't, T>) -> Series<'s, 't, T> {
        let op = self.clone();
        call.bilinear(move |a, b| a.tape().record(op.clone(), &[a, b]))
    }

    fn stacked<'t>(&self, operands: &Stacked<'_, 't, T>) -> Term<'t, T> {
        self.0.stacked(operands)
    }

    fn cost(&self, args: &[&Shape], result: &Shape) -> Cost {
        self.0.cost(args[0], args[1], result)
    }

    fn dependence(&self, args: &[&Shape], arg: usize, result: &Shape) -> Dependence {
        self.0.dependence(args, arg, result)
    }

    fn role(&self) -> Role<'_, T> {
        Role::Product(self)
    }
}

impl<T: Real, B: Bilinear> TwoFactors<T> for BilinearMap<B> {
    fn factors(&self, left: &Layout, right: &Layout) -> Option<[MatrixLayout; 2]> {
        self.0.factors(left, right)
    }

    fn vjp_factors<'t>(
        &self,
        call: &Call<'_, 't, T>,
        arg: usize,
        bar: Var<'t, T>,
    ) -> Option<[Var<'t, T>; 2]> {
        let (a, b) = (call.arg(0), call.arg(1));
        match arg {
            0 => self.0.factors_of_left(&a.shape(), b, bar),
            _ => self.0.factors_of_right(a, &b.shape(), bar),
        }
    }
}
