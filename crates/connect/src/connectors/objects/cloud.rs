//! The stores of clouds, by their settings.
//!
//! | address | store | who asks, unless it is given |
//! | --- | --- | --- |
//! | `s3://BUCKET/FOLDER` | Amazon S3, and what speaks as it does (`store.endpoint`) | `AWS_…` of the environment, a web identity, a profile with keys (`AWS_PROFILE`, `~/.aws`), the container, the instance |
//! | `gs://BUCKET/FOLDER` | Google Cloud Storage | `GOOGLE_…` of the environment, application default credentials, the instance |
//! | `az://CONTAINER/FOLDER` | Azure Blob Storage | `AZURE_…` of the environment, a workload or managed identity |
//!
//! What settings say counts before the environment, which does not count at all where they say who asks. The address of the
//! store and its endpoint are allowed or not, like all that connectors may touch; names that become parts of other addresses
//! (regions, accounts, buckets) have letters, digits and few other characters, so that nothing else can be reached by them.

use std::sync::Arc;
use std::time::Duration;

use hyper::Uri;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::prefix::PrefixStore;
use object_store::{BackoffConfig, ObjectStore, RetryConfig};

use super::URL;
use super::http::Requests;
use super::profile::Profile;
use crate::connectors::Allowed;
use crate::settings::{FieldError, Importance, Kind, Setting, Values};
use crate::tls;

/// How long a request is tried again at most: its signature lives for about so long.
const RETRY_TIME_MAX: Duration = Duration::from_secs(180);
/// Where Google's store is. Named always, because credentials may name another one.
const GOOGLE: &str = "https://storage.googleapis.com";

const ENDPOINT: &str = "store.endpoint";
const ALLOW_HTTP: &str = "store.allow.http";
const REGION: &str = "store.region";
const PATH_STYLE: &str = "store.path.style";
const ACCESS_KEY: &str = "store.access.key.id";
const SECRET_KEY: &str = "store.secret.access.key";
const TOKEN: &str = "store.session.token";
const SERVICE_ACCOUNT: &str = "store.service.account.key";
const ACCOUNT: &str = "store.account";
const ACCOUNT_KEY: &str = "store.account.key";
const ANONYMOUS: &str = "store.anonymous";
const CONNECT_TIMEOUT: &str = "store.connect.timeout.ms";
const REQUEST_TIMEOUT: &str = "store.request.timeout.ms";
const RETRIES: &str = "store.retries.max";
const BACKOFF: &str = "store.retry.backoff.ms";
const BACKOFF_MAX: &str = "store.retry.backoff.max.ms";

/// What stores of clouds are set up with, beyond the address.
pub(super) fn settings() -> Vec<Setting> {
    let endpoint = "Where the store is, unless it is the cloud's own place: http:// or https://. With the account, for az://.";
    let environment = "Unless credentials are given, the environment says who asks.";
    let access_key = format!("The id of the access key, for s3://. {environment}");
    let service_account = format!("The key of a service account, as JSON, for gs://. {environment}");
    let account_key = format!("The key of the account, for az://. {environment}");
    let request = "How long a request may take, with all bytes of the object.";
    let retries = "How often a request is tried again. After that the connector tries again.";
    let text = |name, documentation: &str| Setting::optional(name, Kind::String, documentation);
    let secret = |name, documentation: &str| Setting::optional(name, Kind::Password, documentation);
    let truth =
        |name, default, documentation: &str| Setting::new(name, Kind::Boolean, default, documentation);
    let time = |name, default, documentation: &str| {
        Setting::new(name, Kind::Long, default, documentation).at_least(1).importance(Importance::Low)
    };
    vec![
        text(ENDPOINT, endpoint),
        truth(ALLOW_HTTP, "false", "Whether the endpoint may be one without encryption.")
            .importance(Importance::Low),
        text(REGION, "The region of the bucket, for s3://; us-east-1 unless it is given."),
        truth(PATH_STYLE, "true", "Whether the bucket stands in the path and not in the host, for s3://.")
            .importance(Importance::Low),
        text(ACCESS_KEY, &access_key),
        secret(SECRET_KEY, "The access key itself."),
        secret(TOKEN, "The token of a session, where the access key is of one."),
        secret(SERVICE_ACCOUNT, &service_account),
        text(ACCOUNT, "The account that has the container, for az://."),
        secret(ACCOUNT_KEY, &account_key),
        truth(ANONYMOUS, "false", "Whether nobody asks, as public buckets allow.")
            .importance(Importance::Low),
        time(CONNECT_TIMEOUT, "10000", "How long a connection may take."),
        time(REQUEST_TIMEOUT, "60000", request),
        Setting::new(RETRIES, Kind::Int, "5", retries).between(0, 1000).importance(Importance::Low),
        time(BACKOFF, "200", "The first wait before that; each is about twice the last one."),
        time(BACKOFF_MAX, "10000", "The longest such wait."),
    ]
}

