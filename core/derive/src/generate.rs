//! From the description of a message to the code of its traits.
//!
//! The rules, for a message at some version: plain fields lie in order of declaration; a flexible message ends each
//! struct with its tagged fields, of which those that equal their default are left out. A field that the version lacks
//! is set to its default when read; when written it is dropped if `ignorable`, and an error if not.

use proc_macro2::{Literal, TokenStream};
use quote::{format_ident, quote};

use crate::parse::{Field, Kind, MessageStruct, Root, Versions};

pub(crate) fn message(message: &MessageStruct) -> TokenStream {
    let default = default_impl(message);
    let root = message.root.as_ref().map(|root| root_impl(message, root));
    let (ident, name) = (&message.ident, &message.name);
    let (encode, decode) = (encode_body(message), decode_body(message));
    let (size_min, fields) = (size_min_body(message), message.fields.iter().map(field_info));
    let unused = message.fields.is_empty().then(|| quote!(let _ = version;));
    let throttle = message.fields.iter().any(|field| field.ident == "throttle_time_ms").then(throttle_time);
    quote! {
        #default
        #root
        #[automatically_derived]
        impl crate::protocol::Message for #ident {
            const NAME: &'static str = #name;

            fn encode(
                &self,
                writer: &mut crate::protocol::Writer,
                version: i16,
            ) -> ::std::result::Result<(), crate::protocol::EncodeError> {
                #unused
                #encode
            }

            fn decode(
                reader: &mut crate::protocol::Reader<'_>,
                version: i16,
            ) -> ::std::result::Result<Self, crate::protocol::DecodeError> {
                #unused
                #decode
            }

            fn wire_size_min(version: i16, flexible: bool) -> usize {
                #unused
                #size_min
            }

            fn fields() -> &'static [crate::protocol::FieldInfo] {
                const FIELDS: &[crate::protocol::FieldInfo] = &[#(#fields),*];
                FIELDS
            }

            #throttle
        }
    }
}

fn throttle_time() -> TokenStream {
    quote! {
        fn throttle_time_ms_mut(&mut self) -> ::std::option::Option<&mut i32> {
            ::std::option::Option::Some(&mut self.throttle_time_ms)
        }
    }
}

