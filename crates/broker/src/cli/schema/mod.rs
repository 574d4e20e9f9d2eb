//! `vltava schema`: register, look at, check and delete schemas, and set their compatibility, in any registry with the usual
//! API.

pub(super) mod client;

use std::io::Read;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use hyper::Method;
use serde_json::{Value, json};

use vltava_connect::schema::remote::part;

use self::client::RegistryArguments;
use super::error::CliError;
use super::output::{self, Table, or_dash};

/// Commands of `vltava schema`.
#[derive(Debug, Subcommand)]
pub enum SchemaCommand {
    /// Register a schema under a subject
    Register(RegisterArguments),
    /// Print a schema, by subject and version or by id
    Get(GetArguments),
    /// List subjects, or the versions of one
    List(ListArguments),
    /// Check whether a schema would get along with those of a subject
    Check(CheckArguments),
    /// Delete a version or all versions of a subject
    Delete(DeleteArguments),
    /// Show or set compatibility, of a subject or of everything
    Config(ConfigArguments),
}

/// A schema in a file.
#[derive(Debug, Args)]
struct SchemaArguments {
    /// The subject, such as orders-value
    subject: String,
    /// The file with the schema; - is standard input
    file: PathBuf,
    /// Its format: AVRO, PROTOBUF or JSON; else by the name of the file (.avsc, .proto, .json)
    #[arg(long = "type", value_name = "FORMAT")]
    format: Option<String>,
    /// What it refers to; may be given several times
    #[arg(long, value_name = "NAME=SUBJECT:VERSION")]
    reference: Vec<String>,
    /// Remove differences without a meaning
    #[arg(long)]
    normalize: bool,
}

/// Arguments of `vltava schema register`.
#[derive(Debug, Args)]
pub struct RegisterArguments {
    #[command(flatten)]
    schema: SchemaArguments,
    #[command(flatten)]
    registry: RegistryArguments,
}

/// Arguments of `vltava schema check`.
#[derive(Debug, Args)]
pub struct CheckArguments {
    #[command(flatten)]
    schema: SchemaArguments,
    /// Only against this version, not against those that the level asks for
    #[arg(long)]
    version: Option<String>,
    #[command(flatten)]
    registry: RegistryArguments,
}

/// Arguments of `vltava schema get`.
#[derive(Debug, Args)]
pub struct GetArguments {
    /// The subject; with --id it is not needed
    #[arg(required_unless_present = "id")]
    subject: Option<String>,
    /// The version
    #[arg(default_value = "latest")]
    version: String,
    /// The id of the schema
    #[arg(long)]
    id: Option<i32>,
    #[command(flatten)]
    registry: RegistryArguments,
}

/// Arguments of `vltava schema list`.
#[derive(Debug, Args)]
pub struct ListArguments {
    /// Only what begins like this
    #[arg(default_value = "")]
    prefix: String,
    /// Deleted ones as well
    #[arg(long)]
    deleted: bool,
    #[command(flatten)]
    registry: RegistryArguments,
}

/// Arguments of `vltava schema delete`.
#[derive(Debug, Args)]
#[command(after_help = "\
A deleted schema can still be read by its id, and registered again. With --permanent, which needs a deletion before it,
nothing is left.")]
pub struct DeleteArguments {
    /// The subject
    subject: String,
    /// Only this version
    #[arg(long)]
    version: Option<String>,
    /// For good
    #[arg(long)]
    permanent: bool,
    #[command(flatten)]
    registry: RegistryArguments,
}

/// Arguments of `vltava schema config`.
#[derive(Debug, Args)]
pub struct ConfigArguments {
    /// The subject; everything without it
    subject: Option<String>,
    /// The level to set: NONE, BACKWARD, FORWARD or FULL, the last three also with _TRANSITIVE
    #[arg(long, value_name = "LEVEL")]
    compatibility: Option<String>,
    #[command(flatten)]
    registry: RegistryArguments,
}

/// Runs a command.
pub async fn run(command: SchemaCommand) -> Result<(), CliError> {
    match command {
        SchemaCommand::Register(arguments) => register(&arguments).await,
        SchemaCommand::Get(arguments) => get(&arguments).await,
        SchemaCommand::List(arguments) => list(&arguments).await,
        SchemaCommand::Check(arguments) => check(&arguments).await,
        SchemaCommand::Delete(arguments) => delete(&arguments).await,
        SchemaCommand::Config(arguments) => config(&arguments).await,
    }
}

