//! What the registry refuses, with the codes and the words that clients know.

/// Why the registry did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say it")]
pub enum RegistryError {
    #[error("Subject '{0}' not found.")]
    SubjectNotFound(String),
    #[error("Version {0} not found.")]
    VersionNotFound(i32),
    #[error("Schema not found")]
    SchemaNotFound,
    #[error("Schema {0} not found")]
    SchemaIdNotFound(String),
    #[error("Subject '{0}' was soft deleted.Set permanent=true to delete permanently")]
    SubjectSoftDeleted(String),
    #[error("Subject '{0}' was not deleted first before being permanently deleted")]
    SubjectNotSoftDeleted(String),
    #[error("Subject '{0}' Version {1} was soft deleted.Set permanent=true to delete permanently")]
    VersionSoftDeleted(String, i32),
    #[error("Subject '{0}' Version {1} was not deleted first before being permanently deleted")]
    VersionNotSoftDeleted(String, i32),
    #[error("Subject '{0}' does not have subject-level compatibility configured")]
    NoSubjectConfig(String),
    #[error("Subject '{0}' does not have subject-level mode configured")]
    NoSubjectMode(String),
    #[error("Association for '{0}' not found.")]
    AssociationNotFound(String),
    #[error("Schema being registered is incompatible with an earlier schema for subject \"{subject}\", details: [{}]", .messages.join(", "))]
    Incompatible { subject: String, messages: Vec<String> },
    #[error("A maximum of {0} associations already exist")]
    TooManyAssociations(usize),
    #[error("An association of type '{kind}' already exists for resource '{resource}'")]
    ResourceAssociated { kind: String, resource: String },
    #[error("An association already exists for subject '{0}'")]
    SubjectAssociated(String),
    #[error("A strong association already exists for subject '{0}'")]
    SubjectStronglyAssociated(String),
    #[error("No active (non-deleted) version exists for subject '{0}'")]
    NoActiveVersion(String),
    #[error("The association of type '{kind}' is frozen for subject '{subject}'")]
    AssociationFrozen { kind: String, subject: String },
    #[error("{0}")]
    InvalidSchema(String),
    #[error(
        "The specified version '{0}' is not a valid version id. Allowed values are between [1, 2^31-1] and the string \"latest\""
    )]
    InvalidVersion(String),
    #[error(
        "Invalid compatibility level. Valid values are none, backward, forward, full, backward_transitive, forward_transitive, and full_transitive"
    )]
    InvalidLevel,
    #[error("{0}")]
    InvalidMode(&'static str),
    #[error("{0}")]
    NotPermitted(String),
    #[error("One or more references exist to the schema {{magic=1,keytype=SCHEMA,subject={0},version={1}}}.")]
    ReferenceExists(String, i32),
    #[error("{0}")]
    IdDoesNotMatch(String),
    #[error("The specified subject '{0}' is not a valid.")]
    InvalidSubject(String),
    #[error("{0}")]
    SchemaTooLarge(String),
    #[error("{0}")]
    InvalidRules(String),
    #[error("The specified context '{0}' is not empty.")]
    ContextNotEmpty(String),
    #[error("The association specified an invalid value for property: '{property}', detail: {detail}")]
    InvalidAssociation { property: &'static str, detail: String },
    #[error("{0}")]
    Store(String),
    #[error("{0}")]
    TimedOut(String),
    #[error("{0}")]
    UnknownLeader(String),
}

/// What modes there are, for those who named another one.
pub const MODES: &str = "Invalid mode. Valid values are READWRITE, READONLY, IMPORT and FORWARD.";

impl RegistryError {
    /// The code of the API; its first three digits are the status of HTTP.
    #[must_use]
    pub fn code(&self) -> u32 {
        match self {
            RegistryError::SubjectNotFound(_) => 40401,
            RegistryError::VersionNotFound(_) => 40402,
            RegistryError::SchemaNotFound | RegistryError::SchemaIdNotFound(_) => 40403,
            RegistryError::SubjectSoftDeleted(_) => 40404,
            RegistryError::SubjectNotSoftDeleted(_) => 40405,
            RegistryError::VersionSoftDeleted(..) => 40406,
            RegistryError::VersionNotSoftDeleted(..) => 40407,
            RegistryError::NoSubjectConfig(_) => 40408,
            RegistryError::NoSubjectMode(_) => 40409,
            RegistryError::AssociationNotFound(_) => 40410,
            RegistryError::Incompatible { .. } => 40901,
            RegistryError::TooManyAssociations(_) => 40902,
            RegistryError::ResourceAssociated { .. } => 40903,
            RegistryError::SubjectAssociated(_) => 40904,
            RegistryError::SubjectStronglyAssociated(_) => 40905,
            RegistryError::NoActiveVersion(_) => 40907,
            RegistryError::AssociationFrozen { .. } => 40908,
            RegistryError::InvalidSchema(_) => 42201,
            RegistryError::InvalidVersion(_) => 42202,
            RegistryError::InvalidLevel => 42203,
            RegistryError::InvalidMode(_) => 42204,
            RegistryError::NotPermitted(_) => 42205,
            RegistryError::ReferenceExists(..) => 42206,
            RegistryError::IdDoesNotMatch(_) => 42207,
            RegistryError::InvalidSubject(_) => 42208,
            RegistryError::SchemaTooLarge(_) => 42209,
            RegistryError::InvalidRules(_) => 42210,
            RegistryError::ContextNotEmpty(_) => 42211,
            RegistryError::InvalidAssociation { .. } => 42212,
            RegistryError::Store(_) => 50001,
            RegistryError::TimedOut(_) => 50002,
            RegistryError::UnknownLeader(_) => 50004,
        }
    }
}
