//! Random pairs of Avro schemas with data, for Avro's own library to judge: `exchange_avro SEED PAIRS FILE`.
//!
//! Each line of the file is a JSON object: the texts of a `writer` and a `reader`, the `canonical` text of the writer,
//! whether they fit (`fits`), and `values`: what was `written`, and the same `read` and written again by the reader, in
//! hexadecimal digits. `cargo xtask conformance avro-compatibility` runs it.

use std::error::Error;
use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::Arc;

use vltava_connect::schema::avro::AvroFormat;
use vltava_connect::schema::testing::avro::Shapes;
use vltava_connect::schema::{CompatibilityPolicy, Direction, Schema, SchemaFormat, SchemaText, Validation};

/// Values of each pair.
const VALUES: usize = 20;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [seed, pairs, file] = arguments.as_slice() else {
        return Err("usage: exchange_avro SEED PAIRS FILE".into());
    };
    let (seed, pairs): (u64, u64) = (seed.parse()?, pairs.parse()?);
    let mut file = std::io::BufWriter::new(std::fs::File::create(file)?);
    for pair in seed..seed + pairs {
        writeln!(file, "{}", line(pair)?)?;
    }
    Ok(file.flush()?)
}

fn line(seed: u64) -> Result<serde_json::Value, Box<dyn Error>> {
    let mut shapes = Shapes::new(seed);
    let shape = shapes.shape();
    let mut changed = shapes.changed(&shape);
    for _ in 0..seed % 3 {
        changed = shapes.changed(&changed);
    }
    let (writer, reader) = (parse(&shape.text())?, parse(&changed.text())?);
    let reasons = reader.incompatibilities(&*writer, Direction::NewReadsOld, CompatibilityPolicy::Strict);
    let mut values = Vec::new();
    for _ in 0..VALUES {
        let written = writer.encoded(None, &shapes.value(&shape))?;
        let read = reader.decode(&*writer, written.clone()).ok();
        let read = read.map(|value| reader.encoded(None, &value)).transpose()?;
        values.push(serde_json::json!({
            "written": hexadecimal(&written),
            "read": read.map(|read| hexadecimal(&read)),
        }));
    }
    Ok(serde_json::json!({
        "seed": seed,
        "writer": shape.text(),
        "reader": changed.text(),
        "canonical": writer.canonical(),
        "fits": reasons.is_empty(),
        "values": values,
    }))
}

fn parse(text: &str) -> Result<Arc<dyn Schema>, Box<dyn Error>> {
    Ok(AvroFormat.parse(SchemaText { text, references: &[], validation: Validation::New })?)
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _infallible = write!(text, "{byte:02x}");
        text
    })
}
