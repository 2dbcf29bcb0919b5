//! The list of all ops, one line each.
//!
//! From this list come the methods of [`Var`], the tests of every op and the
//! table of ops in the documentation. A line may name a method for ops without
//! parameters. Methods that take parameters stand beside their op, or in the room of variables
//! where one serves several ops.

use super::knowledge::samples::SampleSet;
use super::*;
use crate::tape::Operand;

/// An op as the registry knows it.
#[derive(Clone, Debug)]
pub struct Entry<T: Real> {
    /// The name.
    pub name: &'static str,
    /// The family: elementwise, linear, bilinear, row reduction, selection or general.
    pub family: &'static str,
    /// The formula.
    pub formula: Formula,
    /// Where to test it.
    pub samples: SampleSet<T>,
}

macro_rules! ops {
    ($(
        $family:literal ($trait:ty) {
            $($op:ident $(: $kind:ident $method:ident $([$($alias:literal),*])? $doc:literal)?,)*
        }
    )*) => {
        /// All ops.
        ///
        /// ```
        /// let ops = wengert_core::op::registry::ops::<f64>();
        /// assert!(ops.iter().any(|op| op.name == "matmul"));
        /// ```
        pub fn ops<T: Real>() -> Vec<Entry<T>> {
            vec![$($(Entry {
                name: <$op>::NAME,
                family: $family,
                formula: <$op>::FORMULA,
                samples: <$op as Operation<T, _>>::sample_set(),
            },)*)*]
        }

        /// # Functions without parameters
        impl<'t, T: Real> Var<'t, T> {
            $($($( method!($kind $method [$($($alias),*)?] $op $doc); )?)*)*
        }
    };
}

