//! What connectors may touch outside of topics.

use std::path::{Path, PathBuf};

/// Folders that connectors may read and write in, and addresses that they may ask and write to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allowed {
    /// The folders; `None` is every place.
    folders: Option<Vec<PathBuf>>,
    /// The beginnings of addresses; `None` is every address.
    urls: Option<Vec<String>>,
}

impl Allowed {
    /// These; `None` is everything.
    #[must_use]
    pub fn new(folders: Option<Vec<PathBuf>>, urls: Option<Vec<String>>) -> Self {
        Self { folders, urls }
    }

    /// Everything.
    #[must_use]
    pub fn everything() -> Self {
        Self::default()
    }

    /// Only what lies in these folders, however it is reached: links are followed. No addresses.
    #[must_use]
    pub fn folders(folders: impl IntoIterator<Item = PathBuf>) -> Self {
        Self::new(Some(folders.into_iter().collect()), Some(Vec::new()))
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
        Err(format!(
            "connectors may not touch {}: it lies in none of the allowed folders (allowed.folders of the worker)",
            path.display()
        ))
    }

    /// Whether an address may be asked and written to: it has the scheme, the host and the port of an allowed one, and lies
    /// below its path.
    ///
    /// # Errors
    /// Why it may not.
    pub fn check_url(&self, url: &str) -> Result<(), String> {
        let Some(urls) = &self.urls else { return Ok(()) };
        let asked = Parts::new(url).ok_or_else(|| format!("{url:?} is no address"))?;
        let path = asked.path.to_ascii_lowercase().replace("%2e", ".").replace("%2f", "/");
        let climbs = path.contains('\\') || path.split('/').any(|step| step == "..");
        let holds = |allowed: Parts<'_>| {
            let below = asked.path.strip_prefix(allowed.path.trim_end_matches('/'));
            asked.authority == allowed.authority
                && below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        if !climbs && urls.iter().filter_map(|allowed| Parts::new(allowed)).any(holds) {
            return Ok(());
        }
        let shown = url.split(['?', '#']).next().unwrap_or_default();
        Err(format!(
            "connectors may not touch {shown}: it begins with none of the allowed addresses (allowed.urls of the worker)"
        ))
    }
}

/// What an address is compared by.
struct Parts<'a> {
    /// The scheme, the host and the port.
    authority: (String, String, u16),
    path: &'a str,
}

impl<'a> Parts<'a> {
    /// The parts of an address; nothing when it is none, or has a user in it.
    fn new(url: &'a str) -> Option<Self> {
        let (scheme, rest) = url.trim().split_once("://")?;
        let scheme = scheme.to_ascii_lowercase();
        let rest = rest.split(['?', '#']).next().unwrap_or_default();
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let is_port = |port: &str| !port.is_empty() && port.bytes().all(|digit| digit.is_ascii_digit());
        let (host, port) = match authority.rsplit_once(':').filter(|(_, port)| is_port(port)) {
            Some((host, port)) => (host, port.parse().ok()?),
            None if scheme == "http" => (authority, 80),
            None if scheme == "https" => (authority, 443),
            None => (authority, 0),
        };
        let is_plain = !host.is_empty() && !host.contains(['@', '\\', ' ']);
        is_plain.then(|| Self { authority: (scheme, host.to_ascii_lowercase(), port), path })
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

    #[test]
    fn addresses_lie_below_allowed_ones_or_not() {
        let urls =
            ["https://api.example.com/v1/", "http://127.0.0.1:8080", "s3://bucket", "http://[::1]:80/"];
        let allowed = Allowed::new(None, Some(urls.map(str::to_owned).to_vec()));
        let cases = [
            ("https://api.example.com/v1", true),
            ("https://api.example.com/v1/a?b=../c#d", true),
            ("https://API.example.com:443/v1/a", true),
            ("https://api.example.com/v10", false),
            ("https://api.example.com/v1/../v2", false),
            ("https://api.example.com/v1/%2E%2e/v2", false),
            ("https://api.example.com/v1/a%2f..%2fv2", false),
            ("https://api.example.com/v1\\..\\v2", false),
            ("http://api.example.com/v1/a", false),
            ("https://api.example.com:444/v1/a", false),
            ("https://api.example.com.evil.org/v1/a", false),
            ("https://api.example.com@evil.org/v1/a", false),
            ("http://127.0.0.1:8080/", true),
            ("http://127.0.0.1:80801/", false),
            ("http://127.0.0.1/", false),
            ("http://127.0.0.1:8080@evil.org/", false),
            ("http://[::1]/x", true),
            ("s3://bucket/folder", true),
            ("s3://bucket-2/folder", false),
            ("", false),
            ("http://", false),
        ];
        for (url, expected) in cases {
            assert_eq!(allowed.check_url(url).is_ok(), expected, "{url}");
            assert_eq!(Allowed::everything().check_url(url), Ok(()));
            assert!(Allowed::folders([]).check_url(url).is_err());
        }
    }
}
