//! A view of a cluster: who leads, who coordinates, and retry until a deadline.

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};
use vltava_core::error::ErrorCode;
use vltava_core::id::{BrokerId, PartitionIndex};
use vltava_core::wire::WireStr;
use vltava_protocol::api::{ApiKey, Request};
use vltava_protocol::messages::{FindCoordinatorRequest, MetadataRequest, MetadataResponse};
use vltava_protocol::metadata_request::MetadataRequestTopic;

use super::{Address, ClientError, Connection};

/// How a client behaves.
#[derive(Clone, Debug)]
pub struct ClientOptions {
    /// The client id brokers see in logs and quotas.
    pub client_id: Arc<str>,
    /// How long a whole operation may take, tries and pauses included.
    pub deadline: Duration,
    /// How long one connection attempt, or one answer that does not wait by itself, may take.
    pub patience: Duration,
    /// The first pause after a failed try; it doubles up to [`PAUSE_MAX`].
    pub pause: Duration,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            client_id: "vltava-cli".into(),
            deadline: Duration::from_secs(30),
            patience: Duration::from_secs(10),
            pause: Duration::from_millis(50),
        }
    }
}

/// The longest pause between two tries.
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// Which broker a request belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// Any broker.
    Any,
    /// The broker that stands for the controller.
    Controller,
    /// This broker.
    Broker(BrokerId),
    /// The coordinator of this group.
    Coordinator(String),
    /// The coordinator of this transactional id.
    TransactionCoordinator(String),
    /// The leader of this partition.
    Leader(String, PartitionIndex),
}

/// The kind of key that names a group, in FindCoordinator.
const GROUP_KEY: i8 = 0;
/// The kind of key that names a transactional id.
const TRANSACTION_KEY: i8 = 1;

/// A view of a cluster.
///
/// One request at a time; a caller that wants several in flight uses several clients. Every method retries what may go
/// better at another try, until [`ClientOptions::deadline`].
#[derive(Debug)]
pub struct Client {
    options: ClientOptions,
    bootstrap: Vec<Address>,
    brokers: HashMap<BrokerId, Address>,
    controller: BrokerId,
    leaders: HashMap<(String, PartitionIndex), BrokerId>,
    coordinators: HashMap<(i8, String), BrokerId>,
    connections: HashMap<Address, Connection>,
}

impl Client {
    /// A client that will look for the cluster at these addresses. Nothing is sent before the first request.
    #[must_use]
    pub fn new(bootstrap: Vec<Address>, options: ClientOptions) -> Self {
        Self {
            options,
            bootstrap,
            brokers: HashMap::new(),
            controller: BrokerId::NONE,
            leaders: HashMap::new(),
            coordinators: HashMap::new(),
            connections: HashMap::new(),
        }
    }

    /// How long a whole operation may take.
    #[must_use]
    pub fn deadline(&self) -> Duration {
        self.options.deadline
    }

    /// The brokers of the cluster as the newest metadata names them, by id.
    #[must_use]
    pub fn brokers(&self) -> Vec<BrokerId> {
        let mut ids: Vec<BrokerId> = self.brokers.keys().copied().collect();
        ids.sort_unstable();
        ids
    }

    /// Sends a request in the newest version both sides have and returns the answer.
    ///
    /// `build` writes the request for a version. `code` finds the error in an answer that decides whether to try again; any
    /// other error is left in the answer for the caller.
    ///
    /// # Errors
    /// When the deadline has passed, or trying again cannot help.
    pub async fn call<R: Request>(
        &mut self,
        route: &Route,
        build: impl Fn(i16) -> R,
        code: impl Fn(&R::Response) -> i16,
    ) -> Result<R::Response, ClientError> {
        let versions = R::KEY.api().versions.clone();
        self.call_within(route, &versions, build, code).await
    }

