//! Times as text: patterns of letters, as `SimpleDateFormat` of the JVM reads them, in English and in UTC.
//!
//! Reading is as lenient as there: a month 13 is January of the next year, text behind the pattern is ignored. Three things
//! are simpler: years of two digits lie between 1970 and 2069, numbers of weeks (`w`, `W`, `F`, `Y`) are written only, and
//! the Gregorian calendar reaches back for ever.

/// The milliseconds of a day.
pub const DAY: i64 = 24 * 60 * 60 * 1000;
const HOUR: i64 = 60 * 60 * 1000;
const MINUTE: i64 = 60 * 1000;

/// The longest pattern, in letters.
const PATTERN_MAX: usize = 1000;
/// The longest number that is read, in digits.
const DIGITS_MAX: usize = 9;

/// The days between 1970-01-01 and a day of the Gregorian calendar; months may be beyond the year.
#[must_use]
pub fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = year + (month - 1).div_euclid(12);
    let month = (month - 1).rem_euclid(12) + 1;
    let shifted = if month <= 2 { year - 1 } else { year };
    let era = shifted.div_euclid(400);
    let of_era = shifted.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + day_of_year - 719_468
}

/// The year, month and day that are so many days after 1970-01-01.
#[must_use]
pub fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let day_of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
/// From Monday on.
const WEEKDAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

/// Why a text is no pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// A letter without a meaning.
    #[error("Illegal pattern character '{0}'")]
    Letter(char),
    /// A quote without its other.
    #[error("Unterminated quote")]
    Quote,
    /// A time zone as ISO 8601 has it, with more than three letters.
    #[error("invalid ISO 8601 format: length={0}")]
    Zone(usize),
    /// A pattern that is too long.
    #[error("a pattern has at most {PATTERN_MAX} letters")]
    Long,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    /// A letter and how often it stands there.
    Field(char, usize),
}

/// How times are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    pieces: Vec<Piece>,
}

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// [`PatternError`].
    pub fn new(pattern: &str) -> Result<Self, PatternError> {
        if pattern.len() > PATTERN_MAX {
            return Err(PatternError::Long);
        }
        let mut pieces = Vec::new();
        let mut rest = pattern.chars().peekable();
        while let Some(next) = rest.next() {
            match next {
                '\'' if rest.next_if_eq(&'\'').is_some() => text(&mut pieces, '\''),
                '\'' => quoted(&mut pieces, &mut rest)?,
                letter if letter.is_ascii_alphabetic() => {
                    let mut count = 1;
                    while rest.next_if_eq(&letter).is_some() {
                        count += 1;
                    }
                    pieces.push(field(letter, count)?);
                }
                other => text(&mut pieces, other),
            }
        }
        Ok(Self { pieces })
    }

    /// Writes a time, given in milliseconds since 1970.
    #[must_use]
    pub fn write(&self, millis: i64) -> String {
        let moment = Moment::new(millis);
        let mut written = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => written.push_str(text),
                Piece::Field(letter, count) => written.push_str(&moment.field(*letter, *count)),
            }
        }
        written
    }

    /// Reads a time: milliseconds since 1970. Text behind the pattern is ignored.
    #[must_use]
    pub fn read(&self, text: &str) -> Option<i64> {
        let mut reading = Reading { rest: text, ..Reading::default() };
        for (index, piece) in self.pieces.iter().enumerate() {
            match piece {
                Piece::Text(text) => reading.rest = reading.rest.strip_prefix(text.as_str())?,
                Piece::Field(letter, count) => {
                    let adjacent = match self.pieces.get(index + 1) {
                        Some(Piece::Field(next, count)) => is_number(*next, *count),
                        _ => false,
                    };
                    let fixed = adjacent && is_number(*letter, *count);
                    reading.field(*letter, *count, fixed)?;
                }
            }
        }
        reading.millis()
    }
}

fn is_number(letter: char, count: usize) -> bool {
    match letter {
        'M' | 'L' => count <= 2,
        letter => !"GEazZX".contains(letter),
    }
}

fn text(pieces: &mut Vec<Piece>, letter: char) {
    match pieces.last_mut() {
        Some(Piece::Text(text)) => text.push(letter),
        _ => pieces.push(Piece::Text(letter.to_string())),
    }
}

