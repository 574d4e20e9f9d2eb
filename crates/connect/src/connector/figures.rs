//! Figures of a task's own, beside those that the worker has of every task.
//!
//! A task keeps its numbers itself, and registers how they are read: recording looks nothing up, and nothing is computed
//! before somebody looks. Figures are gone when the task has ended, whatever still holds the numbers. Names and labels are
//! what Prometheus' text format can hold, and there are only so many of them.

use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;
use thiserror::Error;
use vltava_core::clock::Moment;

/// The most figures of a task.
pub const FIGURES_MAX: usize = 100_000;
/// The most labels of a figure.
pub const LABELS_MAX: usize = 16;
/// The most bytes of a label's value.
pub const LABEL_BYTES_MAX: usize = 1024;

/// Before the names of figures on the page of metrics: Kafka's name for those of plugins (KIP-877).
const PREFIX: &str = "kafka_connect_plugins_";

/// A number that is shown of a `T`.
pub struct Figure<T> {
    /// Its name: letters, digits and underscores. On the page `kafka_connect_plugins_` stands before it.
    pub name: &'static str,
    /// What its value means.
    pub kind: FigureKind,
    /// What it tells, in one sentence.
    pub help: &'static str,
    /// Its value now; `None` while there is none to tell.
    pub value: fn(&T, Moment) -> Option<f64>,
}

impl<T> fmt::Debug for Figure<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Figure").field("name", &self.name).finish_non_exhaustive()
    }
}

/// What a value means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FigureKind {
    /// Goes up and down.
    Gauge,
    /// Only grows.
    Counter,
}

/// A label: its name and its value.
pub type Label = (String, String);

/// Why figures are not shown.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum FiguresError {
    /// A name that the page cannot hold.
    #[error("{0:?} is no name of a figure or a label: use letters, digits and underscores, no digit first")]
    Name(String),
    /// A label that is there twice, or belongs to the worker.
    #[error("the label {0} is taken")]
    Taken(String),
    /// A long value.
    #[error("the value of the label {0} is longer than {LABEL_BYTES_MAX} bytes")]
    Long(String),
    /// Many labels.
    #[error("a figure has {LABELS_MAX} labels at most")]
    Labels,
    /// Many figures.
    #[error("a task has {FIGURES_MAX} figures at most")]
    Full,
    /// A task that is gone.
    #[error("the task has ended")]
    Ended,
}

/// Takes the figures of one task, and tells them.
#[derive(Clone, Debug)]
pub struct Figures {
    prefix: &'static str,
    /// Labels that all of them have.
    task: Vec<Label>,
    registered: Arc<Mutex<Registered>>,
}

#[derive(Debug, Default)]
struct Registered {
    groups: Vec<Arc<dyn Group>>,
    count: usize,
    ended: bool,
}

/// A figure as it is now.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Told<'a> {
    /// What stands before the name.
    pub prefix: &'static str,
    /// The name.
    pub name: &'static str,
    /// What its value means.
    pub kind: FigureKind,
    /// What it tells.
    pub help: &'static str,
    /// What it is of.
    pub labels: &'a [Label],
    /// The value.
    pub value: f64,
}

/// A figure that connectors here may have, for a page that lists them.
#[derive(Clone, Copy, Debug)]
pub struct Declared {
    /// What stands before the name.
    pub prefix: &'static str,
    /// The name.
    pub name: &'static str,
    /// What its value means.
    pub kind: FigureKind,
    /// What it tells.
    pub help: &'static str,
    /// The names of its labels.
    pub labels: &'static [&'static str],
}

impl<T> Figure<T> {
    /// The figure as it is listed.
    pub(crate) fn declared(&self, prefix: &'static str, labels: &'static [&'static str]) -> Declared {
        let Self { name, kind, help, value: _ } = *self;
        Declared { prefix, name, kind, help, labels }
    }
}

impl Figures {
    /// Those of a task, which are shown with the labels `connector` and `task`.
    pub fn new(connector: &str, task: usize) -> Self {
        let task =
            vec![("connector".to_owned(), connector.to_owned()), ("task".to_owned(), task.to_string())];
        Self { prefix: PREFIX, task, registered: Arc::default() }
    }

    /// The same for a connector whose figures have a name in Kafka and other labels.
    pub(crate) fn named(&self, prefix: &'static str) -> Self {
        Self { prefix, task: Vec::new(), registered: self.registered.clone() }
    }

    /// Shows the figures of `of` with these labels beside `connector` and `task`, until the task ends. All of them, or none.
    ///
    /// # Errors
    /// When the page cannot hold the names or labels, or there are too many.
    pub fn register<T: Send + Sync + 'static>(
        &self,
        labels: &[(&str, &str)],
        figures: &'static [Figure<T>],
        of: Arc<T>,
    ) -> Result<(), FiguresError> {
        figures.iter().try_for_each(|figure| check_name(figure.name))?;
        let labels = self.labels(labels)?;
        let mut registered = self.registered.lock();
        if registered.ended {
            return Err(FiguresError::Ended);
        }
        if registered.count + figures.len() > FIGURES_MAX {
            return Err(FiguresError::Full);
        }
        registered.count += figures.len();
        registered.groups.push(Arc::new(Readings { prefix: self.prefix, labels, figures, of }));
        Ok(())
    }

    fn labels(&self, own: &[(&str, &str)]) -> Result<Box<[Label]>, FiguresError> {
        let mut labels = self.task.clone();
        for (name, value) in own {
            check_name(name)?;
            if name.starts_with("__") || labels.iter().any(|(known, _)| known == name) {
                return Err(FiguresError::Taken((*name).to_owned()));
            }
            if value.len() > LABEL_BYTES_MAX {
                return Err(FiguresError::Long((*name).to_owned()));
            }
            labels.push(((*name).to_owned(), (*value).to_owned()));
        }
        if labels.len() > LABELS_MAX { Err(FiguresError::Labels) } else { Ok(labels.into()) }
    }

