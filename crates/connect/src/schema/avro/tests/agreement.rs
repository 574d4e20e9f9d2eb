//! The verdict on two schemas agrees with what happens to data: what fits is always read, and of what does not fit, some
//! is not.

use super::parse;
use crate::schema::testing::avro::Shapes;
use crate::schema::{CompatibilityPolicy, Direction};

/// Pairs of schemas that are tried.
const PAIRS: u64 = 3000;
/// Values that are written with each.
const VALUES: usize = 100;

#[test]
fn the_verdict_is_what_reading_shows() {
    let (mut fitting, mut unfit) = (0, 0);
    for seed in 0..PAIRS {
        let mut shapes = Shapes::new(seed);
        let shape = shapes.shape();
        let mut changed = shapes.changed(&shape);
        for _ in 0..seed % 3 {
            changed = shapes.changed(&changed);
        }
        let (writer, reader) = (parse(&shape.text()), parse(&changed.text()));
        let reasons = reader.incompatibilities(&*writer, Direction::NewReadsOld, CompatibilityPolicy::Strict);
        let mut failed = None;
        for _ in 0..VALUES {
            let value = shapes.value(&shape);
            let bytes = writer.encoded(None, &value).unwrap();
            assert_eq!(writer.decode(&*writer, bytes.clone()).as_ref(), Ok(&value), "seed {seed}");
            match reader.decode(&*writer, bytes) {
                Ok(read) => assert!(reader.encoded(None, &read).is_ok(), "seed {seed}: {read:?}"),
                Err(error) => failed = Some(error),
            }
        }
        assert_eq!(
            reasons.is_empty(),
            failed.is_none(),
            "seed {seed}: {reasons:?}, {failed:?}\n{shape:?}\n{changed:?}"
        );
        if failed.is_some() { unfit += 1 } else { fitting += 1 }
    }
    assert!(fitting > PAIRS / 5 && unfit > PAIRS / 5, "{fitting} fit, {unfit} do not");
}
