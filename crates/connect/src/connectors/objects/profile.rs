//! Who asks at Amazon by the files that its own tools read: keys and a region, of the profile that `AWS_PROFILE` names.
//!
//! What a profile says in other ways (roles, single sign-on, programs to run) is not read.

use std::path::PathBuf;

/// Keys and a region, as far as files say them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Profile {
    /// The id of a key, and the key.
    pub(super) key: Option<(String, String)>,
    pub(super) token: Option<String>,
    pub(super) region: Option<String>,
}

impl Profile {
    /// The profile of the environment; `variable` looks one up. Files that are not there say nothing.
    pub(super) fn of_environment(variable: impl Fn(&str) -> Option<String>) -> Self {
        let read = |name: &str, file: &str| {
            let home = || Some(PathBuf::from(variable("HOME")?).join(".aws").join(file));
            let path = variable(name).map(PathBuf::from).or_else(home);
            path.and_then(|path| std::fs::read_to_string(path).ok()).unwrap_or_default()
        };
        let credentials = read("AWS_SHARED_CREDENTIALS_FILE", "credentials");
        let config = read("AWS_CONFIG_FILE", "config");
        let name = variable("AWS_PROFILE").filter(|name| !name.is_empty());
        Self::new(&credentials, &config, name.as_deref().unwrap_or("default"))
    }

    /// The profile of that name in the texts of both files; the first one counts before the other.
    fn new(credentials: &str, config: &str, name: &str) -> Self {
        let longer = format!("profile {name}");
        let of_config = if name == "default" { name } else { &longer };
        let given = |key: &str| value(credentials, name, key).or_else(|| value(config, of_config, key));
        Self {
            key: given("aws_access_key_id").zip(given("aws_secret_access_key")),
            token: given("aws_session_token"),
            region: given("region"),
        }
    }
}

/// The last value of a key in a section.
fn value(text: &str, section: &str, key: &str) -> Option<String> {
    let (mut is_meant, mut found) = (false, None);
    for line in text.lines() {
        if let Some(name) = line.trim().strip_prefix('[').and_then(|rest| rest.split(']').next()) {
            is_meant = name.split_whitespace().eq(section.split_whitespace());
        } else if is_meant && !line.starts_with([' ', '\t', '#', ';']) {
            // Lines that begin with a space are within the value before.
            let pair = line.split_once('=').filter(|(name, _)| name.trim() == key);
            found =
                pair.map(|(_, value)| value.trim().to_owned()).filter(|value| !value.is_empty()).or(found);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::Profile;

    #[test]
    fn profiles_are_found_in_both_files() {
        let credentials = "# of tests\n[default]\naws_access_key_id = A\naws_secret_access_key=s=1\n\n\
            [other]\naws_access_key_id=B\n aws_secret_access_key=within\n[ third ]\naws_access_key_id=C\n\
            aws_secret_access_key=c\naws_session_token=t\n";
        let config = "[default]\nregion=eu-central-1\n[profile other]\nregion = us-west-2\naws_secret_access_key = b\n\
            [third]\nregion=nowhere\n[broken\n";
        let text = |text: &str| Some(text.to_owned());
        let key = |id: &str, secret: &str| text(id).zip(text(secret));
        let cases = [
            ("default", key("A", "s=1"), None, text("eu-central-1")),
            ("other", key("B", "b"), None, text("us-west-2")),
            ("third", key("C", "c"), text("t"), None),
            ("none", None, None, None),
        ];
        for (name, key, token, region) in cases {
            assert_eq!(Profile::new(credentials, config, name), Profile { key, token, region }, "{name}");
        }
    }

    #[test]
    fn files_are_where_the_environment_says() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(folder.path().join(".aws")).expect("a folder");
        std::fs::write(folder.path().join(".aws/config"), "[profile a]\nregion=home\n").expect("a file");
        std::fs::write(folder.path().join("other"), "[profile a]\nregion=other\n").expect("a file");
        let place = |name: &str| folder.path().join(name).to_str().map(str::to_owned);
        for (other, expected) in [(None, "home"), (place("other"), "other"), (place("none"), "")] {
            let profile = Profile::of_environment(|name| match name {
                "HOME" => place(""),
                "AWS_PROFILE" => Some("a".to_owned()),
                "AWS_CONFIG_FILE" => other.clone(),
                _ => None,
            });
            assert_eq!(profile.region.unwrap_or_default(), expected);
        }
    }
}
