//! Sums of adjoints in place.
//!
//! A fast sweep owns the memory of the sums that it makes, so it adds into them.
//! What it records says the sum, as a value of its own like any other: only
//! [`Accumulating::add_into`] knows that the first operand's memory becomes the result's.
//! No derivative is ever asked of them.

use std::any::Any;
use std::sync::Arc;

use crate::kernel::block::BlockKernel;
use crate::kernel::each_row::add_to_part;
use crate::kernel::gemm::add_matmul;
use crate::kernel::map::add_view;
use crate::op::{Add, Operation};
use crate::scalar::Real;
use crate::tape::Var;
use crate::tape::elemental::{Accumulating, Call, Cost, DynOp, Elementary, Role, Term, no_rules};
use crate::tensor::{Layout, Shape, View};

/// The second operand added to the first one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct AddWhole;

/// The second operand added to a part of the first one: how the adjoint of a slice
/// joins the adjoint of the whole, without being padded to its size.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct AddPart {
    /// How the part lies in the whole, which lies in order.
    pub(crate) layout: Layout,
    /// Where its first element is.
    pub(crate) first: usize,
}

/// The product of the second and the third operand, two matrices, added to the first
/// one as it is computed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct AddProduct;

macro_rules! accumulation {
    ($name:literal, $cost:expr) => {
        fn name(&self) -> &'static str {
            $name
        }

        fn shape(&self, args: &[&Shape]) -> Result<Shape, String> {
            Ok(args[0].clone())
        }

        fn role(&self) -> Role<'_, T> {
            Role::Accumulation(self)
        }

        no_rules!();

        fn cost(&self, args: &[&Shape], result: &Shape) -> Cost {
            let cost: fn(&[&Shape], &Shape) -> Cost = $cost;
            cost(args, result)
        }

        fn equals(&self, other: &dyn Any) -> bool {
            other.downcast_ref() == Some(self)
        }
    };
}

impl<T: Real> DynOp<T> for AddWhole {
    accumulation!("add", |args, _| Cost::adds(args[1].elements() as u64));

    fn eval(&self, args: &[View<'_, T>], shape: &Shape, out: &mut [T]) {
        DynOp::<T>::eval(&Operation::<T, _>::into_dyn(Add), args, shape, out);
    }
}

impl<T: Real> Accumulating<T> for AddWhole {
    fn add_into(&self, terms: &[View<'_, T>], sum: &mut [T]) {
        add_view(sum, terms[0]);
    }

    fn kernel(&self) -> Option<Arc<dyn BlockKernel<T>>> {
        Elementary::<T>::kernel(&Operation::<T, _>::into_dyn(Add))
    }
}

impl<T: Real> DynOp<T> for AddPart {
    accumulation!("add_part", |args, _| Cost::adds(args[1].elements() as u64));

    fn eval(&self, args: &[View<'_, T>], _: &Shape, out: &mut [T]) {
        args[0].copy_to(out);
        self.add_into(&args[1..], out);
    }
}

impl<T: Real> Accumulating<T> for AddPart {
    fn add_into(&self, terms: &[View<'_, T>], sum: &mut [T]) {
        add_to_part(sum, self.first, &self.layout, terms[0]);
    }
}

impl<T: Real> DynOp<T> for AddProduct {
    accumulation!("add_product", |args, result| {
        let products = (result.elements() * args[1][1]) as u64;
        Cost::adds(products).and(Cost::muls(products))
    });

    fn eval(&self, args: &[View<'_, T>], _: &Shape, out: &mut [T]) {
        args[0].copy_to(out);
        self.add_into(&args[1..], out);
    }
}

impl<T: Real> Accumulating<T> for AddProduct {
    fn add_into(&self, terms: &[View<'_, T>], sum: &mut [T]) {
        add_matmul(terms[0], terms[1], sum);
    }
}
