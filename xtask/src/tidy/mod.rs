//! `cargo xtask tidy`: what the invariants forbid, where neither rustc nor clippy can say it.
//!
//! It reads and changes nothing. Every finding says where, what, and what to do instead. Exceptions stand in one list,
//! [`exceptions`], with reasons; an exception that nothing needs any more is itself a finding.

mod banned;
mod exceptions;
mod source;
mod star;
mod words;

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, ensure};

use self::source::{Source, SourceTree};

/// Something that must not be.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    /// Where, as `path:line` or the name of a package.
    place: String,
    /// What is wrong, and what to do instead.
    message: String,
}

impl Finding {
    pub(crate) fn new(place: impl Into<String>, message: impl Into<String>) -> Finding {
        Finding { place: place.into(), message: message.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.message)
    }
}

/// Prints every finding, and fails if there is one.
pub fn run() -> anyhow::Result<ExitCode> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("xtask lies in the workspace")?;
    let files = tracked_files(root)?;
    let mut findings = star::check(&star::metadata(root)?);
    findings.extend(words::check(root, &files));
    findings.extend(banned::check(&rust_sources(root, &files)?));
    for finding in &findings {
        println!("{finding}");
    }
    let mut count = findings.len();
    for (what, fresh) in
        [("generated code", crate::codegen::check()), ("reference pages", crate::docs::check())]
    {
        if let Err(problem) = fresh {
            println!("{what}: {problem:#}");
            count += 1;
        }
    }
    if count > 0 {
        println!("{count} findings");
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

/// The files of the repository: those that git tracks, and those that it would.
fn tracked_files(root: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let listed = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root)
        .output()
        .context("git is needed to list the files of the repository")?;
    ensure!(listed.status.success(), "git ls-files failed: {}", String::from_utf8_lossy(&listed.stderr));
    let names = String::from_utf8(listed.stdout).context("a file name is not UTF-8")?;
    Ok(names.split('\0').filter(|name| !name.is_empty()).map(PathBuf::from).collect())
}

/// Hand-written Rust outside of tests.
fn rust_sources(root: &Path, files: &[PathBuf]) -> anyhow::Result<Vec<Source>> {
    let mut tree = SourceTree::default();
    let rust = files.iter().filter(|path| path.extension().is_some_and(|extension| extension == "rs"));
    for path in rust.filter(|path| !source::is_apart(path)) {
        match std::fs::read_to_string(root.join(path)) {
            Ok(text) => tree.add(path, &text),
            // Deleted in the work tree, and still tracked.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(error).with_context(|| path.display().to_string()),
        }
    }
    Ok(tree.outside_tests())
}
