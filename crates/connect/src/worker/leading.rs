//! What only the leader of a group does: writing settings, planning tasks, fencing producers, making keys; and how others ask
//! it to.

use std::time::Duration;

use bytes::Bytes;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tracing::{debug, warn};

use super::group::signature::{self, SessionKey};
use super::group::{PeerRequest, Piece, View, Work};
use super::herder::transactional_id;
use super::tables::{self, Target};
use super::{Shared, WorkerError};
use crate::error::ConnectError;
use crate::plugins::Implementation;
use crate::settings::Config;
use crate::topics::{TopicsError, TopicsErrorKind};

/// How long a request waits for the group to know its leader.
const LEADER_PATIENCE: Duration = Duration::from_secs(10);
/// The first pause after a leader could not be asked; it doubles up to [`PAUSE_MAX`].
const PAUSE: Duration = Duration::from_millis(250);
/// The longest such pause.
const PAUSE_MAX: Duration = Duration::from_secs(60);
/// For how long the settings may say other tasks than a connector has planned: what it has planned takes its time to be read.
const OVERWRITTEN_AFTER: Duration = Duration::from_secs(5);
/// How often a leader is asked to fence before a task gives up.
const FENCE_TRIES_MAX: usize = 6;
/// Producers that are fenced at a time.
const FENCED_AT_ONCE_MAX: usize = 16;

/// A record of a table.
type Entry = (String, Option<Bytes>);

impl Shared {
    /// How far settings were read, and everything that should run.
    pub fn configured(&self) -> (i64, Work) {
        self.configs.snapshot(tables::ConfigState::work)
    }

    /// The group as it is once its leader is known.
    pub async fn settled(&self) -> Result<View, WorkerError> {
        let mut view = self.view.clone();
        match timeout(LEADER_PATIENCE, view.wait_for(|view| view.leader.is_some())).await {
            Ok(Ok(view)) => Ok(view.clone()),
            _ => Err(WorkerError::Elsewhere(None)),
        }
    }

    /// Nothing, when this worker leads.
    ///
    /// # Errors
    /// [`WorkerError::Elsewhere`], with who does.
    pub async fn lead(&self) -> Result<(), WorkerError> {
        let view = self.settled().await?;
        if view.leads { Ok(()) } else { Err(WorkerError::Elsewhere(view.leader)) }
    }

    /// Nothing, when this worker runs a piece.
    ///
    /// # Errors
    /// [`WorkerError::Elsewhere`], with who does, or who knows.
    pub async fn own(&self, piece: &Piece) -> Result<(), WorkerError> {
        let view = self.settled().await?;
        match view.owners.get(piece) {
            _ if view.work.contains(piece) => Ok(()),
            owner if view.leads => Err(WorkerError::Elsewhere(owner.cloned())),
            _ => Err(WorkerError::Elsewhere(view.leader)),
        }
    }

    /// Writes settings as the leader.
    ///
    /// # Errors
    /// When they cannot be written, or another leads.
    pub async fn write(&self, records: Vec<Entry>) -> Result<(), WorkerError> {
        if !self.settings.member.transactional_leader {
            return Ok(self.configs.write(records).await?);
        }
        let mut writer = self.writer.lock().await;
        let producer = match writer.take() {
            Some(producer) => producer,
            None => {
                let id = self.settings.member.leader_id();
                self.topics.producer(Some(&id), &Config::new()).await?
            }
        };
        match self.configs.write_through(&*producer, records).await {
            Ok(()) => {
                *writer = Some(producer);
                Ok(())
            }
            Err(TopicsError { kind: TopicsErrorKind::Fenced, .. }) => Err(WorkerError::Conflict(
                "Another worker leads the group now; the request can be sent again".to_owned(),
            )),
            Err(error) => Err(error.into()),
        }
    }

    /// Another may lead now: what is written next fences whoever wrote before.
    pub async fn stop_leading(&self) {
        self.writer.lock().await.take();
    }

