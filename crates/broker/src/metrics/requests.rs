//! What is counted of requests: Kafka's `RequestMetrics`.

use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::time::Duration;

use parking_lot::Mutex;
use vltava_core::error::ErrorCode;
use vltava_core::meter::Counter;
use vltava_protocol::api::{APIS, Api};

use super::histogram::Histogram;

/// The meters of every API that was used, by the code of its key.
#[derive(Debug)]
pub(crate) struct RequestMeters(Box<[OnceLock<Box<ApiMeters>>]>);

/// The meters of an API.
#[derive(Debug)]
pub(crate) struct ApiMeters {
    /// Requests by version, beginning with version 0.
    versions: Box<[Counter]>,
    /// Codes other than `NONE` in responses.
    errors: Mutex<BTreeMap<ErrorCode, u64>>,
    /// `NONE` in responses.
    successes: Counter,
    /// From the last byte of a request to its reply in the queue, in microseconds.
    pub(crate) total_time_us: Histogram,
    /// The part of it in which the request was handled, in microseconds.
    pub(crate) local_time_us: Histogram,
    /// The part in which it waited behind earlier requests of its connection. A request that did not is not recorded.
    pub(crate) queue_time_us: Histogram,
    /// The part in which it waited for something else to happen: records, a commit, members. Recorded if it did.
    pub(crate) remote_time_us: Histogram,
    /// The part in which its reply waited behind earlier ones. Recorded if it did.
    pub(crate) reply_queue_time_us: Histogram,
    /// After all that, for how long the connection was full before its client had taken the reply. Recorded if it was.
    pub(crate) send_time_us: Histogram,
    /// The size of a request in bytes.
    pub(crate) bytes: Histogram,
}

/// Where the time of a request went, from its last byte to its reply in the queue of the connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Times {
    /// It waited behind earlier requests.
    pub(crate) queue: Duration,
    /// It was handled.
    pub(crate) local: Duration,
    /// It waited for something else to happen.
    pub(crate) remote: Duration,
    /// Its reply waited behind earlier ones.
    pub(crate) reply_queue: Duration,
}

impl Times {
    fn total(&self) -> Duration {
        self.queue + self.local + self.remote + self.reply_queue
    }
}

/// The error codes of one response. Empty, and without memory, until a code is added that is an error.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    successes: u32,
    errors: Vec<(ErrorCode, u32)>,
}

impl Tally {
    /// Adds a code of the response.
    pub(crate) fn add(&mut self, code: i16) {
        let code = ErrorCode::from_code(code);
        if code.is_none() {
            self.successes += 1;
            return;
        }
        match self.errors.iter_mut().find(|(seen, _)| *seen == code) {
            Some((_, count)) => *count += 1,
            None => self.errors.push((code, 1)),
        }
    }
}

impl Default for RequestMeters {
    fn default() -> Self {
        let codes = APIS.iter().map(|api| place(api) + 1).max().unwrap_or(0);
        RequestMeters((0..codes).map(|_| OnceLock::new()).collect())
    }
}

impl RequestMeters {
    /// A request of `bytes` bytes has come.
    pub(crate) fn arrived(&self, api: &Api, version: i16, bytes: usize) {
        let Some(meters) = self.0.get(place(api)) else { return };
        let meters = meters.get_or_init(|| Box::new(ApiMeters::new(api)));
        if let Some(count) = usize::try_from(version).ok().and_then(|version| meters.versions.get(version)) {
            count.add(1);
        }
        meters.bytes.record(bytes as u64);
    }

