//! `cargo xtask codegen`: turns the message tables of `crates/protocol/messages` into Rust.
//!
//! API messages go to the protocol crate; every family of records goes to the crate that owns its log, so that storage
//! and coordinators never see a wire type. The output is a function of the tables alone; `--check` compares it with
//! what is there and changes nothing.

mod catalogue;
mod family;
mod message;
mod names;
mod output;
mod table;

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context, ensure};

use family::Framing;
use output::Output;
use table::{Kind, Table};

/// Where the tables are, from the workspace's root.
const MESSAGES: &str = "crates/protocol/messages";

/// Readers fill in what their version has, one field after the other.
const LINTS: &str = "#![allow(clippy::field_reassign_with_default, clippy::match_same_arms)]";

/// Options of `cargo xtask codegen`.
#[derive(clap::Args)]
pub struct Arguments {
    /// Fail if a generated file is stale, and change nothing
    #[arg(long)]
    check: bool,
}

/// Generates everything, or checks that everything is fresh.
pub fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("xtask lies in the workspace")?;
    let mut tables = Vec::new();
    for folder in ["api", "group", "transaction", "share", "metadata", "quorum", "storage"] {
        for (path, table) in table::read_folder(&root.join(MESSAGES).join(folder))? {
            let path = path.strip_prefix(root)?.display().to_string();
            tables.push(Source { folder, path, table, placed: false });
        }
    }
    let mut output = Output::new(root)?;
    generate_crate(&mut output, &mut tables, "core", &CORE)?;
    generate_crate(&mut output, &mut tables, "coordinator", &COORDINATOR)?;
    generate_crate(&mut output, &mut tables, "replication", &REPLICATION)?;
    generate_protocol(&mut output, &mut tables)?;
    for source in &tables {
        ensure!(source.placed, "{}/{} belongs to no crate", source.folder, source.table.name);
    }
    output.finish(arguments.check)
}

/// Fails if a generated file is stale, and changes nothing.
pub fn check() -> anyhow::Result<()> {
    run(&Arguments { check: true })
}

struct Source {
    folder: &'static str,
    /// From the workspace's root.
    path: String,
    table: Table,
    placed: bool,
}

/// A set of tables that becomes one module of a crate.
struct Family {
    /// The module, or empty for the crate's `generated` itself.
    module: &'static str,
    doc: &'static str,
    /// The name of the enum over its types.
    name: &'static str,
    framing: Framing,
    takes: fn(&Source) -> bool,
}

const CORE: [Family; 1] = [Family {
    module: "",
    doc: "Records that every log may hold, and small files beside the logs.",
    name: "",
    framing: Framing::None,
    takes: |source| {
        let control = [
            "AbortedTxn",
            "ControlRecordTypeSchema",
            "EndTxnMarker",
            "KRaftVersionRecord",
            "LeaderChangeMessage",
            "SnapshotFooterRecord",
            "SnapshotHeaderRecord",
            "VotersRecord",
        ];
        source.folder == "quorum" || control.contains(&source.table.name.as_str())
    },
}];

const COORDINATOR: [Family; 5] = [
    Family {
        module: "consumer_protocol",
        doc: "What classic consumers put into their group's metadata and assignments.",
        name: "",
        framing: Framing::None,
        takes: |source| source.table.name.starts_with("ConsumerProtocol"),
    },
    Family {
        module: "group",
        doc: "Records of `__consumer_offsets`.",
        name: "GroupRecord",
        framing: Framing::Coordinator,
        takes: |source| source.folder == "group",
    },
    Family {
        module: "metadata",
        doc: "Records of `__cluster_metadata`.",
        name: "MetadataRecord",
        framing: Framing::Metadata,
        takes: |source| source.folder == "metadata",
    },
    Family {
        module: "share",
        doc: "Records of `__share_group_state`.",
        name: "ShareStateRecord",
        framing: Framing::Coordinator,
        takes: |source| source.folder == "share",
    },
    Family {
        module: "transaction",
        doc: "Records of `__transaction_state`.",
        name: "TransactionRecord",
        framing: Framing::Coordinator,
        takes: |source| source.folder == "transaction",
    },
];

const REPLICATION: [Family; 2] = [
    Family {
        module: "producer",
        doc: "The file that keeps a partition's producers beside its log.",
        name: "",
        framing: Framing::None,
        takes: |source| source.table.name == "ProducerSnapshot",
    },
    Family {
        module: "remote_log",
        doc: "Records of `__remote_log_metadata`.",
        name: "RemoteLogRecord",
        framing: Framing::Metadata,
        takes: |source| source.folder == "storage",
    },
];

