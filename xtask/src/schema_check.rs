//! `cargo xtask schema-check [DIR]`: holds the field table of every message against Kafka's own definition of it.
//!
//! Kafka publishes its messages as JSON files with `//` comments; DIR is a folder that holds them, in sub-folders at
//! will. Compared are, for the message: key, valid and flexible versions; for each field, in order: name, type, default,
//! tag, whether it is ignorable, and for each valid version whether it is there, may be null, is tagged. A definition
//! marks a version that is not released yet (`latestVersionUnstable`); we do not have those.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail, ensure};
use riverrun_core::protocol::{FieldInfo, MessageVisitor, RootMessage, Versions, visit_messages};
use serde_json::Value;

/// Where a checkout finds Apache Kafka's script, seen from the workspace's root.
const KAFKA_SCRIPT: &str = "../shared/bin/apache-kafka";

#[derive(clap::Args)]
pub(crate) struct Args {
    /// A folder with Kafka's message definitions; without it, the one that `../shared/bin/apache-kafka schemas` prints
    directory: Option<PathBuf>,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let directory = match &args.directory {
        Some(directory) => directory.clone(),
        None => published_definitions()?,
    };
    let mut files = BTreeMap::new();
    find_definitions(&directory, &mut files)?;
    let mut check = Check { files: &files, messages: 0, fields: 0, differences: Vec::new() };
    visit_messages(&mut check);
    let Check { messages, fields, differences, .. } = check;
    for difference in &differences {
        println!("{difference}");
    }
    ensure!(
        differences.is_empty(),
        "{} differences from the definitions in {}",
        differences.len(),
        directory.display()
    );
    println!("{messages} messages with {fields} fields are as in {}", directory.display());
    Ok(())
}

fn published_definitions() -> Result<PathBuf> {
    let script = crate::root().join(KAFKA_SCRIPT);
    let output = Command::new(&script).arg("schemas").output();
    let output = output.with_context(|| format!("cannot run {}; give the folder as an argument", script.display()))?;
    if !output.status.success() {
        bail!("{} schemas: {}", script.display(), String::from_utf8_lossy(&output.stderr));
    }
    Ok(PathBuf::from(String::from_utf8(output.stdout)?.trim()))
}

/// Collects the JSON files in and below `directory`, by the name of their message.
fn find_definitions(directory: &Path, files: &mut BTreeMap<String, PathBuf>) -> Result<()> {
    for entry in fs::read_dir(directory).with_context(|| format!("cannot read {}", directory.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            find_definitions(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "json")
            && let Some(name) = path.file_stem().and_then(|stem| stem.to_str())
        {
            files.insert(name.to_owned(), path.clone());
        }
    }
    Ok(())
}

struct Check<'a> {
    files: &'a BTreeMap<String, PathBuf>,
    messages: usize,
    fields: usize,
    differences: Vec<String>,
}

impl MessageVisitor for Check<'_> {
    fn visit<M: RootMessage + Clone + std::fmt::Debug + PartialEq>(&mut self) {
        self.messages += 1;
        match self.definition(M::NAME) {
            Ok(definition) => self.message::<M>(&definition),
            Err(error) => self.differences.push(format!("{}: {error:#}", M::NAME)),
        }
    }
}

impl Check<'_> {
    fn definition(&self, name: &str) -> Result<Value> {
        let file = self.files.get(name).context("has no definition")?;
        parse_definition(&fs::read_to_string(file)?).with_context(|| file.display().to_string())
    }

    fn message<M: RootMessage>(&mut self, definition: &Value) {
        let valid = self.released_versions(M::NAME, definition);
        self.compare(M::NAME, "valid versions", show(M::VALID_VERSIONS), show(valid));
        let flexible = versions(definition, "flexibleVersions").unwrap_or(Versions::NONE);
        for version in valid.first..=valid.last {
            let (ours, theirs) = (M::FLEXIBLE_VERSIONS.contains(version), flexible.contains(version));
            self.compare(M::NAME, &format!("flexible in version {version}"), ours, theirs);
        }
        self.compare(M::NAME, "key", M::MESSAGE_KEY.map(i64::from), definition["apiKey"].as_i64());
        self.structure(M::NAME, M::fields(), definition, &definition["fields"], valid);
    }

    /// The valid versions without one that is not released; a response follows its request.
    fn released_versions(&self, name: &str, definition: &Value) -> Versions {
        let mut valid = versions(definition, "validVersions").unwrap_or(Versions::NONE);
        let request = name.strip_suffix("Response").and_then(|api| self.definition(&format!("{api}Request")).ok());
        if request.as_ref().unwrap_or(definition)["latestVersionUnstable"] == true {
            valid.last -= 1;
        }
        valid
    }

    fn structure(&mut self, place: &str, ours: &[FieldInfo], message: &Value, theirs: &Value, valid: Versions) {
        let theirs = theirs.as_array().map(Vec::as_slice).unwrap_or_default();
        let names = |names: Vec<String>| names.join(", ");
        let our_names = ours.iter().map(|field| field.name.replace('_', "").to_lowercase()).collect();
        let their_names = theirs.iter().map(|field| text(field, "name").to_lowercase()).collect();
        if !self.compare(place, "fields", names(our_names), names(their_names)) {
            return;
        }
        for (field, definition) in ours.iter().zip(theirs) {
            self.fields += 1;
            let place = format!("{place}.{}", field.name);
            self.field(&place, field, definition, valid);
            if let Some(fields) = field.fields {
                let type_name = text(definition, "type").trim_start_matches("[]");
                let mut common = message["commonStructs"].as_array().into_iter().flatten();
                let common = || common.find(|structure| structure["name"] == type_name)?.get("fields");
                let nested = definition.get("fields").or_else(common).unwrap_or(&Value::Null);
                self.structure(&place, fields(), message, nested, valid);
            }
        }
    }

    fn field(&mut self, place: &str, ours: &FieldInfo, theirs: &Value, valid: Versions) {
        let array = if ours.array { "[]" } else { "" };
        self.compare(place, "type", format!("{array}{}", ours.type_name), text(theirs, "type").to_owned());
        let tagged = versions(theirs, "taggedVersions").unwrap_or(Versions::NONE);
        // A tagged field may leave out its versions; they are the tagged ones then.
        let present = versions(theirs, "versions").unwrap_or(tagged);
        let nullable = versions(theirs, "nullableVersions").unwrap_or(Versions::NONE);
        for version in valid.first..=valid.last {
            let aspects = [
                ("present", ours.versions, present),
                ("nullable", ours.nullable, nullable),
                ("tagged", ours.tagged, tagged),
            ];
            for (aspect, ours, theirs) in aspects {
                let what = format!("{aspect} in version {version}");
                self.compare(place, &what, ours.contains(version), theirs.contains(version));
            }
        }
        self.compare(place, "tag", ours.tag.map(i64::from), theirs["tag"].as_i64());
        let ignorable = matches!(&theirs["ignorable"], Value::Bool(true)) || theirs["ignorable"] == "true";
        self.compare(place, "ignorable", ours.ignorable, ignorable);
        let default = match &theirs["default"] {
            Value::Null => None,
            Value::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        };
        let ours_default = ours.default.map(str::to_owned);
        self.compare(place, "default", effective_default(ours_default, ours), effective_default(default, ours));
    }

    fn compare<T: PartialEq + std::fmt::Debug>(&mut self, place: &str, what: &str, ours: T, theirs: T) -> bool {
        let same = ours == theirs;
        if !same {
            self.differences.push(format!("{place}: {what}: here {ours:?}, Kafka's {theirs:?}"));
        }
        same
    }
}

