//! Fetching and building the client programs, each through its language's own package tool.
//!
//! What is fetched or built goes to the user's cache folder under a name that contains a fingerprint of its sources,
//! so a second run does nothing and a change is never missed.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail};

use super::cache::{self, Cache};
use super::catalogue::{Program, Suite};
use super::eos::{Roles, Workers};
use super::server::jars::{self, jars};

/// The Go module of a server that stands for Google Cloud Storage, and its version.
const FAKE_GCS: (&str, &str) = ("github.com/fsouza/fake-gcs-server", "v1.56.1");

/// The command that runs the program of `suite`, ready but for its environment.
pub fn prepare(suite: &Suite, cache: &Cache) -> anyhow::Result<Command> {
    let programs = cache::programs();
    match suite.program {
        Program::Shell(script) => {
            let mut command = Command::new("bash");
            command.arg(programs.join("sh").join(script));
            Ok(command)
        }
        Program::Python(script) => Ok(python("python3", &programs, script)),
        Program::PythonWithPackages(script) => {
            let interpreter = python_environment(cache, &programs, "requirements.txt")?;
            Ok(python(interpreter, &programs, script))
        }
        Program::PythonWithStores(script) => {
            let interpreter = python_environment(cache, &programs, "objects.txt")?;
            let azurite = node_packages(cache, &programs.join("azurite"))?;
            let mut command = python(interpreter, &programs, script);
            command
                .env("FAKE_GCS", fake_gcs(cache)?)
                .env("AZURITE", azurite.join("azurite/dist/src/blob/main.js"));
            Ok(command)
        }
        Program::Java(class) => java(cache, &programs, class),
        Program::Go(name) => go(cache, &programs, name),
        Program::Node(script) => node(cache, &programs, script),
        Program::ExactlyOnce(_) | Program::Messages | Program::Avro | Program::Connect => {
            bail!("it is no single program")
        }
    }
}

/// The programs of the exactly-once workload.
pub fn transform(workers: Workers, cache: &Cache) -> anyhow::Result<Roles> {
    let programs = cache::programs();
    // Prepared once: what they start is there before the first server is.
    java(cache, &programs, "Transform")?;
    let class = |cache: &Cache| java(cache, &cache::programs(), "Transform");
    let work: Box<dyn Fn() -> anyhow::Result<Command>> = match workers {
        Workers::Java => Box::new({
            let cache = cache.clone();
            move || class(&cache)
        }),
        Workers::Librdkafka => {
            let interpreter = python_environment(cache, &programs, "requirements.txt")?;
            Box::new(move || Ok(python(&interpreter, &cache::programs(), "transform.py")))
        }
    };
    let others = {
        let cache = cache.clone();
        Box::new(move || class(&cache))
    };
    Ok(Roles { work, others, late_copies: workers == Workers::Java })
}

/// Runs a package tool to its end; its output is shown only when it fails.
pub fn must_run(command: &mut Command) -> anyhow::Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output =
        command.stdin(Stdio::null()).output().with_context(|| format!("{name} cannot be started"))?;
    if !output.status.success() {
        let text = [output.stdout, output.stderr].concat();
        bail!("{name} failed ({}):\n{}", output.status, String::from_utf8_lossy(&text));
    }
    Ok(())
}

fn python(interpreter: impl AsRef<std::ffi::OsStr>, programs: &Path, script: &str) -> Command {
    let mut command = Command::new(interpreter);
    command.arg("-u").arg(programs.join("python").join(script)).env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

fn python_environment(cache: &Cache, programs: &Path, requirements: &str) -> anyhow::Result<PathBuf> {
    let requirements = programs.join("python").join(requirements);
    let name = format!("python-{}", cache::fingerprint(std::slice::from_ref(&requirements))?);
    let folder = cache.folder(&name)?;
    let interpreter = folder.join("bin/python");
    once(&folder, || {
        must_run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder))?;
        must_run(
            Command::new(&interpreter).args(["-m", "pip", "install", "--quiet", "-r"]).arg(&requirements),
        )
    })?;
    Ok(interpreter)
}

