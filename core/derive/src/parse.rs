//! From a struct with `#[kafka(...)]` attributes to a description of the message; all complaints about a definition are
//! made here, at the place in the source that causes them.

use proc_macro2::{Ident, Span};
use syn::{
    Data, DeriveInput, Error, Fields, GenericArgument, LitInt, LitStr, PathArguments, Result, Type,
    meta::ParseNestedMeta,
};

/// A range of versions, both ends included.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Versions {
    pub(crate) first: i16,
    pub(crate) last: i16,
}

impl Versions {
    pub(crate) const NONE: Self = Self { first: 0, last: -1 };
    pub(crate) const ALL: Self = Self { first: 0, last: i16::MAX };

    pub(crate) fn is_empty(self) -> bool {
        self.last < self.first
    }

    /// Reads Kafka's notation: `3`, `4-18`, `12+`, `none`.
    fn parse(text: &LitStr) -> Result<Self> {
        let value = text.value();
        let number = |part: &str| {
            part.parse::<i16>()
                .ok()
                .filter(|number| *number >= 0)
                .ok_or_else(|| Error::new(text.span(), "expected versions as `3`, `4-18`, `12+` or `none`"))
        };
        if value == "none" {
            return Ok(Self::NONE);
        }
        let (first, last) = match (value.strip_suffix('+'), value.split_once('-')) {
            (Some(first), _) => (number(first)?, i16::MAX),
            (None, Some((first, last))) => (number(first)?, number(last)?),
            (None, None) => (number(&value)?, number(&value)?),
        };
        if last < first {
            return Err(Error::new(text.span(), "the first version is above the last"));
        }
        Ok(Self { first, last })
    }
}

/// The type of a field, without the `Option` around it.
pub(crate) enum Kind {
    Bool,
    Integer(&'static str),
    Float,
    String,
    Bytes,
    Uuid,
    Array(Box<Kind>),
    Struct(Ident),
}

pub(crate) struct Field {
    pub(crate) ident: Ident,
    /// The name without `r#`.
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) optional: bool,
    pub(crate) records: bool,
    pub(crate) versions: Versions,
    pub(crate) nullable: Versions,
    pub(crate) tagged: Versions,
    pub(crate) tag: Option<u32>,
    pub(crate) default: Option<LitStr>,
    pub(crate) ignorable: bool,
}

/// What the struct's own attribute says, for a message that stands on its own.
pub(crate) struct Root {
    pub(crate) key: Option<i16>,
    pub(crate) versions: Versions,
    pub(crate) flexible: Versions,
}

pub(crate) struct MessageStruct {
    pub(crate) ident: Ident,
    pub(crate) name: String,
    pub(crate) root: Option<Root>,
    pub(crate) fields: Vec<Field>,
}

impl MessageStruct {
    pub(crate) fn parse(input: &DeriveInput) -> Result<Self> {
        let fields = match &input.data {
            Data::Struct(data) => match &data.fields {
                Fields::Named(fields) => fields.named.iter().map(Field::parse).collect::<Result<Vec<_>>>()?,
                Fields::Unit => Vec::new(),
                Fields::Unnamed(_) => return Err(Error::new(input.ident.span(), "a message has named fields")),
            },
            _ => return Err(Error::new(input.ident.span(), "a message is a struct")),
        };
        let (mut key, mut versions, mut flexible, mut name) = (None, None, None, None);
        for attribute in input.attrs.iter().filter(|attribute| attribute.path().is_ident("kafka")) {
            attribute.parse_nested_meta(|meta| {
                if meta.path.is_ident("key") {
                    key = Some(meta.value()?.parse::<LitInt>()?.base10_parse()?);
                } else if meta.path.is_ident("versions") {
                    versions = Some(parse_versions(&meta)?);
                } else if meta.path.is_ident("flexible") {
                    flexible = Some(parse_versions(&meta)?);
                } else if meta.path.is_ident("name") {
                    name = Some(meta.value()?.parse::<LitStr>()?.value());
                } else {
                    return Err(meta.error("expected `key`, `versions`, `flexible` or `name`"));
                }
                Ok(())
            })?;
        }
        let root = match (versions, flexible) {
            (Some(versions), Some(flexible)) => Some(Root { key, versions, flexible }),
            (None, None) if key.is_none() => None,
            _ => return Err(Error::new(input.ident.span(), "`versions` and `flexible` belong together")),
        };
        let name = name.unwrap_or_else(|| input.ident.to_string());
        Ok(Self { ident: input.ident.clone(), name, root, fields })
    }