/// Text up to the closing quote; two quotes stand for one.
fn quoted(
    pieces: &mut Vec<Piece>,
    rest: &mut std::iter::Peekable<std::str::Chars<'_>>,
) -> Result<(), PatternError> {
    loop {
        match rest.next().ok_or(PatternError::Quote)? {
            '\'' if rest.next_if_eq(&'\'').is_none() => return Ok(()),
            letter => text(pieces, letter),
        }
    }
}

fn field(letter: char, count: usize) -> Result<Piece, PatternError> {
    match letter {
        'X' if count > 3 => Err(PatternError::Zone(count)),
        letter if "GyYMLwWDdFEuaHkKhmsSzZX".contains(letter) => Ok(Piece::Field(letter, count)),
        letter => Err(PatternError::Letter(letter)),
    }
}

/// A time, taken apart.
struct Moment {
    year: i64,
    month: i64,
    day: i64,
    /// From 1 on.
    day_of_year: i64,
    /// From Monday, 0, on.
    weekday: i64,
    /// Of the day, in milliseconds.
    time: i64,
}

impl Moment {
    fn new(millis: i64) -> Self {
        let days = millis.div_euclid(DAY);
        let (year, month, day) = civil_from_days(days);
        Self {
            year,
            month,
            day,
            day_of_year: days - days_from_civil(year, 1, 1) + 1,
            weekday: (days + 3).rem_euclid(7),
            time: millis.rem_euclid(DAY),
        }
    }

    fn field(&self, letter: char, count: usize) -> String {
        let hour = self.time / HOUR;
        match letter {
            'G' => if self.year > 0 { "AD" } else { "BC" }.to_owned(),
            'y' => year(if self.year > 0 { self.year } else { 1 - self.year }, count),
            'Y' => year(self.week_year(), count),
            'M' | 'L' if count >= 3 => name(&MONTHS, self.month - 1, count),
            'E' => name(&WEEKDAYS, self.weekday, count),
            'a' => if hour < 12 { "AM" } else { "PM" }.to_owned(),
            'z' if count >= 4 => "Coordinated Universal Time".to_owned(),
            'z' => "UTC".to_owned(),
            'Z' => "+0000".to_owned(),
            'X' => "Z".to_owned(),
            letter => format!("{:0count$}", self.number(letter)),
        }
    }

    fn number(&self, letter: char) -> i64 {
        let hour = self.time / HOUR;
        match letter {
            'M' | 'L' => self.month,
            'w' => self.week(),
            'W' => (self.day - 1 + self.sunday_based(self.day - 1)) / 7 + 1,
            'D' => self.day_of_year,
            'd' => self.day,
            'F' => (self.day - 1) / 7 + 1,
            'u' => self.weekday + 1,
            'H' => hour,
            'k' => (hour + 23) % 24 + 1,
            'K' => hour % 12,
            'h' => (hour + 11) % 12 + 1,
            'm' => self.time / MINUTE % 60,
            's' => self.time / 1000 % 60,
            _ => self.time % 1000,
        }
    }

    /// The weekday, from Sunday on, of the day so many days earlier.
    fn sunday_based(&self, days_earlier: i64) -> i64 {
        (self.weekday + 1 - days_earlier).rem_euclid(7)
    }

    /// Weeks begin on Sundays; the one with January 1 is the first of its year.
    fn week(&self) -> i64 {
        if self.week_year() > self.year {
            return 1;
        }
        (self.day_of_year - 1 + self.sunday_based(self.day_of_year - 1)) / 7 + 1
    }

    fn week_year(&self) -> i64 {
        let saturday = self.day + 6 - self.sunday_based(0);
        if self.month == 12 && saturday > 31 { self.year + 1 } else { self.year }
    }
}

fn year(year: i64, count: usize) -> String {
    if count == 2 { format!("{:02}", year.rem_euclid(100)) } else { format!("{year:0count$}") }
}

fn name(names: &[&str], index: i64, count: usize) -> String {
    let name = usize::try_from(index).ok().and_then(|index| names.get(index)).copied().unwrap_or_default();
    if count >= 4 { name.to_owned() } else { name.chars().take(3).collect() }
}

/// What was read of a time.
#[derive(Default)]
struct Reading<'t> {
    rest: &'t str,
    year: Option<i64>,
    before_christ: bool,
    month: Option<i64>,
    day: Option<i64>,
    day_of_year: Option<i64>,
    hour: i64,
    afternoon: Option<bool>,
    half_day_hour: Option<i64>,
    minute: i64,
    second: i64,
    millisecond: i64,
    /// East of Greenwich, in milliseconds.
    zone: i64,
}

