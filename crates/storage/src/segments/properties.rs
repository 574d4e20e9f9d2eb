//! `meta.properties`: whose log directory this is.

use vltava_core::id::{BrokerId, DirectoryId};

/// What `meta.properties` says: a Java properties file of version 1 (KIP-631, the directory id KIP-858).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetaProperties {
    /// `cluster.id`
    pub cluster_id: String,
    /// `node.id`
    pub node_id: BrokerId,
    /// `directory.id`; directories formatted before Kafka 3.7 have none until a broker opens them.
    pub directory_id: Option<DirectoryId>,
}

/// Why a `meta.properties` is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PropertiesError {
    /// A key that must be there is not.
    #[error("`{0}` is missing; restore the file, or move the directory away to have a new one made")]
    Missing(&'static str),
    /// A value is not what its key wants.
    #[error("`{key}` is `{value}`, which is not {wanted}")]
    Value {
        /// The key.
        key: &'static str,
        /// Its value.
        value: String,
        /// What it should be.
        wanted: &'static str,
    },
}

impl MetaProperties {
    /// Reads the file's content.
    ///
    /// # Errors
    /// [`PropertiesError`] for a version other than 1, and when a key is missing or malformed.
    pub fn parse(content: &[u8]) -> Result<MetaProperties, PropertiesError> {
        let text = String::from_utf8_lossy(content);
        let value = |key: &'static str| {
            text.lines()
                .map(str::trim)
                .filter(|line| !line.starts_with(['#', '!']))
                .filter_map(|line| line.split_once(['=', ':']))
                .find(|(name, _)| name.trim() == key)
                .map(|(_, value)| value.trim().replace('\\', ""))
        };
        let wrong = |key, value: String, wanted| PropertiesError::Value { key, value, wanted };
        let version = value("version").ok_or(PropertiesError::Missing("version"))?;
        if version != "1" {
            return Err(wrong("version", version, "1, the only version there is"));
        }
        let node = value("node.id").ok_or(PropertiesError::Missing("node.id"))?;
        let directory = value("directory.id");
        Ok(MetaProperties {
            cluster_id: value("cluster.id").ok_or(PropertiesError::Missing("cluster.id"))?,
            node_id: BrokerId(node.parse().map_err(|_| wrong("node.id", node, "a number"))?),
            directory_id: match directory {
                Some(id) => {
                    Some(id.parse().map_err(|_| wrong("directory.id", id, "an id of 22 characters"))?)
                }
                None => None,
            },
        })
    }

    /// The file's content.
    #[must_use]
    pub fn print(&self) -> Vec<u8> {
        let directory = self.directory_id.map(|id| format!("directory.id={id}\n")).unwrap_or_default();
        format!("cluster.id={}\n{directory}node.id={}\nversion=1\n", self.cluster_id, self.node_id)
            .into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use vltava_core::id::Uuid;

    use super::*;

    #[test]
    fn properties_survive_their_text() {
        let written = MetaProperties {
            cluster_id: "MkU3OEVBNTcwNTJENDM2Qg".into(),
            node_id: BrokerId(3),
            directory_id: Some(DirectoryId(Uuid::from_u128(77))),
        };
        assert_eq!(MetaProperties::parse(&written.print()), Ok(written));
    }

    #[test]
    fn kafkas_files_are_read_and_bad_ones_named() {
        let kafka = "#\n#Fri Oct 25 03:33:01 CST 2024\ncluster.id=x\\=y\nnode.id=1\nversion=1\n";
        let read = MetaProperties::parse(kafka.as_bytes()).unwrap();
        assert_eq!((read.cluster_id.as_str(), read.node_id, read.directory_id), ("x=y", BrokerId(1), None));
        for (text, says) in [
            ("", "`version` is missing"),
            ("version=0\n", "`version` is `0`"),
            ("version=1\n", "`node.id` is missing"),
            ("version=1\nnode.id=x\ncluster.id=c\n", "`node.id` is `x`"),
            ("version=1\nnode.id=1\n", "`cluster.id` is missing"),
            ("version=1\nnode.id=1\ncluster.id=c\ndirectory.id=7\n", "`directory.id` is `7`"),
        ] {
            let error = MetaProperties::parse(text.as_bytes()).unwrap_err().to_string();
            assert!(error.starts_with(says), "{text:?}: {error}");
        }
    }
}
