//! What connectors may touch outside of topics.

use std::path::{Path, PathBuf};

/// Folders that connectors may read and write in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allowed {
    /// The folders; `None` is every place.
    folders: Option<Vec<PathBuf>>,
}

impl Allowed {
    /// Everything.
    #[must_use]
    pub fn everything() -> Self {
        Self::default()
    }

    /// Only what lies in these folders, however it is reached: links are followed.
    #[must_use]
    pub fn folders(folders: impl IntoIterator<Item = PathBuf>) -> Self {
        Self { folders: Some(folders.into_iter().collect()) }
    }

    /// Whether a file may be touched, which need not be there yet.
    ///
    /// # Errors
    /// Why it may not.
    pub fn check(&self, path: &Path) -> Result<(), String> {
        let Some(folders) = &self.folders else { return Ok(()) };
        let real = real(path).ok_or_else(|| format!("the folder of {} cannot be found", path.display()))?;
        let holds = |folder: &PathBuf| folder.canonicalize().is_ok_and(|folder| real.starts_with(folder));
        if folders.iter().any(holds) {
            return Ok(());
        }
        Err(format!("connectors may not touch {}: it lies in none of the allowed folders", path.display()))
    }
}

/// Where a path leads: itself, or a new file in a folder that is there.
fn real(path: &Path) -> Option<PathBuf> {
    if let Ok(real) = path.canonicalize() {
        return Some(real);
    }
    if path.is_symlink() {
        return None;
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Some(folder.canonicalize().ok()?.join(path.file_name()?))
}

#[cfg(test)]
mod tests {
    use super::Allowed;

    #[test]
    fn paths_lead_into_allowed_folders_or_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let (inside, outside) = (folder.path().join("in"), folder.path().join("out"));
        std::fs::create_dir_all(&inside).expect("a folder");
        std::fs::create_dir_all(&outside).expect("a folder");
        std::os::unix::fs::symlink(&outside, inside.join("link")).expect("a link");
        std::os::unix::fs::symlink(outside.join("new"), inside.join("dangling")).expect("a link");
        let allowed = Allowed::folders([inside.clone()]);
        let cases = [
            (inside.join("new"), true),
            (inside.join("../in/new"), true),
            (inside.join("../out/new"), false),
            (inside.join("link/new"), false),
            (inside.join("dangling"), false),
            (inside.join("missing/new"), false),
            (outside.join("new"), false),
            ("/etc/passwd".into(), false),
            ("relative".into(), false),
        ];
        for (path, expected) in cases {
            assert_eq!(allowed.check(&path).is_ok(), expected, "{}", path.display());
            assert_eq!(Allowed::everything().check(&path), Ok(()));
        }
    }
}
