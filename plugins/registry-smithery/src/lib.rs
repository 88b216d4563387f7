//! MCP servers at Smithery.
//!
//! Smithery keeps no versions, and its list says nothing of how a server is reached: `get-server` does. Its key is optional:
//! requests go without it if the user has none. The setting `base_url` names another address of the API.

mod server;

use aiw_extension::registry_source::{RegistryInfo, Server};
use aiw_extension::{Error, RegistrySource, Request, Response, Secret, http, log};
use registry_json::{InvalidRow, MAX_RESPONSE_BYTES, Object, base_url, encode, json, strip_query};
use serde_json::Value;

const DEFAULT_BASE_URL: &str = "https://api.smithery.ai";

/// The name of the key.
const KEY_SETTING: &str = "key";

/// The most servers that a search asks for.
const PAGE_SIZE: u32 = 100;

struct Smithery;

impl RegistrySource for Smithery {
    fn describe() -> RegistryInfo {
        RegistryInfo::new("Smithery", 2).name("OWNER/NAME", "smithery-ai/fetch").secret(
            KEY_SETTING,
            false,
            Some("https://smithery.ai/account/api-keys"),
        )
    }

    fn search(query: &str, limit: u32) -> Result<Vec<Server>, Error> {
        let url = format!(
            "{}/servers?q={}&pageSize={}",
            base_url(DEFAULT_BASE_URL),
            encode(query),
            limit.clamp(1, PAGE_SIZE)
        );
        let answer = get(&url)?;
        let malformed = |bad| Error::malformed(format!("`{}` is not a list of servers: {bad}", strip_query(&url)));
        let (servers, bad) = rows(&answer).map_err(malformed)?;
        if let Some(first) = bad.first() {
            log::warn(format!("left out {} malformed rows of `{}`, such as {first}", bad.len(), strip_query(&url)));
        }
        Ok(servers)
    }

    fn server(name: &str, version: Option<&str>) -> Result<Server, Error> {
        if let Some(version) = version.filter(|version| !version.is_empty()) {
            return Err(Error::not_found(format!("Smithery keeps no versions, so none `{version}` of `{name}`")));
        }
        // `@` needs no encoding, and older names begin with it.
        let path: Vec<String> = name.split('/').map(|part| encode(part).replace("%40", "@")).collect();
        let answer =
            get(&format!("{}/servers/{}", base_url(DEFAULT_BASE_URL), path.join("/"))).map_err(
                |error| match error {
                    Error::NotFound(_) => Error::not_found(format!("there is no server `{name}` at Smithery")),
                    error => error,
                },
            )?;
        let server =
            server::parse_server(&answer).map_err(|bad| Error::malformed(format!("a bad row of `{name}`: {bad}")))?;
        if server.name.trim_start_matches('@') != name.trim_start_matches('@') {
            return Err(Error::malformed(format!("Smithery was asked for `{name}` and answered `{}`", server.name)));
        }
        Ok(Server { name: name.to_owned(), ..server })
    }
}

/// Reads the rows of a list, and the malformed ones' problems.
fn rows(answer: &Value) -> Result<(Vec<Server>, Vec<InvalidRow>), InvalidRow> {
    let answer = Object::new(answer, "the answer")?;
    let (mut servers, mut bad) = (Vec::new(), Vec::new());
    for row in answer.list("servers", Ok)? {
        match server::parse_list_row(row) {
            Ok(server) => servers.push(server),
            Err(problem) => bad.push(problem),
        }
    }
    Ok((servers, bad))
}

fn get(url: &str) -> Result<Value, Error> {
    json(send(url)?)
}

/// Sends a request with the key. The host denies a key that the user doesn't have, or that may not go to the address in
/// the settings: most of Smithery can be read without one.
fn send(url: &str) -> Result<Response, Error> {
    let request = || Request::new(url).header("accept", "application/json").limit(MAX_RESPONSE_BYTES);
    match http::send(&request().header("authorization", Secret::bearer(KEY_SETTING))) {
        Err(Error::Denied(_)) => http::send(&request()),
        answer => answer,
    }
}

aiw_extension::export_registry_source!(Smithery, manifest = "manifest.json");