/// Opens the store that an address and settings name.
///
/// # Errors
/// All that is wrong with the settings.
pub(super) fn open(
    scheme: &str,
    place: &str,
    values: &Values,
    allowed: &Allowed,
) -> Result<Arc<dyn ObjectStore>, Vec<FieldError>> {
    let (bucket, folder) = place.split_once('/').unwrap_or((place, ""));
    let mut errors = Vec::new();
    let mut check = |field: &str, checked: Result<(), String>| {
        errors.extend(checked.err().map(|why| FieldError::new(field, why)));
    };
    check(URL, named(bucket, "._-").and_then(|()| allowed.check_url(&format!("{scheme}://{place}"))));
    for field in [REGION, ACCOUNT] {
        check(field, given(values, field).map_or(Ok(()), |name| named(name, "-")));
    }
    let is_plain_allowed = values.boolean(ALLOW_HTTP).unwrap_or(false);
    let endpoint = given(values, ENDPOINT);
    check(ENDPOINT, endpoint.map_or(Ok(()), |endpoint| reachable(endpoint, is_plain_allowed, allowed)));
    for (one, other) in [(ACCESS_KEY, SECRET_KEY), (SECRET_KEY, ACCESS_KEY), (TOKEN, ACCESS_KEY)] {
        if given(values, one).is_some() && given(values, other).is_none() {
            errors.push(FieldError::new(other, format!("{one} needs {other}")));
        }
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    let store = Cloud::new(values, allowed)?.store(scheme, bucket);
    let store = store.map_err(|error| vec![FieldError::new(URL, error.to_string())])?;
    Ok(if folder.is_empty() { store } else { Arc::new(PrefixStore::new(store, folder)) })
}

/// The text of a setting, if it is given and has something in it.
fn given<'v>(values: &'v Values, name: &str) -> Option<&'v str> {
    values.optional_string(name).ok().flatten().filter(|text| !text.is_empty())
}

/// Whether a text is a name that may become a part of an address.
fn named(name: &str, more: &str) -> Result<(), String> {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || more.contains(letter);
    if name.starts_with(|first: char| first.is_ascii_alphanumeric()) && name.chars().all(is_plain) {
        return Ok(());
    }
    Err(format!("{name:?} is no name: it has letters, digits and some of {more:?}"))
}

/// Whether an endpoint is an address that may be asked.
fn reachable(endpoint: &str, is_plain_allowed: bool, allowed: &Allowed) -> Result<(), String> {
    let uri = endpoint.parse::<Uri>().ok().filter(|uri| uri.query().is_none());
    let host = uri.as_ref().and_then(Uri::host).filter(|host| !host.is_empty() && !endpoint.contains('@'));
    match uri.as_ref().and_then(Uri::scheme_str).filter(|_| host.is_some()) {
        Some("http") if !is_plain_allowed => {
            Err(format!("{endpoint} is not encrypted, which {ALLOW_HTTP}=true allows"))
        }
        Some("http" | "https") => allowed.check_url(endpoint),
        _ => Err(format!("{endpoint:?} is no address that begins with http:// or https://")),
    }
}

/// Who asks at Amazon by the environment, or else by the files of its tools.
fn of_amazon() -> AmazonS3Builder {
    let variable = |name: &str| std::env::var(name).ok().filter(|text| !text.is_empty());
    let is_set = |names: [&str; 2]| names.into_iter().any(|name| variable(name).is_some());
    let (mut builder, profile) = (AmazonS3Builder::from_env(), Profile::of_environment(variable));
    if let Some(region) = profile.region.filter(|_| !is_set(["AWS_REGION", "AWS_DEFAULT_REGION"])) {
        builder = builder.with_region(region);
    }
    if let Some((id, key)) =
        profile.key.filter(|_| !is_set(["AWS_ACCESS_KEY_ID", "AWS_WEB_IDENTITY_TOKEN_FILE"]))
    {
        builder = builder.with_access_key_id(id).with_secret_access_key(key);
        builder = profile.token.into_iter().fold(builder, AmazonS3Builder::with_token);
    }
    builder
}

/// What the clients of all clouds have in common.
struct Cloud<'v> {
    values: &'v Values,
    requests: Requests,
    retry: RetryConfig,
}

