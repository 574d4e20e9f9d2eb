//! Settings that stand elsewhere: `${file:/etc/secrets.properties:password}` is what that file says.
//!
//! A worker is told of providers as Kafka Connect is: `config.providers` names them, `config.providers.NAME.class` says what
//! each is, `config.providers.NAME.param.…` what it may read. Values are looked up when settings are validated, and when a
//! connector or a task starts; what is written into topics and shown by the API is what was given, never what it stands for.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::common::{aliases, below};
use crate::error::ConnectError;
use crate::settings::Config;

/// The most bytes of a file that is read for a value.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// The providers of a worker.
#[derive(Clone, Debug, Default)]
pub struct Providers {
    named: BTreeMap<String, Provider>,
}

#[derive(Clone, Debug)]
enum Provider {
    /// A key of a file of properties.
    File(Places),
    /// A file of a folder.
    Directory(Places),
    /// A variable of the environment.
    Environment(Option<regex::Regex>),
}

/// The folders that may be read in; none is all.
#[derive(Clone, Debug)]
struct Places(Option<Vec<PathBuf>>);

/// What stands in the place of a value.
struct Variable<'t> {
    provider: &'t str,
    path: &'t str,
    key: &'t str,
}

impl Providers {
    /// Reads the settings of a worker.
    ///
    /// # Errors
    /// When a provider is of no known class, or its parameters are wrong.
    pub fn new(worker: &Config) -> Result<Self, ConnectError> {
        let mut named = BTreeMap::new();
        for name in aliases(worker, "config.providers") {
            let prefix = format!("config.providers.{name}.");
            let parameters = below(worker, &format!("{prefix}param."));
            let class = worker.get(&format!("{prefix}class")).map_or("", |class| class.trim());
            let provider = match class.rsplit('.').next() {
                Some("FileConfigProvider") => Provider::File(Places::new(&parameters)),
                Some("DirectoryConfigProvider") => Provider::Directory(Places::new(&parameters)),
                Some("EnvVarConfigProvider") => {
                    let pattern =
                        parameters.get("allowlist.pattern").map(|pattern| super::task::whole(pattern));
                    Provider::Environment(pattern.transpose()?)
                }
                _ => {
                    return Err(ConnectError::config(format!(
                        "Invalid value {class} for configuration {prefix}class: use FileConfigProvider, \
                         DirectoryConfigProvider or EnvVarConfigProvider"
                    )));
                }
            };
            named.insert(name, provider);
        }
        Ok(Self { named })
    }

    /// Settings with values in the place of what stands for them. What names no provider is left as it is.
    ///
    /// # Errors
    /// When there is no such value; the message names what was asked for, and shows no value.
    pub fn resolve(&self, config: &Config) -> Result<Config, ConnectError> {
        if self.named.is_empty() {
            return Ok(config.clone());
        }
        let resolved = config.iter().map(|(name, value)| Ok((name.clone(), self.value(name, value)?)));
        resolved.collect()
    }

    fn value(&self, name: &str, text: &str) -> Result<String, ConnectError> {
        let mut resolved = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, inside, after)) = next(rest) {
            resolved.push_str(before);
            let variable = Variable::new(inside);
            match variable.as_ref().and_then(|variable| Some((variable, self.named.get(variable.provider)?)))
            {
                Some((variable, provider)) => {
                    let refuse =
                        |why| ConnectError::config(format!("{name}: ${{{inside}}} has no value: {why}"));
                    resolved.push_str(&provider.value(variable).map_err(refuse)?);
                }
                None => resolved.push_str(&format!("${{{inside}}}")),
            }
            rest = after;
        }
        Ok(resolved + rest)
    }

    /// What a connector made of its settings for a task, without the values that it was shown: settings are again as they
    /// were `given` wherever something stands for a value in them.
    #[must_use]
    pub fn unresolved(&self, given: &Config, mut made: Config) -> Config {
        for (name, text) in given {
            if self.stands_for(text) && made.contains_key(name) {
                made.insert(name.clone(), text.clone());
            }
        }
        made
    }

    /// Whether a text has something in it that stands for a value.
    #[must_use]
    pub fn stands_for(&self, text: &str) -> bool {
        let mut rest = text;
        while let Some((_, inside, after)) = next(rest) {
            if Variable::new(inside).is_some_and(|variable| self.named.contains_key(variable.provider)) {
                return true;
            }
            rest = after;
        }
        false
    }
}