    /// Sees to it that the tasks of a connector are planned, by the leader.
    pub async fn submit(&self, name: &str, tasks: &[Config]) {
        let mut pause = PAUSE;
        while self.configs.read().tasks(name) != tasks {
            let error = match self.try_submit(name, tasks).await {
                Ok(()) => return,
                Err(error) => error,
            };
            warn!(connector = name, %error, "the tasks of a connector cannot be planned; trying again");
            sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    /// Waits until the settings have long said other tasks of a connector than these: an earlier plan of it may arrive late.
    pub async fn overwritten(&self, name: &str, tasks: &[Config]) {
        let mut changes = self.configs.changes();
        loop {
            sleep(OVERWRITTEN_AFTER).await;
            let differs = {
                let configs = self.configs.read();
                let runs = configs.connector(name).is_some() && configs.target(name) != Target::Stopped;
                runs && configs.tasks(name) != tasks
            };
            if differs {
                return;
            }
            // Without the topic of settings nothing changes.
            if changes.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    async fn try_submit(&self, name: &str, tasks: &[Config]) -> Result<(), WorkerError> {
        match self.lead().await {
            Ok(()) => self.plan(name, tasks).await,
            Err(WorkerError::Elsewhere(Some(leader))) => {
                let body =
                    serde_json::to_vec(tasks).map_err(|error| WorkerError::Failed(error.to_string()))?;
                self.ask_leader(&leader, "POST", &format!("connectors/{}/tasks", part(name)), body.into())
                    .await
            }
            Err(error) => Err(error),
        }
    }

    /// Plans the tasks of a connector, as the leader.
    ///
    /// # Errors
    /// When the connector is not there, or stopped.
    pub async fn plan(&self, name: &str, tasks: &[Config]) -> Result<(), WorkerError> {
        let _changing = self.changes.lock().await;
        {
            let configs = self.configs.read();
            if configs.connector(name).is_none() {
                return Err(super::not_found(name));
            }
            if !tasks.is_empty() && configs.target(name) == Target::Stopped {
                return Err(WorkerError::BadRequest(format!(
                    "Cannot submit non-empty set of task configs for stopped connector {name}"
                )));
            }
            if configs.tasks(name) == tasks {
                return Ok(());
            }
        }
        self.write(tables::plan(name, tasks)).await
    }

    async fn ask_leader(
        &self,
        leader: &str,
        method: &str,
        path: &str,
        body: Bytes,
    ) -> Result<(), WorkerError> {
        let signed = self.view.borrow().signed;
        let headers = match self.configs.read().session_key() {
            _ if !signed => Vec::new(),
            Some(key) => key.sign(self.settings.member.signature, &body),
            None => {
                return Err(WorkerError::Unavailable("there is no key to sign requests with yet".to_owned()));
            }
        };
        let path = format!("/{path}");
        let request = PeerRequest { method: method.to_owned(), path, headers, body };
        let mut view = self.view.clone();
        let reply = tokio::select! {
            reply = self.peers.ask(leader, request) => reply.map_err(WorkerError::Failed)?,
            // It may be gone, and never answer.
            _ = view.wait_for(|view| view.leader.as_deref() != Some(leader)) => {
                return Err(WorkerError::Unavailable(format!("{leader} leads no more")));
            }
        };
        if (200..300).contains(&reply.status) {
            return Ok(());
        }
        Err(WorkerError::Failed(format!(
            "the leader at {leader} answered {}: {}",
            reply.status,
            String::from_utf8_lossy(&reply.body)
        )))
    }

    /// Before a task of a source starts that writes exactly once: fences the producers of tasks that were planned earlier.
    ///
    /// # Errors
    /// When the leader cannot be asked, or cannot.
    pub async fn fence_before(&self, name: &str) -> Result<(), WorkerError> {
        let mut pause = PAUSE;
        for left in (0..FENCE_TRIES_MAX).rev() {
            if !self.configs.read().is_unfenced(name) {
                return Ok(());
            }
            let asked = match self.lead().await {
                Ok(()) => self.fence(name).await,
                Err(WorkerError::Elsewhere(Some(leader))) => {
                    let path = format!("connectors/{}/fence", part(name));
                    self.ask_leader(&leader, "PUT", &path, Bytes::new()).await
                }
                Err(error) => Err(error),
            };
            match asked {
                Ok(()) => return Ok(()),
                Err(error) if left == 0 => return Err(error),
                Err(error) => debug!(connector = name, %error, "producers are not fenced yet"),
            }
            sleep(pause).await;
            pause *= 2;
        }
        Ok(())
    }

    /// Fences the producers of tasks that were planned before the last plan, as the leader.
    ///
    /// # Errors
    /// When the connector is no source, or its tasks are planned anew meanwhile.
    pub async fn fence(&self, name: &str) -> Result<(), WorkerError> {
        let _fencing = self.fencing.lock().await;
        let (config, unfenced, before, count, plan) = {
            let configs = self.configs.read();
            let config = configs.connector(name).cloned().ok_or_else(|| super::not_found(name))?;
            let tasks = configs.tasks(name).len();
            (config, configs.is_unfenced(name), configs.fencing(name), tasks, configs.plans(name))
        };
        if !matches!(self.plugin(&config)?.implementation, Implementation::Source(_)) {
            return Err(WorkerError::BadRequest(format!("Connector {name} is not a source connector")));
        }
        if !unfenced {
            return Ok(());
        }
        if let Some(before) = before.filter(|before| (*before, count) != (1, 1)) {
            self.fence_producers(name, before).await?;
        }
        let _changing = self.changes.lock().await;
        if self.configs.read().plans(name) != plan {
            return Err(WorkerError::Conflict(
                "Fencing failed because new task configurations were generated for the connector".to_owned(),
            ));
        }
        self.write(vec![tables::fencing(name, count)]).await
    }

    async fn fence_producers(&self, name: &str, tasks: usize) -> Result<(), WorkerError> {
        let mut fencing = JoinSet::new();
        let mut outcome = Ok(());
        for task in 0..tasks {
            if fencing.len() >= FENCED_AT_ONCE_MAX {
                outcome = outcome.and(fenced(fencing.join_next().await));
            }
            let (topics, patience) = (self.topics.clone(), self.settings.offset_flush_timeout);
            let id = transactional_id(&self.settings.group, name, task);
            fencing.spawn(async move {
                topics.producer(Some(&id), &Config::new()).await?.close(patience).await;
                Ok(())
            });
        }
        while let Some(one) = fencing.join_next().await {
            outcome = outcome.and(fenced(Some(one)));
        }
        outcome
    }

    /// After a task's producer has fenced the one before: that the task is still planned as it was started.
    ///
    /// # Errors
    /// When it is not.
    pub async fn check_plan(&self, name: &str, plan: u64) -> Result<(), ConnectError> {
        self.configs.catch_up(&*self.topics).await?;
        if self.configs.read().plans(name) == plan {
            return Ok(());
        }
        Err(ConnectError::failed(format!(
            "Cannot start a source task of {name} with exactly-once support as the connector has already generated a \
             new set of task configs"
        )))
    }

    /// Whether the key for requests between workers is missing, or old.
    pub fn key_is_due(&self) -> bool {
        let ttl = i64::try_from(self.settings.member.key_ttl.as_millis()).unwrap_or(i64::MAX);
        let now = self.clock.wall().0;
        let old = |key: &SessionKey| ttl > 0 && key.created_ms.saturating_add(ttl) <= now;
        self.configs.read().session_key().is_none_or(old)
    }

    /// Makes a new key.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn renew_key(&self) -> Result<(), WorkerError> {
        let key = SessionKey::random(&self.settings.member, self.clock.wall().0)?;
        self.write(vec![tables::session_key(&key)]).await
    }

    /// Whether a request comes from another worker; any does, where requests are not signed.
    ///
    /// # Errors
    /// What is wrong with its signature.
    pub fn verify(&self, header: impl Fn(&str) -> Option<String>, body: &[u8]) -> Result<(), WorkerError> {
        if !self.view.borrow().signed {
            return Ok(());
        }
        let configs = self.configs.read();
        signature::verify(configs.session_key(), &self.settings.member.verified, header, body)
    }
}

type Fenced = Option<Result<Result<(), TopicsError>, tokio::task::JoinError>>;

fn fenced(joined: Fenced) -> Result<(), WorkerError> {
    match joined {
        Some(Ok(outcome)) => Ok(outcome?),
        Some(Err(error)) => Err(WorkerError::Failed(error.to_string())),
        None => Ok(()),
    }
}

/// A name as a part of a path.
pub fn part(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    name.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}
