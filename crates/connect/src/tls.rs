//! Connections to HTTP servers and of them, encrypted where the address says `https`: whom to trust, and who asks or serves.
//!
//! The settings are those that users have in their clients and servers, of the JVM's family (`ssl.truststore.*`, `ssl.keystore.*`) and of
//! librdkafka's (`ssl.ca.location`, …). Certificates and keys are PEM; stores of Java (JKS, PKCS12) are refused with the way
//! out. Without authorities of their own the public ones are trusted, those of Mozilla's list.
//!
//! One module for every client of HTTP here, the registry's and the connectors', and for every server.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{
    AlertDescription, CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, ServerConfig,
    SignatureScheme,
};

use crate::connectors::Allowed;
use crate::settings::{Config, FieldError};

/// Opens connections of both kinds.
pub type Connector = HttpsConnector<HttpConnector>;

/// Takes connections, each with a handshake.
pub type Acceptor = tokio_rustls::TlsAcceptor;
/// A connection that was taken so.
pub type Encrypted<S> = tokio_rustls::server::TlsStream<S>;

/// What opens the connections of a connector, by its settings; it reads files that are allowed only, and reads them now.
///
/// # Errors
/// All that is wrong with the settings.
pub(crate) fn connector(
    config: &Config,
    allowed: &Allowed,
    connect_timeout: Duration,
) -> Result<Connector, Vec<FieldError>> {
    let told = |error: TlsError| FieldError::new(error.key, error.to_string());
    let settings =
        TlsSettings::read(|key| config.get(key).map(String::as_str)).map_err(|error| vec![told(error)])?;
    let refused = settings.refused(allowed);
    if !refused.is_empty() {
        return Err(refused.into_iter().map(told).collect());
    }
    settings.connector(connect_timeout).map_err(|error| vec![told(error)])
}

/// Whether the cause of an error is a certificate that one side does not take, however often the other one shows it.
pub(crate) fn is_refused(error: &(dyn Error + 'static)) -> bool {
    if let Some(error) = error.downcast_ref::<rustls::Error>() {
        return match error {
            rustls::Error::InvalidCertificate(_) => true,
            rustls::Error::AlertReceived(alert) => ALERTS.contains(alert),
            _ => false,
        };
    }
    // What stands within an error of input and output is not its source.
    match error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
        Some(within) => is_refused(within),
        None => error.source().is_some_and(is_refused),
    }
}

/// What the other side says of certificates that it does not take.
const ALERTS: [AlertDescription; 8] = [
    AlertDescription::BadCertificate,
    AlertDescription::UnsupportedCertificate,
    AlertDescription::CertificateRevoked,
    AlertDescription::CertificateExpired,
    AlertDescription::CertificateUnknown,
    AlertDescription::UnknownCA,
    AlertDescription::AccessDenied,
    AlertDescription::CertificateRequired,
];

/// Names of settings.
mod key {
    pub(super) const TRUSTED_FILE: &str = "ssl.truststore.location";
    pub(super) const TRUSTED_TEXT: &str = "ssl.truststore.certificates";
    pub(super) const TRUSTED_TYPE: &str = "ssl.truststore.type";
    pub(super) const OWN_FILE: &str = "ssl.keystore.location";
    pub(super) const OWN_TYPE: &str = "ssl.keystore.type";
    pub(super) const OWN_KEY: &str = "ssl.keystore.key";
    pub(super) const OWN_CHAIN: &str = "ssl.keystore.certificate.chain";
    pub(super) const CLIENTS: &str = "ssl.client.auth";
    pub(super) const NAMES: &str = "ssl.endpoint.identification.algorithm";
    pub(super) const OTHER_TRUSTED_FILE: &str = "ssl.ca.location";
    pub(super) const OTHER_CHAIN_FILE: &str = "ssl.certificate.location";
    pub(super) const OTHER_KEY_FILE: &str = "ssl.key.location";
}

/// Why no connection can be set up.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {why}")]
pub struct TlsError {
    /// The setting.
    pub key: &'static str,
    /// What is wrong, and what would be right.
    pub why: String,
}

/// PEM, and where it stands.
#[derive(Clone, PartialEq, Eq)]
struct Pem {
    key: &'static str,
    place: Place,
}

#[derive(Clone, PartialEq, Eq)]
enum Place {
    File(String),
    Text(String),
}

