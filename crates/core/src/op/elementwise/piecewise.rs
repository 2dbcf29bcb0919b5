//! Functions that are constant in pieces: comparisons and rounding.
//!
//! They differ in their values and in where their steps are. All else is one statement:
//! no derivative flows through them, at the steps by convention.

/// Declares such an op: its name, its formula as text and as TeX, where its derivative
/// is a convention, its value, and the distance to the nearest step.
macro_rules! step {
    (
        $(#[$doc:meta])*
        $op:ident([$($x:ident),+]: $count:literal) = $name:literal {
            formula: $text:literal, $tex:literal, $convention:literal;
            value: $value:expr;
            distance: $distance:expr;
        }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq)]
        pub struct $op;

        impl Elementwise<$count> for $op {
            const NAME: &'static str = $name;
            const FORMULA: Formula =
                Formula::new($text, "dy = 0", concat!($tex, r",\quad \dot y = 0"))
                    .with_convention($convention);
            const COST: Cost = Cost::adds(1);
            const DIFFERENTIABLE: bool = false;

            #[inline(always)]
            fn eval<A: Number>(self, [$($x),+]: [A; $count]) -> A {
                $value
            }

            #[inline(always)]
            fn partial<A: Number>(self, _: usize, _: [A; $count], y: A) -> A {
                y.constant(0.0)
            }

            fn kink_distance<T: Real>(self, [$($x),+]: [T; $count]) -> T {
                $distance
            }

            #[inline]
            fn samples(samples: &mut Samples<Self>) {
                samples.over($op, [Domain::reals(); $count]);
            }
        }
    };
}

pub(in crate::op) use step;
