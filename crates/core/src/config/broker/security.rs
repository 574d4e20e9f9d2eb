//! Authorization, TLS and SASL.

use crate::config::key::{ConfigKey, config_keys};
use crate::config::validator::{
    Validator, at_least, between, built_in, names_or_empty, one_of, one_of_ignoring_case,
};

/// The keys of this area, as a node reads them.
pub(super) const KEYS: &[ConfigKey] = config_keys! {
    /// Authorizer; empty = none; StandardAuthorizer is the one Kafka ships.
    "authorizer.class.name": String = "", built_in(&["", "org.apache.kafka.metadata.authorizer.StandardAuthorizer"]), Low, ReadOnly;
    /// Maps TLS/SASL identity to a principal.
    "principal.builder.class": Class = "org.apache.kafka.common.security.authenticator.DefaultKafkaPrincipalBuilder", built_in(&["org.apache.kafka.common.security.authenticator.DefaultKafkaPrincipalBuilder"]), Medium, PerBroker;
    /// JCA providers; accepted and ignored.
    "security.providers": String = null, Validator::Any, Low, ReadOnly, inert "it names Java security providers";
    /// Session lifetime before re-authentication (KIP-368); 0 = off. In milliseconds.
    "connections.max.reauth.ms": Long = "0", Validator::Any, Medium, ReadOnly;
    /// Secret for token HMACs; null = tokens off; same on every node.
    "delegation.token.secret.key": Password = null, Validator::Any, Medium, ReadOnly;
    /// Longest life of a token. In milliseconds.
    "delegation.token.max.lifetime.ms": Long = "604800000", at_least(1), Medium, ReadOnly;
    /// Life until renewed. In milliseconds.
    "delegation.token.expiry.time.ms": Long = "86400000", at_least(1), Medium, ReadOnly;
    /// How often expired tokens are removed. In milliseconds.
    "delegation.token.expiry.check.interval.ms": Long = "3600000", at_least(1), Low, ReadOnly;
    /// Client certificate required, requested or none.
    "ssl.client.auth": String = "none", one_of(&["required", "requested", "none"]), Medium, PerBroker;
    /// Rewrite the subject DN into a principal.
    "ssl.principal.mapping.rules": String = "DEFAULT", Validator::Any, Low, ReadOnly;
    /// Accept a keystore update with another DN.
    "ssl.allow.dn.changes": Boolean = "false", Validator::Any, Low, ReadOnly;
    /// Accept a keystore update with other SANs.
    "ssl.allow.san.changes": Boolean = "false", Validator::Any, Low, ReadOnly;
    /// TLS version for the context.
    "ssl.protocol": String = "TLSv1.3", Validator::Any, Medium, PerBroker;
    /// JCA provider; accepted and ignored.
    "ssl.provider": String = null, Validator::Any, Medium, PerBroker, inert "it names a Java security provider";
    /// TLS versions offered.
    "ssl.enabled.protocols": List = "TLSv1.2,TLSv1.3", names_or_empty(), Medium, PerBroker;
    /// Format of the key store: PEM, PKCS12 or JKS.
    "ssl.keystore.type": String = "JKS", Validator::Any, Medium, PerListener;
    /// Keystore file.
    "ssl.keystore.location": String = null, Validator::Any, Medium, PerListener;
    /// Keystore password.
    "ssl.keystore.password": Password = null, Validator::Any, Medium, PerListener;
    /// Private key password.
    "ssl.key.password": Password = null, Validator::Any, Medium, PerListener;
    /// Private key as PEM text (PKCS#8).
    "ssl.keystore.key": Password = null, Validator::Any, Medium, PerListener;
    /// Certificate chain as PEM text.
    "ssl.keystore.certificate.chain": Password = null, Validator::Any, Medium, PerListener;
    /// Format of the trust store: PEM, PKCS12 or JKS.
    "ssl.truststore.type": String = "JKS", Validator::Any, Medium, PerListener;
    /// Truststore file.
    "ssl.truststore.location": String = null, Validator::Any, Medium, PerListener;
    /// Truststore password.
    "ssl.truststore.password": Password = null, Validator::Any, Medium, PerListener;
    /// CA certificates as PEM text.
    "ssl.truststore.certificates": Password = null, Validator::Any, Medium, PerListener;
    /// JVM only; accepted and ignored.
    "ssl.keymanager.algorithm": String = "SunX509", Validator::Any, Medium, PerBroker, inert "it names an algorithm of the Java runtime";
    /// JVM only; accepted and ignored.
    "ssl.trustmanager.algorithm": String = "PKIX", Validator::Any, Medium, PerBroker, inert "it names an algorithm of the Java runtime";
    /// Https = verify the host name; empty = off.
    "ssl.endpoint.identification.algorithm": String = "https", Validator::Any, Low, PerBroker;
    /// JVM only; accepted and ignored.
    "ssl.secure.random.implementation": String = null, Validator::Any, Low, PerBroker, inert "it names an algorithm of the Java runtime";
    /// Allowed suites; empty = library default.
    "ssl.cipher.suites": List = "", names_or_empty(), Medium, PerBroker;
    /// JVM plugin; refused when set.
    "ssl.engine.factory.class": Class = null, built_in(&[]), Low, PerBroker;
    /// Mechanisms offered.
    "sasl.enabled.mechanisms": List = "GSSAPI", names_or_empty(), Medium, PerBroker;
    /// Mechanism between brokers.
    "sasl.mechanism.inter.broker.protocol": String = "GSSAPI", Validator::Any, Medium, PerBroker;
    /// Login module line, per listener and mechanism; parsed, never loads code.
    "sasl.jaas.config": Password = null, Validator::Any, Medium, PerBroker;
    /// Server callback plugin.
    "sasl.server.callback.handler.class": Class = null, built_in(&[]), Medium, ReadOnly;
    /// Client callback plugin.
    "sasl.client.callback.handler.class": Class = null, built_in(&[]), Medium, ReadOnly;
    /// Login plugin.
    "sasl.login.class": Class = null, built_in(&[]), Medium, ReadOnly;
    /// Login callback plugin.
    "sasl.login.callback.handler.class": Class = null, built_in(&[]), Medium, ReadOnly;
    /// Largest frame before authentication.
    "sasl.server.max.receive.size": Int = "524288", Validator::Any, Medium, ReadOnly;
    /// Kerberos service name.
    "sasl.kerberos.service.name": String = null, Validator::Any, Medium, PerBroker, inert "Kerberos is not built in";
    /// Kerberos principal to short name.
    "sasl.kerberos.principal.to.local.rules": List = "DEFAULT", names_or_empty(), Medium, PerBroker, inert "Kerberos is not built in";
    /// Kinit path.
    "sasl.kerberos.kinit.cmd": String = "/usr/bin/kinit", Validator::Any, Medium, PerBroker, inert "Kerberos is not built in";
    /// Share of ticket life after which it is renewed.
    "sasl.kerberos.ticket.renew.window.factor": Double = "0.8", Validator::Any, Medium, PerBroker, inert "Kerberos is not built in";
    /// Random part of that.
    "sasl.kerberos.ticket.renew.jitter": Double = "0.05", Validator::Any, Medium, PerBroker, inert "Kerberos is not built in";
    /// Least time between logins.
    "sasl.kerberos.min.time.before.relogin": Long = "60000", Validator::Any, Medium, PerBroker, inert "Kerberos is not built in";
    /// Share of token life after which it is refreshed.
    "sasl.login.refresh.window.factor": Double = "0.8", Validator::Any, Medium, PerBroker;
    /// Random part of that.
    "sasl.login.refresh.window.jitter": Double = "0.05", Validator::Any, Medium, PerBroker;
    /// Least time between refreshes.
    "sasl.login.refresh.min.period.seconds": Short = "60", Validator::Any, Medium, PerBroker;
    /// Refresh this long before expiry.
    "sasl.login.refresh.buffer.seconds": Short = "300", Validator::Any, Medium, PerBroker;
    /// HTTP connect timeout to the token endpoint. In milliseconds.
    "sasl.login.connect.timeout.ms": Int = null, Validator::Any, Low, ReadOnly;
    /// HTTP read timeout. In milliseconds.
    "sasl.login.read.timeout.ms": Int = null, Validator::Any, Low, ReadOnly;
    /// Longest pause between token tries. In milliseconds.
    "sasl.login.retry.backoff.max.ms": Long = "10000", Validator::Any, Low, ReadOnly;
    /// First pause between token tries. In milliseconds.
    "sasl.login.retry.backoff.ms": Long = "100", Validator::Any, Low, ReadOnly;
    /// How a token is obtained, by the name of the Java class that does it in Kafka.
    "sasl.oauthbearer.jwt.retriever.class": Class = "org.apache.kafka.common.security.oauthbearer.DefaultJwtRetriever", built_in(&["org.apache.kafka.common.security.oauthbearer.DefaultJwtRetriever", "org.apache.kafka.common.security.oauthbearer.ClientCredentialsJwtRetriever", "org.apache.kafka.common.security.oauthbearer.FileJwtRetriever", "org.apache.kafka.common.security.oauthbearer.JwtBearerJwtRetriever"]), Medium, ReadOnly;
    /// How a token is checked, by the name of the Java class that does it in Kafka.
    "sasl.oauthbearer.jwt.validator.class": Class = "org.apache.kafka.common.security.oauthbearer.DefaultJwtValidator", built_in(&["org.apache.kafka.common.security.oauthbearer.DefaultJwtValidator", "org.apache.kafka.common.security.oauthbearer.BrokerJwtValidator", "org.apache.kafka.common.security.oauthbearer.ClientJwtValidator"]), Medium, ReadOnly;
    /// Scope asked for.
    "sasl.oauthbearer.scope": String = null, Validator::Any, Medium, ReadOnly;
    /// Client id for the client-credentials grant.
    "sasl.oauthbearer.client.credentials.client.id": String = null, Validator::Any, Medium, ReadOnly;
    /// Client secret for it.
    "sasl.oauthbearer.client.credentials.client.secret": Password = null, Validator::Any, Medium, ReadOnly;
    /// Signing algorithm of the JWT assertion.
    "sasl.oauthbearer.assertion.algorithm": String = "RS256", one_of_ignoring_case(&["ES256", "RS256"]), Medium, ReadOnly;
    /// Aud claim of the assertion.
    "sasl.oauthbearer.assertion.claim.aud": String = null, Validator::Any, Medium, ReadOnly;
    /// Life of the assertion.
    "sasl.oauthbearer.assertion.claim.exp.seconds": Int = "300", between(0, 86400), Low, ReadOnly;
    /// Iss claim.
    "sasl.oauthbearer.assertion.claim.iss": String = null, Validator::Any, Medium, ReadOnly;
    /// Add a unique jti.
    "sasl.oauthbearer.assertion.claim.jti.include": Boolean = "false", Validator::Any, Medium, ReadOnly;
    /// How far nbf lies in the past.
    "sasl.oauthbearer.assertion.claim.nbf.seconds": Int = "60", between(0, 3600), Low, ReadOnly;
    /// Sub claim.
    "sasl.oauthbearer.assertion.claim.sub": String = null, Validator::Any, Medium, ReadOnly;
    /// Ready-made assertion, re-read on change.
    "sasl.oauthbearer.assertion.file": String = null, Validator::Any, Medium, ReadOnly;
    /// Key that signs assertions.
    "sasl.oauthbearer.assertion.private.key.file": String = null, Validator::Any, Medium, ReadOnly;
    /// Passphrase of that key.
    "sasl.oauthbearer.assertion.private.key.passphrase": Password = null, Validator::Any, Medium, ReadOnly;
    /// JSON with static header and claims.
    "sasl.oauthbearer.assertion.template.file": String = null, Validator::Any, Medium, ReadOnly;
    /// Claim that carries the scope.
    "sasl.oauthbearer.scope.claim.name": String = "scope", Validator::Any, Low, ReadOnly;
    /// Claim that carries the subject.
    "sasl.oauthbearer.sub.claim.name": String = "sub", Validator::Any, Low, ReadOnly;
    /// Token endpoint; must be on the allow-list of URLs.
    "sasl.oauthbearer.token.endpoint.url": String = null, Validator::Any, Medium, ReadOnly;
    /// JWKS endpoint; must be on the allow-list of URLs.
    "sasl.oauthbearer.jwks.endpoint.url": String = null, Validator::Any, Medium, ReadOnly;
    /// How often JWKS is read again. In milliseconds.
    "sasl.oauthbearer.jwks.endpoint.refresh.ms": Long = "3600000", Validator::Any, Low, ReadOnly;
    /// First pause between JWKS tries. In milliseconds.
    "sasl.oauthbearer.jwks.endpoint.retry.backoff.ms": Long = "100", Validator::Any, Low, ReadOnly;
    /// Longest pause. In milliseconds.
    "sasl.oauthbearer.jwks.endpoint.retry.backoff.max.ms": Long = "10000", Validator::Any, Low, ReadOnly;
    /// Tolerated clock difference.
    "sasl.oauthbearer.clock.skew.seconds": Int = "30", Validator::Any, Low, ReadOnly;
    /// Accept a token whose aud cannot be checked.
    "sasl.oauthbearer.allow.unverified.audience": Boolean = "false", Validator::Any, Medium, ReadOnly;
    /// Accepted aud values.
    "sasl.oauthbearer.expected.audience": List = "", names_or_empty(), High, ReadOnly;
    /// Accept a token whose iss cannot be checked.
    "sasl.oauthbearer.allow.unverified.issuer": Boolean = "false", Validator::Any, Medium, ReadOnly;
    /// Accepted iss value.
    "sasl.oauthbearer.expected.issuer": String = null, Validator::Any, High, ReadOnly;
};