fn generate_crate(
    output: &mut Output,
    sources: &mut [Source],
    crate_name: &str,
    families: &[Family],
) -> anyhow::Result<()> {
    let folder = format!("crates/{crate_name}/src/generated");
    let home = if crate_name == "core" { "crate" } else { "vltava_core" };
    let mut modules = String::new();
    let mut rows = Vec::new();
    for family in families {
        let tables = take(sources, family.takes);
        let mut declarations = String::new();
        for (table, path) in &tables {
            let module = message::generate(table, path)?;
            let _ = writeln!(
                declarations,
                "pub mod {name};\npub use {name}::{};",
                module.message,
                name = module.name
            );
            rows.push(join(&[family.module, &module.message], "::"));
            let file = join(&[&folder, family.module, &format!("{}.rs", module.name)], "/");
            output.add(file, module.code.replace("vltava_core", home));
        }
        if family.module.is_empty() {
            modules.push_str(&declarations);
            continue;
        }
        let _ = writeln!(modules, "pub mod {};", family.module);
        let tables: Vec<&Table> = tables.iter().map(|(table, _)| *table).collect();
        let enums = family::generate(family.name, family.framing, &tables)?;
        let file = format!("{folder}/{}/mod.rs", family.module);
        output.add(file, family_module(family, &declarations, &enums));
    }
    let doc = families
        .iter()
        .find(|family| family.module.is_empty())
        .map_or("Record families.", |family| family.doc);
    let rows: String = rows.iter().fold(String::new(), |mut code, row| {
        let _ = writeln!(code, "MessageRow::of::<{row}>(),");
        code
    });
    output.add(
        format!("{folder}/mod.rs"),
        format!(
            "// Generated by `cargo xtask codegen` from {MESSAGES}. Do not edit.

            //! {doc}

            {LINTS}

            use {home}::wire::MessageRow;

            {modules}

            /// Every record type of this crate, for tests and tools.
            pub const MESSAGES: &[MessageRow] = &[{rows}];\n"
        ),
    );
    Ok(())
}

fn family_module(family: &Family, declarations: &str, enums: &str) -> String {
    let imports = if enums.is_empty() {
        ""
    } else {
        "use std::ops::RangeInclusive;\n\nuse bytes::Bytes;\nuse vltava_core::wire::{Message, Reader, WireError, Writer};"
    };
    format!(
        "// Generated by `cargo xtask codegen` from {MESSAGES}. Do not edit.

        //! {}

        {imports}

        {declarations}

        {enums}",
        family.doc
    )
}

fn generate_protocol(output: &mut Output, sources: &mut [Source]) -> anyhow::Result<()> {
    let folder = "crates/protocol/src/generated";
    let tables = take(sources, |source| source.folder == "api");
    let (mut modules, mut exports, mut rows) = (String::new(), String::new(), String::new());
    for (table, path) in &tables {
        let module = message::generate(table, path)?;
        let _ = writeln!(modules, "pub mod {};", module.name);
        let _ = writeln!(exports, "pub use super::{}::{};", module.name, module.message);
        if !matches!(table.kind, Kind::Request | Kind::Response) {
            let _ = writeln!(rows, "MessageRow::of::<messages::{}>(),", module.message);
        }
        output.add(format!("{folder}/{}.rs", module.name), module.code);
    }
    let tables: Vec<&Table> = tables.iter().map(|(table, _)| *table).collect();
    output.add(format!("{folder}/catalogue.rs"), catalogue::generate(&tables)?);
    output.add(
        format!("{folder}/mod.rs"),
        format!(
            "// Generated by `cargo xtask codegen` from {MESSAGES}/api. Do not edit.

            //! The messages of all APIs, one module each.

            {LINTS}

            use vltava_core::wire::MessageRow;

            pub mod catalogue;
            {modules}

            /// All messages by name. The structures inside a message are in the message's own module.
            pub mod messages {{ {exports} }}

            /// The messages that belong to no API, for tests and tools.
            pub const OTHER_MESSAGES: &[MessageRow] = &[{rows}];\n"
        ),
    );
    Ok(())
}

/// Takes the tables that belong to a family and to none before it.
fn take(sources: &mut [Source], takes: impl Fn(&Source) -> bool) -> Vec<(&Table, &str)> {
    let mut taken = Vec::new();
    for source in sources {
        if !source.placed && takes(source) {
            source.placed = true;
            taken.push((&source.table, source.path.as_str()));
        }
    }
    taken
}

fn join(parts: &[&str], separator: &str) -> String {
    let parts: Vec<&str> = parts.iter().copied().filter(|part| !part.is_empty()).collect();
    parts.join(separator)
}