impl SchemaArguments {
    /// The request that brings the schema.
    fn body(&self) -> Result<Value, CliError> {
        let mut text = String::new();
        if self.file.as_os_str() == "-" {
            std::io::stdin().read_to_string(&mut text)?;
        } else {
            text = std::fs::read_to_string(&self.file)
                .map_err(|error| CliError::Failed(format!("{}: {error}", self.file.display())))?;
        }
        let by_name = match self.file.extension().and_then(|extension| extension.to_str()) {
            Some("proto") => "PROTOBUF",
            Some("json") => "JSON",
            _ => "AVRO",
        };
        let format = self.format.as_deref().unwrap_or(by_name).to_ascii_uppercase();
        let references: Vec<Value> =
            self.reference.iter().map(|text| reference(text)).collect::<Result<_, _>>()?;
        Ok(json!({ "schema": text, "schemaType": format, "references": references }))
    }

    fn query(&self) -> &'static str {
        if self.normalize { "normalize=true" } else { "" }
    }
}

/// `name=subject:version`. A subject may hold colons.
fn reference(text: &str) -> Result<Value, CliError> {
    let wrong = || CliError::Usage(format!("--reference {text}: write NAME=SUBJECT:VERSION"));
    let (name, place) = text.split_once('=').ok_or_else(wrong)?;
    let (subject, version) = place.rsplit_once(':').ok_or_else(wrong)?;
    let version: i32 = version.parse().map_err(|_| wrong())?;
    Ok(json!({ "name": name, "subject": subject, "version": version }))
}

async fn register(arguments: &RegisterArguments) -> Result<(), CliError> {
    let RegisterArguments { schema, registry } = arguments;
    let path = format!("/subjects/{}/versions?{}", part(&schema.subject), schema.query());
    let answer = registry.ask(Method::POST, &path, &schema.body()?).await?;
    if answer.status == 409 {
        let verdict = ask_why(schema, registry, "versions").await?;
        return Err(incompatible(&schema.subject, &verdict));
    }
    let done = answer.done()?;
    if registry.json {
        return output::print_json(&done);
    }
    // Older registries tell the id alone.
    let version = done.get("version").and_then(Value::as_i64).map(|version| format!(" version {version}"));
    output::print(&format!("{}{} has id {}\n", schema.subject, version.unwrap_or_default(), done["id"]))
}

async fn ask_why(
    schema: &SchemaArguments,
    registry: &RegistryArguments,
    versions: &str,
) -> Result<Value, CliError> {
    let subject = part(&schema.subject);
    let path = format!("/compatibility/subjects/{subject}/{versions}?verbose=true&{}", schema.query());
    registry.ask(Method::POST, &path, &schema.body()?).await?.done()
}

/// All that is in the way, one line each.
fn incompatible(subject: &str, verdict: &Value) -> CliError {
    let messages = verdict.get("messages").and_then(Value::as_array);
    let lines: Vec<String> = messages
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .map(|message| format!("  - {}", readable(message)))
        .collect();
    CliError::Failed(format!("the schema does not get along with {subject}:\n{}", lines.join("\n")))
}

/// A message of a check without its quotation: `KIND: what it means`.
fn readable(message: &str) -> String {
    let inner = message.trim_start_matches('{').trim_end_matches('}');
    let field = |name: &str, next: &str| {
        let (_, rest) = inner.split_once(&format!("{name}:"))?;
        let quote = rest.chars().next().filter(|quote| ['\'', '"'].contains(quote))?;
        let rest = rest.get(1..)?;
        let end = rest.find(&format!("{quote}, {next}:")).or_else(|| rest.rfind(quote))?;
        rest.get(..end)
    };
    match (field("errorType", "description"), field("description", "additionalInfo")) {
        (Some(kind), Some(description)) => format!("{kind}: {description}"),
        _ => inner.to_owned(),
    }
}

async fn check(arguments: &CheckArguments) -> Result<(), CliError> {
    let CheckArguments { schema, version, registry } = arguments;
    let versions =
        version.as_ref().map_or("versions".to_owned(), |version| format!("versions/{}", part(version)));
    let verdict = ask_why(schema, registry, &versions).await?;
    if registry.json {
        output::print_json(&verdict)?;
    }
    match (verdict["is_compatible"] == true, registry.json) {
        (true, true) => Ok(()),
        (true, false) => output::print(&format!("the schema gets along with {}\n", schema.subject)),
        (false, _) => Err(incompatible(&schema.subject, &verdict)),
    }
}