macro_rules! method {
    (unary $method:ident [$($alias:literal),*] $op:ident $doc:literal) => {
        #[doc = $doc]
        #[doc = concat!("\n\nThe op [`", stringify!($op), "`](crate::op::", stringify!($op), ").")]
        $(#[doc(alias = $alias)])*
        #[track_caller]
        #[inline]
        pub fn $method(self) -> Self {
            self.apply($op)
        }
    };
    (binary $method:ident [$($alias:literal),*] $op:ident $doc:literal) => {
        #[doc = $doc]
        #[doc = concat!("\n\nThe op [`", stringify!($op), "`](crate::op::", stringify!($op), ").")]
        ///
        /// # Panics
        /// If the shapes do not fit, or the operands are on two tapes.
        $(#[doc(alias = $alias)])*
        #[track_caller]
        #[inline]
        pub fn $method(self, other: impl Operand<'t, T>) -> Self {
            let other = other.on(self.tape());
            self.tape().apply($op, &[self, other])
        }
    };
}

ops! {
    "elementwise" (Elementwise) {
        Neg,
        Add,
        Sub,
        Mul,
        Div,
        Abs: unary abs ["absolute"] "The absolute value; its derivative at 0 is 0.",
        Maximum: binary maximum ["clamp_min", "max"] "The larger of two; the derivative at ties goes to `self`.",
        Minimum: binary minimum ["clamp_max", "min"] "The smaller of two; the derivative at ties goes to `self`.",
        Square: unary square "`x * x`.",
        Sqrt: unary sqrt "The square root.",
        Reciprocal: unary reciprocal "`1 / x`.",
        Powi,
        Powf,
        Pow: binary pow ["power"] "A power with a variable as exponent; `0^0` is 1.",
        Cbrt: unary cbrt "The cube root, of either sign.",
        Hypot: binary hypot "`sqrt(self^2 + other^2)`, without overflow on the way.",
        Exp: unary exp "The exponential.",
        Expm1: unary expm1 "`exp(x) - 1`, accurate near 0.",
        Ln: unary ln ["log"] "The natural logarithm.",
        Ln1p: unary ln1p ["log1p"] "`ln(1 + x)`, accurate near 0.",
        Exp2: unary exp2 "`2^x`.",
        Log2: unary log2 "The logarithm to base 2.",
        Log10: unary log10 "The logarithm to base 10.",
        LogAddExp: binary log_add_exp ["logaddexp"] "`ln(exp(self) + exp(other))`, without overflow on the way.",
        Xlogy: binary xlogy "`self * ln(other)`, and 0 where `self` is 0.",
        Sin: unary sin "The sine, of radians.",
        Cos: unary cos "The cosine, of radians.",
        Tan: unary tan "The tangent, of radians.",
        Asin: unary asin ["arcsin"] "The arc sine, in radians.",
        Acos: unary acos ["arccos"] "The arc cosine, in radians.",
        Atan: unary atan ["arctan"] "The arc tangent, in radians.",
        Atan2: binary atan2 ["arctan2"] "The angle of the point `(other, self)`, in radians.",
        Sinh: unary sinh "The hyperbolic sine.",
        Cosh: unary cosh "The hyperbolic cosine.",
        Asinh: unary asinh ["arcsinh"] "The inverse hyperbolic sine.",
        Acosh: unary acosh ["arccosh"] "The inverse hyperbolic cosine.",
        Atanh: unary atanh ["arctanh"] "The inverse hyperbolic tangent.",
        Erf: unary erf "The error function.",
        Erfc: unary erfc "`1 - erf(x)`, accurate for large `x`.",
        ErfInv: unary erf_inv ["erfinv"] "The inverse of the error function.",
        LnGamma: unary ln_gamma ["gammaln", "lgamma"] "`ln |gamma(x)|`.",
        Polygamma,
        Sinc,
        Floor: unary floor "The greatest whole number up to `x`; no derivative flows through it.",
        Ceil: unary ceil "The least whole number from `x` on; no derivative flows through it.",
        Round: unary round "The nearest whole number, ties to even; no derivative flows through it.",
        Trunc: unary trunc "The whole part, towards 0; no derivative flows through it.",
        Sign: unary sign "-1, 0 or 1, as `x` is; no derivative flows through it.",
        Remainder: binary remainder ["mod"] "`self - other * floor(self / other)`, with the sign of `other`.",
        Clamp,
        Tanh: unary tanh "The hyperbolic tangent.",
        Sigmoid: unary sigmoid ["expit"] "`1 / (1 + exp(-x))`.",
        Softplus: unary softplus "`ln(1 + exp(x))`.",
        Relu: unary relu "`max(x, 0)`; its derivative at 0 is 0.",
        LeakyRelu,
        Elu,
        LogSigmoid: unary log_sigmoid ["log_expit", "logsigmoid"] "`ln(1 / (1 + exp(-x)))`.",
        Silu: unary silu ["swish"] "`x * sigmoid(x)`, also called swish.",
        Gelu: unary gelu "`x` times the probability that a normal variable is at most `x`.",
        GeluTanh: unary gelu_tanh ["gelu"] "`gelu`, approximated by a hyperbolic tangent.",
        Mish: unary mish "`x * tanh(ln(1 + exp(x)))`.",
        Softsign: unary softsign ["soft_sign"] "`x / (1 + |x|)`.",
        Greater: binary greater ["gt"] "1 where `self > other`, else 0.",
        GreaterEqual: binary greater_equal ["ge"] "1 where `self >= other`, else 0.",
        Less: binary less ["lt"] "1 where `self < other`, else 0.",
        LessEqual: binary less_equal ["le"] "1 where `self <= other`, else 0.",
        Equal: binary equal ["eq"] "1 where `self == other`, else 0.",
        NotEqual: binary not_equal ["ne"] "1 where `self != other`, else 0.",
        Select,
    }
    "linear" (Linear) {
        Sum,
        Mean,
        SumTo,
        BroadcastTo,
        Reshape,
        Permute,
        Slice,
        Pad,
        Concat,
        Stack,
        Gather,
        ScatterAdd,
        CumSum,
        Triangle,
        AvgPool2d,
        AvgUnpool2d,
    }
    "bilinear" (Bilinear) {
        Matmul: binary matmul ["bmm", "dot", "mm", "mv"] "The matrix product over the last two axes; leading axes broadcast.",
        MatmulTransposed: binary matmul_transposed ["linear"] "The matrix product `self other^T` over the last two axes; leading axes broadcast. Where `other` is a weight, its adjoint lies as the weight does.",
        Outer: binary outer "The outer product of two vectors.",
        Conv2d,
        ConvTranspose2d,
        Conv2dWeights,
    }
    "row reduction" (RowReduction) {
        Max,
        LogSumExp,
        Norm,
        Prod,
    }
    "selection" (Selection) {
        GatherMax2d,
        ScatterMax2d,
        TakeAlong,
        ScatterAlong,
    }
    "general" (Op) {
        FirstMax,
        Softmax,
        LogSoftmax,
        Attention,
        AttentionAdjoint,
        LayerNorm,
        BatchNorm,
        ChannelMoments,
        MaxPool2d,
        LinearRecurrence,
        LogCumSumExp,
        ArgSort,
        Solve,
        SolveTriangular,
        LogAbsDet: unary log_abs_det ["slogdet"] "`ln |det|` of square matrices over the last two axes; minus infinity where one is singular.",
        SignDet: unary sign_det ["slogdet"] "The sign of the determinant of square matrices over the last two axes, or 0.",
        Det: unary det "The determinant of square matrices over the last two axes. Its derivatives are right at singular matrices too.",
        Cofactors,
        Pinv,
        Cholesky: unary cholesky "The lower triangular `l` of `l l^T = (self + self^T) / 2`; NaN where that is not positive definite.",
        Eigh,
        Qr,
        Svd,
        OverGaps,
        DistinctColumns,
        Logm,
        Expm: unary expm ["matrix_exp"] "The exponential of square matrices over the last two axes.",
    }
}
