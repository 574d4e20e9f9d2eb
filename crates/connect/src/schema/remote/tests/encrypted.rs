//! Registries behind `https`: certificates of an authority of our own, servers that check who asks.

use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tempfile::TempDir;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

use super::*;

/// Certificates as PEM, also in files: `ca`, and `server`, `client` and `other` with a key each.
struct Certificates {
    ca: String,
    issuer: Issuer<'static, KeyPair>,
    folder: TempDir,
}

impl Certificates {
    fn new() -> Certificates {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let ca = params.self_signed(&key).unwrap().pem();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.pem"), &ca).unwrap();
        Certificates { ca, issuer: Issuer::new(params, key), folder }
    }

    /// The chain and the key of a certificate for `name`.
    fn issue(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }

    fn file(&self, name: &str, text: &str) -> String {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        shown(&path)
    }

    /// A server for `name` that checks who asks if `checks`.
    async fn server(&self, name: &str, checks: bool) -> Table {
        let (chain, key) = self.issue(name);
        let provider = Arc::new(aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .unwrap();
        let config = if checks {
            let mut roots = RootCertStore::empty();
            roots.add(CertificateDer::from_pem_slice(self.ca.as_bytes()).unwrap()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            config.with_client_cert_verifier(verifier.build().unwrap())
        } else {
            config.with_no_client_auth()
        };
        let chain = vec![CertificateDer::from_pem_slice(chain.as_bytes()).unwrap()];
        let config =
            config.with_single_cert(chain, PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap()).unwrap();
        let answers = vec![("GET /subjects/s", 200, json!({"id": 5, "schema": "x"}))];
        Table::start_behind(Some(TlsAcceptor::from(Arc::new(config))), answers).await
    }
}

fn shown(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

async fn latest(table: &Table, settings: &[(&str, &str)]) -> Result<i32, String> {
    let mut all = vec![("schema.registry.url", table.address.as_str()), ("max.retries", "0")];
    all.extend_from_slice(settings);
    client(&all).latest("s").await.map(|found| found.id).map_err(|error| error.to_string())
}

#[tokio::test]
async fn a_server_is_asked_when_its_authority_is_trusted_and_the_name_is_its_own() {
    let certificates = Certificates::new();
    let ca = shown(&certificates.folder.path().join("ca.pem"));
    let own = certificates.server("127.0.0.1", false).await;
    let other = certificates.server("registry.example", false).await;
    let trusted = ("ssl.truststore.location", ca.as_str());
    let names = "ssl.endpoint.identification.algorithm";
    for (server, settings, expected) in [
        (&own, vec![], Err("UnknownIssuer")),
        (&own, vec![(names, "")], Err("UnknownIssuer")),
        (&own, vec![trusted], Ok(5)),
        (&own, vec![trusted, ("ssl.truststore.type", "PEM"), (names, "https")], Ok(5)),
        (&own, vec![("schema.registry.ssl.truststore.location", &*ca)], Ok(5)),
        (&own, vec![("ssl.ca.location", &*ca)], Ok(5)),
        (&own, vec![("ssl.truststore.certificates", &*certificates.ca)], Ok(5)),
        (&other, vec![trusted], Err("not valid for name")),
        (&other, vec![trusted, (names, "")], Ok(5)),
        (&other, vec![trusted, (names, "none")], Ok(5)),
    ] {
        let answer = latest(server, &settings).await;
        match (&answer, expected) {
            (Ok(id), Ok(expected)) => assert_eq!(*id, expected, "{settings:?}"),
            (Err(why), Err(word)) => assert!(why.contains(word), "{settings:?}: {why}"),
            _ => panic!("{settings:?}: {answer:?}"),
        }
    }
}

#[tokio::test]
async fn a_server_that_checks_who_asks_is_shown_a_certificate() {
    let certificates = Certificates::new();
    let server = certificates.server("127.0.0.1", true).await;
    let (chain, key) = certificates.issue("client.example");
    let together = certificates.file("together.pem", &format!("{key}{chain}"));
    let (chain_file, key_file) = (certificates.file("chain.pem", &chain), certificates.file("key.pem", &key));
    for (settings, accepted) in [
        (vec![], false),
        (vec![("ssl.keystore.location", &*together)], true),
        (vec![("ssl.keystore.key", &*key), ("ssl.keystore.certificate.chain", &*chain)], true),
        (vec![("ssl.certificate.location", &*chain_file), ("ssl.key.location", &*key_file)], true),
    ] {
        let mut settings = settings;
        settings.push(("ssl.truststore.certificates", &certificates.ca));
        assert_eq!(latest(&server, &settings).await.is_ok(), accepted, "{settings:?}");
    }
}

#[test]
fn stores_and_files_that_cannot_be_used_are_refused_by_name() {
    let certificates = Certificates::new();
    let ca = shown(&certificates.folder.path().join("ca.pem"));
    let empty = certificates.file("empty.pem", "nothing");
    let (_, key) = certificates.issue("client.example");
    let (chain, _) = certificates.issue("client.example");
    for (settings, words) in [
        (vec![("ssl.truststore.type", "JKS")], "ssl.truststore.type: only PEM is read"),
        (vec![("ssl.keystore.type", "PKCS12")], "ssl.keystore.type: only PEM is read"),
        (vec![("ssl.truststore.location", "/nowhere.pem")], "ssl.truststore.location: /nowhere.pem: "),
        (vec![("ssl.truststore.location", &*empty)], "ssl.truststore.location: "),
        (vec![("ssl.keystore.location", &*ca)], "ssl.keystore.location: "),
        (vec![("ssl.keystore.key", &*key)], "ssl.keystore.key: a certificate and its key"),
        (vec![("ssl.certificate.location", &*ca)], "ssl.certificate.location: a certificate and"),
        (
            vec![("ssl.keystore.key", &*key), ("ssl.keystore.certificate.chain", &*chain)],
            "ssl.keystore.key: ",
        ),
        (
            vec![("ssl.endpoint.identification.algorithm", "dns")],
            "ssl.endpoint.identification.algorithm: use",
        ),
    ] {
        let mut given = HashMap::from([("schema.registry.url".to_owned(), "https://localhost".to_owned())]);
        given.extend(settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
        let error = HttpSettings::of_client(&given).and_then(RemoteRegistry::new).unwrap_err().to_string();
        assert!(error.starts_with(words), "{settings:?}: {error}");
    }
}