fn root_impl(message: &MessageStruct, root: &Root) -> TokenStream {
    let ident = &message.ident;
    let key = match root.key {
        Some(key) => quote!(::std::option::Option::Some(#key)),
        None => quote!(::std::option::Option::None),
    };
    let (versions, flexible) = (versions_const(root.versions), versions_const(root.flexible));
    quote! {
        #[automatically_derived]
        impl crate::protocol::RootMessage for #ident {
            const MESSAGE_KEY: ::std::option::Option<i16> = #key;
            const VALID_VERSIONS: crate::protocol::Versions = #versions;
            const FLEXIBLE_VERSIONS: crate::protocol::Versions = #flexible;
        }
    }
}

fn default_impl(message: &MessageStruct) -> TokenStream {
    let ident = &message.ident;
    let values = message.fields.iter().map(|field| {
        let (name, value) = (&field.ident, default_value(field));
        quote!(#name: #value)
    });
    quote! {
        /// Kafka's default values.
        #[automatically_derived]
        impl ::std::default::Default for #ident {
            fn default() -> Self {
                Self { #(#values),* }
            }
        }
    }
}

fn default_value(field: &Field) -> TokenStream {
    if field.defaults_to_null() {
        return quote!(::std::option::Option::None);
    }
    let value = match (&field.default, &field.kind) {
        (Some(default), Kind::String) if default.value() != "null" => quote!(::std::string::String::from(#default)),
        (Some(default), Kind::Bool | Kind::Integer(_) | Kind::Float) => literal(default),
        _ => quote!(::std::default::Default::default()),
    };
    if field.optional { quote!(::std::option::Option::Some(#value)) } else { value }
}

/// A number or truth value as written in the definition; a wrong one is the compiler's to report, at its place.
fn literal(text: &syn::LitStr) -> TokenStream {
    text.parse().unwrap_or_else(|error| error.to_compile_error())
}

/// An expression for "this field differs from its default".
fn differs_from_default(field: &Field) -> TokenStream {
    let ident = &field.ident;
    if field.defaults_to_null() {
        return quote!(self.#ident.is_some());
    }
    let text_default = field.default.as_ref().is_some_and(|default| !default.value().is_empty());
    let has_length =
        matches!(&field.kind, Kind::Array(_) | Kind::Bytes) || matches!(&field.kind, Kind::String) && !text_default;
    match (has_length, field.optional) {
        (true, false) => quote!(!self.#ident.is_empty()),
        (true, true) => quote!(self.#ident.as_ref().is_none_or(|value| !value.is_empty())),
        (false, _) => {
            let default = default_value(field);
            quote!(self.#ident != #default)
        }
    }
}

/// The condition "`version` lies in `versions`", or nothing if it always does.
fn in_versions(versions: Versions) -> Option<TokenStream> {
    let (first, last) = (Literal::i16_unsuffixed(versions.first), Literal::i16_unsuffixed(versions.last));
    match (versions.first, versions.last) {
        _ if versions.is_empty() => Some(quote!(false)),
        (0, i16::MAX) => None,
        (_, i16::MAX) => Some(quote!(version >= #first)),
        (0, _) => Some(quote!(version <= #last)),
        (only, same) if only == same => Some(quote!(version == #first)),
        _ => Some(quote!((#first..=#last).contains(&version))),
    }
}

/// The condition under which the field lies among the plain ones; `None` for always.
fn is_plain(field: &Field) -> Option<TokenStream> {
    if field.tagged.is_empty() {
        return in_versions(field.versions);
    }
    if field.tagged == field.versions {
        return Some(quote!(false));
    }
    let tagged = in_versions(field.tagged).unwrap_or_else(|| quote!(true));
    let present = in_versions(field.versions).unwrap_or_else(|| quote!(true));
    Some(quote!(#present && !(#tagged)))
}

fn never_plain(field: &Field) -> bool {
    !field.tagged.is_empty() && field.tagged == field.versions
}

fn read_expression(field: &Field) -> TokenStream {
    let nullable = in_versions(field.nullable);
    let value = match (field.optional, field.nullable == field.versions, nullable) {
        (false, ..) => quote!(crate::protocol::message::Wire::read(reader, version)),
        (true, false, Some(nullable)) => quote! {
            if #nullable {
                crate::protocol::message::Nullable::read_nullable(reader, version)
            } else {
                crate::protocol::message::Wire::read(reader, version).map(::std::option::Option::Some)
            }
        },
        (true, ..) if never_plain(field) => quote!(crate::protocol::message::Nullable::read_tagged(reader, version)),
        (true, ..) => quote!(crate::protocol::message::Nullable::read_nullable(reader, version)),
    };
    let name = &field.name;
    quote!({ #value }.map_err(|error| error.at(NAME, #name))?)
}

/// Writes the field's value to `writer`; an expression of type `Result`.
fn write_expression(field: &Field) -> TokenStream {
    let ident = &field.ident;
    let nullable = in_versions(field.nullable);
    match (field.optional, field.nullable == field.versions, nullable) {
        (false, ..) => quote!(crate::protocol::message::Wire::write(&self.#ident, writer, version)),
        (true, false, Some(nullable)) => quote! {
            match &self.#ident {
                value if #nullable => {
                    crate::protocol::message::Nullable::write_nullable(value.as_ref(), writer, version)
                }
                ::std::option::Option::Some(value) => crate::protocol::message::Wire::write(value, writer, version),
                ::std::option::Option::None => ::std::result::Result::Err(crate::protocol::EncodeError::new(
                    crate::protocol::EncodeErrorKind::NullNotAllowed { version },
                )),
            }
        },
        (true, ..) if never_plain(field) => {
            quote!(crate::protocol::message::Nullable::write_tagged(self.#ident.as_ref(), writer, version))
        }
        (true, ..) => {
            quote!(crate::protocol::message::Nullable::write_nullable(self.#ident.as_ref(), writer, version))
        }
    }
}

fn encode_body(message: &MessageStruct) -> TokenStream {
    let name = &message.name;
    let begin = message.root.as_ref().map(|root| {
        let (versions, flexible) = (versions_const(root.versions), versions_const(root.flexible));
        quote! {
            if !(#versions).contains(version) {
                let kind = crate::protocol::EncodeErrorKind::UnknownVersion(version);
                return ::std::result::Result::Err(crate::protocol::EncodeError::new(kind).at(NAME, "version"));
            }
            writer.set_flexible((#flexible).contains(version));
        }
    });
    let plain = message.fields.iter().map(encode_plain);
    let tagged = encode_tagged(message);
    quote! {
        const NAME: &str = #name;
        #begin
        #(#plain)*
        #tagged
        ::std::result::Result::Ok(())
    }
}

fn encode_plain(field: &Field) -> TokenStream {
    let (name, differs) = (&field.name, differs_from_default(field));
    let missing = in_versions(field.versions).filter(|_| !field.ignorable).map(|present| {
        quote! {
            if !(#present) && #differs {
                let kind = crate::protocol::EncodeErrorKind::NotInVersion { version };
                return ::std::result::Result::Err(crate::protocol::EncodeError::new(kind).at(NAME, #name));
            }
        }
    });
    if never_plain(field) {
        return missing.unwrap_or_default();
    }
    let write = write_expression(field);
    let write = quote!({ #write }.map_err(|error| error.at(NAME, #name))?;);
    let write = match is_plain(field) {
        Some(condition) => quote!(if #condition { #write }),
        None => write,
    };
    quote!(#missing #write)
}

fn encode_tagged(message: &MessageStruct) -> TokenStream {
    let tagged = message.tagged_fields();
    if tagged.is_empty() {
        return quote!(if writer.is_flexible() {
            writer.uvarint(0);
        });
    }
    let (mut conditions, mut writes) = (Vec::new(), Vec::new());
    for (tag, field) in tagged {
        let (name, differs, write) = (&field.name, differs_from_default(field), write_expression(field));
        let present = format_ident!("has_{}", field.name);
        let in_version = in_versions(field.tagged).unwrap_or_else(|| quote!(true));
        conditions.push(quote! {
            let #present = #in_version && #differs;
            count += u32::from(#present);
        });
        writes.push(quote! {
            if #present {
                writer.tagged_field(#tag, |writer| #write).map_err(|error| error.at(NAME, #name))?;
            }
        });
    }
    quote! {
        if writer.is_flexible() {
            let mut count = 0u32;
            #(#conditions)*
            writer.uvarint(count);
            #(#writes)*
        }
    }
}

fn decode_body(message: &MessageStruct) -> TokenStream {
    let name = &message.name;
    let begin = message.root.as_ref().map(|root| {
        let (versions, flexible) = (versions_const(root.versions), versions_const(root.flexible));
        quote! {
            if !(#versions).contains(version) {
                let kind = crate::protocol::DecodeErrorKind::UnknownVersion(version);
                return ::std::result::Result::Err(reader.error(kind).of(NAME));
            }
            reader.set_flexible((#flexible).contains(version));
        }
    });
    let fields = decode_fields(message);
    // A nested struct's error already knows its place; the outermost message adds its own name last.
    let body = match message.root {
        Some(_) => quote! {
            let mut read = || -> ::std::result::Result<Self, crate::protocol::DecodeError> { #fields };
            read().map_err(|error| error.of(NAME))
        },
        None => fields,
    };
    quote! {
        const NAME: &str = #name;
        #begin
        #body
    }
}

fn decode_fields(message: &MessageStruct) -> TokenStream {
    let plain = message.fields.iter().filter(|field| !never_plain(field)).map(|field| {
        let (ident, read) = (&field.ident, read_expression(field));
        match is_plain(field) {
            Some(condition) => quote!(if #condition { message.#ident = #read; }),
            None => quote!(message.#ident = #read;),
        }
    });
    let tagged = message.tagged_fields();
    let arms = tagged.iter().map(|(tag, field)| {
        let (ident, read) = (&field.ident, read_expression(field));
        let guard = in_versions(field.tagged).map(|condition| quote!(if #condition));
        quote!(#tag #guard => message.#ident = #read,)
    });
    let known = if tagged.is_empty() {
        quote!(|_, _| ::std::result::Result::Ok(false))
    } else {
        quote! {
            |reader, tag| {
                match tag {
                    #(#arms)*
                    _ => return ::std::result::Result::Ok(false),
                }
                ::std::result::Result::Ok(true)
            }
        }
    };
    let unchanged = message.fields.is_empty().then(|| quote!(let message = Self::default();));
    let begin = unchanged.unwrap_or_else(|| quote!(let mut message = Self::default();));
    quote! {
        #begin
        #(#plain)*
        reader.tagged_fields(#known).map_err(|error| error.at(NAME, "tagged fields"))?;
        ::std::result::Result::Ok(message)
    }
}

fn size_min_body(message: &MessageStruct) -> TokenStream {
    let sizes = message.fields.iter().filter(|field| !never_plain(field)).map(|field| {
        let ty = rust_type(&field.kind);
        let size = if field.optional {
            quote!(<#ty as crate::protocol::message::Nullable>::nullable_size_min(version, flexible))
        } else {
            quote!(<#ty as crate::protocol::message::Wire>::size_min(version, flexible))
        };
        match is_plain(field) {
            Some(condition) => quote!(if #condition { size += #size; }),
            None => quote!(size += #size;),
        }
    });
    quote! {
        let mut size = usize::from(flexible);
        #(#sizes)*
        size
    }
}

fn rust_type(kind: &Kind) -> TokenStream {
    match kind {
        Kind::Bool => quote!(bool),
        Kind::Integer("int8") => quote!(i8),
        Kind::Integer("int16") => quote!(i16),
        Kind::Integer("uint16") => quote!(u16),
        Kind::Integer("uint32") => quote!(u32),
        Kind::Integer("int64") => quote!(i64),
        Kind::Integer(_) => quote!(i32),
        Kind::Float => quote!(f64),
        Kind::String => quote!(::std::string::String),
        Kind::Bytes => quote!(::bytes::Bytes),
        Kind::Uuid => quote!(crate::Uuid),
        Kind::Array(element) => {
            let element = rust_type(element);
            quote!(::std::vec::Vec<#element>)
        }
        Kind::Struct(ident) => quote!(#ident),
    }
}

fn versions_const(versions: Versions) -> TokenStream {
    let (first, last) = (versions.first, versions.last);
    quote!(crate::protocol::Versions { first: #first, last: #last })
}

/// The field's type in Kafka's notation, as an expression, and its struct type if it has one.
fn type_name(kind: &Kind, records: bool) -> (TokenStream, Option<&proc_macro2::Ident>) {
    match kind {
        Kind::Bool => (quote!("bool"), None),
        Kind::Integer(name) => (quote!(#name), None),
        Kind::Float => (quote!("float64"), None),
        Kind::String => (quote!("string"), None),
        Kind::Bytes if records => (quote!("records"), None),
        Kind::Bytes => (quote!("bytes"), None),
        Kind::Uuid => (quote!("uuid"), None),
        Kind::Struct(ident) => (quote!(<#ident as crate::protocol::Message>::NAME), Some(ident)),
        Kind::Array(element) => type_name(element, records),
    }
}

fn field_info(field: &Field) -> TokenStream {
    let name = &field.name;
    let (type_name, nested) = type_name(&field.kind, field.records);
    let array = matches!(field.kind, Kind::Array(_));
    let versions = versions_const(field.versions);
    let (nullable, tagged) = (versions_const(field.nullable), versions_const(field.tagged));
    let option = |value: Option<TokenStream>| match value {
        Some(value) => quote!(::std::option::Option::Some(#value)),
        None => quote!(::std::option::Option::None),
    };
    let tag = option(field.tag.map(|tag| quote!(#tag)));
    let default = option(field.default.as_ref().map(|default| quote!(#default)));
    let fields = option(nested.map(|ident| quote!(<#ident as crate::protocol::Message>::fields)));
    let ignorable = field.ignorable;
    quote! {
        crate::protocol::FieldInfo {
            name: #name,
            type_name: #type_name,
            array: #array,
            versions: #versions,
            nullable: #nullable,
            tagged: #tagged,
            tag: #tag,
            default: #default,
            ignorable: #ignorable,
            fields: #fields,
        }
    }
}
