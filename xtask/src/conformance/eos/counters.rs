//! What exactly once means to who counts: every input came out once, and those of a partition in their order.

use std::collections::BTreeMap;

use crate::history::{Act, History, Isolation};

/// What is wrong with the outputs, which are `INPUT@ATTEMPT`; nothing if nothing is.
pub fn miscounts(history: &History, inputs: &str, outputs: &str) -> Vec<String> {
    let mut written: BTreeMap<&str, usize> = BTreeMap::new();
    let mut order: BTreeMap<&str, Vec<(i64, &str)>> = BTreeMap::new();
    for operation in &history.operations {
        let Act::Poll(poll) = &operation.act else { continue };
        if !poll.drain || poll.isolation != Isolation::Committed {
            continue;
        }
        for (place, value) in &poll.reads {
            if place.key.starts_with(inputs) {
                written.entry(value).or_default();
            } else if place.key.starts_with(outputs) {
                let input = value.split_once('@').map_or(value.as_str(), |(input, _)| input);
                *written.entry(input).or_default() += 1;
                order.entry(&place.key).or_default().push((place.offset, input));
            }
        }
    }
    let counts = written.iter().filter(|(_, count)| **count != 1);
    let mut wrong: Vec<String> =
        counts.map(|(input, count)| format!("{input} came out {count} times")).collect();
    for (key, outputs) in &mut order {
        outputs.sort_unstable();
        let numbers = outputs.iter().map(|(_, input)| input.trim_start_matches('i').parse::<u64>().ok());
        if !numbers.is_sorted() {
            wrong.push(format!("{key} is not in the order of its input"));
        }
    }
    if written.is_empty() {
        wrong.push("nothing was read".to_owned());
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::Reader;

    fn of(outputs: &str) -> Vec<String> {
        let mut reader = Reader::default();
        reader.line(r#"["poll","d",2,1,true,true,[["in-0",0,"i1"],["in-0",1,"i2"]]]"#).unwrap();
        reader.line(&format!(r#"["poll","d",4,3,true,true,[{outputs}]]"#)).unwrap();
        miscounts(&reader.finish(), "in-", "out-")
    }

    #[test]
    fn each_input_comes_out_once_in_order() {
        assert!(of(r#"["out-0",0,"i1@a"],["out-0",3,"i2@b"]"#).is_empty());
        assert_eq!(of(r#"["out-0",0,"i1@a"]"#), ["i2 came out 0 times"]);
        assert_eq!(
            of(r#"["out-0",0,"i1@a"],["out-0",1,"i1@b"],["out-0",2,"i2@c"]"#),
            ["i1 came out 2 times"]
        );
        assert_eq!(
            of(r#"["out-0",0,"i2@a"],["out-0",1,"i1@b"]"#),
            ["out-0 is not in the order of its input"]
        );
    }
}
