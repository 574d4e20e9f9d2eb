//! The API of Connect: at the root of `vltava.connect.listeners`, and below `/connect` of the node's own server.
//!
//! It translates paths and bodies into what a [`Worker`] is asked, and answers back, in the words and codes that clients know.
//! A body that is no request is a 400 here, where Kafka Connect has a 500.
//!
//! What only the leader of the group does, or only the worker that runs a task, is asked of that one, and answered with its
//! answer. `forward` tells how often a request may still be passed on: without it twice, with `true` once, and then it is a
//! conflict, since whoever is asked has moved.

mod loggers;
mod peers;
mod reply;
mod requests;

use std::collections::BTreeSet;
use std::time::Duration;

use http_body_util::{BodyExt, Limited};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use hyper::http::request;
use hyper::{HeaderMap, Method};
use serde_json::{Map, Value, json};
use vltava_connect::settings::Config;
use vltava_connect::worker::group::PeerRequest;
use vltava_connect::worker::group::signature::{ALGORITHM, SIGNATURE};
use vltava_connect::worker::{Target, Worker, WorkerError, part};

pub(crate) use self::peers::HttpPeers;
use self::reply::Reply;
use self::requests::{Create, Given};
use super::registry::call::Call;
use super::{Request, Response, host};
use crate::connect::ConnectService;

/// The most bytes of a request.
const BODY_BYTES_MAX: usize = 1 << 20;
/// How long a request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(90);

/// What an endpoint says.
type Answered = Result<Reply, Reply>;

/// Answers a request whose path stands below `prefix`.
pub(super) async fn answer(
    service: &ConnectService,
    hosts: &BTreeSet<String>,
    prefix: &'static str,
    encrypted: bool,
    request: Request,
) -> Response {
    let answering = asked(service, hosts, prefix, encrypted, request);
    let answered = tokio::time::timeout(REQUEST_TIMEOUT, answering).await;
    let answered = answered.unwrap_or_else(|_| Err(Reply::error(500, "Request timed out")));
    answered.unwrap_or_else(|error| error).into_response()
}

async fn asked(
    service: &ConnectService,
    hosts: &BTreeSet<String>,
    prefix: &'static str,
    encrypted: bool,
    request: Request,
) -> Answered {
    let (head, body) = request.into_parts();
    host::check_origin(&head.headers, hosts).map_err(|message| Reply::error(403, message))?;
    let writes = ![Method::GET, Method::HEAD, Method::OPTIONS].contains(&head.method);
    if writes && !takes(&head.headers) {
        return Err(Reply::error(415, "HTTP 415 Unsupported Media Type"));
    }
    let too_large = |_| Reply::error(413, "The body is too large, or broke off");
    let body = Limited::new(body, BODY_BYTES_MAX).collect().await.map_err(too_large)?.to_bytes();
    let method = if head.method == Method::HEAD { Method::GET } else { head.method.clone() };
    let path = head.uri.path().strip_prefix(prefix).unwrap_or_default();
    let call = Call::new(method, path, head.uri.query().unwrap_or_default(), body);
    let call =
        call.map_err(|_| Reply::error(400, "The path or its parameters are not percent-encoded UTF-8"))?;
    let named = head.headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
    let scheme = if encrypted { "https" } else { "http" };
    let base = format!("{scheme}://{named}{prefix}");
    let asked = Asked { service, call, base, headers: &head.headers };
    match asked.dispatch().await {
        Err(Reply { elsewhere: Some(url), .. }) => asked.forward(&head, path, &url).await,
        answered => answered,
    }
}

/// Whether a body of this type is taken. A page in a browser can send the simple types of forms without asking, and those
/// are not taken.
fn takes(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(CONTENT_TYPE) else { return true };
    let name = value.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim();
    name.eq_ignore_ascii_case("application/json")
}

