//! Probes, and their addresses.

use std::net::SocketAddr;
use std::time::Duration;

use aiw_core::mask_url_secrets;
use aiw_supervisor::{Check, Probe, ProbeAddress};
use serde::{Deserialize, Serialize};

/// A probe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeDefinition {
    /// The check.
    pub check: CheckDefinition,
    /// The time between two checks.
    pub every: Duration,
    /// How long the process has until it is ready; of a check that it works, how long the check may take.
    pub timeout: Option<Duration>,
    /// How many checks in a row must fail.
    pub failures: u32,
}

impl Default for ProbeDefinition {
    fn default() -> Self {
        Self { check: CheckDefinition::Line(String::new()), every: Duration::from_secs(1), timeout: None, failures: 3 }
    }
}

/// The check of a probe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CheckDefinition {
    /// A URL that answers with a status from 200 to 399.
    Http(String),
    /// A port, or an address and a port, that accepts connections.
    Tcp(String),
    /// A command that ends with 0.
    Exec(Vec<String>),
    /// A line of output like this pattern, in which `*` stands for any text.
    Line(String),
}

impl ProbeDefinition {
    /// Returns the probe as the supervisor has it, or the problem as the end of a sentence.
    pub(crate) fn to_probe(&self) -> Result<Probe, String> {
        Ok(Probe { check: made(&self.check)?, every: self.every, timeout: self.timeout, failures: self.failures })
    }
}

impl ProbeDefinition {
    /// Returns the port of this machine that it asks, if it asks one.
    pub(crate) fn local_port(&self) -> Option<u16> {
        let at = match made(&self.check).ok()? {
            Check::Tcp { at } | Check::Http { at, .. } => at,
            _ => return None,
        };
        match at {
            ProbeAddress::Local(port) => Some(port),
            ProbeAddress::Address(address) => address.ip().is_loopback().then(|| address.port()),
        }
    }
}

fn made(check: &CheckDefinition) -> Result<Check, String> {
    let shown = |text: &str| aiw_core::one_line(text, 100);
    Ok(match check {
        CheckDefinition::Exec(command) => match command.first() {
            Some(first) if !first.is_empty() && !command.iter().any(|word| word.contains('\0')) => {
                Check::Exec { command: command.clone() }
            }
            _ => return Err("has a probe without a command".into()),
        },
        CheckDefinition::Line(pattern) if pattern.is_empty() || pattern.len() > 1000 => {
            return Err("has a probe for a line that is empty, or longer than 1000 characters".into());
        }
        CheckDefinition::Line(pattern) => Check::Line { pattern: pattern.clone() },
        CheckDefinition::Tcp(at) => Check::Tcp {
            at: place(at).ok_or_else(|| {
                format!("has a tcp probe at `{}`: it is a port, or an address and a port, such as 127.0.0.1:80", shown(at))
            })?,
        },
        CheckDefinition::Http(url) => http(url).ok_or_else(|| {
            format!(
                "has an http probe at `{}`: it is a plain URL of this machine, or of an address, such as http://127.0.0.1:8080/health",
                shown(&mask_url_secrets(url))
            )
        })?,
    })
}

/// Returns where a port or an address is. Names are not resolved, except that of this machine.
fn place(text: &str) -> Option<ProbeAddress> {
    if let Ok(port) = text.parse::<u16>() {
        return (port > 0).then_some(ProbeAddress::Local(port));
    }
    if let Some(port) = text.strip_prefix("localhost:") {
        return port.parse().ok().filter(|port| *port > 0).map(ProbeAddress::Local);
    }
    text.parse::<SocketAddr>().ok().filter(|address| address.port() > 0).map(ProbeAddress::Address)
}

fn http(url: &str) -> Option<Check> {
    let rest = url.strip_prefix("http://")?;
    // What is sent as it stands must not hold a line of its own.
    if rest.contains(|c: char| c.is_whitespace() || aiw_core::is_unsafe_in_line(c))
        || rest.contains(['@', '#'])
        || url.len() > 2000
    {
        return None;
    }
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (host, path) = rest.split_at(end);
    let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    let at = place(host).filter(|_| host.parse::<u16>().is_err()).or_else(|| place(&format!("{host}:80")))?;
    Some(Check::Http { at, host: host.to_owned(), path })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_probes() {
        for good in ["80", "localhost:80", "127.0.0.1:80", "[::1]:80"] {
            assert!(place(good).is_some(), "{good}");
        }
        for bad in ["", "0", "x", "example.com:80", "70000", "127.0.0.1", "localhost:0"] {
            assert!(place(bad).is_none(), "{bad}");
        }
        let Some(Check::Http { at, host, path }) = http("http://localhost:8080/a?b=c") else { panic!() };
        assert_eq!((at, host.as_str(), path.as_str()), (ProbeAddress::Local(8080), "localhost:8080", "/a?b=c"));
        let Some(Check::Http { at, path, .. }) = http("http://127.0.0.1") else { panic!() };
        assert_eq!((at, path.as_str()), (ProbeAddress::Address("127.0.0.1:80".parse().unwrap()), "/"));
        for bad in [
            "https://localhost/",
            "http://example.com/",
            "http://a@localhost/",
            "http://localhost/\r\nX: y",
            "http://80/",
        ] {
            assert!(http(bad).is_none(), "{bad}");
        }
    }
}
