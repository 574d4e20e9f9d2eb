//! The known name that looks most like an unknown one.

/// The candidate with the smallest edit distance to `name`, when it is at most a third of the name's length.
#[must_use]
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = (name.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .map(|candidate| (distance(name, candidate), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// ` (did you mean x?)`, or nothing.
pub(super) fn hint(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |name| format!(" (did you mean {name}?)"))
}

/// How many characters must be inserted, removed or replaced to turn one text into the other (Levenshtein).
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, l) in left.chars().enumerate() {
        let mut diagonal = i;
        let mut previous = i + 1;
        for (cell, r) in row.iter_mut().skip(1).zip(&right) {
            let replaced = diagonal + usize::from(l != *r);
            diagonal = *cell;
            previous = replaced.min(previous + 1).min(*cell + 1);
            *cell = previous;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_close_name_is_found_and_a_far_one_is_not() {
        let known = ["log.retention.ms", "log.retention.bytes", "num.partitions"];
        for (name, expected) in [
            ("log.retension.ms", Some("log.retention.ms")),
            ("log.retention.byte", Some("log.retention.bytes")),
            ("numpartitions", Some("num.partitions")),
            ("something.else.entirely", None),
            ("", None),
        ] {
            assert_eq!(nearest(name, known), expected, "{name}");
        }
    }

    #[test]
    fn distance_counts_edits() {
        for (left, right, edits) in
            [("", "", 0), ("a", "", 1), ("", "ab", 2), ("kitten", "sitting", 3), ("x", "x", 0)]
        {
            assert_eq!(distance(left, right), edits, "{left} {right}");
        }
    }
}
