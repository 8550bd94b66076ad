//! The attribute `#[ukernel::main]`: turns a workload's `async fn main` into the symbol that the
//! kernel calls once the machine is up. Used through the `ukernel` crate, which re-exports it.
//!
//! The attribute only renames and registers; what happens to the function's output is decided by
//! `ukernel::Termination`, in ordinary code.

use proc_macro::TokenStream;
use proc_macro2::{Ident, Span, TokenStream as TokenStream2};
use quote::quote;
use syn::spanned::Spanned;
use syn::{Error, ItemFn, parse2};

/// Makes an `async fn(Context) -> impl Termination` the program that the virtual machine runs.
///
/// The function may have any name, must be the only one with this attribute in the program, and is
/// spawned as the task `main` after the devices are set up. The machine ends when it returns, with
/// what [`Termination`] makes of its output as the exit status.
///
/// ```ignore
/// #![no_std]
/// #![no_main]
///
/// #[ukernel::main]
/// async fn main(ctx: ukernel::Context) {
///     log::info!("hello: arguments={:?}", ctx.args());
/// }
/// ```
///
/// With `#[ukernel::main(bundle)]` the machine first looks for the files and settings that were packed beside the
/// program, checks them, and ends with status 105 if they are damaged; `Context::bundle` has them then. A program without
/// that has nothing of it in its image.
///
/// [`Termination`]: https://docs.rs/ukernel
#[proc_macro_attribute]
pub fn main(attribute: TokenStream, item: TokenStream) -> TokenStream {
    expand(attribute.into(), item.into())
        .unwrap_or_else(Error::into_compile_error)
        .into()
}

/// The expansion, over `proc_macro2` types so that tests can call it.
fn expand(attribute: TokenStream2, item: TokenStream2) -> Result<TokenStream2, Error> {
    let bundle = asks_for_a_bundle(attribute)?;
    let loader = Ident::new(if bundle { "ASKED" } else { "NONE" }, Span::call_site());
    let function: ItemFn = parse2(item)?;
    check(&function)?;
    let name = &function.sig.ident;
    Ok(quote! {
        #function

        const _: () = {
            // The one definition of the symbol that `ukernel::workload` declares; two of them do
            // not link.
            #[unsafe(no_mangle)]
            fn __ukernel_main(
                context: ::ukernel::Context,
            ) -> ::ukernel::workload::MainTask {
                ::ukernel::workload::spawn(context, #name)
            }

            // The same for what has to be there first. A constant, so that the linker leaves out what is not.
            #[unsafe(no_mangle)]
            fn __ukernel_bundle() -> ::ukernel::workload::BundleLoader {
                ::ukernel::workload::BundleLoader::#loader
            }
        };
    })
}

/// Reads the attribute's own arguments: none, or `bundle`.
fn asks_for_a_bundle(attribute: TokenStream2) -> Result<bool, Error> {
    if attribute.is_empty() {
        return Ok(false);
    }
    let what = "the one argument of #[ukernel::main] is `bundle`";
    let span = attribute.span();
    match parse2::<Ident>(attribute) {
        Ok(argument) if argument == "bundle" => Ok(true),
        _ => Err(Error::new(span, what)),
    }
}

/// Says what is wrong with the signature, pointing at the place.
fn check(function: &ItemFn) -> Result<(), Error> {
    let signature = &function.sig;
    if signature.asyncness.is_none() {
        return Err(Error::new(
            signature.fn_token.span(),
            "the function with #[ukernel::main] must be `async`",
        ));
    }
    if !signature.generics.params.is_empty() {
        return Err(Error::new(
            signature.generics.span(),
            "the function with #[ukernel::main] cannot be generic",
        ));
    }
    if signature.inputs.len() != 1 {
        return Err(Error::new(
            signature.ident.span(),
            "the function with #[ukernel::main] takes one argument, `ctx: ukernel::Context`",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error_of(item: TokenStream2) -> String {
        expand(TokenStream2::new(), item).unwrap_err().to_string()
    }

    #[test]
    fn keeps_the_function_and_adds_the_symbol() {
        let item = quote! { async fn serve(ctx: ukernel::Context) -> Result<(), Oops> { Ok(()) } };
        let expanded = expand(TokenStream2::new(), item.clone())
            .unwrap()
            .to_string();
        assert!(expanded.starts_with(&item.to_string()));
        assert!(expanded.contains("fn __ukernel_main"));
        assert!(expanded.contains("spawn (context , serve)"));
    }

    #[test]
    fn says_what_is_missing() {
        assert!(error_of(quote! { fn main(ctx: Context) {} }).contains("must be `async`"));
        assert!(error_of(quote! { async fn main() {} }).contains("takes one argument"));
        assert!(error_of(quote! { async fn main(a: A, b: B) {} }).contains("takes one argument"));
        assert!(error_of(quote! { async fn main<T>(a: T) {} }).contains("cannot be generic"));
        assert!(error_of(quote! { struct Main; }).contains("fn"));
    }

    #[test]
    fn its_one_argument_is_bundle() {
        let item = quote! { async fn main(ctx: Context) {} };
        for bad in [
            quote! { threads = 4 },
            quote! { bundles },
            quote! { bundle, bundle },
        ] {
            let error = expand(bad, item.clone()).unwrap_err();
            assert!(error.to_string().contains("is `bundle`"));
        }
        for (argument, loader) in [(quote! {}, "NONE"), (quote! { bundle }, "ASKED")] {
            let expanded = expand(argument, item.clone()).unwrap().to_string();
            assert!(
                expanded.contains(&format!("BundleLoader :: {loader}")),
                "{expanded}"
            );
        }
    }
}