    /// A request has its reply.
    pub(crate) fn answered(&self, api: &Api, tally: &Tally, times: Times) {
        let Some(meters) = self.0.get(place(api)).and_then(OnceLock::get) else { return };
        meters.total_time_us.record(microseconds(times.total()));
        meters.local_time_us.record(microseconds(times.local));
        for (histogram, time) in [
            (&meters.queue_time_us, times.queue),
            (&meters.remote_time_us, times.remote),
            (&meters.reply_queue_time_us, times.reply_queue),
        ] {
            if !time.is_zero() {
                histogram.record(microseconds(time));
            }
        }
        if tally.successes > 0 {
            meters.successes.add(u64::from(tally.successes));
        }
        if !tally.errors.is_empty() {
            let mut errors = meters.errors.lock();
            for (code, count) in &tally.errors {
                *errors.entry(*code).or_default() += u64::from(*count);
            }
        }
    }

    /// The reply to a request has left, after its connection was full for so long.
    pub(crate) fn sent(&self, api: &Api, took: Duration) {
        if let Some(meters) = self.0.get(place(api)).and_then(OnceLock::get) {
            meters.send_time_us.record(microseconds(took));
        }
    }

    /// The meters of the APIs that were used.
    pub(crate) fn used(&self) -> impl Iterator<Item = (&'static Api, &ApiMeters)> {
        APIS.iter().filter_map(|api| Some((api, &**self.0.get(place(api))?.get()?)))
    }
}

impl ApiMeters {
    fn new(api: &Api) -> ApiMeters {
        let versions = usize::try_from(*api.versions.end()).unwrap_or(0) + 1;
        ApiMeters {
            versions: (0..versions).map(|_| Counter::default()).collect(),
            errors: Mutex::default(),
            successes: Counter::default(),
            total_time_us: Histogram::default(),
            local_time_us: Histogram::default(),
            queue_time_us: Histogram::default(),
            remote_time_us: Histogram::default(),
            reply_queue_time_us: Histogram::default(),
            send_time_us: Histogram::default(),
            bytes: Histogram::default(),
        }
    }

    /// The versions that were used, with how many requests they had.
    pub(crate) fn versions(&self) -> impl Iterator<Item = (usize, u64)> {
        self.versions.iter().map(Counter::get).enumerate().filter(|(_, count)| *count > 0)
    }

    /// The codes that responses had, with how often.
    pub(crate) fn errors(&self) -> Vec<(ErrorCode, u64)> {
        let successes = Some((ErrorCode::NONE, self.successes.get())).filter(|(_, count)| *count > 0);
        let errors = self.errors.lock();
        successes.into_iter().chain(errors.iter().map(|(code, count)| (*code, *count))).collect()
    }
}

/// A time in whole microseconds.
pub(crate) fn microseconds(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

fn place(api: &Api) -> usize {
    usize::from(api.key.code().unsigned_abs())
}

#[cfg(test)]
mod tests {
    use vltava_core::clock::Moment;
    use vltava_protocol::api::ApiKey;

    use super::*;

    #[test]
    fn requests_are_counted_by_api_version_and_code() {
        let meters = RequestMeters::default();
        let api = ApiKey::Metadata.api();
        for version in [12, 12, 13, -1, 99] {
            meters.arrived(api, version, 100);
        }
        let mut tally = Tally::default();
        [0, 3, 0, 3, 29].into_iter().for_each(|code| tally.add(code));
        let times = Times { local: Duration::from_millis(2), ..Times::default() };
        meters.answered(api, &tally, times);
        let remote = Times { remote: Duration::from_millis(5), ..times };
        meters.answered(api, &Tally::default(), remote);
        let (used, seen) = meters.used().next().expect("a used API");
        assert_eq!((used.name, meters.used().count()), ("Metadata", 1));
        let sums = [&seen.total_time_us, &seen.local_time_us, &seen.remote_time_us, &seen.queue_time_us]
            .map(|histogram| histogram.distribution(Moment::default()).sum);
        assert_eq!(sums, [9_000, 4_000, 5_000, 0]);
        assert_eq!(seen.versions().collect::<Vec<_>>(), [(12, 2), (13, 1)]);
        let errors = seen.errors();
        assert_eq!(
            errors.iter().map(|(code, count)| (code.code(), *count)).collect::<Vec<_>>(),
            [(0, 2), (3, 2), (29, 1)]
        );
    }
}