impl<'v> Cloud<'v> {
    fn new(values: &'v Values, allowed: &Allowed) -> Result<Self, Vec<FieldError>> {
        let number =
            |name: &str| values.number(name).map_err(|error| vec![FieldError::new(name, error.message)]);
        let time = |name: &str| number(name).map(|ms| Duration::from_millis(ms.unsigned_abs()));
        let connector = tls::connector(values.raw(), allowed, time(CONNECT_TIMEOUT)?)?;
        let backoff =
            BackoffConfig { init_backoff: time(BACKOFF)?, max_backoff: time(BACKOFF_MAX)?, base: 2.0 };
        let max_retries = usize::try_from(number(RETRIES)?).unwrap_or(0);
        let retry = RetryConfig { backoff, max_retries, retry_timeout: RETRY_TIME_MAX };
        Ok(Self { values, requests: Requests::new(connector, time(REQUEST_TIMEOUT)?), retry })
    }

    fn store(self, scheme: &str, bucket: &str) -> object_store::Result<Arc<dyn ObjectStore>> {
        match scheme {
            "s3" => self.amazon(bucket),
            "gs" => self.google(bucket),
            _ => self.azure(bucket),
        }
    }

    /// Whether settings say who asks; then the environment does not count.
    fn is_given(&self, credentials: &str) -> bool {
        given(self.values, credentials).is_some() || self.is_anonymous()
    }

    fn is_anonymous(&self) -> bool {
        self.values.boolean(ANONYMOUS).unwrap_or(false)
    }

    fn amazon(self, bucket: &str) -> object_store::Result<Arc<dyn ObjectStore>> {
        let is_given = self.is_given(ACCESS_KEY);
        let mut builder = if is_given { AmazonS3Builder::new() } else { of_amazon() };
        let in_path = self.values.boolean(PATH_STYLE).unwrap_or(true);
        if let Some(endpoint) = given(self.values, ENDPOINT) {
            let (scheme, host) = endpoint.split_once("://").unwrap_or_default();
            let own = if in_path { endpoint.to_owned() } else { format!("{scheme}://{bucket}.{host}") };
            // The environment may name one for S3 alone, which would count before another.
            builder = builder.with_config(AmazonS3ConfigKey::S3Endpoint, own);
        }
        let texts = [
            (REGION, AmazonS3ConfigKey::Region),
            (ACCESS_KEY, AmazonS3ConfigKey::AccessKeyId),
            (SECRET_KEY, AmazonS3ConfigKey::SecretAccessKey),
            (TOKEN, AmazonS3ConfigKey::Token),
        ];
        for (name, key) in texts {
            if let Some(text) = given(self.values, name) {
                builder = builder.with_config(key, text);
            }
        }
        if self.is_anonymous() {
            builder = builder.with_skip_signature(true);
        }
        let builder = builder.with_bucket_name(bucket).with_virtual_hosted_style_request(!in_path);
        Ok(Arc::new(builder.with_retry(self.retry).with_http_connector(self.requests).build()?))
    }

    fn google(self, bucket: &str) -> object_store::Result<Arc<dyn ObjectStore>> {
        let is_given = self.is_given(SERVICE_ACCOUNT);
        let mut builder =
            if is_given { GoogleCloudStorageBuilder::new() } else { GoogleCloudStorageBuilder::from_env() };
        match given(self.values, ENDPOINT) {
            Some(endpoint) => builder = builder.with_base_url(endpoint),
            // A key may name another place, which nobody has allowed.
            None if is_given => builder = builder.with_base_url(GOOGLE),
            None => {}
        }
        if let Some(key) = given(self.values, SERVICE_ACCOUNT) {
            builder = builder.with_service_account_key(key);
        }
        if self.is_anonymous() {
            builder = builder.with_skip_signature(true);
        }
        let builder = builder.with_bucket_name(bucket).with_retry(self.retry);
        Ok(Arc::new(builder.with_http_connector(self.requests).build()?))
    }

    fn azure(self, container: &str) -> object_store::Result<Arc<dyn ObjectStore>> {
        let is_given = self.is_given(ACCOUNT_KEY);
        let mut builder =
            if is_given { MicrosoftAzureBuilder::new() } else { MicrosoftAzureBuilder::from_env() };
        if let Some(endpoint) = given(self.values, ENDPOINT) {
            builder = builder.with_endpoint(endpoint.to_owned());
        }
        if let Some(account) = given(self.values, ACCOUNT) {
            builder = builder.with_account(account);
        }
        if let Some(key) = given(self.values, ACCOUNT_KEY) {
            builder = builder.with_access_key(key);
        }
        if self.is_anonymous() {
            builder = builder.with_skip_signature(true);
        }
        let builder = builder.with_container_name(container).with_retry(self.retry);
        Ok(Arc::new(builder.with_http_connector(self.requests).build()?))
    }
}
