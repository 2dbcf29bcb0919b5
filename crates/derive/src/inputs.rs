//! From the declaration of a structure of tensors to its use as inputs of a function.
//!
//! The structure has one parameter, which stands for what it holds: tensors outside of a
//! tape, variables on one. So the impl is for `&S<Tensor<T>>`, whose variables are
//! `S<Var<T>>`, and each field is treated by its own impl, with the parameter replaced in
//! its type.

use proc_macro2::{Group, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::{Data, DeriveInput, Error, GenericParam, Ident, Result};

/// The derived impl, with `core` as the path of the core crate.
pub(crate) fn expand(input: &DeriveInput, core: TokenStream) -> Result<TokenStream> {
    let core = crate::crate_path(&input.attrs, "inputs")?.map_or(core, ToTokens::into_token_stream);
    let refuse = |message: &str| Err(Error::new(input.ident.span(), message));
    let Data::Struct(data) = &input.data else {
        return refuse(
            "`Inputs` can be derived for a struct: a function has the same inputs always",
        );
    };
    let parameter = match input.generics.params.iter().collect::<Vec<_>>()[..] {
        [GenericParam::Type(parameter)] => &parameter.ident,
        _ => {
            return refuse(
                "a structure of inputs has one type parameter, which stands for tensors and for \
                 variables: `struct Weights<X> { w: X, b: X }`",
            );
        }
    };
    if data.fields.is_empty() {
        return refuse("a structure of inputs has a field");
    }

    let name = &input.ident;
    let members: Vec<_> = data.fields.members().collect();
    let tensor = quote!(#core::Tensor<__T>);
    let inputs: Vec<_> = data
        .fields
        .iter()
        .map(|field| {
            let ty = replaced(field.ty.to_token_stream(), parameter, &tensor);
            quote!(<&'__a #ty as #core::Inputs<__T>>)
        })
        .collect();
    Ok(quote! {
        #[automatically_derived]
        impl<'__a, __T: #core::Real> #core::Inputs<__T> for &'__a #name<#tensor> {
            type Vars<'t> = #name<#core::Var<'t, __T>> where __T: 't;
            type Tensors = #name<#tensor>;

            #[track_caller]
            fn record<'t>(&self, tape: &'t #core::Tape<__T>) -> Self::Vars<'t> {
                #name { #(#members: #inputs::record(&&self.#members, tape),)* }
            }

            fn flatten<'t>(
                vars: Self::Vars<'t>,
                list: &mut ::std::vec::Vec<#core::Var<'t, __T>>,
            ) {
                #(#inputs::flatten(vars.#members, list);)*
            }

            fn values(&self, list: &mut ::std::vec::Vec<#tensor>) {
                #(#inputs::values(&&self.#members, list);)*
            }

            fn collect(
                &self,
                tensors: &mut impl ::core::iter::Iterator<Item = #tensor>,
            ) -> Self::Tensors {
                #name { #(#members: #inputs::collect(&&self.#members, tensors),)* }
            }

            fn unflatten<'t>(
                vars: &mut impl ::core::iter::Iterator<Item = #core::Var<'t, __T>>,
            ) -> Self::Vars<'t> {
                #name { #(#members: #inputs::unflatten(vars),)* }
            }

            fn flatten_tensors(
                tensors: Self::Tensors,
                list: &mut ::std::vec::Vec<#tensor>,
            ) {
                #(#inputs::flatten_tensors(tensors.#members, list);)*
            }
        }
    })
}

/// The tokens of a type with a parameter replaced.
fn replaced(tokens: TokenStream, parameter: &Ident, by: &TokenStream) -> TokenStream {
    let replace = |token: TokenTree| match token {
        TokenTree::Ident(ident) if ident == *parameter => by.clone(),
        TokenTree::Group(group) => {
            let inner = replaced(group.stream(), parameter, by);
            TokenTree::Group(Group::new(group.delimiter(), inner)).into()
        }
        other => other.into(),
    };
    tokens.into_iter().flat_map(replace).collect()
}