/// Removes the comments, which fill whole lines, and parses the rest.
fn parse_definition(text: &str) -> Result<Value> {
    let lines: Vec<_> = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
    Ok(serde_json::from_str(&lines.join("\n"))?)
}

/// What a default means, so that `0x10` and `16`, or no default and the type's own, are the same.
fn effective_default(default: Option<String>, field: &FieldInfo) -> String {
    let own = match field.type_name {
        "records" => "null",
        "bool" => "false",
        "uuid" | "string" | "bytes" => "",
        _ if field.array || field.fields.is_some() => "",
        _ => "0",
    };
    let default = default.unwrap_or_else(|| own.to_owned());
    let hexadecimal = default.strip_prefix("0x").and_then(|digits| i64::from_str_radix(digits, 16).ok());
    hexadecimal.map_or(default, |number| number.to_string())
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

/// Versions in Kafka's notation; `None` if they are not given.
fn versions(value: &Value, key: &str) -> Option<Versions> {
    let text = value[key].as_str()?;
    let number = |text: &str| text.parse::<i16>().ok();
    let (first, last) = match (text.strip_suffix('+'), text.split_once('-')) {
        (Some(first), _) => (number(first)?, i16::MAX),
        (None, Some((first, last))) => (number(first)?, number(last)?),
        (None, None) if text == "none" => return Some(Versions::NONE),
        (None, None) => (number(text)?, number(text)?),
    };
    Some(Versions { first, last })
}

fn show(versions: Versions) -> String {
    format!("{}-{}", versions.first, versions.last)
}

#[cfg(test)]
mod tests {
    use riverrun_core::protocol::messages::HeartbeatRequest;

    use super::*;

    const HEARTBEAT: &str = r#"
        // A comment.
        {
          "apiKey": 12, "type": "request", "name": "HeartbeatRequest",
          "validVersions": "0-4", "flexibleVersions": "4+",
          "fields": [
            { "name": "GroupId", "type": "string", "versions": "0+" },
            { "name": "GenerationId", "type": "int32", "versions": "0+" },
            { "name": "MemberId", "type": "string", "versions": "0+" },
            // Another one.
            { "name": "GroupInstanceId", "type": "string", "versions": "3+", "nullableVersions": "3+", "default": "null" }
          ]
        }"#;

    fn differences(definition: &str) -> Vec<String> {
        let mut check = Check { files: &BTreeMap::new(), messages: 0, fields: 0, differences: Vec::new() };
        check.message::<HeartbeatRequest>(&parse_definition(definition).unwrap());
        check.differences
    }

    #[test]
    fn the_same_definition_has_no_differences() {
        assert_eq!(differences(HEARTBEAT), [""; 0]);
    }

    #[test]
    fn each_difference_is_named() {
        let changed = HEARTBEAT.replace(r#""3+", "nullableVersions": "3+""#, r#""3+", "nullableVersions": "4+""#);
        assert_eq!(
            differences(&changed),
            ["HeartbeatRequest.group_instance_id: nullable in version 3: here true, Kafka's false"]
        );
        let changed = HEARTBEAT.replace("int32", "int64").replace("0-4", "0-5");
        assert_eq!(
            differences(&changed),
            [
                "HeartbeatRequest: valid versions: here \"0-4\", Kafka's \"0-5\"",
                "HeartbeatRequest.generation_id: type: here \"int32\", Kafka's \"int64\"",
            ]
        );
        let changed = HEARTBEAT.replace("GenerationId", "Generation");
        assert!(differences(&changed)[0].starts_with("HeartbeatRequest: fields: here"));
    }
}
