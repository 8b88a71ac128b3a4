//! The programs of the bench, built as they are released: what is measured, and what measures.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};

/// `riverrun`, unless a binary was given.
pub(crate) fn riverrun(given: Option<&Path>) -> Result<PathBuf> {
    if let Some(binary) = given {
        ensure!(binary.exists(), "--riverrun {}: there is no such file", binary.display());
        return Ok(binary.canonicalize()?);
    }
    cargo(&["--package", "riverrun"])?;
    Ok(target().join("release/riverrun"))
}

/// The raw generator.
pub(crate) fn raw_generator() -> Result<PathBuf> {
    cargo(&["--package", "riverrun-load"])?;
    Ok(target().join("release/riverrun-load"))
}

/// The generator on librdkafka, which is in a workspace of its own because it builds a C library.
pub(crate) fn librdkafka_generator() -> Result<PathBuf> {
    let folder = target().join("librdkafka");
    let manifest = crate::root().join("benches/librdkafka/Cargo.toml");
    cargo(&["--manifest-path", &manifest.to_string_lossy(), "--target-dir", &folder.to_string_lossy()])?;
    Ok(folder.join("release/riverrun-load-librdkafka"))
}

fn cargo(arguments: &[&str]) -> Result<()> {
    println!("building {}", arguments.join(" "));
    let mut command = crate::cargo();
    command.args(["build", "--quiet", "--release"]).args(arguments).current_dir(crate::root());
    ensure!(command.status()?.success(), "cannot build: {command:?}");
    Ok(())
}

fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| crate::root().join("target"), PathBuf::from)
}