const GET: &str = "GET,HEAD,OPTIONS";
const PUT: &str = "PUT,OPTIONS";
const POST: &str = "POST,OPTIONS";
const GET_POST: &str = "GET,HEAD,POST,OPTIONS";
const GET_PUT: &str = "GET,HEAD,PUT,OPTIONS";
const GET_DELETE: &str = "GET,HEAD,DELETE,OPTIONS";
const GET_POST_PUT: &str = "GET,HEAD,PUT,PATCH,OPTIONS";
const OFFSETS: &str = "GET,HEAD,PATCH,DELETE,OPTIONS";

/// One request, with all that it is answered from.
struct Asked<'a> {
    service: &'a ConnectService,
    call: Call,
    base: String,
    headers: &'a HeaderMap,
}

impl Asked<'_> {
    #[allow(clippy::match_same_arms, reason = "the rows stand in the order of the paths")]
    async fn dispatch(&self) -> Answered {
        let path: Vec<&str> = self.call.path.iter().map(String::as_str).collect();
        let method = &self.call.method;
        let (get, put, post) = (*method == Method::GET, *method == Method::PUT, *method == Method::POST);
        let (delete, patch) = (*method == Method::DELETE, *method == Method::PATCH);
        let allowed = match path.as_slice() {
            [] if get => return self.about(),
            [] => GET,
            ["health"] if get => return Ok(self.health()),
            ["health"] => GET,
            ["connectors"] if get => return self.list(),
            ["connectors"] if post => return self.create().await,
            ["connectors"] => GET_POST,
            ["connectors", name] if get => return Ok(Reply::json(&self.worker()?.info(name)?)),
            ["connectors", name] if delete => return self.delete(name).await,
            ["connectors", _] => GET_DELETE,
            ["connectors", name, "config"] if get => {
                return Ok(Reply::json(&self.worker()?.info(name)?.config));
            }
            ["connectors", name, "config"] if put => return self.put_config(name).await,
            ["connectors", name, "config"] if patch => return self.patch_config(name).await,
            ["connectors", _, "config"] => GET_POST_PUT,
            ["connectors", name, "status"] if get => return Ok(Reply::json(&self.worker()?.status(name)?)),
            ["connectors", name, "topics"] if get => {
                let topics = self.worker()?.topics(name)?;
                return Ok(Reply::json(&json!({ *name: { "topics": topics } })));
            }
            ["connectors", name, "topics", "reset"] if put => {
                self.worker()?.reset_topics(name).await?;
                return Ok(Reply::accepted());
            }
            ["connectors", name, "restart"] if post => return self.restart(name).await,
            ["connectors", name, "pause"] if put => return self.target(name, Target::Paused).await,
            ["connectors", name, "resume"] if put => return self.target(name, Target::Started).await,
            ["connectors", name, "stop"] if put => return self.target(name, Target::Stopped).await,
            ["connectors", name, "tasks"] if get => return Ok(Reply::json(&self.worker()?.tasks(name)?)),
            ["connectors", name, "tasks"] if post => {
                self.worker()?.put_tasks(name, |name| self.header(name), &self.call.body).await?;
                return Ok(Reply::nothing());
            }
            ["connectors", _, "tasks"] => GET_POST,
            ["connectors", name, "fence"] if put => {
                self.worker()?.fence(name, |name| self.header(name), &self.call.body).await?;
                return Ok(Reply::nothing());
            }
            ["connectors", name, "tasks", task, "status"] if get => {
                return Ok(Reply::json(&self.worker()?.task_status(name, number(task)?)?));
            }
            ["connectors", name, "tasks", task, "restart"] if post => {
                self.worker()?.restart_task(name, number(task)?).await?;
                return Ok(Reply::nothing());
            }
            ["connectors", name, "offsets"] if get => {
                return Ok(Reply::json(&self.worker()?.offsets(name).await?));
            }
            ["connectors", name, "offsets"] if patch => {
                let told = self.worker()?.alter_offsets(name, &self.body()?).await?;
                return Ok(Reply::json(&json!({ "message": told })));
            }
            ["connectors", name, "offsets"] if delete => {
                let told = self.worker()?.reset_offsets(name).await?;
                return Ok(Reply::json(&json!({ "message": told })));
            }
            ["connectors", _, "offsets"] => OFFSETS,
            ["connectors", _, "status" | "topics"] | ["connectors", _, "tasks", _, "status"] => GET,
            ["connectors", _, "topics", "reset"] => PUT,
            ["connectors", _, "pause" | "resume" | "stop" | "fence"] => PUT,
            ["connectors", _, "restart"] | ["connectors", _, "tasks", _, "restart"] => POST,
            ["connector-plugins"] if get => {
                let all = self.call.parameter("connectorsOnly").is_some_and(|only| only == "false");
                return Ok(Reply::json(&self.worker()?.plugins(!all)));
            }
            ["connector-plugins"] => GET,
            ["connector-plugins", plugin, "config"] if get => {
                let version = self.call.parameter("version");
                return Ok(Reply::json(&self.worker()?.plugin_settings(plugin, version)?));
            }
            ["connector-plugins", _, "config"] => GET,
            ["connector-plugins", plugin, "config", "validate"] if put => return self.validate(plugin).await,
            ["connector-plugins", _, "config", "validate"] => PUT,
            ["admin", "loggers"] if get => return loggers::list(self.service),
            ["admin", "loggers"] => GET,
            ["admin", "loggers", logger] if get => return loggers::get(self.service, logger),
            ["admin", "loggers", logger] if put => return self.set_level(logger).await,
            ["admin", "loggers", _] => GET_PUT,
            _ => return Err(Reply::error(404, "HTTP 404 Not Found")),
        };
        if *method == Method::OPTIONS {
            Ok(Reply::options(allowed))
        } else {
            Err(Reply::not_allowed(allowed))
        }
    }

    fn header(&self, name: &str) -> Option<String> {
        Some(self.headers.get(name)?.to_str().ok()?.to_owned())
    }

    /// Asks another worker the same.
    async fn forward(&self, head: &request::Parts, path: &str, url: &str) -> Answered {
        let again = match self.call.parameter("forward") {
            None => true,
            Some("true") => false,
            Some(_) => {
                let message =
                    "Cannot complete request because of a conflicting operation (e.g. worker rebalance)";
                return Err(Reply::error(409, message));
            }
        };
        let others = head.uri.query().unwrap_or_default().split('&');
        let others = others.filter(|pair| !pair.is_empty() && !pair.starts_with("forward="));
        let query: String = others.map(|pair| format!("&{pair}")).collect();
        let passed = [AUTHORIZATION.as_str(), SIGNATURE, ALGORITHM];
        let headers = passed.into_iter().filter_map(|name| Some((name.to_owned(), self.header(name)?)));
        let request = PeerRequest {
            method: self.call.method.to_string(),
            path: format!("{path}?forward={again}{query}"),
            headers: headers.collect(),
            body: self.call.body.clone(),
        };
        let reply = self.worker()?.ask(url, request).await?;
        Ok(Reply {
            status: reply.status,
            body: reply.body.to_vec(),
            location: reply.location,
            ..Reply::default()
        })
    }

    /// The worker, once it has started.
    fn worker(&self) -> Result<&Worker, Reply> {
        self.service.worker().map_err(|why| Reply::error(503, &why))
    }

    fn about(&self) -> Answered {
        let (version, cluster) = (env!("CARGO_PKG_VERSION"), self.worker()?.cluster_id());
        Ok(Reply::json(&json!({ "version": version, "commit": "unknown", "kafka_cluster_id": cluster })))
    }

    fn health(&self) -> Reply {
        match self.service.worker() {
            Ok(_) => {
                let message = "Worker has completed startup and is ready to handle requests.";
                Reply::json(&json!({ "status": "healthy", "message": message }))
            }
            Err(why) => {
                Reply { status: 503, ..Reply::json(&json!({ "status": "starting", "message": why })) }
            }
        }
    }

    fn list(&self) -> Answered {
        let worker = self.worker()?;
        let names = worker.connectors();
        let wanted: Vec<&str> = self.call.all("expand").collect();
        if wanted.is_empty() {
            return Ok(Reply::json(&names));
        }
        let mut all = Map::new();
        for name in names {
            let mut shown = Map::new();
            for what in &wanted {
                let value = match *what {
                    "status" => {
                        worker.status(&name).ok().and_then(|status| serde_json::to_value(status).ok())
                    }
                    "info" => worker.info(&name).ok().and_then(|info| serde_json::to_value(info).ok()),
                    _ => None,
                };
                if let Some(value) = value {
                    shown.insert((*what).to_owned(), value);
                }
            }
            all.insert(name, Value::Object(shown));
        }
        Ok(Reply::json(&all))
    }

    async fn create(&self) -> Answered {
        let Create { name, target, given } = Create::of(&self.call.body)?;
        let config = self.with_values(given).await?;
        let info = self.worker()?.create(&name, config, target).await?;
        Ok(Reply::created(&info, format!("{}/connectors/{}", self.base, part(&name))))
    }

    async fn put_config(&self, name: &str) -> Answered {
        let config = self.with_values(Given::of(&self.call.body)?.named(name)?).await?;
        let (created, info) = self.worker()?.put_config(name, config).await?;
        if !created {
            return Ok(Reply::json(&info));
        }
        Ok(Reply::created(&info, format!("{}/connectors/{}", self.base, part(name))))
    }

    async fn patch_config(&self, name: &str) -> Answered {
        let patch = requests::patch(&self.call.body)?;
        Ok(Reply::json(&self.worker()?.patch_config(name, patch).await?))
    }

    async fn delete(&self, name: &str) -> Answered {
        self.worker()?.delete(name).await?;
        Ok(Reply::nothing())
    }

    async fn target(&self, name: &str, target: Target) -> Answered {
        self.worker()?.set_target(name, target).await?;
        Ok(if target == Target::Stopped { Reply::nothing() } else { Reply::accepted() })
    }

    async fn restart(&self, name: &str) -> Answered {
        let (tasks, failed) = (self.call.flag("includeTasks"), self.call.flag("onlyFailed"));
        if !tasks && !failed {
            self.worker()?.restart(name).await?;
            return Ok(Reply::nothing());
        }
        let status = self.worker()?.restart_all(name, tasks, failed).await?;
        Ok(Reply { status: 202, ..Reply::json(&status) })
    }

    async fn validate(&self, plugin: &str) -> Answered {
        let Given { config, nulls } = Given::of(&self.call.body)?;
        let worker = self.worker()?;
        if let Some(class) = config.get("connector.class")
            && !worker.same_plugin(class, plugin)
        {
            let message = format!("Included connector type {class} does not match request type {plugin}");
            return Err(Reply::error(400, &message));
        }
        Ok(Reply::json(&worker.validate(&config).await?.lacking(&nulls)))
    }

    /// The settings, all of which must have a value; what else is wrong with them is told with those that have none.
    async fn with_values(&self, Given { config, nulls }: Given) -> Result<Config, Reply> {
        if nulls.is_empty() {
            return Ok(config);
        }
        let refusal = self.worker()?.validate(&config).await?.lacking(&nulls).refusal();
        refusal.map_or(Ok(config), |refusal| Err(refusal.into()))
    }

    async fn set_level(&self, logger: &str) -> Answered {
        let body = self.body()?;
        if self.call.parameter("scope").is_some_and(|scope| scope.eq_ignore_ascii_case("cluster")) {
            return loggers::set_everywhere(self.worker()?, logger, &body).await;
        }
        loggers::set(self.service, logger, &body)
    }

    fn body(&self) -> Result<Value, Reply> {
        serde_json::from_slice(&self.call.body).map_err(|error| requests::no_json(&error))
    }
}

fn number(text: &str) -> Result<usize, Reply> {
    text.parse().map_err(|_| Reply::error(404, "HTTP 404 Not Found"))
}

impl From<WorkerError> for Reply {
    fn from(error: WorkerError) -> Reply {
        let mut reply = Reply::error(error.code(), &error.to_string());
        if let WorkerError::Elsewhere(url) = error {
            reply.elsewhere = url;
        }
        reply
    }
}
