//! Words that must not appear in any file of the repository: paths of the machine that it was written on.

use std::path::{Path, PathBuf};

use super::Finding;

/// Written in two halves, so that this file passes.
const WORDS: &[&str] = &[concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("../sha", "red")];

/// Files beyond this size are data, not text, in bytes.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// Checks every text file of the repository.
pub(crate) fn check(root: &Path, files: &[PathBuf]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for path in files {
        let full = root.join(path);
        let small = std::fs::metadata(&full).is_ok_and(|file| file.is_file() && file.len() <= FILE_BYTES_MAX);
        if let Some(text) = small.then(|| std::fs::read_to_string(&full).ok()).flatten() {
            findings.extend(check_text(&path.display().to_string(), &text));
        }
    }
    findings
}

fn check_text(path: &str, text: &str) -> Vec<Finding> {
    let lines = text.lines().enumerate();
    lines
        .flat_map(|(number, line)| {
            WORDS.iter().filter(move |word| line.contains(**word)).map(move |word| {
                Finding::new(
                    format!("{path}:{}", number + 1),
                    format!("`{word}` is a path of one machine only"),
                )
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_a_machine_are_found_in_any_text() {
        for (text, found) in [
            ("fine\nworks/ and roots/", 0),
            (concat!("see /wo", "rk/notes"), 1),
            (concat!("a\nb ../sha", "red/x and /ro", "ot/y"), 2),
        ] {
            assert_eq!(check_text("README.md", text).len(), found, "{text}");
        }
    }
}