impl Reading<'_> {
    fn field(&mut self, letter: char, count: usize, fixed: bool) -> Option<()> {
        self.rest = self.rest.trim_start_matches([' ', '\t']);
        match letter {
            'G' => self.before_christ = self.word(&["AD", "BC"])? == 1,
            'E' => {
                self.name(&WEEKDAYS)?;
            }
            'a' => self.afternoon = Some(self.word(&["AM", "PM"])? == 1),
            'M' | 'L' if count >= 3 => self.month = Some(self.name(&MONTHS)? + 1),
            'z' | 'Z' | 'X' => self.zone = self.zone(letter, count)?,
            'w' | 'W' | 'F' | 'Y' => return None,
            letter => {
                let (number, digits) = self.number(count, fixed)?;
                self.set(letter, count, number, digits);
            }
        }
        Some(())
    }

    fn set(&mut self, letter: char, count: usize, number: i64, digits: usize) {
        match letter {
            'y' if count <= 2 && digits == 2 && number >= 0 => {
                self.year = Some(if number < 70 { 2000 + number } else { 1900 + number });
            }
            'y' => self.year = Some(number),
            'M' | 'L' => self.month = Some(number),
            'd' => self.day = Some(number),
            'D' => self.day_of_year = Some(number),
            'H' => self.hour = number,
            'k' => self.hour = if number == 24 { 0 } else { number },
            'K' => self.half_day_hour = Some(number),
            'h' => self.half_day_hour = Some(if number == 12 { 0 } else { number }),
            'm' => self.minute = number,
            's' => self.second = number,
            'S' => self.millisecond = number,
            _ => {}
        }
    }

    /// A number and how many bytes it took; of a fixed width if others follow without a separator.
    fn number(&mut self, count: usize, fixed: bool) -> Option<(i64, usize)> {
        let text = if fixed { self.rest.get(..count)? } else { self.rest };
        let unsigned = text.strip_prefix('-').unwrap_or(text);
        let digits = unsigned.bytes().take_while(u8::is_ascii_digit).count();
        if digits == 0 || digits > DIGITS_MAX {
            return None;
        }
        let taken = text.len() - unsigned.len() + digits;
        let number = text.get(..taken)?.parse().ok()?;
        self.rest = self.rest.get(taken..)?;
        Some((number, taken))
    }

    fn word(&mut self, words: &[&str]) -> Option<i64> {
        let found = words.iter().enumerate().filter(|(_, word)| starts_with(self.rest, word));
        let (index, word) = found.max_by_key(|(_, word)| word.len())?;
        self.rest = self.rest.get(word.len()..)?;
        i64::try_from(index).ok()
    }

    /// A name, or its first three letters.
    fn name(&mut self, names: &[&str]) -> Option<i64> {
        if let Some(index) = self.word(names) {
            return Some(index);
        }
        let short: Vec<&str> = names.iter().filter_map(|name| name.get(..3)).collect();
        self.word(&short)
    }

    fn zone(&mut self, letter: char, count: usize) -> Option<i64> {
        if letter == 'X' {
            if let Some(rest) = self.rest.strip_prefix('Z') {
                self.rest = rest;
                return Some(0);
            }
            return self.offset(count);
        }
        for name in ["Coordinated Universal Time", "GMT", "UTC"] {
            if starts_with(self.rest, name) {
                self.rest = self.rest.get(name.len()..)?;
                let signed = name == "GMT" && self.rest.starts_with(['+', '-']);
                return if signed { self.offset(3) } else { Some(0) };
            }
        }
        self.offset(2)
    }

    /// A sign and `hh`, `hhmm` or `hh:mm`, by the number of letters that ISO 8601 formats have.
    fn offset(&mut self, letters: usize) -> Option<i64> {
        let sign = match self.rest.bytes().next()? {
            b'+' => 1,
            b'-' => -1,
            _ => return None,
        };
        self.rest = self.rest.get(1..)?;
        let (hours, _) = self.number(2, true)?;
        if letters == 1 {
            return Some(sign * hours * HOUR);
        }
        if letters == 3 {
            self.rest = self.rest.strip_prefix(':')?;
        }
        let (minutes, _) = self.number(2, true)?;
        ((0..24).contains(&hours) && (0..60).contains(&minutes))
            .then_some(sign * (hours * HOUR + minutes * MINUTE))
    }

    fn millis(&self) -> Option<i64> {
        let year = self.year.unwrap_or(1970);
        let year = if self.before_christ { 1 - year } else { year };
        let days = match (self.month, self.day, self.day_of_year) {
            (None, None, Some(day)) => days_from_civil(year, 1, 1) + day - 1,
            (month, day, _) => days_from_civil(year, month.unwrap_or(1), 1) + day.unwrap_or(1) - 1,
        };
        let hour = match (self.half_day_hour, self.afternoon) {
            (Some(hour), afternoon) => hour + 12 * i64::from(afternoon == Some(true)),
            (None, _) => self.hour,
        };
        let time = hour * HOUR + self.minute * MINUTE + self.second * 1000 + self.millisecond;
        days.checked_mul(DAY)?.checked_add(time)?.checked_sub(self.zone)
    }
}