fn java(cache: &Cache, programs: &Path, class: &str) -> anyhow::Result<Command> {
    let libraries = jars(cache, &programs.join("kafka"), jars::TOOLS)?;
    let sources = files_of(&programs.join("java"), "java")?;
    let folder = cache.folder(&format!("java-{}", cache::fingerprint(&sources)?))?;
    let class_path = format!("{}/*", libraries.display());
    once(&folder, || {
        must_run(
            Command::new("javac").args(["-nowarn", "-cp", &class_path, "-d"]).arg(&folder).args(&sources),
        )
    })?;
    let mut command = Command::new("java");
    command
        .args(["-Xmx768M", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Djava.awt.headless=true"])
        .arg(format!("-Dlog4j2.configurationFile={}", programs.join("kafka/log4j2-tools.xml").display()))
        .arg("-cp")
        .arg(format!("{}:{class_path}", folder.display()))
        .arg(class);
    Ok(command)
}

fn go(cache: &Cache, programs: &Path, name: &str) -> anyhow::Result<Command> {
    let module = programs.join("go");
    let mut sources = files_of(&module.join(name), "go")?;
    sources.extend(files_of(&module.join("report"), "go")?);
    sources.extend([module.join("go.mod"), module.join("go.sum")]);
    let folder = cache.folder(&format!("go-{name}-{}", cache::fingerprint(&sources)?))?;
    let binary = folder.join(name);
    once(&folder, || {
        must_run(
            Command::new("go")
                .current_dir(&module)
                .args(["build", "-o"])
                .arg(&binary)
                .arg(format!("./{name}")),
        )
    })?;
    Ok(Command::new(binary))
}

/// A server that stands for Google Cloud Storage.
fn fake_gcs(cache: &Cache) -> anyhow::Result<PathBuf> {
    let (name, version) = FAKE_GCS;
    let folder = cache.folder(&format!("go-fake-gcs-{version}"))?;
    let install =
        || must_run(Command::new("go").env("GOBIN", &folder).arg("install").arg(format!("{name}@{version}")));
    once(&folder, install)?;
    Ok(folder.join("fake-gcs-server"))
}

fn node(cache: &Cache, programs: &Path, script: &str) -> anyhow::Result<Command> {
    let package = programs.join("node");
    // The script is found where the project has it; its packages where they were installed.
    let mut command = Command::new("node");
    command.arg(package.join(script)).env("NODE_PATH", node_packages(cache, &package)?);
    Ok(command)
}

/// Where the packages are that a folder locks.
fn node_packages(cache: &Cache, package: &Path) -> anyhow::Result<PathBuf> {
    let lock = [package.join("package.json"), package.join("package-lock.json")];
    let folder = cache.folder(&format!("node-{}", cache::fingerprint(&lock)?))?;
    once(&folder, || {
        for file in &lock {
            std::fs::copy(file, folder.join(file.file_name().context("a file has a name")?))?;
        }
        must_run(Command::new("npm").current_dir(&folder).args([
            "ci",
            "--no-audit",
            "--no-fund",
            "--ignore-scripts",
        ]))
    })?;
    Ok(folder.join("node_modules"))
}

/// Runs `build` unless an earlier run finished it in `folder`.
fn once(folder: &Path, build: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<()> {
    let done = folder.join(".complete");
    if !done.exists() {
        build()?;
        std::fs::write(&done, "")?;
    }
    Ok(())
}

/// The files of a folder that end in `.extension`, in the order of their names.
fn files_of(folder: &Path, extension: &str) -> anyhow::Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?;
    let mut files = entries.map(|entry| Ok(entry?.path())).collect::<anyhow::Result<Vec<_>>>()?;
    files.retain(|file| file.extension().is_some_and(|end| end == extension));
    files.sort();
    Ok(files)
}
