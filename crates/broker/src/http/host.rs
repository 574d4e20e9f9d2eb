//! Which hosts a request may name.
//!
//! A page from `evil.example` may have its name resolve to this machine's address, and its scripts then count as of the
//! same origin (DNS rebinding). The browser still says whom it means to talk to: a request that names neither an
//! address, nor `localhost`, nor a configured host is refused.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, Ipv6Addr};

use hyper::header::{HOST, ORIGIN};
use hyper::{HeaderMap, StatusCode};

/// A request has to name a host that is ours.
///
/// # Errors
/// What to answer otherwise.
pub(super) fn check(headers: &HeaderMap, hosts: &BTreeSet<String>) -> Result<(), (StatusCode, &'static str)> {
    let mut named = headers.get_all(HOST).iter();
    let (first, more) = (named.next().and_then(|host| host.to_str().ok()), named.next().is_some());
    match first {
        Some(host) if !more && is_ours(host, hosts) => Ok(()),
        Some(_) if !more => {
            let message =
                "this server is reached by its address, localhost, or the host in vltava.http.listeners\n";
            Err((StatusCode::MISDIRECTED_REQUEST, message))
        }
        _ => Err((StatusCode::BAD_REQUEST, "a request needs one Host header\n")),
    }
}

/// A page of another site may not reach a server through the user's browser, which tells whose page it is.
///
/// # Errors
/// What to answer with a 403.
pub(super) fn check_origin(headers: &HeaderMap, hosts: &BTreeSet<String>) -> Result<(), &'static str> {
    let Some(origin) = headers.get(ORIGIN) else { return Ok(()) };
    let origin = origin.to_str().unwrap_or_default();
    let named = origin.split_once("://").map(|(_, host)| host);
    if named.is_some_and(|named| is_ours(named, hosts)) {
        return Ok(());
    }
    Err("pages of other sites may not use this server")
}

/// Whether a host, with or without a port, is one that requests may name.
pub(super) fn is_ours(named: &str, hosts: &BTreeSet<String>) -> bool {
    let name = without_port(named).to_ascii_lowercase();
    let address = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
    match address {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => {
            name.parse::<Ipv4Addr>().is_ok()
                || name == "localhost"
                || (!name.is_empty() && hosts.contains(&name))
        }
    }
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_localhost_and_configured_hosts_are_ours() {
        let hosts = BTreeSet::from(["broker-1.example".to_owned(), String::new()]);
        for (named, ours) in [
            ("127.0.0.1", true),
            ("127.0.0.1:8080", true),
            ("10.1.2.3:80", true),
            ("[::1]:8080", true),
            ("[::1]", true),
            ("localhost:8080", true),
            ("LOCALHOST", true),
            ("Broker-1.example:8080", true),
            ("evil.example:8080", false),
            ("localhost.evil.example", false),
            ("127.0.0.1.evil.example", false),
            ("[localhost]", false),
            ("", false),
            (":8080", false),
        ] {
            assert_eq!(is_ours(named, &hosts), ours, "{named}");
        }
    }
}