    /// As [`Client::call`], in a version within `versions`.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub async fn call_within<R: Request>(
        &mut self,
        route: &Route,
        versions: &RangeInclusive<i16>,
        build: impl Fn(i16) -> R,
        code: impl Fn(&R::Response) -> i16,
    ) -> Result<R::Response, ClientError> {
        let mut tries = Tries::new(&self.options);
        loop {
            let error = match self.try_once(route, versions, &build).await {
                Ok(answer) => match ErrorCode::from_code(code(&answer)) {
                    refused if refused.is_retriable() && tries.may_go_on() => {
                        ClientError::Refused { code: refused, message: None }
                    }
                    _ => return Ok(answer),
                },
                Err(error) if error.is_retriable() => error,
                Err(error) => return Err(error),
            };
            self.forget(route);
            tries.pause(error).await?;
        }
    }

    /// Sends a request that is not answered, once.
    ///
    /// # Errors
    /// When the broker cannot be found or the connection breaks.
    pub async fn send<R: Request>(
        &mut self,
        route: &Route,
        versions: &RangeInclusive<i16>,
        request: &R,
    ) -> Result<(), ClientError> {
        let mut connection = self.connect(route).await?;
        let version = connection.version(R::KEY.api(), versions)?;
        connection.send(request, version).await?;
        self.keep(connection);
        Ok(())
    }

    /// Metadata of these topics, of all when `None`. Never creates a topic. Leaders, brokers and the controller are
    /// remembered.
    ///
    /// # Errors
    /// When the deadline has passed, or trying again cannot help. Errors of single topics stand in the answer.
    pub async fn metadata(&mut self, topics: Option<&[String]>) -> Result<MetadataResponse, ClientError> {
        let build = |version| metadata_request(topics, version);
        let answer = self.call(&Route::Any, build, |answer: &MetadataResponse| answer.error_code).await?;
        self.learn(&answer);
        Ok(answer)
    }

    /// Whether the cluster has an API in a version known here, asked of any broker.
    ///
    /// # Errors
    /// When no broker can be reached.
    pub async fn supports(&mut self, key: ApiKey) -> Result<bool, ClientError> {
        let connection = self.connect(&Route::Any).await?;
        let supports = connection.supports(key);
        self.keep(connection);
        Ok(supports)
    }

    /// Forgets what is known about a route, so that the next request looks it up again.
    pub fn forget(&mut self, route: &Route) {
        match route {
            Route::Any | Route::Broker(_) => {}
            Route::Controller => self.controller = BrokerId::NONE,
            Route::Coordinator(group) => drop(self.coordinators.remove(&(GROUP_KEY, group.clone()))),
            Route::TransactionCoordinator(id) => {
                self.coordinators.remove(&(TRANSACTION_KEY, id.clone()));
            }
            Route::Leader(topic, partition) => drop(self.leaders.remove(&(topic.clone(), *partition))),
        }
    }

    /// The broker that leads a partition.
    ///
    /// # Errors
    /// [`ClientError::Route`] when there is none just now, or what looking it up failed with.
    pub async fn leader(&mut self, topic: &str, partition: PartitionIndex) -> Result<BrokerId, ClientError> {
        let key = (topic.to_owned(), partition);
        if let Some(leader) = self.leaders.get(&key) {
            return Ok(*leader);
        }
        let connection = self.connect_any().await?;
        let answer = self.metadata_over(connection, &[topic.to_owned()]).await?;
        if let Some(found) = answer.topics.iter().find(|found| found.name.as_deref() == Some(topic)) {
            ClientError::check(found.error_code, None)?;
        }
        self.leaders
            .get(&key)
            .copied()
            .ok_or_else(|| ClientError::Route(format!("{topic}-{partition} has no leader just now")))
    }

    async fn try_once<R: Request>(
        &mut self,
        route: &Route,
        versions: &RangeInclusive<i16>,
        build: &impl Fn(i16) -> R,
    ) -> Result<R::Response, ClientError> {
        let mut connection = self.connect(route).await?;
        let version = connection.version(R::KEY.api(), versions)?;
        // A call that is dropped takes its connection along: the next one starts on a fresh socket.
        let answer = within(
            self.options.deadline,
            &connection.address().clone(),
            connection.call(&build(version), version),
        )
        .await?;
        self.keep(connection);
        Ok(answer)
    }

    fn keep(&mut self, connection: Connection) {
        self.connections.insert(connection.address().clone(), connection);
    }

    async fn connect(&mut self, route: &Route) -> Result<Connection, ClientError> {
        let broker = match route {
            Route::Any => return self.connect_any().await,
            Route::Controller => self.controller().await?,
            Route::Broker(broker) => *broker,
            Route::Leader(topic, partition) => self.leader(topic, *partition).await?,
            Route::Coordinator(group) => self.coordinator(GROUP_KEY, group).await?,
            Route::TransactionCoordinator(id) => self.coordinator(TRANSACTION_KEY, id).await?,
        };
        let address = match self.brokers.get(&broker) {
            Some(address) => address.clone(),
            None => self.look_up(broker).await?,
        };
        self.connect_to(address).await
    }

    async fn look_up(&mut self, broker: BrokerId) -> Result<Address, ClientError> {
        let connection = self.connect_any().await?;
        self.metadata_over(connection, &[]).await?;
        self.brokers
            .get(&broker)
            .cloned()
            .ok_or_else(|| ClientError::Route(format!("the cluster has no broker {broker}")))
    }

    async fn controller(&mut self) -> Result<BrokerId, ClientError> {
        if self.controller == BrokerId::NONE {
            let connection = self.connect_any().await?;
            self.metadata_over(connection, &[]).await?;
        }
        if self.controller == BrokerId::NONE {
            return Err(ClientError::Route("the cluster has no controller just now".to_owned()));
        }
        Ok(self.controller)
    }

    async fn coordinator(&mut self, key_type: i8, name: &str) -> Result<BrokerId, ClientError> {
        if let Some(broker) = self.coordinators.get(&(key_type, name.to_owned())) {
            return Ok(*broker);
        }
        let mut connection = self.connect_any().await?;
        let api = ApiKey::FindCoordinator.api();
        let version = connection.version(api, &api.versions)?;
        let mut request = FindCoordinatorRequest { key_type, ..FindCoordinatorRequest::default() };
        if version >= 4 {
            request.coordinator_keys = vec![WireStr::copy_of(name)];
        } else {
            request.key = WireStr::copy_of(name);
        }
        let address = connection.address().clone();
        let answer = within(self.options.patience, &address, connection.call(&request, version)).await?;
        self.keep(connection);
        let (code, message, node, host, port) = match answer.coordinators.into_iter().next() {
            Some(found) => (found.error_code, found.error_message, found.node_id, found.host, found.port),
            None => (answer.error_code, answer.error_message, answer.node_id, answer.host, answer.port),
        };
        ClientError::check(code, message.as_deref())?;
        let port = u16::try_from(port)
            .map_err(|_| ClientError::Route(format!("the coordinator of {name} has no port")))?;
        let broker = BrokerId(node);
        self.brokers.insert(broker, Address { host: host.to_string(), port });
        self.coordinators.insert((key_type, name.to_owned()), broker);
        Ok(broker)
    }

    /// An open connection to any broker, else to the first bootstrap address or known broker that answers.
    async fn connect_any(&mut self) -> Result<Connection, ClientError> {
        if let Some(address) = self.connections.keys().next().cloned()
            && let Some(connection) = self.connections.remove(&address)
        {
            return Ok(connection);
        }
        let mut candidates = self.bootstrap.clone();
        candidates.extend(self.brokers.values().filter(|known| !self.bootstrap.contains(known)).cloned());
        let mut last =
            ClientError::Route("no address to connect to; give --bootstrap-server host:port".to_owned());
        for address in candidates {
            match self.connect_to(address).await {
                Ok(connection) => return Ok(connection),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    async fn connect_to(&mut self, address: Address) -> Result<Connection, ClientError> {
        match self.connections.remove(&address) {
            Some(connection) => Ok(connection),
            None => Connection::open(address, self.options.client_id.clone(), self.options.patience).await,
        }
    }

    async fn metadata_over(
        &mut self,
        mut connection: Connection,
        topics: &[String],
    ) -> Result<MetadataResponse, ClientError> {
        let api = ApiKey::Metadata.api();
        let version = connection.version(api, &api.versions)?;
        let request = metadata_request(Some(topics), version);
        let address = connection.address().clone();
        let answer = within(self.options.patience, &address, connection.call(&request, version)).await?;
        self.keep(connection);
        self.learn(&answer);
        Ok(answer)
    }

    fn learn(&mut self, answer: &MetadataResponse) {
        for broker in &answer.brokers {
            if let Ok(port) = u16::try_from(broker.port) {
                let address = Address { host: broker.host.to_string(), port };
                self.brokers.insert(BrokerId(broker.node_id), address);
            }
        }
        self.controller = BrokerId(answer.controller_id);
        for topic in &answer.topics {
            let Some(name) = topic.name.as_deref() else { continue };
            for partition in &topic.partitions {
                let key = (name.to_owned(), PartitionIndex(partition.partition_index));
                if partition.leader_id >= 0 {
                    self.leaders.insert(key, BrokerId(partition.leader_id));
                } else {
                    self.leaders.remove(&key);
                }
            }
        }
    }
}

fn metadata_request(topics: Option<&[String]>, version: i16) -> MetadataRequest {
    let topic =
        |name: &String| MetadataRequestTopic { name: Some(name.into()), ..MetadataRequestTopic::default() };
    let all = if version == 0 { Some(Vec::new()) } else { None };
    MetadataRequest {
        topics: topics.map_or(all, |names| Some(names.iter().map(topic).collect())),
        // Before version 4 a request creates what it names; it cannot say otherwise.
        allow_auto_topic_creation: version < 4,
        ..MetadataRequest::default()
    }
}

async fn within<T>(
    patience: Duration,
    address: &Address,
    call: impl Future<Output = Result<T, ClientError>>,
) -> Result<T, ClientError> {
    let late =
        || ClientError::Broken { address: address.clone(), source: std::io::ErrorKind::TimedOut.into() };
    timeout(patience, call).await.unwrap_or_else(|_| Err(late()))
}

/// The tries of one operation.
struct Tries {
    started: Instant,
    deadline: Duration,
    pause: Duration,
}

impl Tries {
    fn new(options: &ClientOptions) -> Self {
        Self { started: Instant::now(), deadline: options.deadline, pause: options.pause }
    }

    fn may_go_on(&self) -> bool {
        self.started.elapsed() + self.pause < self.deadline
    }

    /// Waits before the next try.
    async fn pause(&mut self, last: ClientError) -> Result<(), ClientError> {
        if !self.may_go_on() {
            return Err(ClientError::Deadline { after: self.deadline, last: last.to_string() });
        }
        sleep(self.pause).await;
        self.pause = (self.pause * 2).min(PAUSE_MAX);
        Ok(())
    }
}
