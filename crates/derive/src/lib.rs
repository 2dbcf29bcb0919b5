//! `#[derive(Module)]` for `wengert-nn`: the visit over a model's parameters.
//!
//! For each field the derived code calls the field's own visit with its name
//! added to the path. The impl is generic over the element type and asks of each
//! field that it be a module of that type,
//!
//! ```text
//! impl<T: Real> Module<T> for Net where Linear<f32>: Module<T>, usize: Module<T> { .. }
//! ```
//!
//! so that the macro needs to understand no type: the compiler finds that only
//! `T = f32` fits, or, for `Net<T>` with a `Linear<T>`, that every `T` does.
//!
//! Generated code has to name the crate that holds the trait, and a program may
//! know it as `wengert_nn` or as a part of `wengert`. Each of these two re-exports
//! the macro that writes its own name; `#[module(crate = path)]` serves renamed
//! dependencies.

mod expand;

use proc_macro::TokenStream;
use quote::quote;
use syn::{DeriveInput, parse_macro_input};

/// Derives the visit over the parameters of a struct or enum.
///
/// Every field has to be a module itself: a `Param`, a layer, another derived
/// module, a container of such, or a plain number or string. Fields are visited in
/// the order of declaration and named as they are declared, those of tuple structs
/// by position; an enum shows the parameters of its present variant.
///
/// - `#[module(skip)]` on a field leaves it out; it can then have any type.
/// - `#[module(crate = path)]` on the type says where the nn crate is found if
///   the dependency was renamed: `#[module(crate = my_ad::nn)]`.
#[proc_macro_derive(Module, attributes(module))]
pub fn module(input: TokenStream) -> TokenStream {
    derive(input, quote!(::wengert_nn))
}

/// [`macro@Module`] for programs that depend on `wengert`, which re-exports it
/// under that name.
#[proc_macro_derive(FaceModule, attributes(module))]
pub fn face_module(input: TokenStream) -> TokenStream {
    derive(input, quote!(::wengert::nn))
}

fn derive(input: TokenStream, nn: proc_macro2::TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    expand::expand(&input, nn).unwrap_or_else(syn::Error::into_compile_error).into()
}
