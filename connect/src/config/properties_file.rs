//! Java's properties format: what Kafka Connect's standalone worker reads.
//!
//! Lines end in `\n`, `\r\n` or `\r`. `#` or `!` at the start of a logical line makes a comment. A key ends at the first
//! unescaped `=`, `:` or blank; blanks around that separator do not count. An odd number of backslashes at the end of a
//! line continues it, and the next line's leading blanks do not count. `\t \n \r \f \uXXXX` are escapes, two `\u`
//! surrogates make one character, and a backslash before anything else just drops out. Unlike Java, which takes such
//! files as Latin-1, the text is UTF-8; unlike Java, a key set twice is an error, not the last one's win.

use std::path::Path;

use super::{ConfigFileError, Properties};

/// Reads a whole file.
pub(super) fn parse(text: &str, file: &Path) -> Result<Properties, ConfigFileError> {
    let mut properties = Properties::of_file(file);
    for line in logical_lines(text) {
        let syntax = |message: &str| ConfigFileError::syntax(file, line.number, message);
        let (key, value) = split(&line.text);
        let key = unescape(key).map_err(syntax)?;
        let value = unescape(value).map_err(syntax)?;
        if let Some(earlier) = properties.insert_at(key.clone(), value, line.number) {
            return Err(syntax(&format!("`{key}` is set twice, first on line {earlier}; remove one of them")));
        }
    }
    Ok(properties)
}

struct LogicalLine {
    text: String,
    number: usize,
}

/// Lines with continuations joined, without blank lines and comments.
fn logical_lines(text: &str) -> Vec<LogicalLine> {
    let unified = text.strip_prefix('\u{feff}').unwrap_or(text).replace("\r\n", "\n").replace('\r', "\n");
    let mut lines = Vec::new();
    let mut open: Option<LogicalLine> = None;
    for (index, natural) in unified.split('\n').enumerate() {
        let content = natural.trim_start_matches([' ', '\t', '\u{c}']);
        if open.is_none() && (content.is_empty() || content.starts_with(['#', '!'])) {
            continue;
        }
        let mut line = open.take().unwrap_or(LogicalLine { text: String::new(), number: index + 1 });
        let backslashes = content.chars().rev().take_while(|c| *c == '\\').count();
        match content.strip_suffix('\\') {
            Some(continued) if backslashes % 2 == 1 => {
                line.text.push_str(continued);
                open = Some(line);
            }
            _ => {
                line.text.push_str(content);
                lines.push(line);
            }
        }
    }
    lines.extend(open);
    lines
}

/// Cuts a logical line at its separator; both parts still escaped.
fn split(line: &str) -> (&str, &str) {
    let mut escaped = false;
    let blank = |c: char| matches!(c, ' ' | '\t' | '\u{c}');
    let end = line.find(|c: char| {
        if escaped {
            escaped = false;
            return false;
        }
        escaped = c == '\\';
        blank(c) || c == '=' || c == ':'
    });
    let Some((key, rest)) = end.and_then(|end| line.split_at_checked(end)) else { return (line, "") };
    let rest = rest.trim_start_matches(blank);
    let value = rest.strip_prefix(['=', ':']).unwrap_or(rest);
    (key, value.trim_start_matches(blank))
}

fn unescape(text: &str) -> Result<String, &'static str> {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('t') => out.push('\t'),
            Some('n') => out.push('\n'),
            Some('r') => out.push('\r'),
            Some('f') => out.push('\u{c}'),
            Some('u') => out.push(unicode(&mut chars)?),
            Some(other) => out.push(other),
            None => {}
        }
    }
    Ok(out)
}

