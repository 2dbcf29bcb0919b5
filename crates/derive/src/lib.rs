//! `#[derive(Module)]` for `wengert-nn`, the visit over a model's parameters, and
//! `#[derive(Inputs)]` for `wengert-core`, a structure of tensors as a function's inputs.
//!
//! For each field of a module the derived code calls the field's own visit with its name
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
//! know it as `wengert_nn`, say, or as a part of `wengert`. Each of these two re-exports
//! the macro that writes its own name; `#[module(crate = path)]` serves renamed
//! dependencies.

mod inputs;
mod module;

use proc_macro::TokenStream;
use quote::quote;
use syn::{Attribute, DeriveInput, Path, Result, parse_macro_input};

/// Derives the visit over the parameters of a struct or enum.
///
/// Every field has to be a module itself: a `Param`, a layer, another derived
/// module, a container of such, or a plain number, string or function pointer. Fields are visited in
/// the order of declaration and named as they are declared, those of tuple structs
/// by position; an enum shows the parameters of its present variant.
///
/// - `#[module(skip)]` on a field leaves it out; it can then have any type.
/// - `#[module(crate = path)]` on the type says where the nn crate is found if
///   the dependency was renamed: `#[module(crate = my_ad::nn)]`.
#[proc_macro_derive(Module, attributes(module))]
pub fn module(input: TokenStream) -> TokenStream {
    derive(input, |input| module::expand(input, quote!(::wengert_nn)))
}

/// [`macro@Module`] for programs that depend on `wengert`, which re-exports it
/// under that name.
#[proc_macro_derive(FaceModule, attributes(module))]
pub fn face_module(input: TokenStream) -> TokenStream {
    derive(input, |input| module::expand(input, quote!(::wengert::nn)))
}

/// Lets a structure of tensors be the inputs of a function that is differentiated, and
/// derivatives come back in the same structure.
///
/// The structure has one type parameter, for what it holds: tensors, and on a tape
/// variables. It has to be `Copy`, as variables are. Fields are of that type, or further
/// structures and arrays of it.
///
/// - `#[inputs(crate = path)]` says where the core crate is found if the dependency was
///   renamed.
#[proc_macro_derive(Inputs, attributes(inputs))]
pub fn inputs(input: TokenStream) -> TokenStream {
    derive(input, |input| inputs::expand(input, quote!(::wengert_core)))
}

/// [`macro@Inputs`] for programs that depend on `wengert`, which re-exports it under that
/// name.
#[proc_macro_derive(FaceInputs, attributes(inputs))]
pub fn face_inputs(input: TokenStream) -> TokenStream {
    derive(input, |input| inputs::expand(input, quote!(::wengert)))
}

fn derive(
    input: TokenStream,
    expand: impl Fn(&DeriveInput) -> Result<proc_macro2::TokenStream>,
) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    expand(&input).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// The path in `#[module(crate = path)]`, or with another name for `module`.
fn crate_path(attributes: &[Attribute], name: &str) -> Result<Option<Path>> {
    let mut path = None;
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident(name)) {
        attribute.parse_nested_meta(|meta| {
            if meta.path.is_ident("crate") {
                path = Some(meta.value()?.call(Path::parse_mod_style)?);
                Ok(())
            } else {
                Err(meta.error(format!("this type has one option: `{name}(crate = path)`")))
            }
        })?;
    }
    Ok(path)
}