/// Whom to trust, and who asks.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct TlsSettings {
    /// The certificates of authorities; none are the public ones.
    trusted: Option<Pem>,
    /// The own chain of certificates, and its key.
    own: Option<(Pem, Pem)>,
    /// Whether clients show certificates.
    clients: Clients,
    /// Whether a server may have the certificate of another name.
    any_name: bool,
}

/// Whether the clients of a server show who they are.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Clients {
    #[default]
    Unasked,
    Requested,
    Required,
}

/// Keys are not shown.
impl std::fmt::Debug for TlsSettings {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("TlsSettings").finish_non_exhaustive()
    }
}

impl TlsSettings {
    /// Reads what a client or a server is configured with; `given` looks a key up.
    ///
    /// # Errors
    /// [`TlsError`] for a store that is no PEM, half of a key pair, and an unknown way to check names or clients.
    pub fn read<'a>(given: impl Fn(&str) -> Option<&'a str>) -> Result<TlsSettings, TlsError> {
        let any_name = match given(key::NAMES).map(|way| way.trim().to_ascii_lowercase()).as_deref() {
            None | Some("https") => false,
            Some("" | "none") => true,
            Some(_) => return Err(TlsError::new(key::NAMES, "use https, or leave it empty")),
        };
        let clients = match given(key::CLIENTS).map(|way| way.trim().to_ascii_lowercase()).as_deref() {
            None | Some("" | "none") => Clients::Unasked,
            Some("requested") => Clients::Requested,
            Some("required") => Clients::Required,
            Some(_) => return Err(TlsError::new(key::CLIENTS, "use none, requested or required")),
        };
        let given = |key: &'static str| given(key).filter(|value| !value.trim().is_empty());
        for key in [key::TRUSTED_TYPE, key::OWN_TYPE] {
            if given(key).is_some_and(|kind| !kind.trim().eq_ignore_ascii_case("PEM")) {
                return Err(TlsError::new(
                    key,
                    "only PEM is read: export the store, with keytool or openssl",
                ));
            }
        }
        let file = |key| given(key).map(|path| Pem { key, place: Place::File(path.trim().to_owned()) });
        let text = |key| given(key).map(|text| Pem { key, place: Place::Text(text.to_owned()) });
        let first = |[inline, store, other]: [&'static str; 3]| {
            text(inline).or_else(|| file(store)).or_else(|| file(other))
        };
        let trusted = first([key::TRUSTED_TEXT, key::TRUSTED_FILE, key::OTHER_TRUSTED_FILE]);
        let chain = first([key::OWN_CHAIN, key::OWN_FILE, key::OTHER_CHAIN_FILE]);
        let own_key = first([key::OWN_KEY, key::OWN_FILE, key::OTHER_KEY_FILE]);
        let own = match (chain, own_key) {
            (Some(chain), Some(key)) => Some((chain, key)),
            (None, None) => None,
            (Some(half), None) | (None, Some(half)) => {
                return Err(TlsError::new(half.key, "a certificate and its key are given together"));
            }
        };
        Ok(TlsSettings { trusted, own, clients, any_name })
    }

    /// The files that may not be read.
    pub(crate) fn refused(&self, allowed: &Allowed) -> Vec<TlsError> {
        let own = self.own.iter().flat_map(|(chain, own_key)| [chain, own_key]);
        let mut refused: Vec<TlsError> = Vec::new();
        for pem in self.trusted.iter().chain(own) {
            let Place::File(path) = &pem.place else { continue };
            if let Err(why) = allowed.check(Path::new(path))
                && refused.iter().all(|error| error.key != pem.key)
            {
                refused.push(TlsError::new(pem.key, why));
            }
        }
        refused
    }

    /// What opens connections, encrypted where the address says `https`. Files are read now.
    ///
    /// # Errors
    /// [`TlsError`] when a file cannot be read, or holds something else.
    pub fn connector(&self, connect_timeout: Duration) -> Result<Connector, TlsError> {
        let mut plain = HttpConnector::new();
        plain.set_connect_timeout(Some(connect_timeout));
        plain.set_nodelay(true);
        plain.enforce_http(false);
        let builder = HttpsConnectorBuilder::new().with_tls_config(self.config()?);
        Ok(builder.https_or_http().enable_http1().wrap_connector(plain))
    }

    /// What takes the connections of a server. Files are read now.
    ///
    /// # Errors
    /// [`TlsError`] without a certificate, and when a file cannot be read, or holds something else.
    pub fn acceptor(&self) -> Result<Acceptor, TlsError> {
        let Some((chain, own_key)) = &self.own else {
            return Err(TlsError::new(key::OWN_FILE, "https needs a certificate with its key, in PEM"));
        };
        let provider = Arc::new(aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|found| TlsError::new(own_key.key, found))?;
        let config = match self.clients {
            Clients::Unasked => config.with_no_client_auth(),
            Clients::Requested | Clients::Required => {
                config.with_client_cert_verifier(self.client_verifier(provider)?)
            }
        };
        let pair = config.with_single_cert(chain.certificates()?, own_key.private_key()?);
        Ok(Arc::new(pair.map_err(|found| TlsError::new(own_key.key, found))?).into())
    }

    fn client_verifier(
        &self,
        provider: Arc<CryptoProvider>,
    ) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
        let Some(pem) = &self.trusted else {
            return Err(TlsError::new(key::TRUSTED_FILE, "is needed to know the certificates of clients"));
        };
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(pem.roots()?), provider);
        let verifier = match self.clients {
            Clients::Requested => verifier.allow_unauthenticated(),
            Clients::Unasked | Clients::Required => verifier,
        };
        verifier.build().map_err(|found| TlsError::new(pem.key, found))
    }

    fn config(&self) -> Result<ClientConfig, TlsError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier = self.verifier(&provider)?;
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|found| TlsError::new(key::TRUSTED_FILE, found))?
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        let Some((chain, own_key)) = &self.own else { return Ok(config.with_no_client_auth()) };
        let pair = config.with_client_auth_cert(chain.certificates()?, own_key.private_key()?);
        pair.map_err(|found| TlsError::new(own_key.key, found))
    }

    fn verifier(&self, provider: &Arc<CryptoProvider>) -> Result<Arc<dyn ServerCertVerifier>, TlsError> {
        let (from, roots) = match &self.trusted {
            None => (key::TRUSTED_FILE, RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() }),
            Some(pem) => (pem.key, pem.roots()?),
        };
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
        let verifier = verifier.build().map_err(|found| TlsError::new(from, found))?;
        Ok(if self.any_name { Arc::new(AnyName(verifier)) } else { verifier })
    }
}