async fn get(arguments: &GetArguments) -> Result<(), CliError> {
    let registry = &arguments.registry;
    let path = match (&arguments.subject, arguments.id) {
        (_, Some(id)) => format!("/schemas/ids/{id}"),
        (Some(subject), None) => format!("/subjects/{}/versions/{}", part(subject), part(&arguments.version)),
        (None, None) => return Err(CliError::Usage("give a subject, or --id".to_owned())),
    };
    let schema = registry.ask(Method::GET, &path, &Value::Null).await?.done()?;
    if registry.json {
        return output::print_json(&schema);
    }
    let text = schema["schema"].as_str().unwrap_or_default();
    let pretty =
        serde_json::from_str::<Value>(text).map_or_else(|_| text.to_owned(), |json| format!("{json:#}"));
    output::print(&format!("{}\n", pretty.trim_end()))
}

async fn list(arguments: &ListArguments) -> Result<(), CliError> {
    let registry = &arguments.registry;
    let deleted = if arguments.deleted { "&deleted=true" } else { "" };
    let path = format!("/schemas?latestOnly=true&subjectPrefix={}{deleted}", part(&arguments.prefix));
    let schemas = registry.ask(Method::GET, &path, &Value::Null).await?.done()?;
    if registry.json {
        return output::print_json(&schemas);
    }
    let mut table = Table::new(&["SUBJECT", "VERSION", "ID", "TYPE", "DELETED"]);
    for schema in schemas.as_array().into_iter().flatten() {
        let deleted = if schema["deleted"] == true { "yes" } else { "no" };
        table.row(vec![
            or_dash(schema["subject"].as_str()),
            schema["version"].to_string(),
            schema["id"].to_string(),
            schema["schemaType"].as_str().unwrap_or("AVRO").to_owned(),
            deleted.to_owned(),
        ]);
    }
    table.print("no subjects")
}

async fn delete(arguments: &DeleteArguments) -> Result<(), CliError> {
    let registry = &arguments.registry;
    let version = arguments.version.as_ref().map(|version| format!("/versions/{}", part(version)));
    let permanent = if arguments.permanent { "?permanent=true" } else { "" };
    let path = format!("/subjects/{}{}{permanent}", part(&arguments.subject), version.unwrap_or_default());
    let deleted = registry.ask(Method::DELETE, &path, &Value::Null).await?.done()?;
    if registry.json {
        return output::print_json(&deleted);
    }
    output::print(&format!("deleted {} {deleted}\n", arguments.subject))
}

async fn config(arguments: &ConfigArguments) -> Result<(), CliError> {
    let registry = &arguments.registry;
    let subject = arguments.subject.as_ref().map(|subject| format!("/{}", part(subject))).unwrap_or_default();
    let config = match &arguments.compatibility {
        Some(level) => {
            let body = json!({ "compatibility": level });
            registry.ask(Method::PUT, &format!("/config{subject}"), &body).await?.done()?
        }
        None => {
            let path = format!("/config{subject}?defaultToGlobal=true");
            registry.ask(Method::GET, &path, &Value::Null).await?.done()?
        }
    };
    if registry.json {
        return output::print_json(&config);
    }
    let level = config.get("compatibilityLevel").or_else(|| config.get("compatibility"));
    output::print(&format!("{}\n", level.and_then(Value::as_str).unwrap_or("-")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_of_a_check_become_lines() {
        for (message, expected) in [
            (
                "{errorType:'READER_FIELD_MISSING_DEFAULT_VALUE', description:'The field 'b' has no default', additionalInfo:'b'}",
                "READER_FIELD_MISSING_DEFAULT_VALUE: The field 'b' has no default",
            ),
            ("{errorType:\"FIELD_REMOVED\", description:\"It is gone\"}", "FIELD_REMOVED: It is gone"),
            ("{oldSchemaVersion: 1}", "oldSchemaVersion: 1"),
            ("plain", "plain"),
        ] {
            assert_eq!(readable(message), expected);
        }
    }

    #[test]
    fn references_name_a_subject_and_a_version() {
        assert_eq!(
            reference("a.B=:.c:s:2").unwrap(),
            json!({"name": "a.B", "subject": ":.c:s", "version": 2})
        );
        for wrong in ["a", "a=b", "a=b:c"] {
            assert!(matches!(reference(wrong), Err(CliError::Usage(_))), "{wrong}");
        }
    }
}
