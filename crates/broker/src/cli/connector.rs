//! `vltava connector`: connectors of any worker with Kafka Connect's API.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use hyper::Method;
use serde_json::{Map, Value, json};
use vltava_connect::schema::remote::{self, Http, HttpSettings, part};

use super::error::CliError;
use super::output::{self, Table};
use super::schema::client::Answer;
use crate::connect_properties;

/// Commands of `vltava connector`.
#[derive(Debug, Subcommand)]
pub enum ConnectorCommand {
    /// List connectors with their states
    List(Worker),
    /// Create a connector, or change its settings
    Create(CreateArguments),
    /// Show the states of a connector and its tasks
    Status(Named),
    /// Stop reading and writing, and keep the tasks
    Pause(Named),
    /// Go on after a pause or a stop
    Resume(Named),
    /// End the tasks, and keep the settings
    Stop(Named),
    /// Start a connector again
    Restart(RestartArguments),
    /// Show, set or reset the offsets of a connector
    Offsets(OffsetsArguments),
    /// Delete a connector
    Delete(Named),
    /// List plugins, or the settings of one
    Plugins(PluginsArguments),
    /// Check settings, and tell every error
    Validate(CreateArguments),
}

/// Where the worker is, and how answers are printed.
#[derive(Clone, Debug, Args)]
pub struct Worker {
    /// The worker: ours, or any other with the same API
    #[arg(
        long,
        short = 'w',
        value_name = "URL",
        env = "VLTAVA_CONNECT",
        default_value = "http://127.0.0.1:8083"
    )]
    worker: String,
    /// How long a request may take, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 90)]
    timeout: u64,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Worker {
    async fn ask(&self, method: Method, path: &str, body: &Value) -> Result<Value, CliError> {
        let failed = |why: String| {
            let worker = &self.worker;
            CliError::Failed(format!(
                "{worker}: {why}\nIs a worker running? Give its address with --worker URL."
            ))
        };
        let url = self.worker.trim_end_matches('/').to_owned();
        let timeout = Duration::from_secs(self.timeout);
        let settings = HttpSettings {
            media_type: "application/json",
            connect_timeout: timeout,
            answer_timeout: timeout,
            retries_max: 0,
            ..HttpSettings::new(vec![url])
        };
        let http = Http::new(settings).map_err(|error| failed(error.to_string()))?;
        let answered = http.ask(method, path, body).await;
        let remote::Answer { status, body } = answered.map_err(|error| failed(error.why))?;
        Answer { status, body }.done()
    }
}

/// A connector.
#[derive(Debug, Args)]
pub struct Named {
    /// Its name
    name: String,
    #[command(flatten)]
    worker: Worker,
}

/// Settings of a connector.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  vltava connector create lines connector.class=FileStreamSource file=/var/log/syslog topic=lines
  vltava connector create lines --file lines.properties")]
pub struct CreateArguments {
    /// Its name
    name: String,
    /// Its settings
    #[arg(value_name = "KEY=VALUE")]
    settings: Vec<String>,
    /// A file with settings: .properties, or .json
    #[arg(long, short)]
    file: Option<PathBuf>,
    #[command(flatten)]
    worker: Worker,
}

/// Arguments of `vltava connector restart`.
#[derive(Debug, Args)]
pub struct RestartArguments {
    /// Its name
    name: String,
    /// Only this task
    #[arg(long, conflicts_with_all = ["tasks", "failed"])]
    task: Option<usize>,
    /// Its tasks too
    #[arg(long)]
    tasks: bool,
    /// Only what has failed
    #[arg(long)]
    failed: bool,
    #[command(flatten)]
    worker: Worker,
}

/// Arguments of `vltava connector offsets`.
#[derive(Debug, Args)]
pub struct OffsetsArguments {
    /// Its name
    name: String,
    /// Set these, as the command prints them with --json; the connector must be stopped
    #[arg(long, value_name = "JSON", conflicts_with = "reset")]
    set: Option<String>,
    /// Forget them all; the connector must be stopped
    #[arg(long)]
    reset: bool,
    #[command(flatten)]
    worker: Worker,
}

/// Arguments of `vltava connector plugins`.
#[derive(Debug, Args)]
pub struct PluginsArguments {
    /// The class, or a short name of it, whose settings are listed
    class: Option<String>,
    /// Transforms, predicates and converters too
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    worker: Worker,
}

