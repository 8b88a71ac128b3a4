//! TOML: a `[worker]` table and one `[connector.<name>]` table per connector, flattened to dotted keys.

use std::{borrow::Cow, path::Path};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{ConfigFile, ConfigFileError, Properties, definition::nearest};

/// Reads a whole file.
pub(super) fn parse(text: &str, path: &Path) -> Result<ConfigFile, ConfigFileError> {
    let reader = Reader { text, path };
    let root = DeTable::parse(text).map_err(|error| {
        let offset = error.span().map_or(0, |span| span.start);
        let hint = "; a key that is both a value and a prefix (`key.converter`) has to be quoted: \"key.converter\"";
        let hint = if error.message().contains("key") { hint } else { "" };
        reader.error(offset, &format!("{}{hint}", error.message()))
    })?;
    let mut file = ConfigFile { worker: Properties::of_file(path), connectors: Vec::new() };
    for (key, value) in root.get_ref() {
        match (key.get_ref().as_ref(), value.get_ref()) {
            ("worker", DeValue::Table(table)) => reader.flatten("", table, &mut file.worker)?,
            ("connector", DeValue::Table(connectors)) => {
                for (name, connector) in connectors {
                    file.connectors.push(reader.connector(name, connector)?);
                }
            }
            ("worker" | "connector", _) => {
                return Err(reader.error(key.span().start, "`worker` and `connector` are tables: [connector.<name>]"));
            }
            (other, _) => {
                let message = match nearest(other, ["worker", "connector"].into_iter()) {
                    Some(nearest) => format!("unknown table `{other}`; did you mean `{nearest}`?"),
                    None => format!("`{other}` belongs under [worker] or [connector.<name>]"),
                };
                return Err(reader.error(key.span().start, &message));
            }
        }
    }
    Ok(file)
}

struct Reader<'a> {
    text: &'a str,
    path: &'a Path,
}

impl Reader<'_> {
    fn line(&self, offset: usize) -> usize {
        self.text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
    }

    fn error(&self, offset: usize, message: &str) -> ConfigFileError {
        ConfigFileError::syntax(self.path, self.line(offset), message)
    }

    fn connector(
        &self,
        name: &Spanned<Cow<'_, str>>,
        value: &Spanned<DeValue<'_>>,
    ) -> Result<Properties, ConfigFileError> {
        let DeValue::Table(table) = value.get_ref() else {
            return Err(self.error(name.span().start, "a connector is a table: [connector.<name>]"));
        };
        let mut properties = Properties::of_file(self.path);
        self.flatten("", table, &mut properties)?;
        if properties.get("name").is_some_and(|inner| inner != name.get_ref()) {
            let message =
                format!("the table's header already names this connector `{}`; remove `name`", name.get_ref());
            return Err(self.error(name.span().start, &message));
        }
        let line = self.line(name.span().start);
        let _ = properties.insert_at("name".to_owned(), name.get_ref().to_string(), line);
        Ok(properties)
    }

    fn flatten(&self, prefix: &str, table: &DeTable<'_>, into: &mut Properties) -> Result<(), ConfigFileError> {
        for (key, value) in table {
            let offset = key.span().start;
            let name =
                if prefix.is_empty() { key.get_ref().to_string() } else { format!("{prefix}.{}", key.get_ref()) };
            if let DeValue::Table(inner) = value.get_ref() {
                self.flatten(&name, inner, into)?;
                continue;
            }
            let text = self.text_of(value, true)?;
            if let Some(earlier) = into.insert_at(name.clone(), text, self.line(offset)) {
                let message = format!("`{name}` is set twice, first on line {earlier}; remove one of them");
                return Err(self.error(offset, &message));
            }
        }
        Ok(())
    }

    fn text_of(&self, value: &Spanned<DeValue<'_>>, list_allowed: bool) -> Result<String, ConfigFileError> {
        let error = |message: &str| self.error(value.span().start, message);
        match value.get_ref() {
            DeValue::String(text) => Ok(text.to_string()),
            DeValue::Integer(integer) => {
                let parsed = i64::from_str_radix(integer.as_str(), integer.radix());
                Ok(parsed.map_err(|_| error("a number of at most 64 bits belongs here"))?.to_string())
            }
            DeValue::Float(float) => Ok(float.as_str().to_owned()),
            DeValue::Boolean(flag) => Ok(flag.to_string()),
            DeValue::Datetime(datetime) => Ok(datetime.to_string()),
            DeValue::Array(items) if list_allowed => {
                let mut texts = Vec::new();
                for item in items.iter() {
                    let text = self.text_of(item, false)?;
                    if text.contains(',') {
                        return Err(self.error(item.span().start, "an item of a list cannot contain a comma"));
                    }
                    texts.push(text);
                }
                Ok(texts.join(","))
            }
            DeValue::Array(_) | DeValue::Table(_) => Err(error("a text, number or boolean belongs here")),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Result<ConfigFile, ConfigFileError> {
        parse(text, Path::new("c.toml"))
    }

    #[test]
    fn tables_lists_and_numbers() {
        let file = read(
            "[worker]\n'key.converter' = 'string'\nkey.converter.schemas.enable = false\n[connector.a]\n\
             topics = ['x', 'y']\ntasks.max = 1_0\nratio = 0.5\n[connector.'b.c']\nhex = 0x10",
        )
        .unwrap();
        assert_eq!(file.worker.get("key.converter.schemas.enable"), Some("false"));
        assert_eq!(file.worker.get("key.converter"), Some("string"));
        let [a, b] = file.connectors.as_slice() else { panic!("two connectors") };
        assert_eq!((a.get("topics"), a.get("tasks.max"), a.get("ratio")), (Some("x,y"), Some("10"), Some("0.5")));
        assert_eq!((b.get("name"), b.get("hex")), (Some("b.c"), Some("16")));
        assert_eq!(a.origin("tasks.max").unwrap().to_string(), "c.toml:6");
    }

    #[test]
    fn errors_name_line_and_remedy() {
        let message = |text: &str| read(text).unwrap_err().to_string();
        assert!(message("[worker]\nx = ").starts_with("c.toml:2: "));
        assert!(message("[conector.a]").contains("did you mean `connector`?"));
        assert!(message("topic = 'a'").contains("belongs under [worker] or [connector.<name>]"));
        assert!(message("[connector.a]\nname = 'b'").starts_with("c.toml:1: "));
        assert!(message("[connector.a]\nx = [[1]]").starts_with("c.toml:2: "));
        let both = message("[worker]\nkey.converter = 'json'\nkey.converter.schemas.enable = true");
        assert!(both.starts_with("c.toml:3: ") && both.contains("quoted"), "{both}");
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "(?s).{0,200}|(\\[connector\\.[a-c\\].=' \"\n0-9]{0,40}){0,4}") {
            drop(read(&text));
        }
    }
}