fn starts_with(text: &str, word: &str) -> bool {
    text.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::{Pattern, PatternError};

    fn pattern(text: &str) -> Pattern {
        Pattern::new(text).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn times_are_written() {
        // Friday, 2026-11-20 15:04:05.006
        let millis = 1_795_187_045_006;
        let cases = [
            ("yyyy-MM-dd'T'HH:mm:ss.SSS'Z'", "2026-11-20T15:04:05.006Z"),
            ("yyyyMMdd", "20261120"),
            ("yy/M/d h:m a", "26/11/20 3:4 PM"),
            ("EEE, d MMM yyyy HH:mm:ss Z", "Fri, 20 Nov 2026 15:04:05 +0000"),
            ("EEEE MMMM G", "Friday November AD"),
            ("DDD u F", "324 5 3"),
            ("kk KK hh", "15 03 03"),
            ("z zzzz X XX", "UTC Coordinated Universal Time Z Z"),
            ("''yyyy'' 'o''clock'", "'2026' o'clock"),
            ("yyyyy SSSSS", "02026 00006"),
            ("Y-w W", "2026-47 3"),
            ("", ""),
        ];
        for (text, written) in cases {
            assert_eq!(pattern(text).write(millis), written, "{text}");
        }
        assert_eq!(pattern("yyyy-MM-dd HH:mm:ss.SSS").write(-1), "1969-12-31 23:59:59.999");
        assert_eq!(pattern("Y w").write(1_798_502_400_000), "2027 1", "Tuesday, 2026-12-29");
    }

    #[test]
    fn times_are_read() {
        let cases = [
            ("yyyy-MM-dd", "1970-01-02", Some(86_400_000)),
            ("yyyy-MM-dd", "1970-13-01", Some(31_536_000_000)),
            ("yyyy-MM-dd", "1970-01-02 and more", Some(86_400_000)),
            ("yyyyMMddHHmmss", "19700102030405", Some(97_445_000)),
            ("yyyyMMdd", "1970010", Some(-86_400_000)),
            ("yyyyMMdd", "197001", None),
            ("ssSSS", "005", Some(5)),
            ("ssSSS", "0012", Some(12)),
            ("yy-M-d", "70-1-2", Some(86_400_000)),
            ("HH:mm:ss.SSS", "00:00:01.5", Some(1005)),
            ("h:mm a", "12:30 am", Some(1_800_000)),
            ("h:mm a", "12:30 PM", Some(45_000_000)),
            ("d MMM yyyy", "2 jan 1970", Some(86_400_000)),
            ("d MMM yyyy", "2 January 1970", Some(86_400_000)),
            ("HH:mm Z", "01:00 +0100", Some(0)),
            ("HH:mmXXX", "01:00+01:00", Some(0)),
            ("HH:mmX", "01:00Z", Some(3_600_000)),
            ("HH:mm z", "01:00 GMT+01:00", Some(0)),
            ("yyyy DDD", "1970 032", Some(2_678_400_000)),
            ("yyyy-MM-dd", "1970/01/02", None),
            ("yyyy-MM-dd", "", None),
            ("yyyy", "99999999999999999999", None),
            ("YYYY-'W'ww", "1970-W01", None),
        ];
        for (text, given, millis) in cases {
            assert_eq!(pattern(text).read(given), millis, "{text} of {given}");
        }
    }

    #[test]
    fn patterns_may_be_wrong() {
        let cases = [
            ("yyyy-bb", PatternError::Letter('b')),
            ("'T", PatternError::Quote),
            ("XXXX", PatternError::Zone(4)),
        ];
        for (text, error) in cases {
            assert_eq!(Pattern::new(text), Err(error), "{text}");
        }
        assert_eq!(Pattern::new(&"y".repeat(1001)), Err(PatternError::Long));
    }
}
