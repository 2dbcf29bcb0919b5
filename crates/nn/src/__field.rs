//! Whether a field's type is a module, for the derive macro.
//!
//! A derived impl is generic over the type of numbers, and asks of each field that it be a module of
//! that type. Of a field that is none for any type of numbers the compiler then says at the model's
//! use that some bound does not hold. So the macro asks of each field's type once more, by itself,
//! and a type that is no module is refused at the field, with advice.
//!
//! The question "of doubles or of singles?" is put by method lookup: of three methods of one name it
//! takes the one with the fewest references whose bounds hold, and the last one has none on its
//! impl. So this is about the impls that there are, and asks nothing of those who write one by hand.

use std::marker::PhantomData;

use crate::Module;

/// Stands for a field of some type.
#[derive(Debug)]
pub struct Field<M: ?Sized>(PhantomData<fn(&M)>);

impl<M: ?Sized> Field<M> {
    /// The one value.
    pub const NEW: Self = Self(PhantomData);
}

/// A type that no module is: what is asked of fields that are no module of any numbers.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no module",
    label = "this field is no module",
    note = "if it holds parameters, its type derives `Module` or is a list of such; if it holds none, mark the field `#[module(skip)]`"
)]
pub trait IsModule {}

/// Modules of doubles.
pub trait OfDoubles {
    /// Nothing.
    fn is_module(&self) {}
}

impl<M: Module<f64> + ?Sized> OfDoubles for &&Field<M> {}

/// Modules of singles.
pub trait OfSingles {
    /// Nothing.
    fn is_module(&self) {}
}

impl<M: Module<f32> + ?Sized> OfSingles for &Field<M> {}

/// All else.
pub trait OfNone {
    /// The type of the field.
    type Type: ?Sized;

    /// Refused by the compiler.
    fn is_module(&self)
    where
        Self::Type: IsModule,
    {
    }
}

impl<M: ?Sized> OfNone for Field<M> {
    type Type = M;
}