/// Runs a command.
///
/// # Errors
/// [`CliError`].
pub async fn run(command: ConnectorCommand) -> Result<(), CliError> {
    match command {
        ConnectorCommand::List(worker) => list(&worker).await,
        ConnectorCommand::Create(arguments) => create(&arguments).await,
        ConnectorCommand::Status(named) => status(&named).await,
        ConnectorCommand::Pause(named) => change(&named, Method::PUT, "/pause", "pausing").await,
        ConnectorCommand::Resume(named) => change(&named, Method::PUT, "/resume", "resuming").await,
        ConnectorCommand::Stop(named) => change(&named, Method::PUT, "/stop", "stopping").await,
        ConnectorCommand::Restart(arguments) => restart(arguments).await,
        ConnectorCommand::Offsets(arguments) => offsets(&arguments).await,
        ConnectorCommand::Delete(named) => change(&named, Method::DELETE, "", "deleted").await,
        ConnectorCommand::Plugins(arguments) => plugins(&arguments).await,
        ConnectorCommand::Validate(arguments) => validate(&arguments).await,
    }
}

fn path(name: &str, rest: &str) -> String {
    format!("/connectors/{}{rest}", part(name))
}

fn text(value: &Value, pointer: &str) -> String {
    match value.pointer(pointer) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Null) | None => "-".to_owned(),
        Some(other) => other.to_string(),
    }
}

async fn list(worker: &Worker) -> Result<(), CliError> {
    let answer = worker.ask(Method::GET, "/connectors?expand=status&expand=info", &Value::Null).await?;
    if worker.json {
        return output::print_json(&answer);
    }
    let mut table = Table::new(&["NAME", "TYPE", "STATE", "TASKS", "FAILED", "CLASS"]);
    for (name, connector) in answer.as_object().into_iter().flatten() {
        let tasks = connector.pointer("/status/tasks").and_then(Value::as_array).map(Vec::as_slice);
        let tasks = tasks.unwrap_or_default();
        let failed = tasks.iter().filter(|task| text(task, "/state") == "FAILED").count();
        table.row(vec![
            name.clone(),
            text(connector, "/info/type"),
            text(connector, "/status/connector/state"),
            tasks.len().to_string(),
            failed.to_string(),
            text(connector, "/info/config/connector.class"),
        ]);
    }
    table.print("There are no connectors.")
}

fn settings(arguments: &CreateArguments) -> Result<Map<String, Value>, CliError> {
    let mut settings = Map::new();
    if let Some(file) = &arguments.file {
        if file.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json")) {
            let wrong = |error| CliError::Usage(format!("{}: {error}", file.display()));
            let read: Value = serde_json::from_slice(&std::fs::read(file)?).map_err(wrong)?;
            let own = read.get("config").unwrap_or(&read);
            settings.extend(own.as_object().cloned().unwrap_or_default());
        } else {
            settings.extend(connect_properties(file)?.into_iter().map(|(key, value)| (key, value.into())));
        }
    }
    for setting in &arguments.settings {
        let pair = setting.split_once('=');
        let (key, value) = pair.ok_or_else(|| CliError::Usage(format!("{setting}: write KEY=VALUE")))?;
        settings.insert(key.trim().to_owned(), value.into());
    }
    settings.insert("name".to_owned(), arguments.name.as_str().into());
    Ok(settings)
}

async fn create(arguments: &CreateArguments) -> Result<(), CliError> {
    let body = Value::Object(settings(arguments)?);
    let path = path(&arguments.name, "/config");
    let answer = arguments.worker.ask(Method::PUT, &path, &body).await?;
    if arguments.worker.json {
        return output::print_json(&answer);
    }
    output::print(&format!("{}: {}\n", arguments.name, text(&answer, "/type")))
}