    /// Tells all of them; for whoever shows them.
    pub fn tell(&self, now: Moment, mut tell: impl FnMut(Told<'_>)) {
        // Not under the lock: what a value is read with is the connector's.
        let groups = self.registered.lock().groups.clone();
        groups.iter().for_each(|group| group.tell(now, &mut tell));
    }

    /// Forgets all of them when what this returns is gone; for the worker.
    pub(crate) fn until_dropped(&self) -> Ending {
        Ending(self.registered.clone())
    }
}

/// For as long as this lives, there are figures.
#[derive(Debug)]
pub(crate) struct Ending(Arc<Mutex<Registered>>);

impl Drop for Ending {
    fn drop(&mut self) {
        let ended = Registered { ended: true, ..Registered::default() };
        drop(std::mem::replace(&mut *self.0.lock(), ended));
    }
}

fn check_name(name: &str) -> Result<(), FiguresError> {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let first = name.bytes().next().is_some_and(|byte| !byte.is_ascii_digit());
    if first && name.bytes().all(known) { Ok(()) } else { Err(FiguresError::Name(name.to_owned())) }
}

/// Figures with the same labels.
trait Group: fmt::Debug + Send + Sync {
    fn tell(&self, now: Moment, tell: &mut dyn FnMut(Told<'_>));
}

struct Readings<T: 'static> {
    prefix: &'static str,
    labels: Box<[Label]>,
    figures: &'static [Figure<T>],
    of: Arc<T>,
}

impl<T> fmt::Debug for Readings<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Readings").field("labels", &self.labels).finish_non_exhaustive()
    }
}

impl<T: Send + Sync> Group for Readings<T> {
    fn tell(&self, now: Moment, tell: &mut dyn FnMut(Told<'_>)) {
        for Figure { name, kind, help, value } in self.figures {
            if let Some(value) = value(&self.of, now) {
                tell(Told { prefix: self.prefix, name, kind: *kind, help, labels: &self.labels, value });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    static FIGURES: [Figure<AtomicU64>; 2] = [
        Figure {
            name: "eaten",
            kind: FigureKind::Counter,
            help: "Cheeses.",
            value: |eaten, _| Some(eaten.load(Ordering::Relaxed) as f64),
        },
        Figure { name: "hunger", kind: FigureKind::Gauge, help: "None.", value: |_, _| None },
    ];
    static WRONG: [Figure<AtomicU64>; 1] =
        [Figure { name: "9 lives", kind: FigureKind::Gauge, help: "", value: |_, _| None }];

    /// Labels as they are given.
    type Given<'a> = &'a [(&'a str, &'a str)];

    fn told(figures: &Figures) -> Vec<String> {
        let mut seen = Vec::new();
        figures.tell(Moment::default(), |told| {
            let labels: Vec<String> =
                told.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
            seen.push(format!("{}{} {} {}", told.prefix, told.name, labels.join(","), told.value));
        });
        seen
    }

    #[test]
    fn figures_are_told_until_their_task_ends() {
        let figures = Figures::new("c", 3);
        let ending = figures.until_dropped();
        let (mouse, cat) = (Arc::new(AtomicU64::new(1)), Arc::new(AtomicU64::new(0)));
        figures.register(&[("who", "mouse")], &FIGURES, mouse.clone()).expect("figures");
        figures.named("other_").register(&[("task", "x")], &FIGURES, cat).expect("figures");
        mouse.fetch_add(1, Ordering::Relaxed);
        let expected = ["kafka_connect_plugins_eaten connector=c,task=3,who=mouse 2", "other_eaten task=x 0"];
        assert_eq!(told(&figures), expected);
        drop(ending);
        assert!(told(&figures).is_empty() && Arc::strong_count(&mouse) == 1);
        assert_eq!(figures.register(&[], &FIGURES, mouse), Err(FiguresError::Ended));
    }

    #[test]
    fn what_the_page_cannot_hold_is_refused() {
        let figures = Figures::new("c", 0);
        let long = "x".repeat(LABEL_BYTES_MAX + 1);
        let many: Vec<String> = (0..LABELS_MAX).map(|number| format!("l{number}")).collect();
        let many: Vec<(&str, &str)> = many.iter().map(|name| (name.as_str(), "")).collect();
        let cases: [(Given<'_>, Option<FiguresError>); 7] = [
            (&[("any", "text \"\\\n")], None),
            (&[("a-b", "")], Some(FiguresError::Name("a-b".to_owned()))),
            (&[("", "")], Some(FiguresError::Name(String::new()))),
            (&[("task", "7")], Some(FiguresError::Taken("task".to_owned()))),
            (&[("__name__", "x")], Some(FiguresError::Taken("__name__".to_owned()))),
            (&[("long", &long)], Some(FiguresError::Long("long".to_owned()))),
            (&many, Some(FiguresError::Labels)),
        ];
        for (labels, refused) in cases {
            assert_eq!(figures.register(labels, &FIGURES, Arc::default()).err(), refused, "{labels:?}");
        }
        let name = FiguresError::Name("9 lives".to_owned());
        assert_eq!(figures.register(&[], &WRONG, Arc::default()), Err(name));
        assert_eq!(told(&figures).len(), 1);
        for _ in 1..FIGURES_MAX / FIGURES.len() {
            figures.register(&[], &FIGURES, Arc::default()).expect("room");
        }
        assert_eq!(figures.register(&[], &FIGURES, Arc::default()), Err(FiguresError::Full));
    }
}
