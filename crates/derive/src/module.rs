//! From the declaration of a type to its visit.

use proc_macro2::{Span, TokenStream, TokenTree};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{
    Attribute, Data, DeriveInput, Error, Fields, GenericParam, Generics, Result, parse_quote,
    parse_quote_spanned,
};

/// The derived impl, with `nn` as the path of the nn crate.
pub(crate) fn expand(input: &DeriveInput, nn: TokenStream) -> Result<TokenStream> {
    let nn = crate::crate_path(&input.attrs, "module")?.map_or(nn, ToTokens::into_token_stream);
    let variants = match &input.data {
        Data::Struct(data) => vec![Variant::new(quote!(Self), &data.fields)?],
        Data::Enum(data) => data
            .variants
            .iter()
            .map(|variant| {
                let name = &variant.ident;
                Variant::new(quote!(Self::#name), &variant.fields)
            })
            .collect::<Result<_>>()?,
        Data::Union(data) => {
            let message = "`Module` cannot be derived for a union: no field is known to be valid";
            return Err(Error::new(data.union_token.span, message));
        }
    };

    let mut generics = input.generics.clone();
    let where_clause = generics.make_where_clause();
    for field in variants.iter().flat_map(|variant| &variant.fields) {
        // Errors about a bound point at its field.
        let ty = field.ty;
        let span = ty.span().resolved_at(Span::call_site());
        let nn = respanned(&nn, span);
        where_clause.predicates.push(parse_quote_spanned!(span=> #ty: #nn::Module<__T>));
    }
    generics.params.push(GenericParam::Type(parse_quote!(__T: #nn::__Real)));
    let (impl_generics, _, where_clause) = generics.split_for_impl();
    let (_, type_generics, _) = input.generics.split_for_impl();
    let name = &input.ident;

    let check = check(&variants, &nn, &input.generics);
    let visit = body(&variants, &nn, &format_ident!("visit"));
    let visit_mut = body(&variants, &nn, &format_ident!("visit_mut"));
    Ok(quote! {
        #check

        // A public model may have fields of private types, which then stand in
        // the bounds.
        #[allow(private_bounds)]
        #[automatically_derived]
        impl #impl_generics #nn::Module<__T> for #name #type_generics #where_clause {
            fn visit<'__a>(
                &'__a self,
                path: &#nn::module::Path<'_>,
                f: &mut dyn ::core::ops::FnMut(&#nn::module::Path<'_>, &'__a #nn::Param<__T>),
            ) {
                #visit
            }

            fn visit_mut<'__a>(
                &'__a mut self,
                path: &#nn::module::Path<'_>,
                f: &mut dyn ::core::ops::FnMut(&#nn::module::Path<'_>, &'__a mut #nn::Param<__T>),
            ) {
                #visit_mut
            }
        }
    })
}

/// Asks of each field by itself whether it is a module, so that one that is none is refused where it
/// stands, and not where the model is used. Of a type that depends on the model's parameters that is
/// not known.
fn check(variants: &[Variant<'_>], nn: &TokenStream, generics: &Generics) -> TokenStream {
    let parameters: Vec<String> = generics
        .params
        .iter()
        .map(|parameter| match parameter {
            GenericParam::Type(parameter) => parameter.ident.to_string(),
            GenericParam::Lifetime(parameter) => parameter.lifetime.ident.to_string(),
            GenericParam::Const(parameter) => parameter.ident.to_string(),
        })
        .chain(["Self".to_owned()])
        .collect();
    let fields = variants.iter().flat_map(|variant| &variant.fields);
    let asked = fields.filter(|field| !mentions(field.ty.to_token_stream(), &parameters));
    let questions = asked.map(|field| {
        let ty = field.ty;
        let span = ty.span().resolved_at(Span::call_site());
        let nn = respanned(nn, span);
        quote_spanned!(span=> (&&&#nn::__field::Field::<#ty>::NEW).is_module();)
    });
    let questions: Vec<TokenStream> = questions.collect();
    if questions.is_empty() {
        return TokenStream::new();
    }
    quote! {
        const _: fn() = || {
            #[allow(unused_imports)]
            use #nn::__field::{OfDoubles as _, OfNone as _, OfSingles as _};
            #(#questions)*
        };
    }
}

/// Whether one of some names stands in a type.
fn mentions(tokens: TokenStream, names: &[String]) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Ident(ident) => names.contains(&ident.to_string()),
        TokenTree::Group(group) => mentions(group.stream(), names),
        _ => false,
    })
}

fn respanned(tokens: &TokenStream, span: Span) -> TokenStream {
    let respanned = tokens.clone().into_iter().map(|mut token| {
        token.set_span(span);
        token
    });
    respanned.collect()
}

/// A struct, or one variant of an enum.
struct Variant<'a> {
    constructor: TokenStream,
    fields: Vec<Field<'a>>,
}

/// A field that is visited.
struct Field<'a> {
    /// Its name, or its position, as it stands in a pattern.
    member: syn::Member,
    ty: &'a syn::Type,
}

impl<'a> Variant<'a> {
    fn new(constructor: TokenStream, fields: &'a Fields) -> Result<Self> {
        let mut visited = Vec::new();
        for (field, member) in fields.iter().zip(fields.members()) {
            if !is_skipped(&field.attrs)? && !matches!(field.ty, syn::Type::FnPtr(_)) {
                visited.push(Field { member, ty: &field.ty });
            }
        }
        Ok(Self { constructor, fields: visited })
    }
}

/// The body of `visit` or `visit_mut`.
fn body(variants: &[Variant<'_>], nn: &TokenStream, method: &syn::Ident) -> TokenStream {
    if variants.iter().all(|variant| variant.fields.is_empty()) {
        return quote!(let _ = (path, f););
    }
    let arms = variants.iter().map(|Variant { constructor, fields }| {
        let (mut patterns, mut visits) = (Vec::new(), Vec::new());
        for (i, Field { member, ty }) in fields.iter().enumerate() {
            let binding = format_ident!("__field{i}");
            let place = match member {
                syn::Member::Named(name) => {
                    let name = syn::ext::IdentExt::unraw(name).to_string();
                    quote!(path.field(#name))
                }
                syn::Member::Unnamed(position) => {
                    let position = position.index as usize;
                    quote!(path.index(#position))
                }
            };
            visits.push(quote! {
                <#ty as #nn::Module<__T>>::#method(#binding, &#place, f);
            });
            patterns.push(quote!(#member: #binding));
        }
        quote!(#constructor { #(#patterns,)* .. } => { #(#visits)* })
    });
    quote!(match self { #(#arms)* })
}

/// Whether `#[module(skip)]` stands on a field.
fn is_skipped(attributes: &[Attribute]) -> Result<bool> {
    let mut skip = false;
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("module")) {
        attribute.parse_nested_meta(|meta| {
            if meta.path.is_ident("skip") {
                skip = true;
                Ok(())
            } else {
                Err(meta.error("a field of a module has one option: `skip`"))
            }
        })?;
    }
    Ok(skip)
}
