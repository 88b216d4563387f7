//! MCP servers in the official registry, or in another one with its API, version 0.1.
//!
//! The setting `base_url` names another: the part of its addresses before `/v0.1`.

mod row;

use aiw_extension::registry_source::{Page, RegistryInfo, Server};
use aiw_extension::{Error, RegistrySource, Request, http, log};
use registry_json::{MAX_RESPONSE_BYTES, base_url, encode, json, strip_query, to_rfc3339};
use serde_json::Value;

const DEFAULT_BASE_URL: &str = "https://registry.modelcontextprotocol.io";

/// The most rows of a page that the registry gives.
const PAGE_SIZE: u32 = 100;

struct Official;

impl RegistrySource for Official {
    fn describe() -> RegistryInfo {
        RegistryInfo::new("The official MCP registry", 1)
            .name("PUBLISHER/NAME", "io.github.github/github-mcp-server")
            .with_changes()
    }

    fn search(query: &str, limit: u32) -> Result<Vec<Server>, Error> {
        let mut url = format!("{}?version=latest&limit={}", servers_url(), limit.clamp(1, PAGE_SIZE));
        // The registry takes an empty text for one that no name contains.
        if !query.is_empty() {
            url.push_str(&format!("&search={}", encode(query)));
        }
        Ok(page(&url)?.servers)
    }

    fn changes(since: Option<u64>, cursor: Option<&str>) -> Result<Page, Error> {
        // Deleted rows are told only with `updated_since`, and with `version=latest` old versions would not be told.
        let which = match since {
            Some(since) => format!("updated_since={}", encode(&to_rfc3339(since))),
            None => "version=latest".to_owned(),
        };
        let cursor = cursor.map(|cursor| format!("&cursor={}", encode(cursor))).unwrap_or_default();
        page(&format!("{}?{which}&limit={PAGE_SIZE}{cursor}", servers_url()))
    }

    fn server(name: &str, version: Option<&str>) -> Result<Server, Error> {
        let version = version.unwrap_or("latest");
        let url = format!("{}/{}/versions/{}", servers_url(), encode(name), encode(version));
        let answer = get(&url).map_err(|error| match error {
            Error::NotFound(_) if version == "latest" => Error::not_found(format!("there is no server `{name}`")),
            Error::NotFound(_) => Error::not_found(format!("there is no version `{version}` of the server `{name}`")),
            error => error,
        })?;
        let server = row::server(&answer).map_err(|bad| Error::malformed(format!("a bad row of `{name}`: {bad}")))?;
        if server.name != name || version != "latest" && server.version != version {
            let (other, its) = (&server.name, &server.version);
            return Err(Error::malformed(format!("the registry was asked for `{name}` and answered `{other}` {its}")));
        }
        Ok(server)
    }
}

fn servers_url() -> String {
    format!("{}/v0.1/servers", base_url(DEFAULT_BASE_URL))
}

fn get(url: &str) -> Result<Value, Error> {
    json(http::send(&Request::new(url).header("accept", "application/json").limit(MAX_RESPONSE_BYTES))?)
}

fn page(url: &str) -> Result<Page, Error> {
    let malformed = |bad| Error::malformed(format!("`{}` is not a page of a registry: {bad}", strip_query(url)));
    let (page, bad) = row::page(&get(url)?).map_err(malformed)?;
    if let Some(first) = bad.first() {
        log::warn(format!("left out {} malformed rows of `{}`, such as {first}", bad.len(), strip_query(url)));
    }
    Ok(page)
}

aiw_extension::export_registry_source!(Official, manifest = "manifest.json");
