//! The schema registry of a node: its machine, and the state that reads are answered from.
//!
//! Why reads keep a state: a lookup must cost neither a change of threads nor a place in a queue. The state is right for as long
//! as `_schemas` ends where it ended when the machine handed it out, and this node leads; both are looked at every time.
//!
//! Why writes may be decided again: reading and comparing schemas happens outside of the machine, on threads that may take
//! their time. What is written depends on what was seen then; the machine writes it only while that still stands.

mod answers;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::spawn_blocking;
use vltava_connect::schema::SchemaFormat;
use vltava_connect::schema::avro::AvroFormat;
use vltava_connect::schema::json::JsonFormat;
use vltava_connect::schema::protobuf::ProtobufFormat;
use vltava_connect::schema::registry::command::Associate;
use vltava_connect::schema::registry::content::Version;
use vltava_connect::schema::registry::library::Library;
use vltava_connect::schema::registry::plan::{Options, Planned, Planner, SchemaRequest};
use vltava_connect::schema::registry::state::State;
use vltava_connect::schema::registry::{Command, Done, Registry, RegistryError, SCHEMAS_TOPIC, Settings};
use vltava_core::id::{LeaderEpoch, Offset, PartitionIndex, TopicId, TopicName};
use vltava_replication::runtime::{AskError, Limits, Phase, Shards, Start, Surroundings};

pub(crate) use self::answers::Answers;
use crate::auto_create;
use crate::node::Node;
use crate::schema_validation::{Asked, Validation};

/// Schemas that are kept after they were read (`schema.cache.size`).
const READ_SCHEMAS_MAX: usize = 1000;
/// How often a write is decided again when others were first.
const PLANS_MAX: usize = 64;
/// How long a request waits for the registry to load or to be led.
const READY_TIMEOUT: Duration = Duration::from_secs(30);
/// The only partition of the topic.
const PARTITION: PartitionIndex = PartitionIndex(0);

/// What a node has of the registry.
#[derive(Debug)]
pub(crate) struct RegistryService {
    pub(crate) shards: Shards<Registry>,
    pub(crate) library: Arc<Library>,
    pub(crate) settings: Settings,
    view: ArcSwapOption<View>,
    /// Schemas are read on as many threads at once.
    readers: Arc<Semaphore>,
    pub(crate) meters: RegistryMeters,
    /// Some topic asks, or has asked, for schemas of its records.
    asked: AtomicBool,
}

/// What has happened since the start.
#[derive(Debug, Default)]
pub(crate) struct RegistryMeters {
    /// Requests, by the hundreds of their status from 100 on.
    pub(crate) requests: [AtomicU64; 5],
    /// Schemas that were registered.
    pub(crate) registered: AtomicU64,
    /// Schemas that were refused as incompatible.
    pub(crate) incompatible: AtomicU64,
    /// Plans that were made again because others were first.
    pub(crate) replanned: AtomicU64,
}

/// The state where the log ends here.
#[derive(Debug)]
pub(crate) struct View {
    at: End,
    state: Arc<State>,
    /// What was answered from it.
    pub(crate) answers: Answers,
}

/// An end of the topic's log that does not come again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct End {
    topic: TopicId,
    epoch: LeaderEpoch,
    offset: Offset,
}

impl RegistryService {
    pub(crate) fn new(
        formats: Vec<Arc<dyn SchemaFormat>>,
        settings: Settings,
        surroundings: &Surroundings,
        control: &tokio::runtime::Handle,
    ) -> RegistryService {
        // A registry decides nothing that the broker has to carry out.
        let (effects, _) = mpsc::channel(1);
        let shards = Shards::new(Start {
            new: Arc::new(move |_| Registry::new(settings)),
            surroundings: surroundings.clone(),
            limits: Limits::default(),
            effects,
            witness: Arc::new(()),
            runtime: control.clone(),
        });
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        RegistryService {
            shards,
            library: Arc::new(Library::new(formats, READ_SCHEMAS_MAX)),
            settings,
            view: ArcSwapOption::empty(),
            readers: Arc::new(Semaphore::new(cores)),
            meters: RegistryMeters::default(),
            asked: AtomicBool::new(false),
        }
    }

