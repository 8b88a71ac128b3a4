//! The subject of a certificate as Java's `X500Principal.getName()` writes it (RFC 2253), since ACLs and mapping rules
//! of a Kafka user hold that text: most specific part first, nine attribute types by name, all others by number with
//! their value in hexadecimal.
//!
//! Only the path to the subject is read, and only what TLS has verified already; still every length is checked.

/// A certificate whose subject cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the certificate's subject cannot be read")]
pub(crate) struct UnreadableSubject;

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const OBJECT_ID: u8 = 0x06;
/// The explicit tag of a certificate's version.
const VERSION: u8 = 0xa0;

/// Attribute types that have a name in RFC 2253, by their encoded number.
const KEYWORDS: &[(&[u8], &str)] = &[
    (&[0x55, 4, 3], "CN"),
    (&[0x55, 4, 6], "C"),
    (&[0x55, 4, 7], "L"),
    (&[0x55, 4, 8], "ST"),
    (&[0x55, 4, 9], "STREET"),
    (&[0x55, 4, 10], "O"),
    (&[0x55, 4, 11], "OU"),
    (&[0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 25], "DC"),
    (&[0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 1], "UID"),
];

/// The subject of a certificate in DER form.
pub(crate) fn subject(certificate: &[u8]) -> Result<String, UnreadableSubject> {
    let (certificate, _) = element(certificate, SEQUENCE)?;
    let (mut fields, _) = element(certificate, SEQUENCE)?;
    if fields.first() == Some(&VERSION) {
        fields = any(fields)?.rest;
    }
    // Serial number, signature algorithm, issuer, validity.
    for _ in 0..4 {
        fields = any(fields)?.rest;
    }
    let (mut name, _) = element(fields, SEQUENCE)?;
    let mut parts = Vec::new();
    while !name.is_empty() {
        let (mut set, rest) = element(name, SET)?;
        name = rest;
        let mut attributes = Vec::new();
        while !set.is_empty() {
            let (attribute, rest) = element(set, SEQUENCE)?;
            set = rest;
            attributes.push(write_attribute(attribute)?);
        }
        parts.push(attributes.join("+"));
    }
    parts.reverse();
    Ok(parts.join(","))
}

/// One element of DER and what follows it.
struct Element<'a> {
    tag: u8,
    whole: &'a [u8],
    content: &'a [u8],
    rest: &'a [u8],
}

fn any(bytes: &[u8]) -> Result<Element<'_>, UnreadableSubject> {
    let [tag, first, after @ ..] = bytes else { return Err(UnreadableSubject) };
    let (length, after) = match first {
        0..=0x7f => (usize::from(*first), after),
        0x81..=0x83 => {
            let (digits, after) = after.split_at_checked(usize::from(first & 0x7f)).ok_or(UnreadableSubject)?;
            (digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit)), after)
        }
        _ => return Err(UnreadableSubject),
    };
    let (content, rest) = after.split_at_checked(length).ok_or(UnreadableSubject)?;
    let whole = bytes.get(..bytes.len() - rest.len()).ok_or(UnreadableSubject)?;
    Ok(Element { tag: *tag, whole, content, rest })
}

/// The content of an element with this tag, and what follows it.
fn element(bytes: &[u8], tag: u8) -> Result<(&[u8], &[u8]), UnreadableSubject> {
    let found = any(bytes)?;
    if found.tag == tag { Ok((found.content, found.rest)) } else { Err(UnreadableSubject) }
}

fn write_attribute(attribute: &[u8]) -> Result<String, UnreadableSubject> {
    let (id, value) = element(attribute, OBJECT_ID)?;
    let value = any(value)?;
    let keyword = KEYWORDS.iter().find(|(known, _)| *known == id).map(|(_, keyword)| *keyword);
    match (keyword, text(&value)) {
        (Some(keyword), Some(text)) => Ok(format!("{keyword}={}", escape(&text))),
        (keyword, _) => {
            let name = keyword.map_or_else(|| dotted(id), str::to_owned);
            let hex: String = value.whole.iter().map(|byte| format!("{byte:02x}")).collect();
            Ok(format!("{name}=#{hex}"))
        }
    }
}

