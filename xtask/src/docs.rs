//! `cargo xtask docs`: writes the generated pages, or with `--check` fails if they, or the code that README quotes, are
//! not what the source says.
//!
//! A quotation in README stands below a comment `<!-- from FILE -->`; its lines must stand in that file in this order, one
//! behind the other, whatever their indentation.

use std::fs;

use anyhow::{Context, Result, bail};

/// The page of the broker's settings.
const SETTINGS: &str = "docs/broker-settings.md";

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Change nothing; fail if something is out of date
    #[arg(long)]
    check: bool,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let root = crate::root();
    let page = riverrun_broker::config::reference_page();
    let path = root.join(SETTINGS);
    if args.check {
        let committed = fs::read_to_string(&path).unwrap_or_default();
        if committed != page {
            bail!("{SETTINGS} is out of date; run cargo xtask docs and commit it");
        }
    } else {
        fs::write(&path, page).with_context(|| format!("cannot write {SETTINGS}"))?;
    }
    let readme = fs::read_to_string(root.join("README.md")).context("cannot read README.md")?;
    for (file, quoted) in quotations(&readme) {
        let source = fs::read_to_string(root.join(&file)).with_context(|| format!("README.md quotes {file}"))?;
        if !stands_in(&quoted, &source) {
            bail!("README.md quotes {file}, but not as it is now");
        }
    }
    Ok(())
}

/// The files that are quoted, with the lines of each quotation.
fn quotations(readme: &str) -> Vec<(String, Vec<&str>)> {
    let mut found = Vec::new();
    let mut lines = readme.lines();
    while let Some(line) = lines.next() {
        let Some(file) = line.strip_prefix("<!-- from ").and_then(|rest| rest.strip_suffix(" -->")) else { continue };
        let block = lines.by_ref().skip_while(|line| !line.starts_with("```")).skip(1);
        let quoted = block.take_while(|line| !line.starts_with("```")).map(str::trim).collect();
        found.push((file.to_owned(), quoted));
    }
    found
}

/// Whether the quoted lines stand in the source. An empty line in a quotation may stand for a part left out.
fn stands_in(quoted: &[&str], source: &str) -> bool {
    let source: Vec<&str> = source.lines().map(str::trim).collect();
    quoted
        .split(|line| line.is_empty())
        .filter(|part| !part.is_empty())
        .all(|part| source.windows(part.len()).any(|window| window == part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotations_are_found_and_compared() {
        let readme = "text\n<!-- from a.rs -->\n```rust\nlet a = 1;\n\nlet c = 3;\n```\n";
        let found = quotations(readme);
        assert_eq!(found, [("a.rs".to_owned(), vec!["let a = 1;", "", "let c = 3;"])]);
        assert!(stands_in(&found[0].1, "fn f() {\n    let a = 1;\n    let b = 2;\n    let c = 3;\n}"));
        assert!(!stands_in(&found[0].1, "fn f() {\n    let a = 1;\n}"));
    }
}