    /// A topic asks for this.
    pub(crate) fn ask_schemas(&self, partition: &Asked, validation: Validation) {
        partition.set(validation);
        if validation.asks() {
            self.asked.store(true, Ordering::Relaxed);
        }
    }

    /// Whether a topic may ask for schemas: hardly any node has one, and then nobody needs to look at each topic.
    pub(crate) fn is_asked(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }

    /// Everything that was committed when it was called.
    ///
    /// # Errors
    /// [`RegistryError`] when the registry is elsewhere, or cannot be loaded.
    pub(crate) async fn state(&self, node: &Node) -> Result<Arc<State>, RegistryError> {
        let before = self.end(node);
        if before.is_none() && node.lookup_name(SCHEMAS_TOPIC).is_err() {
            return Ok(Arc::default());
        }
        if let Some(known) = before.and_then(|end| self.known(end)) {
            return Ok(known.state.clone());
        }
        let Done::View(state) = self.ask(node, Command::View).await? else { return Err(confused()) };
        let state = Arc::new(*state);
        if let Some(at) = before.filter(|_| self.end(node) == before) {
            self.view.store(Some(Arc::new(View { at, state: state.clone(), answers: Answers::default() })));
        }
        Ok(state)
    }

    /// Everything that was committed when it was called, if it is at hand.
    pub(crate) fn view(&self, node: &Node) -> Option<Arc<View>> {
        self.known(self.end(node)?)
    }

    fn known(&self, end: End) -> Option<Arc<View>> {
        let view = self.view.load();
        view.as_ref().filter(|view| view.at == end).cloned()
    }

    /// Where the log ends, when this node leads it and everything in it is committed.
    fn end(&self, node: &Node) -> Option<End> {
        let lookup = node.lookup_name(SCHEMAS_TOPIC).ok()?;
        let marks = lookup.partition(PARTITION).ok()?.partition.watermarks();
        let whole = marks.leading && marks.high >= marks.end;
        whole.then_some(End { topic: lookup.topic().id, epoch: marks.epoch, offset: marks.end })
    }

    /// Changes something, in a topic that is made if there is none.
    ///
    /// # Errors
    /// [`RegistryError`].
    pub(crate) async fn change(&self, node: &Arc<Node>, command: Command) -> Result<Done, RegistryError> {
        if node.lookup_name(SCHEMAS_TOPIC).is_err() {
            let name =
                TopicName::new(SCHEMAS_TOPIC).map_err(|error| RegistryError::Store(error.to_string()))?;
            auto_create::create(node, &BTreeSet::from([name])).await;
        }
        self.ask(node, command).await
    }

    async fn ask(&self, node: &Node, command: Command) -> Result<Done, RegistryError> {
        if self.shards.get(PARTITION).is_none() {
            // The topic may just have been made.
            node.caught_up().await;
        }
        let shard = self.shards.get(PARTITION).ok_or_else(unknown_leader)?;
        loop {
            let mut phase = shard.phase();
            let leads = phase.wait_for(|phase| matches!(phase, Phase::Leading(_) | Phase::Closed));
            let ready = tokio::time::timeout(READY_TIMEOUT, leads).await;
            match ready.map(|phase| phase.is_ok_and(|phase| matches!(*phase, Phase::Leading(_)))) {
                Ok(true) => {}
                Ok(false) => return Err(unknown_leader()),
                Err(_) => return Err(RegistryError::TimedOut("The registry is not ready".to_owned())),
            }
            match shard.ask(command.clone()).await {
                Ok(answer) => return answer,
                // It was not taken.
                Err(AskError::Loading) => {}
                Err(error) => return Err(refused(&error)),
            }
        }
    }