/// The text of a string element.
fn text(value: &Element<'_>) -> Option<String> {
    match value.tag {
        // UTF8String.
        0x0c => String::from_utf8(value.content.to_vec()).ok(),
        // PrintableString, IA5String.
        0x13 | 0x16 => value.content.is_ascii().then(|| value.content.iter().map(|byte| char::from(*byte)).collect()),
        // TeletexString, read as Latin 1.
        0x14 => Some(value.content.iter().map(|byte| char::from(*byte)).collect()),
        // BMPString.
        0x1e => {
            let units = value.content.chunks_exact(2).map(|pair| match pair {
                [high, low] => u16::from_be_bytes([*high, *low]),
                _ => 0,
            });
            String::from_utf16(&units.collect::<Vec<_>>()).ok()
        }
        _ => None,
    }
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    let leading = text.len() - text.trim_start_matches(' ').len();
    let trailing = text.trim_end_matches(' ').len();
    for (position, c) in text.char_indices() {
        if c == '\0' {
            escaped.push_str("\\00");
            continue;
        }
        let at_an_end = c == ' ' && (position < leading || position >= trailing);
        if at_an_end || ",=+<>#;\"\\".contains(c) {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

fn dotted(id: &[u8]) -> String {
    let mut numbers = Vec::new();
    let mut number: u64 = 0;
    for byte in id {
        number = number.wrapping_shl(7) | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            numbers.push(number);
            number = 0;
        }
    }
    let mut parts = Vec::with_capacity(numbers.len() + 1);
    for (index, number) in numbers.into_iter().enumerate() {
        if index == 0 {
            let root = (number / 40).min(2);
            parts.push(root.to_string());
            parts.push((number - root * 40).to_string());
        } else {
            parts.push(number.to_string());
        }
    }
    parts.join(".")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};

    use super::{OBJECT_ID, SEQUENCE, SET, subject};

    #[test]
    fn the_subject_is_written_as_java_does() {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CountryName, "DE");
        params.distinguished_name.push(DnType::OrganizationName, " sp");
        params.distinguished_name.push(DnType::OrganizationalUnitName, "#lead");
        params.distinguished_name.push(DnType::CustomDnType(vec![2, 5, 4, 5]), "5");
        params.distinguished_name.push(DnType::CommonName, "a, d+e<f>g;h\"i ");
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        assert_eq!(
            subject(certificate.der()).unwrap(),
            "CN=a\\, d\\+e\\<f\\>g\\;h\\\"i\\ ,2.5.4.5=#0c0135,OU=\\#lead,O=\\ sp,C=DE"
        );
    }

    #[test]
    fn cut_certificates_are_refused() {
        let certificate = CertificateParams::default().self_signed(&KeyPair::generate().unwrap()).unwrap();
        let der: &[u8] = certificate.der();
        for length in 0..60 {
            assert!(subject(&der[..length]).is_err(), "{length}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            let _ = subject(&bytes);
        }

        /// A name of any attributes: what is read has as many parts as were written.
        #[test]
        fn any_name_is_read(names in proptest::collection::vec((proptest::collection::vec(any::<u8>(), 0..20),
            any::<u8>(), proptest::collection::vec(any::<u8>(), 0..60)), 0..4)) {
            let tagged = |tag: u8, content: &[u8]| {
                let length = u16::try_from(content.len()).unwrap().to_be_bytes();
                [&[tag, 0x82, length[0], length[1]][..], content].concat()
            };
            let attribute = |(id, tag, value): &(Vec<u8>, u8, Vec<u8>)| {
                let pair = [tagged(OBJECT_ID, id), tagged(*tag, value)].concat();
                tagged(SET, &tagged(SEQUENCE, &pair))
            };
            let name = tagged(SEQUENCE, &names.iter().map(attribute).collect::<Vec<_>>().concat());
            let before: Vec<u8> = (0..4).flat_map(|_| tagged(SEQUENCE, &[])).collect();
            let certificate = tagged(SEQUENCE, &tagged(SEQUENCE, &[before, name].concat()));
            let subject = subject(&certificate).unwrap();
            // A comma in a value is written with a backslash before it.
            let commas = subject.matches(',').count() - subject.matches("\\,").count();
            prop_assert!(commas <= names.len().saturating_sub(1), "{subject}");
        }
    }
}
