use clap::CommandFactory;
use vltava_core::id::{Offset, Timestamp};

use super::arguments::key_value;
use super::group::Target;
use super::output::{Table, size};
use super::{Cli, time};

#[test]
fn the_commands_are_well_formed() {
    Cli::command().debug_assert();
}

#[test]
fn every_command_explains_itself() {
    fn check(command: &clap::Command, path: &str) {
        let name = format!("{path} {}", command.get_name());
        assert!(command.get_about().is_some() || command.get_name() == "help", "{name} has no help");
        for argument in command.get_arguments() {
            assert!(
                argument.get_help().is_some() || argument.is_hide_set(),
                "{name} {} has no help",
                argument.get_id()
            );
        }
        command.get_subcommands().for_each(|inner| check(inner, &name));
    }
    check(&Cli::command(), "");
}

#[test]
fn tables_are_aligned_and_numbers_stand_at_the_right() {
    let mut table = Table::new(&["NAME", "COUNT", "SIZE"]);
    table.row(vec!["a".to_owned(), "1".to_owned(), "1.5 KiB".to_owned()]);
    table.row(vec!["longer".to_owned(), "-".to_owned(), "10 B".to_owned()]);
    let expected = "NAME    COUNT     SIZE\na           1  1.5 KiB\nlonger      -     10 B\n";
    assert_eq!(table.render(), expected);
}

#[test]
fn sizes_are_for_people() {
    for (bytes, expected) in [
        (0, "0 B"),
        (1023, "1023 B"),
        (1536, "1.5 KiB"),
        (3 << 30, "3.0 GiB"),
        (i64::MAX, "8.0 EiB"),
        (-1, "-1 B"),
    ] {
        assert_eq!(size(bytes), expected);
    }
}

#[test]
fn times_are_read_in_every_way_people_write_them() {
    let now = Timestamp(1_700_000_000_000);
    for (text, expected) in [
        ("0", Some(0)),
        ("1714564800000", Some(1_714_564_800_000)),
        ("2024-05-01T12:00:00Z", Some(1_714_564_800_000)),
        ("2024-05-01T14:00:00+02:00", Some(1_714_564_800_000)),
        ("2024-05-01T12:00:00.250Z", Some(1_714_564_800_250)),
        ("2024-05-01", Some(1_714_521_600_000)),
        ("1970-01-01T00:00:00Z", Some(0)),
        ("10m", Some(1_700_000_000_000 - 600_000)),
        ("2h", Some(1_700_000_000_000 - 7_200_000)),
        ("PT1H", Some(1_700_000_000_000 - 3_600_000)),
        ("2024-13-01", None),
        ("2024-05-01T25:00:00Z", None),
        ("soon", None),
        ("", None),
    ] {
        assert_eq!(time::parse(text, now).ok().map(|time| time.0), expected, "{text:?}");
    }
}

#[test]
fn a_shown_time_is_read_back() {
    for milliseconds in [0, 951_782_400_000, 1_714_564_800_250, 4_102_444_799_999] {
        let shown = time::show(Timestamp(milliseconds));
        assert_eq!(time::parse(&shown, Timestamp(0)), Ok(Timestamp(milliseconds)), "{shown}");
    }
    assert_eq!(time::show(Timestamp::NONE), "-");
}

#[test]
fn a_target_stays_within_the_log() {
    let now = Timestamp(1_700_000_000_000);
    let (start, end) = (Offset(10), Offset(100));
    for (text, current, at_time, expected) in [
        ("earliest", None, None, 10),
        ("latest", Some(20), None, 100),
        ("current", Some(20), None, 20),
        ("current", None, None, 100),
        ("50", None, None, 50),
        ("5", None, None, 10),
        ("500", None, None, 100),
        ("-5", Some(20), None, 15),
        ("+5", Some(20), None, 25),
        ("-10", None, None, 90),
        ("1h", None, Some(42), 42),
        ("@1700000000000", None, None, 100),
    ] {
        let target = Target::parse(text, now).unwrap();
        let found = target.resolve(current.map(Offset), start, end, at_time.map(Offset));
        assert_eq!(found, Offset(expected), "{text}");
    }
    assert!(Target::parse("whenever", now).is_err());
}

#[test]
fn settings_are_split_at_the_first_equals_sign() {
    assert_eq!(key_value("a=b=c"), Ok(("a".to_owned(), "b=c".to_owned())));
    assert_eq!(key_value("a="), Ok(("a".to_owned(), String::new())));
    assert!(key_value("=b").is_err() && key_value("a").is_err());
}
