//! Sample messages in wire form, written from the field tables alone.
//!
//! This is a second, interpreting writer: it knows nothing of the derived codec, so a message that both agree on was
//! read and written as its table says. It makes only canonical forms: a tagged field that has its default value is left
//! out, as the codec does.
//!
//! All choices come from [`Entropy`], bytes that proptest generates and shrinks; once they are used up every choice is
//! the plainest one (zero, empty), so that fewer bytes mean a simpler message.

use riverrun_core::protocol::{FieldInfo, RootMessage, SHARED_BYTES_MIN};

/// A source of choices.
pub(crate) struct Entropy<'a>(&'a [u8]);

impl<'a> Entropy<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    fn byte(&mut self) -> u8 {
        match self.0.split_first() {
            Some((byte, rest)) => {
                self.0 = rest;
                *byte
            }
            None => 0,
        }
    }

    /// The bytes of a number: often one from the end of its range.
    fn number(&mut self, size: usize) -> Vec<u8> {
        match self.byte() {
            0..=63 => vec![0; size],
            64..=79 => vec![0xff; size],
            80..=95 => (0..size).map(|index| if index == 0 { 0x7f } else { 0xff }).collect(),
            _ => (0..size).map(|_| self.byte()).collect(),
        }
    }
}

/// A message in wire form.
#[derive(Default)]
pub(crate) struct Sample {
    /// As the codec writes it.
    pub(crate) plain: Vec<u8>,
    /// The same, with a tagged field that no version knows at the end of each struct, if it is a flexible message.
    pub(crate) salted: Vec<u8>,
    version: i16,
    flexible: bool,
}

/// A message of type `M` at `version`.
pub(crate) fn message<M: RootMessage>(version: i16, entropy: &mut Entropy<'_>) -> Sample {
    let flexible = M::FLEXIBLE_VERSIONS.contains(version);
    let mut sample = Sample { version, flexible, ..Sample::default() };
    sample.structure(M::fields(), entropy);
    sample
}

impl Sample {
    /// An empty sample of the same version.
    fn empty(&self) -> Self {
        Self { version: self.version, flexible: self.flexible, ..Self::default() }
    }

    fn put(&mut self, bytes: &[u8]) {
        self.plain.extend(bytes);
        self.salted.extend(bytes);
    }

    fn structure(&mut self, fields: &[FieldInfo], entropy: &mut Entropy<'_>) {
        let (version, flexible) = (self.version, self.flexible);
        for field in fields.iter().filter(|field| field.versions.contains(version) && !field.tagged.contains(version)) {
            self.value(field, entropy);
        }
        if !flexible {
            return;
        }
        let mut tagged = Vec::new();
        for field in fields.iter().filter(|field| field.tagged.contains(version)) {
            let (mut content, mut default) = (self.empty(), self.empty());
            content.value(field, entropy);
            default.default_value(field);
            if content.plain != default.plain {
                tagged.push((field.tag.expect("a tagged field has a tag"), content));
            }
        }
        tagged.sort_by_key(|(tag, _)| *tag);
        uvarint(&mut self.plain, tagged.len());
        uvarint(&mut self.salted, tagged.len() + 1);
        for (tag, content) in tagged {
            for (out, content) in [(&mut self.plain, content.plain), (&mut self.salted, content.salted)] {
                uvarint(out, tag as usize);
                uvarint(out, content.len());
                out.extend(content);
            }
        }
        uvarint(&mut self.salted, 1000);
        uvarint(&mut self.salted, 3);
        self.salted.extend([1, 2, 3]);
    }

    fn value(&mut self, field: &FieldInfo, entropy: &mut Entropy<'_>) {
        let nullable = field.nullable.contains(self.version);
        if nullable && entropy.byte() >= 192 {
            return self.null(field);
        }
        if !field.array {
            if nullable && field.fields.is_some() {
                self.put(&[1]);
            }
            return self.element(field, entropy);
        }
        let count = usize::from(entropy.byte() / 64);
        self.length(count, 4);
        for _ in 0..count {
            self.element(field, entropy);
        }
    }

    fn null(&mut self, field: &FieldInfo) {
        match (field.array, field.fields.is_some(), self.flexible, field.type_name) {
            // Seen in Kafka's own records.
            (false, true, ..) if field.tagged.contains(self.version) => self.put(&[0]),
            (false, true, ..) => self.put(&[0xff]),
            (_, _, true, _) => self.put(&[0]),
            (false, _, false, "string") => self.put(&[0xff; 2]),
            _ => self.put(&[0xff; 4]),
        }
    }

    fn element(&mut self, field: &FieldInfo, entropy: &mut Entropy<'_>) {
        if let Some(fields) = field.fields {
            return self.structure(fields(), entropy);
        }
        match field.type_name {
            "bool" => self.put(&[u8::from(entropy.byte() >= 128)]),
            "float64" => {
                let value = [0.0, 1.5, -2.25, f64::MAX][usize::from(entropy.byte() / 64)];
                self.put(&value.to_be_bytes());
            }
            "string" => {
                let text =
                    ["", "a", "the quick brown fox", "\u{df}\u{6f22}\u{1f980}"][usize::from(entropy.byte() / 64)];
                self.length(text.len(), 2);
                self.put(text.as_bytes());
            }
            "bytes" | "records" => {
                let size = match entropy.byte() {
                    0..=63 => 0,
                    size @ 64..=240 => usize::from(size),
                    size => SHARED_BYTES_MIN + usize::from(size),
                };
                self.length(size, 4);
                self.put(&vec![entropy.byte(); size]);
            }
            number => self.put(&entropy.number(size_of_number(number))),
        }
    }

    /// The field's default value, which a tagged field has when it is absent.
    fn default_value(&mut self, field: &FieldInfo) {
        let records = field.type_name == "records";
        match field.default {
            Some("null") => self.null(field),
            None if records => self.null(field),
            _ if field.array => self.length(0, 4),
            Some(text) if field.type_name == "string" => {
                self.length(text.len(), 2);
                self.put(text.as_bytes());
            }
            Some("true") => self.put(&[1]),
            Some(number) => {
                let bytes = number.parse::<i64>().expect("a number").to_be_bytes();
                self.put(&bytes[8 - size_of_number(field.type_name)..]);
            }
            None => match (field.fields, field.type_name) {
                (Some(fields), _) => {
                    let version = self.version;
                    if field.nullable.contains(version) {
                        // Nullable, yet present by default: Kafka writes null as a tag of its own.
                        self.put(&[1]);
                    }
                    for field in fields().iter().filter(|field| field.versions.contains(version)) {
                        assert!(field.tagged.is_empty(), "a tagged field inside a tagged struct");
                        self.default_value(field);
                    }
                    self.put(&[0]);
                }
                (None, "string") => self.length(0, 2),
                (None, "bytes") => self.length(0, 4),
                (None, number) => self.put(&vec![0; size_of_number(number)]),
            },
        }
    }

    /// A length or count: compact in flexible form, else a signed integer of `size` bytes.
    fn length(&mut self, length: usize, size: usize) {
        if self.flexible {
            uvarint(&mut self.plain, length + 1);
            uvarint(&mut self.salted, length + 1);
        } else {
            self.put(&(length as u64).to_be_bytes()[8 - size..]);
        }
    }
}

fn size_of_number(type_name: &str) -> usize {
    match type_name {
        "bool" | "int8" => 1,
        "int16" | "uint16" => 2,
        "int32" | "uint32" => 4,
        "int64" | "float64" => 8,
        "uuid" => 16,
        other => panic!("unknown type {other}"),
    }
}

fn uvarint(out: &mut Vec<u8>, mut value: usize) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}