/// What is before, in and behind the next `${…}`.
fn next(text: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = text.split_once("${")?;
    let (inside, after) = rest.split_once('}')?;
    Some((before, inside, after))
}

impl<'t> Variable<'t> {
    fn new(inside: &'t str) -> Option<Self> {
        let (provider, rest) = inside.split_once(':')?;
        let (path, key) = rest.split_once(':').unwrap_or(("", rest));
        Some(Self { provider, path, key })
    }
}

impl Provider {
    fn value(&self, variable: &Variable<'_>) -> Result<String, String> {
        let missing = || format!("there is no {}", variable.key);
        match self {
            Self::File(places) => {
                let text = places.read(Path::new(variable.path))?;
                properties(&text).remove(variable.key).ok_or_else(missing)
            }
            Self::Directory(places) => {
                if variable.key.contains(['/', '\\']) || variable.key == ".." {
                    return Err("a key is the name of a file".to_owned());
                }
                places.read(&Path::new(variable.path).join(variable.key))
            }
            Self::Environment(pattern) => {
                if pattern.as_ref().is_some_and(|pattern| !pattern.is_match(variable.key)) {
                    return Err("the name is not allowed (allowlist.pattern)".to_owned());
                }
                std::env::var(variable.key).map_err(|_| missing())
            }
        }
    }
}

impl Places {
    fn new(parameters: &Config) -> Self {
        let list = parameters.get("allowed.paths").map(|list| list.split(',').map(str::trim));
        Self(list.map(|list| list.filter(|path| !path.is_empty()).map(PathBuf::from).collect()))
    }

    fn read(&self, path: &Path) -> Result<String, String> {
        let shown = path.display();
        let unreadable = |error: std::io::Error| format!("{shown} cannot be read: {error}");
        let real = path.canonicalize().map_err(unreadable)?;
        let holds = |place: &PathBuf| place.canonicalize().is_ok_and(|place| real.starts_with(place));
        if self.0.as_ref().is_some_and(|places| !places.iter().any(holds)) {
            return Err(format!("{shown} lies in none of the allowed paths (allowed.paths)"));
        }
        if real.metadata().map_err(unreadable)?.len() > FILE_BYTES_MAX {
            return Err(format!("{shown} has more than {FILE_BYTES_MAX} bytes"));
        }
        std::fs::read_to_string(real).map_err(unreadable)
    }
}

/// Names and values of a file of properties.
fn properties(text: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let mut line = line.trim_start().to_owned();
        if line.is_empty() || line.starts_with(['#', '!']) {
            continue;
        }
        // An odd number of backslashes at the end joins the next line.
        while line.chars().rev().take_while(|letter| *letter == '\\').count() % 2 == 1 {
            line.pop();
            match lines.next() {
                Some(more) => line.push_str(more.trim_start()),
                None => break,
            }
        }
        let mut escaped = false;
        let end = line.find(|letter: char| {
            let ends = !escaped && (matches!(letter, '=' | ':') || letter.is_ascii_whitespace());
            escaped = letter == '\\' && !escaped;
            ends
        });
        let (name, rest) = line.split_at(end.unwrap_or(line.len()));
        let rest = rest.trim_start();
        let value = rest.strip_prefix(['=', ':']).unwrap_or(rest).trim_start();
        found.insert(unescaped(name), unescaped(value));
    }
    found
}