    /// The tagged fields, by ascending tag.
    pub(crate) fn tagged_fields(&self) -> Vec<(u32, &Field)> {
        let mut tagged: Vec<_> = self.fields.iter().filter_map(|field| Some((field.tag?, field))).collect();
        tagged.sort_by_key(|(tag, _)| *tag);
        tagged
    }
}

impl Field {
    fn parse(field: &syn::Field) -> Result<Self> {
        let Some(ident) = field.ident.clone() else {
            return Err(Error::new(Span::call_site(), "a message has named fields"));
        };
        let (optional, kind) = match generic_argument(&field.ty, "Option") {
            Some(inner) => (true, Kind::parse(inner)?),
            None => (false, Kind::parse(&field.ty)?),
        };
        let name = ident.to_string();
        let mut parsed = Self {
            name: name.strip_prefix("r#").unwrap_or(&name).to_owned(),
            ident,
            kind,
            optional,
            records: false,
            versions: Versions::ALL,
            nullable: Versions::NONE,
            tagged: Versions::NONE,
            tag: None,
            default: None,
            ignorable: false,
        };
        for attribute in field.attrs.iter().filter(|attribute| attribute.path().is_ident("kafka")) {
            attribute.parse_nested_meta(|meta| parsed.parse_attribute(&meta))?;
        }
        parsed.check()?;
        Ok(parsed)
    }

    fn parse_attribute(&mut self, meta: &ParseNestedMeta<'_>) -> Result<()> {
        if meta.path.is_ident("versions") {
            self.versions = parse_versions(meta)?;
        } else if meta.path.is_ident("nullable") {
            self.nullable = parse_versions(meta)?;
        } else if meta.path.is_ident("tagged") {
            self.tagged = parse_versions(meta)?;
        } else if meta.path.is_ident("tag") {
            self.tag = Some(meta.value()?.parse::<LitInt>()?.base10_parse()?);
        } else if meta.path.is_ident("default") {
            self.default = Some(meta.value()?.parse()?);
        } else if meta.path.is_ident("ignorable") {
            self.ignorable = true;
        } else if meta.path.is_ident("records") {
            self.records = true;
        } else {
            return Err(
                meta.error("expected `versions`, `nullable`, `tagged`, `tag`, `default`, `ignorable` or `records`")
            );
        }
        Ok(())
    }

    fn check(&self) -> Result<()> {
        let complain = |message: &str| Err(Error::new(self.ident.span(), message));
        if self.optional == self.nullable.is_empty() {
            return complain("a field is an `Option` if and only if it is nullable in some version");
        }
        if self.tag.is_none() != self.tagged.is_empty() {
            return complain("`tagged` and `tag` belong together");
        }
        if self.records && !matches!(self.kind, Kind::Bytes) {
            return complain("`records` are `Bytes`");
        }
        if self.optional && !matches!(self.kind, Kind::String | Kind::Bytes | Kind::Array(_) | Kind::Struct(_)) {
            return complain("this type has no null on the wire");
        }
        Ok(())
    }

    /// Whether the field's default is null.
    pub(crate) fn defaults_to_null(&self) -> bool {
        self.optional && (self.records || self.default.as_ref().is_some_and(|default| default.value() == "null"))
    }
}

impl Kind {
    fn parse(ty: &Type) -> Result<Self> {
        if let Some(element) = generic_argument(ty, "Vec") {
            return Ok(Self::Array(Box::new(Self::parse(element)?)));
        }
        let ident = match ty {
            Type::Path(path) => path.path.get_ident(),
            _ => None,
        };
        let Some(ident) = ident else {
            return Err(Error::new(Span::call_site(), "unsupported type of a message field"));
        };
        Ok(match ident.to_string().as_str() {
            "bool" => Self::Bool,
            "i8" => Self::Integer("int8"),
            "i16" => Self::Integer("int16"),
            "u16" => Self::Integer("uint16"),
            "i32" => Self::Integer("int32"),
            "u32" => Self::Integer("uint32"),
            "i64" => Self::Integer("int64"),
            "f64" => Self::Float,
            "String" => Self::String,
            "Bytes" => Self::Bytes,
            "Uuid" => Self::Uuid,
            _ => Self::Struct(ident.clone()),
        })
    }
}

fn parse_versions(meta: &ParseNestedMeta<'_>) -> Result<Versions> {
    Versions::parse(&meta.value()?.parse()?)
}

/// `T` of `Name<T>`.
fn generic_argument<'a>(ty: &'a Type, name: &str) -> Option<&'a Type> {
    let Type::Path(path) = ty else { return None };
    let segment = path.path.segments.last().filter(|segment| segment.ident == name)?;
    let PathArguments::AngleBracketed(arguments) = &segment.arguments else { return None };
    match arguments.args.first()? {
        GenericArgument::Type(argument) => Some(argument),
        _ => None,
    }
}