impl TlsError {
    fn new(key: &'static str, why: impl std::fmt::Display) -> TlsError {
        TlsError { key, why: why.to_string() }
    }
}

impl Pem {
    fn error(&self, found: &pem::Error) -> TlsError {
        let place = match &self.place {
            Place::File(path) => format!("{path}: "),
            Place::Text(_) => String::new(),
        };
        TlsError::new(self.key, format!("{place}{found}"))
    }

    fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, TlsError> {
        let read: Result<Vec<_>, pem::Error> = match &self.place {
            Place::File(path) => CertificateDer::pem_file_iter(path).and_then(Iterator::collect),
            Place::Text(text) => CertificateDer::pem_slice_iter(text.as_bytes()).collect(),
        };
        let found =
            read.and_then(|found| if found.is_empty() { Err(pem::Error::NoItemsFound) } else { Ok(found) });
        found.map_err(|error| self.error(&error))
    }

    fn roots(&self) -> Result<RootCertStore, TlsError> {
        let mut roots = RootCertStore::empty();
        for certificate in self.certificates()? {
            roots.add(certificate).map_err(|found| TlsError::new(self.key, found))?;
        }
        Ok(roots)
    }

    fn private_key(&self) -> Result<PrivateKeyDer<'static>, TlsError> {
        let read = match &self.place {
            Place::File(path) => PrivateKeyDer::from_pem_file(path),
            Place::Text(text) => PrivateKeyDer::from_pem_slice(text.as_bytes()),
        };
        read.map_err(|error| self.error(&error))
    }
}

/// Checks everything of a server's certificate but its name.
#[derive(Debug)]
struct AnyName(Arc<WebPkiServerVerifier>);

impl ServerCertVerifier for AnyName {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        status: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        use CertificateError::{NotValidForName, NotValidForNameContext};
        match self.0.verify_server_cert(certificate, chain, name, status, now) {
            Err(rustls::Error::InvalidCertificate(NotValidForName | NotValidForNameContext { .. })) => {
                Ok(ServerCertVerified::assertion())
            }
            verdict => verdict,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}