fn unescaped(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        if letter != '\\' {
            plain.push(letter);
            continue;
        }
        match letters.next() {
            Some('n') => plain.push('\n'),
            Some('r') => plain.push('\r'),
            Some('t') => plain.push('\t'),
            Some('f') => plain.push('\u{c}'),
            Some('u') => {
                let digits: String = letters.by_ref().take(4).collect();
                plain.extend(u32::from_str_radix(&digits, 16).ok().and_then(char::from_u32));
            }
            Some(other) => plain.push(other),
            None => {}
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::{Config, Providers};

    fn config(entries: &[(&str, &str)]) -> Config {
        entries.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn values_stand_elsewhere() {
        let folder = tempfile::tempdir().expect("a folder");
        let (inside, outside) = (folder.path().join("in"), folder.path().join("out"));
        std::fs::create_dir_all(&inside).expect("a folder");
        std::fs::write(&outside, "word=secret").expect("a file");
        let text = "# comment\nword = s\\u0065cret=1\nlong: a\\\n   b\nwith\\ space x\\ty\nempty\n";
        std::fs::write(inside.join("file.properties"), text).expect("a file");
        std::fs::write(inside.join("token"), "abc").expect("a file");
        let place = inside.display();
        let worker = config(&[
            ("config.providers", "file, dir,env,open"),
            ("config.providers.file.class", "org.apache.kafka.common.config.provider.FileConfigProvider"),
            ("config.providers.file.param.allowed.paths", &place.to_string()),
            ("config.providers.dir.class", "DirectoryConfigProvider"),
            ("config.providers.dir.param.allowed.paths", &place.to_string()),
            ("config.providers.env.class", "EnvVarConfigProvider"),
            ("config.providers.env.param.allowlist.pattern", "PATH|NOT_THERE_.*"),
            ("config.providers.open.class", "FileConfigProvider"),
        ]);
        let providers = Providers::new(&worker).expect("providers");
        let path = std::env::var("PATH").expect("a path");
        let cases = [
            ("plain ${ text }".to_owned(), Ok("plain ${ text }".to_owned())),
            (format!("${{file:{place}/file.properties:word}}"), Ok("secret=1".to_owned())),
            (
                format!("a${{file:{place}/file.properties:long}}b${{dir:{place}:token}}"),
                Ok("aabbabc".to_owned()),
            ),
            (format!("${{file:{place}/file.properties:with space}}"), Ok("x\ty".to_owned())),
            (format!("${{file:{place}/file.properties:empty}}"), Ok(String::new())),
            (format!("${{open:{}:word}}", outside.display()), Ok("secret".to_owned())),
            ("${env:PATH}".to_owned(), Ok(path)),
            ("${other:a:b}".to_owned(), Ok("${other:a:b}".to_owned())),
            (format!("${{file:{place}/file.properties:none}}"), Err("there is no none")),
            (format!("${{file:{}:word}}", outside.display()), Err("allowed.paths")),
            (format!("${{file:{place}/../out:word}}"), Err("allowed.paths")),
            (format!("${{dir:{place}:../out}}"), Err("the name of a file")),
            (format!("${{file:{place}/none:word}}"), Err("cannot be read")),
            ("${env:NOT_THERE_1}".to_owned(), Err("there is no")),
            ("${env:HOME}".to_owned(), Err("not allowed")),
        ];
        for (text, expected) in cases {
            let resolved = providers.resolve(&config(&[("key", &text)]));
            match (resolved, expected) {
                (Ok(resolved), Ok(expected)) => assert_eq!(resolved.get("key"), Some(&expected), "{text}"),
                (Err(error), Err(expected)) => {
                    assert!(
                        error.message.contains(expected) && error.message.starts_with("key: "),
                        "{error}"
                    );
                }
                (resolved, expected) => panic!("{text}: {resolved:?} and not {expected:?}"),
            }
        }
        let given = config(&[("a", "${env:PATH}"), ("b", "${other:x}"), ("c", "plain")]);
        let made = config(&[("a", "secret"), ("b", "kept"), ("d", "own")]);
        let unresolved = providers.unresolved(&given, made);
        assert_eq!(unresolved, config(&[("a", "${env:PATH}"), ("b", "kept"), ("d", "own")]));
        assert!(Providers::new(&config(&[("config.providers", "a")])).is_err());
    }
}
