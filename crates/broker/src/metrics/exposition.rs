//! Prometheus' text format.

use std::fmt::{Display, Write as _};

use super::families::{Family, Kind};
use super::histogram::Distribution;

/// The content type of the format.
pub(crate) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The quantiles that Kafka's histograms have.
const QUANTILES: [(&str, f64); 6] =
    [("0.5", 0.5), ("0.75", 0.75), ("0.95", 0.95), ("0.98", 0.98), ("0.99", 0.99), ("0.999", 0.999)];

/// A page of metrics, written family by family.
#[derive(Debug, Default)]
pub(crate) struct Exposition {
    text: String,
}

/// The samples of one family.
pub(crate) struct Samples<'a> {
    text: &'a mut String,
    family: &'static Family,
}

impl Exposition {
    /// Begins a family. Its samples follow it without another family between them, as the format asks.
    pub(crate) fn family(&mut self, family: &'static Family) -> Samples<'_> {
        self.head(family.name, family.kind, family.help);
        Samples { text: &mut self.text, family }
    }

    /// A family that is none of the broker's own, with its samples.
    pub(crate) fn other<'a>(
        &mut self,
        (name, kind, help): (&str, Kind, &str),
        samples: impl Iterator<Item = (&'a [(String, String)], f64)>,
    ) {
        self.head(name, kind, help);
        for (labels, value) in samples {
            line(&mut self.text, name, labels.iter().map(|(name, value)| (&**name, &**value)), value);
        }
    }

    fn head(&mut self, name: &str, kind: Kind, help: &str) {
        let _ = writeln!(self.text, "# HELP {name} {}", escape_help(help));
        let _ = writeln!(self.text, "# TYPE {name} {}", kind.word());
    }

    /// A family with one sample, without labels.
    pub(crate) fn single(&mut self, family: &'static Family, value: impl Display) {
        self.family(family).add(&[], value);
    }

    pub(crate) fn into_text(self) -> String {
        self.text
    }
}

impl Samples<'_> {
    /// A sample. The values stand in the order of the family's labels; those that are missing at the end are left out.
    pub(crate) fn add(&mut self, labels: &[&str], value: impl Display) {
        self.line("", labels, None, value);
    }

    /// A summary of values that are counted in a unit of `scale` to the family's: quantiles, sum and count.
    pub(crate) fn summary(&mut self, labels: &[&str], distribution: &Distribution, scale: f64) {
        debug_assert_eq!(self.family.kind, Kind::Summary);
        for (word, part) in QUANTILES {
            let value = distribution.quantile(part).map_or(f64::NAN, |value| value as f64 * scale);
            self.line("", labels, Some(("quantile", word)), value);
        }
        self.line("_sum", labels, None, distribution.sum as f64 * scale);
        self.line("_count", labels, None, distribution.count());
    }

    /// A histogram of values that are counted in a unit of `scale` to the family's, with these upper bounds in the
    /// family's unit.
    pub(crate) fn histogram(
        &mut self,
        labels: &[&str],
        distribution: &Distribution,
        scale: f64,
        bounds: &[f64],
    ) {
        debug_assert_eq!(self.family.kind, Kind::Histogram);
        for bound in bounds {
            let count = distribution.at_most((bound / scale) as u64);
            self.line("_bucket", labels, Some(("le", &bound.to_string())), count);
        }
        self.line("_bucket", labels, Some(("le", "+Inf")), distribution.count());
        self.line("_sum", labels, None, distribution.sum as f64 * scale);
        self.line("_count", labels, None, distribution.count());
    }

    fn line(&mut self, suffix: &str, labels: &[&str], more: Option<(&str, &str)>, value: impl Display) {
        self.text.push_str(self.family.name);
        let named = self.family.labels.iter().copied().zip(labels.iter().copied());
        line(self.text, suffix, named.chain(more), value);
    }
}

fn line<'a>(
    text: &mut String,
    name: &str,
    labels: impl Iterator<Item = (&'a str, &'a str)>,
    value: impl Display,
) {
    text.push_str(name);
    let mut open = '{';
    for (name, value) in labels {
        let _ = write!(text, "{open}{name}=\"{}\"", escape_label(value));
        open = ',';
    }
    if open == ',' {
        text.push('}');
    }
    let _ = writeln!(text, " {value}");
}

fn escape_label(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

fn escape_help(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use vltava_core::clock::Moment;

    use super::super::histogram::Histogram;
    use super::*;

    static GAUGE: Family = Family { name: "g", kind: Kind::Gauge, help: "a\nb", labels: &["one", "two"] };
    static SUMMARY: Family = Family { name: "s", kind: Kind::Summary, help: "c", labels: &["one"] };
    static HISTOGRAM: Family = Family { name: "h", kind: Kind::Histogram, help: "d", labels: &[] };

    #[test]
    fn the_text_is_what_prometheus_reads() {
        let histogram = Histogram::default();
        histogram.record(2);
        let seen = histogram.distribution(Moment(Duration::ZERO));
        let mut page = Exposition::default();
        let mut samples = page.family(&GAUGE);
        samples.add(&[], 1);
        samples.add(&["x\"\\"], 2.5);
        samples.add(&["x", "y\n"], -1);
        page.family(&SUMMARY).summary(&["x"], &seen, 0.5);
        page.family(&HISTOGRAM).histogram(&[], &seen, 1.0, &[1.0, 4.0]);
        let labels = [("one".to_owned(), "\"".to_owned()), ("two".to_owned(), String::new())];
        page.other(("o", Kind::Counter, "e"), [(&labels[..], 3.0), (&[], 0.5)].into_iter());
        let text = page.into_text();
        let wanted = [
            "# HELP g a\\nb",
            "# TYPE g gauge",
            "g 1",
            "g{one=\"x\\\"\\\\\"} 2.5",
            "g{one=\"x\",two=\"y\\n\"} -1",
            "# HELP s c",
            "# TYPE s summary",
            "s{one=\"x\",quantile=\"0.5\"} 1",
            "s_sum{one=\"x\"} 1",
            "s_count{one=\"x\"} 1",
            "# TYPE h histogram",
            "h_bucket{le=\"1\"} 0",
            "h_bucket{le=\"4\"} 1",
            "h_bucket{le=\"+Inf\"} 1",
            "h_sum 2",
            "h_count 1",
            "# HELP o e",
            "# TYPE o counter",
            "o{one=\"\\\"\",two=\"\"} 3",
            "o 0.5",
        ];
        let lines: Vec<&str> = text.lines().collect();
        for line in wanted {
            assert!(lines.contains(&line), "{line} is not in\n{text}");
        }
    }
}
