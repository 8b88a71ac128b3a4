//! `cargo xtask tidy`: what a reader cannot see at a glance. It is no style police: it knows the allowed edges between
//! the workspace's crates, that every source file opens with a `//!` header, and that no code stands in comments.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};

/// Crate -> the workspace crates it may depend on. Changing this list needs a record in `docs/adr/`.
const EDGES: &[(&str, &[&str])] = &[
    ("riverrun-core-derive", &[]),
    ("riverrun-core", &["riverrun-core-derive"]),
    ("riverrun-sim", &["riverrun-core"]),
    ("riverrun-client", &["riverrun-core"]),
    ("riverrun-broker", &["riverrun-core", "riverrun-client"]),
    ("riverrun-streams", &["riverrun-core", "riverrun-client"]),
    ("riverrun-connect", &["riverrun-core", "riverrun-client"]),
    ("riverrun", &["riverrun-core", "riverrun-client", "riverrun-broker", "riverrun-streams", "riverrun-connect"]),
    ("riverrun-examples", &["riverrun"]),
    ("riverrun-benches", &["riverrun", "riverrun-core", "riverrun-client", "riverrun-broker", "riverrun-streams"]),
    ("riverrun-load", &["riverrun-core"]),
    ("riverrun-load-librdkafka", &["riverrun-core", "riverrun-load"]),
    ("xtask", &["riverrun-core", "riverrun-broker", "riverrun-load"]),
];

/// What only tests may add: a broker to test against.
const DEV_EDGES: &[(&str, &[&str])] = &[
    ("riverrun-client", &["riverrun-broker"]),
    ("riverrun-streams", &["riverrun-broker"]),
    ("riverrun-connect", &["riverrun-broker"]),
    ("riverrun-benches", &["riverrun-core", "riverrun-client", "riverrun-broker", "riverrun-streams"]),
    ("riverrun-load", &["riverrun"]),
];

pub(crate) fn run() -> Result<()> {
    println!("== tidy");
    let root = crate::root();
    let mut faults = edges(&root)?;
    let mut sources = Vec::new();
    for folder in [
        "src", "core", "sim", "client", "broker", "streams", "connect", "examples", "benches", "xtask", "tests", "fuzz",
    ] {
        collect(&root.join(folder), &mut sources)?;
    }
    for source in sources {
        let text = fs::read_to_string(&source).with_context(|| format!("cannot read {}", source.display()))?;
        let name = source.strip_prefix(&root).unwrap_or(&source).display().to_string();
        faults.extend(file_faults(&name, &text));
    }
    for fault in &faults {
        eprintln!("tidy: {fault}");
    }
    if !faults.is_empty() {
        bail!("tidy found {} faults", faults.len());
    }
    Ok(())
}

/// Edges of the workspace that the allow-list does not hold.
fn edges(root: &Path) -> Result<Vec<String>> {
    let allowed: BTreeMap<_, _> = EDGES.iter().copied().collect();
    let allowed_in_tests: BTreeMap<_, _> = DEV_EDGES.iter().copied().collect();
    let members: BTreeSet<_> = EDGES.iter().map(|(name, _)| *name).collect();
    let mut faults = Vec::new();
    for folder in [
        ".",
        "core",
        "core/derive",
        "sim",
        "client",
        "broker",
        "streams",
        "connect",
        "examples",
        "benches",
        "benches/load",
        "benches/librdkafka",
        "xtask",
    ] {
        let path = root.join(folder).join("Cargo.toml");
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let manifest: toml::Table = text.parse().with_context(|| format!("{} is no TOML", path.display()))?;
        let name = manifest["package"]["name"].as_str().unwrap_or_default().to_owned();
        let Some(direct) = allowed.get(name.as_str()) else {
            faults.push(format!("crate {name} is not in the list of edges"));
            continue;
        };
        for (section, in_tests) in [("dependencies", false), ("build-dependencies", false), ("dev-dependencies", true)]
        {
            let Some(dependencies) = manifest.get(section).and_then(toml::Value::as_table) else { continue };
            for dependency in dependencies.keys().filter(|key| members.contains(key.as_str())) {
                let tests = allowed_in_tests.get(name.as_str()).copied().unwrap_or_default();
                let known = direct.contains(&dependency.as_str())
                    || (in_tests && (tests.contains(&dependency.as_str()) || *dependency == name));
                if !known {
                    faults.push(format!("{name} must not import {dependency} ({section})"));
                }
            }
        }
    }
    Ok(faults)
}

fn collect(folder: &Path, sources: &mut Vec<PathBuf>) -> Result<()> {
    if !folder.exists() {
        return Ok(());
    }
    for entry in fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            if !path.ends_with("target") {
                collect(&path, sources)?;
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            sources.push(path);
        }
    }
    Ok(())
}

fn file_faults(name: &str, text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let first = text.lines().find(|line| !line.starts_with("#!") && !line.trim().is_empty());
    if !first.is_some_and(|line| line.starts_with("//!")) {
        faults.push(format!("{name}: the file does not open with a //! header"));
    }
    for (index, line) in text.lines().enumerate() {
        if is_commented_out_code(line) {
            faults.push(format!("{name}:{}: commented-out code", index + 1));
        }
    }
    faults
}

/// A plain comment that ends as a statement or block does. Prose ends in a full stop, a colon, or a word.
fn is_commented_out_code(line: &str) -> bool {
    let Some(comment) = line.trim_start().strip_prefix("// ") else { return false };
    let comment = comment.trim_end();
    let statement = comment.ends_with(';')
        && ["let ", "use ", "return", "self.", "assert"].iter().any(|start| comment.starts_with(start));
    let block =
        comment.ends_with('{') && ["if ", "for ", "fn ", "match ", "while "].iter().any(|s| comment.starts_with(s));
    statement || block
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_in_comments_is_found_and_prose_is_not() {
        assert!(is_commented_out_code("    // let x = 1;"));
        assert!(is_commented_out_code("// if broken {"));
        assert!(!is_commented_out_code("// if the log is empty, its end is its start;"));
        assert!(!is_commented_out_code("let url = \"http://x\";"));
    }

    #[test]
    fn a_file_needs_a_header() {
        assert_eq!(file_faults("x.rs", "use std::fs;\n").len(), 1);
        assert!(file_faults("x.rs", "//! What it is.\n").is_empty());
    }
}
