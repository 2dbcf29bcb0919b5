//! The families of ops: from what an op states of itself, all that a tape asks follows.

/// What a shell answers by the trait of its family alone, as its author wrote it.
macro_rules! as_written {
    ($op:ident) => {
        fn name(&self) -> &'static str {
            $op::NAME
        }

        fn formula(&self) -> Formula {
            $op::FORMULA
        }

        fn as_any(&self) -> &dyn Any {
            &self.0
        }

        fn equals(&self, other: &dyn Any) -> bool {
            other.downcast_ref() == Some(self)
        }
    };
}

/// The shell of a family, and how an op comes into it.
macro_rules! shell {
    ($(#[$doc:meta])* $shell:ident of $trait:ident as $family:ty) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq)]
        pub struct $shell<O>(O);

        impl<T: Real, O: $trait> Operation<T, $family> for O {
            type Dyn = $shell<O>;

            #[inline]
            fn into_dyn(self) -> $shell<O> {
                $shell(self)
            }

            fn sample_set() -> SampleSet<T> {
                let mut samples = Samples::new();
                Self::samples(&mut samples);
                samples.erase()
            }
        }
    };
}

pub(super) mod bilinear;
pub(super) mod elementwise;
pub(super) mod general;
pub(super) mod linear;
mod mapped;
mod partial_product;
pub(super) mod row_reduction;
pub(super) mod selection;

// Markers, by which the compiler tells the families apart.

/// The family of [`Op`](crate::op::Op).
#[derive(Clone, Copy, Debug)]
pub enum General {}
/// The family of [`Elementwise`](crate::op::Elementwise) with `N` operands.
#[derive(Clone, Copy, Debug)]
pub enum Elementwise<const N: usize> {}
/// The family of [`Linear`](crate::op::Linear).
#[derive(Clone, Copy, Debug)]
pub enum Linear {}
/// The family of [`Bilinear`](crate::op::Bilinear).
#[derive(Clone, Copy, Debug)]
pub enum Bilinear {}
/// The family of [`RowReduction`](crate::op::RowReduction).
#[derive(Clone, Copy, Debug)]
pub enum RowReduction {}
/// The family of [`Selection`](crate::op::Selection).
#[derive(Clone, Copy, Debug)]
pub enum Selection {}