/// One character after `\u`, taking a second escape where the first is a high surrogate.
fn unicode(chars: &mut std::str::Chars<'_>) -> Result<char, &'static str> {
    const HINT: &str = "`\\u` must be followed by four hexadecimal digits; write `\\\\u` for a backslash and a u";
    const LONE: &str = "half a surrogate pair: write both halves, or the character itself";
    let mut unit = || -> Result<u32, &'static str> {
        let digits: String = chars.by_ref().take(4).collect();
        if digits.len() != 4 || !digits.chars().all(|c| c.is_ascii_hexdigit()) {
            return Err(HINT);
        }
        u32::from_str_radix(&digits, 16).map_err(|_| HINT)
    };
    let first = unit()?;
    if !(0xd800..0xdc00).contains(&first) {
        return char::from_u32(first).ok_or(LONE);
    }
    if chars.next() != Some('\\') || chars.next() != Some('u') {
        return Err(LONE);
    }
    let digits: String = chars.by_ref().take(4).collect();
    let second = u32::from_str_radix(&digits, 16).map_err(|_| HINT)?;
    if !(0xdc00..0xe000).contains(&second) {
        return Err(LONE);
    }
    char::from_u32(0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00)).ok_or(LONE)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pairs(text: &str) -> Vec<(String, String)> {
        let properties = parse(text, Path::new("x.properties")).unwrap();
        properties.iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
    }

    fn pair(key: &str, value: &str) -> (String, String) {
        (key.to_owned(), value.to_owned())
    }

    #[test]
    fn separators_comments_and_blank_values() {
        let text = "# comment\n! too\r\n\n a=1\r b : 2\n\tc   3\nd\ne=\nf = x=y #kept \n";
        let expected =
            [pair("a", "1"), pair("b", "2"), pair("c", "3"), pair("d", ""), pair("e", ""), pair("f", "x=y #kept ")];
        assert_eq!(pairs(text), expected);
    }

    #[test]
    fn continuations() {
        assert_eq!(pairs("topics=a,\\\n   b,\\\n  c\nx=1"), [pair("topics", "a,b,c"), pair("x", "1")]);
        assert_eq!(pairs("a=1\\\\\nb=2"), [pair("a", "1\\"), pair("b", "2")], "an even number does not continue");
        assert_eq!(pairs("a=1\\"), [pair("a", "1")], "nothing left to continue with");
        assert_eq!(pairs("a=1\\\n# no comment\n"), [pair("a", "1# no comment")]);
    }

    #[test]
    fn escapes() {
        assert_eq!(pairs("a\\=b\\:c\\ d=\\t\\n\\q\\\\"), [pair("a=b:c d", "\t\nq\\")]);
        assert_eq!(pairs("a=\\u00e4\\ud83d\\ude00"), [pair("a", "ä😀")]);
    }

    #[test]
    fn errors_name_file_and_line() {
        let message = |text: &str| parse(text, Path::new("w.properties")).unwrap_err().to_string();
        assert!(message("a=1\n\nb=\\u12").starts_with("w.properties:3: "), "{}", message("a=1\n\nb=\\u12"));
        assert!(message("a=\\ud83d").contains("surrogate"));
        assert!(message("a=1\na=2").contains("set twice, first on line 1"));
    }

    /// Writes a text so that any reader of the format gives it back.
    fn escape(text: &str, key: bool) -> String {
        let mut out = String::new();
        for (index, c) in text.chars().enumerate() {
            match c {
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\t' => out.push_str("\\t"),
                '\u{c}' => out.push_str("\\f"),
                '\\' | '=' | ':' | '#' | '!' => out.extend(['\\', c]),
                ' ' if key || index == 0 => out.push_str("\\ "),
                c => out.push(c),
            }
        }
        out
    }

    proptest! {
        #[test]
        fn what_is_escaped_comes_back(map in proptest::collection::btree_map("\\PC{1,8}|[ =:#!\\\\\n\r\tab]{1,8}", "(?s).{0,12}", 0..8)) {
            let text: String =
                map.iter().map(|(key, value)| format!("{} = {}\n", escape(key, true), escape(value, false))).collect();
            prop_assert_eq!(pairs(&text), map.into_iter().collect::<Vec<_>>());
        }

        #[test]
        fn any_text_is_read_or_refused(text in "(?s).{0,200}") {
            drop(parse(&text, Path::new("x")));
        }
    }
}
