//! Medians, ranges and ratios of what was measured, for people and as JSON.

use serde_json::{Map, Value, json};

use super::contestant::Contestant;
use super::load::Figures;
use super::scenario::{Scenario, Work};

/// Everything that one scenario has shown.
pub struct Results {
    pub scenario: &'static Scenario,
    /// What was carried out: less than the scenario's when it had to be quick.
    pub work: Work,
    pub rows: Vec<Row>,
}

/// The repetitions of one contestant, in the order of the rotation.
pub struct Row {
    pub contestant: Contestant,
    pub repetitions: Vec<Figures>,
    /// Repetitions that no other process disturbed, of how many tries.
    pub clean: usize,
    pub tries: usize,
}

/// Median, least and most.
#[derive(Clone, Copy, Debug)]
pub struct Spread {
    pub median: f64,
    pub least: f64,
    pub most: f64,
}

impl Spread {
    fn of(mut values: Vec<f64>) -> Option<Spread> {
        values.sort_by(f64::total_cmp);
        let median = *values.get(values.len() / 2)?;
        Some(Spread { median, least: *values.first()?, most: *values.last()? })
    }

    fn json(self) -> Value {
        json!({ "median": self.median, "min": self.least, "max": self.most })
    }
}

impl Row {
    fn figure(&self, name: &str) -> Option<Spread> {
        let values = self.repetitions.iter().flatten().filter(|(found, _)| *found == name);
        Spread::of(values.map(|(_, value)| *value).collect())
    }

    fn names(&self) -> impl Iterator<Item = &'static str> {
        self.repetitions.first().into_iter().flatten().map(|(name, _)| *name)
    }

    /// The ratios of the key figure to that of another row, repetition by repetition.
    fn ratio(&self, other: &Row, key: &str) -> Option<Spread> {
        let value =
            |figures: &Figures| figures.iter().find(|(name, _)| *name == key).map(|(_, value)| *value);
        let pairs = self.repetitions.iter().zip(&other.repetitions);
        Spread::of(pairs.filter_map(|(own, other)| Some(value(own)? / value(other)?)).collect())
    }
}

impl Results {
    /// The ratio of a contestant's key figure to the first floor's.
    pub fn ratio_to_floor(&self, contestant: Contestant) -> Option<Spread> {
        let floor = self.rows.iter().find(|row| matches!(row.contestant, Contestant::Floor(_)))?;
        let row = self.rows.iter().find(|row| row.contestant == contestant)?;
        row.ratio(floor, self.scenario.key)
    }

    fn ratio_to_kafka(&self, row: &Row) -> Option<Spread> {
        let kafka = self.rows.iter().find(|row| row.contestant == Contestant::Kafka)?;
        row.ratio(kafka, self.scenario.key)
    }

    /// Prints a block for people.
    pub fn print(&self) {
        println!("\n{}: {}", self.scenario.name, self.work.conditions());
        for row in &self.rows {
            let Some(key) = row.figure(self.scenario.key) else { continue };
            println!(
                "  {:<14}  {} {} ({} to {}){}{}  [clean {}/{}]",
                row.contestant.to_string(),
                number(key.median),
                self.scenario.key,
                number(key.least),
                number(key.most),
                told(self.ratio_to_floor(row.contestant).filter(|_| row.contestant != self.first()), "floor"),
                told(self.ratio_to_kafka(row).filter(|_| row.contestant == Contestant::Vltava), "kafka"),
                row.clean,
                row.tries,
            );
            let rest = row.names().filter(|name| *name != self.scenario.key);
            let rest: Vec<String> = rest
                .filter_map(|name| Some(format!("{name} {}", number(row.figure(name)?.median))))
                .collect();
            println!("                  {}", rest.join(", "));
        }
    }

    fn first(&self) -> Contestant {
        self.rows.first().map_or(Contestant::Vltava, |row| row.contestant)
    }

    /// Prints a JSON object for each contestant.
    pub fn print_json(&self) {
        for row in &self.rows {
            let figures: Map<String, Value> =
                row.names().filter_map(|name| Some((name.to_owned(), row.figure(name)?.json()))).collect();
            let object = json!({
                "scenario": self.scenario.name,
                "conditions": self.work.conditions(),
                "contestant": row.contestant.to_string(),
                "repetitions": row.repetitions.len(),
                "clean": row.clean,
                "tries": row.tries,
                "figures": figures,
                "key": self.scenario.key,
                "ratio_to_floor": self.ratio_to_floor(row.contestant).map(Spread::json),
                "ratio_to_kafka": self.ratio_to_kafka(row).map(Spread::json),
            });
            println!("{object}");
        }
    }
}

fn told(ratio: Option<Spread>, whom: &str) -> String {
    ratio.map_or_else(String::new, |ratio| {
        format!(", {:.2} x {whom} ({:.2} to {:.2})", ratio.median, ratio.least, ratio.most)
    })
}

/// Three digits that count.
fn number(value: f64) -> String {
    let digits = match value.abs() {
        large if large >= 100.0 => 0,
        medium if medium >= 10.0 => 1,
        small if small >= 1.0 => 2,
        _ => 3,
    };
    format!("{value:.digits$}")
}