    /// Registers a schema under a normalised subject.
    ///
    /// # Errors
    /// [`RegistryError`].
    pub(crate) async fn register(
        &self,
        node: &Arc<Node>,
        subject: &str,
        request: &SchemaRequest,
        options: Options,
    ) -> Result<Version, RegistryError> {
        for _ in 0..PLANS_MAX {
            let (name, wanted) = (subject.to_owned(), request.clone());
            let planned = self
                .plan(node, move |planner| planner.register(&name, wanted, options))
                .await
                .inspect_err(|error| {
                    if matches!(error, RegistryError::Incompatible { .. }) {
                        self.meters.incompatible.fetch_add(1, Ordering::Relaxed);
                    }
                })?;
            let register = match planned {
                Planned::Known(version) => return Ok(version),
                Planned::Write(register) => register,
            };
            match self.change(node, Command::Register(register)).await? {
                Done::Registered(version) => {
                    self.meters.registered.fetch_add(1, Ordering::Relaxed);
                    return Ok(version);
                }
                Done::Stale => self.meters.replanned.fetch_add(1, Ordering::Relaxed),
                _ => return Err(confused()),
            };
        }
        Err(RegistryError::TimedOut("Register operation timed out: others were first each time".to_owned()))
    }

    /// Changes associations as `plan` says, which is asked again when others were first.
    ///
    /// # Errors
    /// [`RegistryError`].
    pub(crate) async fn associate<T: Send + 'static>(
        &self,
        node: &Arc<Node>,
        plan: impl Fn(Planner<'_>) -> Result<(Associate, T), RegistryError> + Clone + Send + 'static,
    ) -> Result<T, RegistryError> {
        for _ in 0..PLANS_MAX {
            let (command, planned) = self.plan(node, plan.clone()).await?;
            if command.is_empty() {
                return Ok(planned);
            }
            let schemas = command.schemas.len() as u64;
            match self.change(node, Command::Associate(command)).await? {
                Done::Nothing => {
                    self.meters.registered.fetch_add(schemas, Ordering::Relaxed);
                    return Ok(planned);
                }
                Done::Stale => self.meters.replanned.fetch_add(1, Ordering::Relaxed),
                _ => return Err(confused()),
            };
        }
        Err(RegistryError::TimedOut(
            "The associations were not changed: others were first each time".to_owned(),
        ))
    }

    /// Does what takes time, by the state as it is, on a thread that may take it.
    ///
    /// # Errors
    /// [`RegistryError`].
    pub(crate) async fn plan<T: Send + 'static>(
        &self,
        node: &Node,
        work: impl FnOnce(Planner<'_>) -> Result<T, RegistryError> + Send + 'static,
    ) -> Result<T, RegistryError> {
        let state = self.state(node).await?;
        let (library, settings) = (self.library.clone(), self.settings);
        let place = self.readers.clone().acquire_owned().await;
        let worked = spawn_blocking(move || {
            let _place = place;
            work(Planner { state: &state, library: &library, settings: &settings })
        });
        worked
            .await
            .unwrap_or_else(|panic| Err(RegistryError::Store(format!("reading a schema failed: {panic}"))))
    }
}

fn confused() -> RegistryError {
    RegistryError::Store("the registry gave another answer".to_owned())
}

fn unknown_leader() -> RegistryError {
    RegistryError::UnknownLeader("Leader not known.".to_owned())
}

fn refused(error: &AskError) -> RegistryError {
    match error {
        AskError::NotLeader | AskError::Closed => unknown_leader(),
        AskError::Timeout | AskError::Overloaded | AskError::Replaced => {
            RegistryError::TimedOut(format!("Write to the Kafka store timed out: {error}"))
        }
        AskError::Refused(refusal) if refusal.code() == vltava_core::error::ErrorCode::MESSAGE_TOO_LARGE => {
            RegistryError::SchemaTooLarge("Register operation failed because schema is too large".to_owned())
        }
        AskError::Loading | AskError::LoadFailed(_) | AskError::Refused(_) => {
            RegistryError::Store(error.to_string())
        }
    }
}

/// The formats that a node brings along. A program adds its own through [`crate::Builder::schema_format`].
pub(crate) fn formats() -> Vec<Arc<dyn SchemaFormat>> {
    vec![Arc::new(AvroFormat), Arc::new(ProtobufFormat), Arc::new(JsonFormat)]
}