async fn status(named: &Named) -> Result<(), CliError> {
    let answer = named.worker.ask(Method::GET, &path(&named.name, "/status"), &Value::Null).await?;
    if named.worker.json {
        return output::print_json(&answer);
    }
    let mut table = Table::new(&["WHAT", "STATE", "WORKER"]);
    let row = |what: String, state: &Value| vec![what, text(state, "/state"), text(state, "/worker_id")];
    let connector = answer.get("connector").cloned().unwrap_or_default();
    table.row(row("connector".to_owned(), &connector));
    let tasks = answer.get("tasks").and_then(Value::as_array).cloned().unwrap_or_default();
    for task in &tasks {
        table.row(row(format!("task {}", text(task, "/id")), task));
    }
    table.print("")?;
    for failed in std::iter::once(&connector).chain(&tasks).filter(|state| state.get("trace").is_some()) {
        output::print(&format!("\n{}\n", text(failed, "/trace")))?;
    }
    Ok(())
}

async fn change(named: &Named, method: Method, rest: &str, done: &str) -> Result<(), CliError> {
    named.worker.ask(method, &path(&named.name, rest), &Value::Null).await?;
    output::print(&format!("{}: {done}\n", named.name))
}

async fn restart(arguments: RestartArguments) -> Result<(), CliError> {
    let RestartArguments { name, task, tasks, failed, worker } = arguments;
    let rest = match task {
        Some(task) => format!("/tasks/{task}/restart"),
        None => format!("/restart?includeTasks={tasks}&onlyFailed={failed}"),
    };
    change(&Named { name, worker }, Method::POST, &rest, "restarting").await
}

async fn offsets(arguments: &OffsetsArguments) -> Result<(), CliError> {
    let (worker, path) = (&arguments.worker, path(&arguments.name, "/offsets"));
    let answer = match &arguments.set {
        Some(set) => {
            let body =
                serde_json::from_str(set).map_err(|error| CliError::Usage(format!("--set: {error}")))?;
            worker.ask(Method::PATCH, &path, &body).await?
        }
        None if arguments.reset => worker.ask(Method::DELETE, &path, &Value::Null).await?,
        None => worker.ask(Method::GET, &path, &Value::Null).await?,
    };
    if worker.json {
        return output::print_json(&answer);
    }
    let Some(offsets) = answer.get("offsets").and_then(Value::as_array) else {
        return output::print(&format!("{}\n", text(&answer, "/message")));
    };
    let mut table = Table::new(&["PARTITION", "OFFSET"]);
    offsets.iter().for_each(|entry| table.row(vec![text(entry, "/partition"), text(entry, "/offset")]));
    table.print("There are no offsets.")
}

async fn plugins(arguments: &PluginsArguments) -> Result<(), CliError> {
    let worker = &arguments.worker;
    let path = match &arguments.class {
        Some(class) => format!("/connector-plugins/{}/config", part(class)),
        None => format!("/connector-plugins?connectorsOnly={}", !arguments.all),
    };
    let answer = worker.ask(Method::GET, &path, &Value::Null).await?;
    if worker.json {
        return output::print_json(&answer);
    }
    let (headers, columns): (&[&str], _) = match arguments.class {
        Some(_) => (
            &["SETTING", "TYPE", "DEFAULT", "MEANING"],
            ["/name", "/type", "/default_value", "/documentation"],
        ),
        None => (&["CLASS", "TYPE", "VERSION", ""], ["/class", "/type", "/version", "/none"]),
    };
    let mut table = Table::new(headers);
    for row in answer.as_array().into_iter().flatten() {
        let cell = |column: &&str| if *column == "/none" { String::new() } else { text(row, column) };
        table.row(columns.iter().map(cell).collect());
    }
    table.print("There are no plugins.")
}

async fn validate(arguments: &CreateArguments) -> Result<(), CliError> {
    let settings = settings(arguments)?;
    let class = settings.get("connector.class").and_then(Value::as_str).unwrap_or_default().to_owned();
    let path = format!("/connector-plugins/{}/config/validate", part(&class));
    let answer = arguments.worker.ask(Method::PUT, &path, &json!(settings)).await?;
    if arguments.worker.json {
        return output::print_json(&answer);
    }
    let mut errors = Vec::new();
    for setting in answer.get("configs").and_then(Value::as_array).into_iter().flatten() {
        for error in setting.pointer("/value/errors").and_then(Value::as_array).into_iter().flatten() {
            errors.push(format!("{}: {}", text(setting, "/value/name"), error.as_str().unwrap_or_default()));
        }
    }
    if errors.is_empty() {
        output::print("The settings are valid.\n")
    } else {
        Err(CliError::Failed(errors.join("\n")))
    }
}
