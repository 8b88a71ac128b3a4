//! Java's properties format, as `server.properties` has it: `name=value`, `name: value` or `name value`; `#` and `!`
//! begin a comment line; a backslash at the end of a line continues it; `\n`, `\t`, `\uXXXX` and the like are escapes.

/// What stands for an escape that is none.
const NO_CHARACTER: u16 = 0xfffd;

/// The pairs in order, each with the number of the line it begins on.
pub(crate) fn parse(text: &str) -> Vec<(usize, String, String)> {
    let mut pairs = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((index, line)) = lines.next() {
        let mut logical = line.trim_start().to_owned();
        if logical.is_empty() || logical.starts_with(['#', '!']) {
            continue;
        }
        while continues(&logical) {
            logical.pop();
            match lines.next() {
                Some((_, next)) => logical.push_str(next.trim_start()),
                None => break,
            }
        }
        let (name, value) = split(&logical);
        pairs.push((index + 1, unescape(name), unescape(value).trim_end().to_owned()));
    }
    pairs
}

/// Whether the line ends in an odd number of backslashes.
fn continues(line: &str) -> bool {
    line.chars().rev().take_while(|c| *c == '\\').count() % 2 == 1
}

/// Splits at the first separator that is not escaped.
fn split(line: &str) -> (&str, &str) {
    let mut escaped = false;
    for (position, c) in line.char_indices() {
        if !escaped && (c == '=' || c == ':' || c.is_whitespace()) {
            let (name, rest) = line.split_at(position);
            let rest = rest.trim_start();
            let rest = rest.strip_prefix(['=', ':']).unwrap_or(rest);
            return (name, rest.trim_start());
        }
        escaped = c == '\\' && !escaped;
    }
    (line, "")
}

fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    // Units of UTF-16 that stand next to each other: two may be one character.
    let mut units = Vec::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        let escaped = if c == '\\' { chars.next() } else { None };
        if escaped == Some('u') {
            let digits: String = chars.by_ref().take(4).collect();
            units.push(u16::from_str_radix(&digits, 16).unwrap_or(NO_CHARACTER));
            continue;
        }
        take_units(&mut units, &mut out);
        match escaped {
            None if c == '\\' => {}
            None => out.push(c),
            Some('n') => out.push('\n'),
            Some('t') => out.push('\t'),
            Some('r') => out.push('\r'),
            Some('f') => out.push('\u{c}'),
            Some(other) => out.push(other),
        }
    }
    take_units(&mut units, &mut out);
    out
}

fn take_units(units: &mut Vec<u16>, out: &mut String) {
    out.extend(char::decode_utf16(units.drain(..)).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn all_forms_of_a_pair() {
        let text = "# comment\n! too\n\n a=1\nb : 2\nc 3\nd\ne\\=f=g\\\n   h\ni=\\u0041\\t.\nj==\n";
        let pairs: Vec<_> = parse(text).into_iter().map(|(_, name, value)| (name, value)).collect();
        let expected = [("a", "1"), ("b", "2"), ("c", "3"), ("d", ""), ("e=f", "gh"), ("i", "A\t."), ("j", "=")];
        assert_eq!(pairs, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
        assert_eq!(parse(text).first().map(|(line, _, _)| *line), Some(4));
    }

    /// As Java's `Properties.store` writes a name or a value.
    fn escaped(text: &str) -> String {
        let mut out = String::new();
        for unit in text.encode_utf16() {
            match char::from_u32(unit.into()).filter(char::is_ascii_alphanumeric) {
                Some(c) => out.push(c),
                None => out.push_str(&format!("\\u{unit:04x}")),
            }
        }
        out
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "[ -~\\\\\n\r\u{1}\u{85}é=:#!]{0,200}") {
            let lines = text.lines().count();
            let pairs = parse(&text);
            prop_assert!(pairs.len() <= lines);
            prop_assert!(pairs.iter().all(|(line, ..)| (1..=lines).contains(line)));
        }

        #[test]
        fn what_java_writes_is_read(pairs in proptest::collection::vec(("[a-z.= :]{1,9}[a-z]", "[a-z.= :\n,#ß😀]{0,19}[a-z]"), 0..5)) {
            let line = |(name, value): &(String, String)| format!("{}={}\n", escaped(name), escaped(value));
            let text: String = pairs.iter().map(line).collect();
            let read: Vec<_> = parse(&text).into_iter().map(|(_, name, value)| (name, value)).collect();
            prop_assert_eq!(read, pairs);
        }
    }
}
