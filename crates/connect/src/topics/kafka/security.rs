//! How connections to a cluster are secured: Kafka's settings, as far as the client can do what they say.
//!
//! What it cannot do is refused, with the name of the setting and a way out, where the setting would count: of `ssl.*` when
//! `security.protocol` encrypts, of `sasl.*` when it proves who asks. Certificates and keys are PEM, and names of servers are
//! always checked. Without authorities of their own the public ones are trusted, those of Mozilla's list.

use krafka::auth::{AuthConfig, TlsConfig};

use crate::error::ConnectError;
use crate::settings::{Config, Kind, Setting, Values};

/// The settings that name files.
pub const FILES: [&str; 2] = ["ssl.truststore.location", "ssl.keystore.location"];

/// The setting that names the cluster.
const SERVERS: &str = "bootstrap.servers";

/// The mechanisms of SASL that are spoken.
const MECHANISMS: [&str; 3] = ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"];

/// The login modules that hold a name and a password.
const LOGINS: [&str; 2] = [
    "org.apache.kafka.common.security.plain.PlainLoginModule",
    "org.apache.kafka.common.security.scram.ScramLoginModule",
];

/// What a setting is refused for, unless it is empty or one of these values.
type Refused = (&'static str, &'static [&'static str], &'static str);

const PEM_ONLY: &str = "only PEM is read: export the store with keytool or openssl, and set this to PEM";
const NO_CLASSES: &str = "this client runs no classes of Java: leave it out, and use PLAIN or SCRAM";
const NO_STORES: &str = "files of PEM have no password: leave it out";

const OF_TLS: [Refused; 8] = [
    ("ssl.truststore.type", &["PEM"], PEM_ONLY),
    ("ssl.keystore.type", &["PEM"], PEM_ONLY),
    ("ssl.truststore.password", &[], NO_STORES),
    ("ssl.keystore.password", &[], NO_STORES),
    (
        "ssl.key.password",
        &[],
        "keys are read as they are: write this one without a password, with openssl pkcs8",
    ),
    (
        "ssl.enabled.protocols",
        &["TLSv1.2,TLSv1.3", "TLSv1.3,TLSv1.2"],
        "connections are of TLS 1.2 or 1.3, as the server has it: set TLSv1.2,TLSv1.3, and choose at the server",
    ),
    ("ssl.cipher.suites", &[], "the client has its own list: choose at the server"),
    ("ssl.engine.factory.class", &[], "this client runs no classes of Java: give it files or texts of PEM"),
];

/// How names of servers are checked.
const NAMES: &str = "ssl.endpoint.identification.algorithm";

const OF_SASL: [Refused; 3] = [
    ("sasl.client.callback.handler.class", &[], NO_CLASSES),
    ("sasl.login.callback.handler.class", &[], NO_CLASSES),
    ("sasl.login.class", &[], NO_CLASSES),
];

/// The settings that have an effect, and those that are refused.
pub(super) fn declared() -> Vec<Setting> {
    let text = |name: &str, kind, about: &str| Setting::optional(name, kind, about);
    let mut all = vec![
        Setting::new("security.protocol", Kind::String, "PLAINTEXT", "How connections are secured.")
            .one_of(["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]),
        Setting::new("sasl.mechanism", Kind::String, "PLAIN", "How clients prove who they are."),
        text("sasl.jaas.config", Kind::Password, "Who they are: a login module with username and password."),
        text("ssl.truststore.location", Kind::String, "A PEM file with the authorities to trust."),
        text("ssl.truststore.certificates", Kind::Password, "The authorities to trust, in PEM."),
        text("ssl.keystore.location", Kind::String, "A PEM file with the client's key and certificates."),
        text("ssl.keystore.certificate.chain", Kind::Password, "The client's certificates, in PEM."),
        text("ssl.keystore.key", Kind::Password, "The key of the first of them, in PEM, not encrypted."),
    ];
    all.push(text(NAMES, Kind::String, "How names of servers are checked: https."));
    let known = [&OF_TLS[..], &OF_SASL].concat();
    let refused = "Refused where it would count, unless it says what is so.";
    all.extend(known.into_iter().map(|(name, _, _)| text(name, Kind::Password, refused)));
    all
}

/// Whether a setting is one of these.
pub(super) fn is_setting(name: &str) -> bool {
    name == SERVERS || declared().iter().any(|setting| setting.name == name)
}

/// What secures connections; `None` is nothing.
///
/// # Errors
/// When a setting says what the client cannot do, or something is missing.
pub(super) fn read(values: &Values) -> Result<Option<AuthConfig>, ConnectError> {
    Ok(match values.string("security.protocol")? {
        "SSL" => Some(AuthConfig::ssl(tls(values)?)),
        "SASL_PLAINTEXT" => Some(sasl(values)?),
        "SASL_SSL" => Some(sasl(values)?.with_tls(tls(values)?)),
        _ => None,
    })
}

/// The settings of a connection in which a client is to differ from those that are there already.
///
/// # Errors
/// When it is to read other files, or to reach another cluster: such settings may come from a connector.
pub(super) fn overridden(values: &Values, client: &Config) -> Result<Config, ConnectError> {
    let mut config = values.raw().clone();
    for (name, value) in client.iter().filter(|(name, value)| values.raw().get(*name) != Some(*value)) {
        if name == SERVERS || FILES.contains(&name.as_str()) {
            let way = if name == SERVERS { "use another worker" } else { "give the text of the PEM" };
            return Err(refused(name, &format!("a single client cannot have another one: {way}")));
        }
        if is_setting(name) {
            config.insert(name.clone(), value.clone());
        }
    }
    Ok(config)
}

fn refused(name: &str, why: &str) -> ConnectError {
    ConnectError::config(format!("{name}: {why}"))
}

fn given<'a>(values: &'a Values, name: &str) -> Result<Option<&'a str>, ConnectError> {
    Ok(values.optional_string(name)?.filter(|value| !value.trim().is_empty()))
}

fn refuse(values: &Values, table: &[Refused]) -> Result<(), ConnectError> {
    for (name, taken, why) in table {
        let Some(value) = given(values, name)? else { continue };
        let plain: String = value.split_whitespace().collect();
        if !taken.iter().any(|known| known.eq_ignore_ascii_case(&plain)) {
            return Err(refused(name, why));
        }
    }
    Ok(())
}

fn tls(values: &Values) -> Result<TlsConfig, ConnectError> {
    // An empty one is not as good as none: it says that names do not count.
    if values.optional_string(NAMES)?.is_some_and(|way| !way.trim().eq_ignore_ascii_case("https")) {
        let why = "the name of a server is always checked: leave it out, and give the server a certificate with the name \
            or address that clients use";
        return Err(refused(NAMES, why));
    }
    refuse(values, &OF_TLS)?;
    let mut tls = TlsConfig::new();
    if let Some(text) = given(values, "ssl.truststore.certificates")? {
        tls = tls.with_ca_cert_pem(text);
    } else if let Some(path) = given(values, "ssl.truststore.location")? {
        tls = tls.with_ca_cert(path.trim());
    }
    let (chain, key) = ("ssl.keystore.certificate.chain", "ssl.keystore.key");
    Ok(match (given(values, chain)?, given(values, key)?, given(values, "ssl.keystore.location")?) {
        (Some(chain), Some(key), _) => tls.with_client_cert_pem(chain, key.as_bytes().to_vec()),
        (None, None, Some(path)) => tls.with_client_cert(path.trim(), path.trim()),
        (None, None, None) => tls,
        (Some(_), None, _) => {
            return Err(refused(key, "is missing: certificates and their key are given together"));
        }
        (None, Some(_), _) => {
            return Err(refused(chain, "is missing: a key and its certificates are given together"));
        }
    })
}

fn sasl(values: &Values) -> Result<AuthConfig, ConnectError> {
    let mechanism = values.string("sasl.mechanism")?;
    if !MECHANISMS.contains(&mechanism) {
        let why = format!("{mechanism} is not spoken: use one of {}", MECHANISMS.join(", "));
        return Err(refused("sasl.mechanism", &why));
    }
    refuse(values, &OF_SASL)?;
    let name = "sasl.jaas.config";
    let login = given(values, name)?.ok_or_else(|| {
        refused(name, &format!("is missing: {} required username=\"…\" password=\"…\";", LOGINS[0]))
    })?;
    let Login { username, password } = Login::read(login).map_err(|why| refused(name, &why))?;
    Ok(match mechanism {
        "SCRAM-SHA-256" => AuthConfig::sasl_scram_sha256(username, password),
        "SCRAM-SHA-512" => AuthConfig::sasl_scram_sha512(username, password),
        _ => AuthConfig::sasl_plain(username, password),
    })
}

/// Who logs in.
#[derive(Debug, PartialEq)]
struct Login {
    username: String,
    password: String,
}

impl Login {
    /// Reads the entry of a login module: its class, `required`, options as `name="value"`, and a semicolon.
    fn read(entry: &str) -> Result<Self, String> {
        let mut words = words(entry)?.into_iter();
        let class = words.next().unwrap_or_default();
        if !LOGINS.contains(&class.as_str()) {
            return Err(format!(
                "{class} is not a login module that is known here: use {}",
                LOGINS.join(" or ")
            ));
        }
        let flag = words.next().unwrap_or_default().to_ascii_lowercase();
        if !["required", "requisite", "sufficient", "optional"].contains(&&*flag) {
            return Err("behind the login module stands required".to_owned());
        }
        let (mut username, mut password) = (None, None);
        for option in words {
            match option.split_once('=') {
                Some(("username", value)) => username = Some(value.to_owned()),
                Some(("password", value)) => password = Some(value.to_owned()),
                // What the module of a broker has beside it.
                Some((name, _)) if name.starts_with("user_") => {}
                Some((name, _)) => return Err(format!("the option {name} has no effect here: leave it out")),
                None => return Err("an option is written name=\"value\"".to_owned()),
            }
        }
        let missing = |what: &str| format!("{what}=\"…\" is missing");
        Ok(Self {
            username: username.ok_or_else(|| missing("username"))?,
            password: password.ok_or_else(|| missing("password"))?,
        })
    }
}

/// The words of an entry up to its semicolon, without quotes; a backslash within them takes the next character as it is.
fn words(entry: &str) -> Result<Vec<String>, String> {
    let (mut words, mut word, mut quoted) = (Vec::new(), None::<String>, false);
    let mut characters = entry.chars();
    while let Some(character) = characters.next() {
        match character {
            '"' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            '\\' if quoted => word.get_or_insert_default().extend(characters.next()),
            ';' if !quoted => {
                words.extend(word);
                let rest = characters.as_str().trim();
                return if rest.is_empty() { Ok(words) } else { Err("there is one login module".to_owned()) };
            }
            character if character.is_whitespace() && !quoted => words.extend(word.take()),
            character => word.get_or_insert_default().push(character),
        }
    }
    Err("it ends with a semicolon".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Settings;

    fn login(entry: &str) -> Result<(String, String), String> {
        Login::read(entry).map(|login| (login.username, login.password))
    }

    #[test]
    fn logins_are_read_as_java_reads_them() {
        let known = |username: &str, password: &str| Ok((username.to_owned(), password.to_owned()));
        let [plain, scram] = LOGINS;
        for (entry, expected) in [
            (format!("{plain} required username=\"a\" password=\"b\";"), known("a", "b")),
            (format!("{scram} REQUIRED\n  password='b'\n  username=a ;\n"), known("a", "'b'")),
            (
                format!("{plain} required username=\"a b;\" password=\"username=\\\"x\\\\\";"),
                known("a b;", "username=\"x\\"),
            ),
            (format!("{plain} required password=\"\" username=\"a\" user_a=\"b\";"), known("a", "")),
            (
                format!("{plain} required username=\"a\" password=\"b\""),
                Err("it ends with a semicolon".to_owned()),
            ),
            (format!("{plain} required username=\"a\";"), Err("password=\"…\" is missing".to_owned())),
            (
                format!("{plain} username=\"a\" password=\"b\";"),
                Err("behind the login module stands required".to_owned()),
            ),
            (
                format!("{scram} required username=\"a\" password=\"b\" tokenauth=\"true\";"),
                Err("the option tokenauth has no effect here: leave it out".to_owned()),
            ),
            (
                format!("{plain} required username=\"a\" password=\"b\"; {plain} required;"),
                Err("there is one login module".to_owned()),
            ),
        ] {
            assert_eq!(login(&entry), expected, "{entry}");
        }
        let other = "com.sun.security.auth.module.Krb5LoginModule required;";
        assert!(login(other).expect_err("another module").contains("Krb5LoginModule is not a login module"));
    }

    type Given<'a> = &'a [(&'a str, &'a str)];

    #[test]
    fn what_cannot_be_done_is_refused_by_name() {
        let jaas = format!("{} required username=\"a\" password=\"b\";", LOGINS[0]);
        let (chain, key) = ("ssl.keystore.certificate.chain", "ssl.keystore.key");
        let names = NAMES;
        let cases: [(&str, Given<'_>, Option<&str>); 22] = [
            ("PLAINTEXT", &[("ssl.truststore.type", "JKS"), ("sasl.mechanism", "GSSAPI"), (key, "x")], None),
            ("SSL", &[], None),
            ("SSL", &[("ssl.truststore.type", "PEM"), ("ssl.keystore.type", "pem"), (names, "HTTPS")], None),
            ("SSL", &[("ssl.enabled.protocols", "TLSv1.2, TLSv1.3"), ("sasl.mechanism", "GSSAPI")], None),
            ("SSL", &[(chain, "x"), (key, "y"), ("ssl.truststore.certificates", "z")], None),
            ("SSL", &[("ssl.keystore.location", "/x.pem"), ("ssl.truststore.location", "/y.pem")], None),
            ("SSL", &[("ssl.truststore.type", "JKS")], Some("ssl.truststore.type")),
            ("SSL", &[("ssl.keystore.type", "PKCS12")], Some("ssl.keystore.type")),
            ("SSL", &[("ssl.truststore.password", "x")], Some("ssl.truststore.password")),
            ("SSL", &[("ssl.key.password", "x")], Some("ssl.key.password")),
            ("SSL", &[("ssl.enabled.protocols", "TLSv1.3")], Some("ssl.enabled.protocols")),
            ("SSL", &[("ssl.cipher.suites", "X")], Some("ssl.cipher.suites")),
            ("SSL", &[(names, "")], Some(names)),
            ("SSL", &[(chain, "x")], Some(key)),
            ("SASL_SSL", &[(key, "x")], Some("sasl.jaas.config")),
            ("SASL_SSL", &[("sasl.jaas.config", &jaas), (key, "x")], Some(chain)),
            ("SASL_PLAINTEXT", &[("sasl.jaas.config", &jaas), ("ssl.truststore.type", "JKS")], None),
            ("SASL_PLAINTEXT", &[("sasl.jaas.config", &jaas), ("sasl.mechanism", "SCRAM-SHA-512")], None),
            (
                "SASL_PLAINTEXT",
                &[("sasl.jaas.config", &jaas), ("sasl.mechanism", "OAUTHBEARER")],
                Some("sasl.mechanism"),
            ),
            ("SASL_PLAINTEXT", &[("sasl.jaas.config", "x required;")], Some("sasl.jaas.config")),
            (
                "SASL_PLAINTEXT",
                &[("sasl.jaas.config", &jaas), ("sasl.login.class", "x")],
                Some("sasl.login.class"),
            ),
            ("SSL", &[("ssl.engine.factory.class", "x")], Some("ssl.engine.factory.class")),
        ];
        let declared: Settings = declared().into_iter().collect();
        for (protocol, settings, expected) in cases {
            let mut config = Config::from([("security.protocol".to_owned(), protocol.to_owned())]);
            config.extend(settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
            let outcome = read(&declared.values(&config).expect("settings of their types"));
            match (outcome, expected) {
                (Ok(security), None) => assert_eq!(security.is_some(), protocol != "PLAINTEXT"),
                (Err(error), Some(name)) => {
                    assert!(error.message.starts_with(&format!("{name}: ")), "{config:?}: {}", error.message);
                }
                (outcome, _) => panic!("{config:?}: {outcome:?}"),
            }
        }
    }

    #[test]
    fn a_client_may_be_somebody_else_at_the_same_cluster() {
        let declared: Settings = declared().into_iter().collect();
        let text = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let own = Config::from([text("security.protocol", "SSL"), text("ssl.truststore.location", "/a.pem")]);
        let values = declared.values(&own).expect("settings");
        let same = Config::from([text("ssl.truststore.location", "/a.pem"), text("acks", "1")]);
        assert_eq!(overridden(&values, &same).expect("the same"), own);
        let other = Config::from([text("sasl.mechanism", "PLAIN"), text("security.protocol", "SASL_SSL")]);
        let merged = overridden(&values, &other).expect("another");
        assert_eq!((merged.len(), &*merged["security.protocol"]), (3, "SASL_SSL"));
        for (name, value) in [("bootstrap.servers", "x:1"), ("ssl.truststore.location", "/b.pem")] {
            let error = overridden(&values, &Config::from([text(name, value)])).expect_err("not allowed");
            assert!(error.message.starts_with(name), "{}", error.message);
        }
    }
}
