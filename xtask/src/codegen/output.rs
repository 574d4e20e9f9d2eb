//! Generated files on their way to their place: formatted, compared, written where they differ.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};

/// All files of one run.
pub struct Output {
    root: PathBuf,
    /// Code by path from the root.
    files: BTreeMap<String, String>,
}

impl Output {
    pub fn new(root: &Path) -> anyhow::Result<Self> {
        Ok(Self { root: root.to_owned(), files: BTreeMap::new() })
    }

    pub fn add(&mut self, path: String, code: String) {
        self.files.insert(path, code);
    }

    /// Formats everything, then writes what differs and removes what is no longer generated; or only tells about it.
    pub fn finish(self, check: bool) -> anyhow::Result<()> {
        let scratch = std::env::temp_dir().join(format!("vltava-codegen-{}", std::process::id()));
        let result = self.format_in(&scratch).and_then(|files| self.apply(&files, check));
        std::fs::remove_dir_all(&scratch).with_context(|| format!("cannot remove {}", scratch.display()))?;
        result
    }

    fn format_in(&self, scratch: &Path) -> anyhow::Result<BTreeMap<String, String>> {
        let mut paths = Vec::new();
        for (path, code) in &self.files {
            let path = scratch.join(path);
            std::fs::create_dir_all(path.parent().context("a file has a folder")?)?;
            std::fs::write(&path, code)?;
            paths.push(path);
        }
        // The roots name the other files as their modules, and rustfmt follows them.
        paths.retain(|path| path.ends_with("generated/mod.rs"));
        let status = Command::new("rustfmt")
            .args(["--edition", "2024", "--config-path"])
            .arg(self.root.join("rustfmt.toml"))
            .args(&paths)
            .status()
            .context("cannot run rustfmt")?;
        ensure!(status.success(), "rustfmt failed");
        let mut formatted = BTreeMap::new();
        for path in self.files.keys() {
            formatted.insert(path.clone(), std::fs::read_to_string(scratch.join(path))?);
        }
        Ok(formatted)
    }

    fn apply(&self, files: &BTreeMap<String, String>, check: bool) -> anyhow::Result<()> {
        let mut stale = self.superfluous(files)?;
        for (path, code) in files {
            if std::fs::read_to_string(self.root.join(path)).ok().as_ref() != Some(code) {
                stale.push(path.clone());
            }
        }
        if check {
            ensure!(stale.is_empty(), "stale, run `cargo xtask codegen`:\n  {}", stale.join("\n  "));
            return Ok(());
        }
        for path in &stale {
            let target = self.root.join(path);
            match files.get(path) {
                Some(code) => {
                    std::fs::create_dir_all(target.parent().context("a file has a folder")?)?;
                    std::fs::write(&target, code)?;
                }
                None => std::fs::remove_file(&target)?,
            }
        }
        println!("{} files generated, {} changed", files.len(), stale.len());
        Ok(())
    }

    /// Files in the folders of generated code that this run did not generate.
    fn superfluous(&self, files: &BTreeMap<String, String>) -> anyhow::Result<Vec<String>> {
        let mut found = Vec::new();
        let mut folders: Vec<PathBuf> = files
            .keys()
            .filter_map(|path| path.strip_suffix("generated/mod.rs"))
            .map(|parent| PathBuf::from(parent).join("generated"))
            .collect();
        while let Some(folder) = folders.pop() {
            let Ok(entries) = std::fs::read_dir(self.root.join(&folder)) else { continue };
            for entry in entries {
                let entry = entry?;
                let path = folder.join(entry.file_name());
                if entry.file_type()?.is_dir() {
                    folders.push(path);
                } else if !files.contains_key(path.to_string_lossy().as_ref()) {
                    found.push(path.to_string_lossy().into_owned());
                }
            }
        }
        Ok(found)
    }
}
