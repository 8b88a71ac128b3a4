//! `#[derive(Message)]`: writes the versioned Kafka codec, the defaults and the field table of a message struct.
//!
//! For use inside `riverrun-core` only: the generated code names `crate::protocol`. See `parse.rs` for the attributes,
//! `generate.rs` for what becomes of them. Source of the semantics: Kafka's message generator (the README of its
//! `clients/src/main/resources/common/message`) and KIP-482.

mod generate;
mod parse;

use proc_macro::TokenStream;

/// Derives `Message` and `Default`, and `RootMessage` for a struct with `#[kafka(versions = "...")]`.
///
/// On the struct: `key`, `versions`, `flexible` and, where the name differs from Kafka's, `name`. On a field:
/// `versions` (default `0+`), `nullable`, `tagged` with `tag`, `default`, `ignorable`, `records`.
#[proc_macro_derive(Message, attributes(kafka))]
pub fn derive_message(input: TokenStream) -> TokenStream {
    let input = syn::parse_macro_input!(input as syn::DeriveInput);
    parse::MessageStruct::parse(&input)
        .map(|message| generate::message(&message))
        .unwrap_or_else(|error| error.to_compile_error())
        .into()
}
