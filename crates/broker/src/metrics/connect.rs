//! The figures of a worker of Connect: in the node's page, or on a page of its own where a worker runs alone.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use vltava_connect::connector::figures::{FigureKind, Label};
use vltava_connect::worker::Worker;
use vltava_connect::worker::meters::TaskMeters;
use vltava_core::clock::Moment;
use vltava_core::meter::{Meter, Tally};

use super::exposition::Exposition;
use super::families::*;

/// A task of this worker.
struct Task {
    connector: String,
    number: String,
    kind: &'static str,
    state: &'static str,
    meters: Arc<TaskMeters>,
}

type OfTask = fn(&TaskMeters) -> f64;
type CounterOf = fn(&TaskMeters) -> &Meter;
type TallyOf = fn(&TaskMeters) -> &Tally;

/// The page of a worker that runs alone.
pub(crate) fn page(worker: &Worker) -> String {
    let mut page = Exposition::default();
    self::worker(worker, true, &mut page);
    page.into_text()
}

/// What is to tell of a worker; figures of connectors that are of single partitions only with `partitions`.
pub(crate) fn worker(worker: &Worker, partitions: bool, page: &mut Exposition) {
    let connectors = connectors(worker, page);
    let tasks = worker.meters().tasks().into_iter().filter_map(|((connector, task), meters)| {
        let kind = connectors.iter().find(|(name, _)| *name == connector)?.1;
        let state = worker.task_status(&connector, task).ok()?.state.state.word();
        Some(Task { connector, number: task.to_string(), kind, state, meters })
    });
    let tasks: Vec<Task> = tasks.collect();
    let of = |kind: &str| tasks.iter().filter(|task| task.kind == kind).collect::<Vec<_>>();
    let (all, sources, sinks) = (tasks.iter().collect::<Vec<_>>(), of("source"), of("sink"));
    page.single(&CONNECT_TASKS, all.len());
    page.single(&CONNECTOR_STARTS, worker.meters().connector_starts.get());
    page.single(&TASK_STARTS, worker.meters().task_starts.get());
    let mut samples = page.family(&TASK_STATUS);
    all.iter().for_each(|task| samples.add(&[&task.connector, &task.number, task.state], 1));
    let now = worker.clock().now();
    tallies(page, &all, (&TASK_BATCH_AVG, &TASK_BATCH_MAX), 1.0, |meters| &meters.batches);
    tallies(page, &all, (&TASK_COMMIT_AVG, &TASK_COMMIT_MAX), 1e-3, |meters| &meters.commits);
    tallies(page, &sources, (&SOURCE_POLL_AVG, &SOURCE_POLL_MAX), 1e-3, |meters| &meters.calls);
    let sizes: TallyOf = |meters| &meters.transactions;
    tallies(page, &sources, (&SOURCE_TRANSACTION_AVG, &SOURCE_TRANSACTION_MAX), 1.0, sizes);
    tallies(page, &sinks, (&SINK_PUT_AVG, &SINK_PUT_MAX), 1e-3, |meters| &meters.calls);
    let (taken, given): (CounterOf, CounterOf) = (|meters| &meters.taken, |meters| &meters.given);
    flow(page, &sources, now, (&SOURCE_POLL_TOTAL, &SOURCE_POLL_RATE), taken);
    flow(page, &sources, now, (&SOURCE_WRITE_TOTAL, &SOURCE_WRITE_RATE), given);
    flow(page, &sinks, now, (&SINK_READ_TOTAL, &SINK_READ_RATE), taken);
    flow(page, &sinks, now, (&SINK_SEND_TOTAL, &SINK_SEND_RATE), given);
    let failed: OfTask = |meters| meters.commit_failures.get() as f64;
    let succeeded: OfTask = |meters| meters.commits.count() as f64;
    let part = |part: f64, other: f64| if part == 0.0 { 0.0 } else { part / (part + other) };
    figures(page, &all, &TASK_COMMIT_SUCCESS, |meters| part(succeeded(meters), failed(meters)));
    figures(page, &all, &TASK_COMMIT_FAILURE, |meters| part(failed(meters), succeeded(meters)));
    figures(page, &sources, &SOURCE_ACTIVE, |meters| meters.active.get() as f64);
    figures(page, &sinks, &SINK_ACTIVE, |meters| meters.active.get() as f64);
    figures(page, &sinks, &SINK_PARTITIONS, |meters| meters.partitions.load(Ordering::Relaxed) as f64);
    figures(page, &sinks, &SINK_COMMITS, succeeded);
    let errors: [(&'static Family, OfTask); 8] = [
        (&TASK_ERRORS, |meters| meters.errors.errors.get() as f64),
        (&TASK_FAILURES, |meters| meters.errors.failures.get() as f64),
        (&TASK_SKIPPED, |meters| meters.errors.skipped.get() as f64),
        (&TASK_RETRIES, |meters| meters.errors.retries.get() as f64),
        (&TASK_LOGGED, |meters| meters.errors.logged.get() as f64),
        (&TASK_DEAD_LETTERS, |meters| meters.errors.dead_letters.get() as f64),
        (&TASK_DEAD_LETTER_FAILURES, |meters| meters.errors.dead_letter_failures.get() as f64),
        (&TASK_LAST_ERROR, |meters| meters.errors.last_ms() as f64),
    ];
    errors.into_iter().for_each(|(family, value)| figures(page, &all, family, value));
    own(page, &all, partitions, now);
}

/// Figures of connectors' own, of one name.
struct Own {
    kind: FigureKind,
    help: &'static str,
    values: BTreeMap<Vec<Label>, f64>,
}

/// What connectors tell beside all that. Where two mean different things by one name, or the same by the same labels, the
/// first is shown: the format has room for one.
fn own(page: &mut Exposition, tasks: &[&Task], partitions: bool, now: Moment) {
    let mut families: BTreeMap<(&str, &str), Own> = BTreeMap::new();
    for task in tasks {
        task.meters.figures.tell(now, |told| {
            if !partitions && told.labels.iter().any(|(name, _)| name == "partition") {
                return;
            }
            let new = || Own { kind: told.kind, help: told.help, values: BTreeMap::new() };
            let family = families.entry((told.prefix, told.name)).or_insert_with(new);
            if family.kind == told.kind {
                family.values.entry(told.labels.to_vec()).or_insert(told.value);
            }
        });
    }
    for ((prefix, name), Own { kind, help, values }) in families {
        let samples = values.iter().map(|(labels, value)| (labels.as_slice(), *value));
        page.other((&format!("{prefix}{name}"), shown(kind), help), samples);
    }
}

/// What a figure's value means, in the page's words.
pub(crate) fn shown(kind: FigureKind) -> Kind {
    match kind {
        FigureKind::Gauge => Kind::Gauge,
        FigureKind::Counter => Kind::Counter,
    }
}

/// What is to tell of the connectors that this worker runs; all of the group, with their types.
fn connectors(worker: &Worker, page: &mut Exposition) -> Vec<(String, &'static str)> {
    let all: Vec<_> = worker.connectors().iter().filter_map(|name| worker.info(name).ok()).collect();
    let known: Vec<_> = all.iter().filter(|connector| worker.runs(&connector.name)).collect();
    page.single(&CONNECTORS, known.len());
    let mut samples = page.family(&CONNECTOR_STATUS);
    for connector in &known {
        if let Ok(status) = worker.status(&connector.name) {
            samples.add(&[&connector.name, status.connector.state.word()], 1);
        }
    }
    let mut samples = page.family(&CONNECTOR_CLASS);
    for connector in &known {
        let class = connector.config.get("connector.class").map(String::as_str).unwrap_or_default();
        samples.add(&[&connector.name, class], 1);
    }
    let mut samples = page.family(&CONNECTOR_TYPE);
    known.iter().for_each(|connector| samples.add(&[&connector.name, connector.kind], 1));
    all.into_iter().map(|connector| (connector.name, connector.kind)).collect()
}

fn figures(
    page: &mut Exposition,
    tasks: &[&Task],
    family: &'static Family,
    value: impl Fn(&TaskMeters) -> f64,
) {
    let mut samples = page.family(family);
    tasks.iter().for_each(|task| samples.add(&[&task.connector, &task.number], value(&task.meters)));
}

/// A number that grows, and how fast it does.
fn flow(
    page: &mut Exposition,
    tasks: &[&Task],
    now: Moment,
    (total, rate): (&'static Family, &'static Family),
    meter: CounterOf,
) {
    figures(page, tasks, total, |meters| meter(meters).get() as f64);
    figures(page, tasks, rate, |meters| meter(meters).per_second(now));
}

/// The mean and the largest of values, times `scale`; nothing for tasks that have none.
fn tallies(
    page: &mut Exposition,
    tasks: &[&Task],
    (mean, max): (&'static Family, &'static Family),
    scale: f64,
    tally: TallyOf,
) {
    let known: Vec<_> =
        tasks.iter().filter_map(|task| Some((task, tally(&task.meters).mean_and_max()?))).collect();
    let mut samples = page.family(mean);
    known.iter().for_each(|(task, (mean, _))| samples.add(&[&task.connector, &task.number], mean * scale));
    let mut samples = page.family(max);
    known.iter().for_each(|(task, (_, max))| samples.add(&[&task.connector, &task.number], max * scale));
}
