//! Java's properties format, as `server.properties` has it: `name=value`, `name: value` or `name value`; `#` and `!`
//! begin a comment line; a backslash at the end of a line continues it; `\n`, `\t`, `\uXXXX` and the like are escapes.

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
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('n') => out.push('\n'),
            Some('t') => out.push('\t'),
            Some('r') => out.push('\r'),
            Some('f') => out.push('\u{c}'),
            Some('u') => {
                let digits: String = chars.by_ref().take(4).collect();
                out.push(u32::from_str_radix(&digits, 16).ok().and_then(char::from_u32).unwrap_or('\u{fffd}'));
            }
            Some(other) => out.push(other),
            None => {}
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_forms_of_a_pair() {
        let text = "# comment\n! too\n\n a=1\nb : 2\nc 3\nd\ne\\=f=g\\\n   h\ni=\\u0041\\t.\nj==\n";
        let pairs: Vec<_> = parse(text).into_iter().map(|(_, name, value)| (name, value)).collect();
        let expected = [("a", "1"), ("b", "2"), ("c", "3"), ("d", ""), ("e=f", "gh"), ("i", "A\t."), ("j", "=")];
        assert_eq!(pairs, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
        assert_eq!(parse(text).first().map(|(line, _, _)| *line), Some(4));
    }
}
