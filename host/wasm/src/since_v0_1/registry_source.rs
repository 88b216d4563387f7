//! The exports of a registry. What it says about a server is checked field by field.

use aiw_core::one_line;
use aiw_core::registry::{
    Argument, Endpoint, Format, Input, Instruction, Package, Page, RegistryInfo, RegistryStatus, RegistryTransport,
    SecretRequirement, ServerSetting, ServerVariable, ServerVersion, is_server_name,
};
use wasmtime::Store;

use super::generated::exports::aiw::plugin::registry_source as generated;
use super::reference_forms;
use crate::error::CallFailure;
use crate::host::CallState;
use crate::invalid_response::{InvalidResponse, InvalidServer, check_count, validate_line_bytes};

/// The exported functions of an instance.
pub(crate) struct Guest(pub(super) generated::Guest);

impl Guest {
    pub(crate) async fn describe(&self, store: &mut Store<CallState>) -> Result<RegistryInfo, CallFailure> {
        info(self.0.call_describe(store).await?).map_err(|bad| CallFailure::Invalid("describes itself with", bad))
    }

    pub(crate) async fn search(
        &self,
        store: &mut Store<CallState>,
        query: &str,
        limit: u32,
    ) -> Result<(Vec<ServerVersion>, usize), CallFailure> {
        let mut found = self.0.call_search(store, query, limit).await??;
        found.truncate(limit as usize);
        Ok(servers(found))
    }

    pub(crate) async fn changes(
        &self,
        store: &mut Store<CallState>,
        since: Option<u64>,
        cursor: Option<&str>,
    ) -> Result<Page, CallFailure> {
        page(self.0.call_changes(store, since, cursor).await??).map_err(|bad| CallFailure::Invalid("answers with", bad))
    }

    pub(crate) async fn server(
        &self,
        store: &mut Store<CallState>,
        name: &str,
        version: Option<&str>,
    ) -> Result<ServerVersion, CallFailure> {
        let found = self.0.call_get_server(store, name, version).await??;
        server(found).map_err(|bad| CallFailure::Invalid("answers with", bad.into()))
    }
}

const MAX_LABEL_LEN: usize = 100;
const MAX_PAGE_URL_LEN: usize = 500;
const MAX_SERVERS: usize = 1000;
const MAX_CURSOR_LEN: usize = 2048;

fn info(info: generated::RegistryInfo) -> Result<RegistryInfo, InvalidResponse> {
    let secret = |need: generated::SecretNeed| {
        if let Some(page) = need.page.as_ref().filter(|page| !page.starts_with("https://")) {
            return Err(InvalidResponse::Page { page: page.clone() });
        }
        let name: aiw_core::SecretName = need.name.parse().map_err(InvalidResponse::SecretName)?;
        let page = need.page.map(|page| validate_line_bytes("a page", page, MAX_PAGE_URL_LEN)).transpose()?;
        Ok(SecretRequirement { name: name.to_string(), required: need.required, page })
    };
    if !(1..=1000).contains(&info.priority) {
        return Err(InvalidResponse::Priority(info.priority));
    }
    Ok(RegistryInfo {
        label: validate_line_bytes("a label", info.label, MAX_LABEL_LEN)?,
        priority: info.priority,
        names: reference_forms("forms of names", info.names)?,
        changes: info.changes,
        secret: info.secret.map(secret).transpose()?,
    })
}

fn page(page: generated::Page) -> Result<Page, InvalidResponse> {
    check_count(MAX_SERVERS, page.servers.len(), "servers on a page")?;
    if page.next.as_ref().is_some_and(|next| next.len() > MAX_CURSOR_LEN || next.contains(char::is_control)) {
        return Err(InvalidResponse::Cursor { limit: MAX_CURSOR_LEN });
    }
    let (servers, malformed) = servers(page.servers);
    Ok(Page { servers, malformed, next: page.next.filter(|next| !next.is_empty()) })
}

/// Converts those that are well-formed, and counts the others.
fn servers(found: Vec<generated::Server>) -> (Vec<ServerVersion>, usize) {
    let all = found.len();
    let servers: Vec<ServerVersion> = found.into_iter().filter_map(|found| server(found).ok()).collect();
    let malformed = all - servers.len();
    (servers, malformed)
}

/// The longest text of a server for people, in characters. A longer one is cut.
const MAX_TEXT_LEN: usize = 1000;
/// The longest text of a server that is taken as it is, in bytes.
const MAX_EXACT_TEXT_BYTES: usize = 4096;
/// The longest version. The registry's own schema has this limit.
const MAX_VERSION_LEN: usize = 255;
/// All texts of a server, in KiB.
const MAX_SERVER_KIB: usize = 256;

const MAX_METHODS: usize = 32;
const MAX_ARGUMENTS: usize = 100;
const MAX_SETTINGS: usize = 200;
const MAX_VARIABLES: usize = 64;
const MAX_CHOICES: usize = 200;
const MAX_NOTES: usize = 20;

fn server(found: generated::Server) -> Result<ServerVersion, InvalidServer> {
    let mut reader = ServerReader { bytes: 0 };
    let name = Some(found.name).filter(|name| is_server_name(name)).ok_or(InvalidServer::Name)?;
    let version = reader.exact(found.version)?;
    if version.len() > MAX_VERSION_LEN {
        return Err(InvalidServer::TextTooLong(MAX_VERSION_LEN));
    }
    let aliases = found.aliases.into_iter().filter(|alias| is_server_name(alias)).take(MAX_NOTES).collect();
    Ok(ServerVersion {
        title: reader.text(found.title),
        description: reader.line(&found.description),
        latest: found.latest,
        status: match found.status {
            generated::Status::Active => RegistryStatus::Active,
            generated::Status::Deprecated => RegistryStatus::Deprecated,
            generated::Status::Deleted => RegistryStatus::Deleted,
        },
        status_message: reader.text(found.status_message),
        publisher: reader.text(found.publisher),
        repository: reader.text(found.repository),
        website: reader.text(found.website),
        updated: found.updated,
        uses: found.uses,
        packages: reader.list(MAX_METHODS, "packages", found.packages, ServerReader::package)?,
        remotes: reader.list(MAX_METHODS, "remotes", found.remotes, |reader, remote| {
            match reader.transport(remote)? {
                RegistryTransport::Stdio => Err(InvalidServer::Remote),
                remote => Ok(remote),
            }
        })?,
        instructions: reader.list(MAX_NOTES, "instructions", found.instructions, |reader, step| {
            Ok(Instruction {
                description: reader.line(&step.description),
                command: reader.text(step.command),
                page: reader.text(step.page),
            })
        })?,
        aliases,
        name,
        version,
    })
}

/// Reads the fields of one server.
struct ServerReader {
    /// The bytes of all texts so far.
    bytes: usize,
}

impl ServerReader {
    /// Reads text for people: one line, without what steers a terminal.
    fn line(&mut self, text: &str) -> String {
        let line = one_line(text, MAX_TEXT_LEN).trim().to_owned();
        self.bytes += line.len();
        line
    }

    fn text(&mut self, text: Option<String>) -> Option<String> {
        text.map(|text| self.line(&text)).filter(|text| !text.is_empty())
    }

    /// Reads text that means something: it is as the row has it, or the row is malformed.
    fn exact(&mut self, text: String) -> Result<String, InvalidServer> {
        self.bytes += text.len();
        if text.contains(aiw_core::is_unsafe_in_line) {
            return Err(InvalidServer::ControlCharacters);
        }
        if text.len() > MAX_EXACT_TEXT_BYTES {
            return Err(InvalidServer::TextTooLong(MAX_EXACT_TEXT_BYTES));
        }
        if self.bytes > MAX_SERVER_KIB << 10 {
            return Err(InvalidServer::TooLarge(MAX_SERVER_KIB));
        }
        Ok(text)
    }

    fn maybe(&mut self, text: Option<String>) -> Result<Option<String>, InvalidServer> {
        text.filter(|text| !text.is_empty()).map(|text| self.exact(text)).transpose()
    }

    fn list<A, B>(
        &mut self,
        limit: usize,
        what: &'static str,
        items: Vec<A>,
        each: impl Fn(&mut Self, A) -> Result<B, InvalidServer>,
    ) -> Result<Vec<B>, InvalidServer> {
        if items.len() > limit {
            return Err(InvalidServer::TooMany { what, limit });
        }
        items.into_iter().map(|item| each(self, item)).collect()
    }

    fn input(&mut self, input: generated::Input) -> Result<Input, InvalidServer> {
        Ok(Input {
            description: self.text(input.description),
            required: input.required,
            secret: input.secret,
            format: match input.format {
                generated::Format::Text => Format::Text,
                generated::Format::Number => Format::Number,
                generated::Format::Boolean => Format::Boolean,
                generated::Format::FilePath => Format::FilePath,
            },
            value: self.maybe(input.value)?,
            default: self.maybe(input.default_value)?,
            placeholder: self.text(input.placeholder),
            choices: self.list(MAX_CHOICES, "choices", input.choices, Self::exact)?,
        })
    }

    fn variables(&mut self, variables: Vec<generated::Variable>) -> Result<Vec<ServerVariable>, InvalidServer> {
        self.list(MAX_VARIABLES, "variables", variables, |reader, variable| {
            Ok(ServerVariable { name: reader.exact(variable.name)?, input: reader.input(variable.input)? })
        })
    }

    fn settings(&mut self, settings: Vec<generated::Setting>) -> Result<Vec<ServerSetting>, InvalidServer> {
        self.list(MAX_SETTINGS, "variables and headers", settings, |reader, setting| {
            Ok(ServerSetting {
                name: reader.exact(setting.name)?,
                input: reader.input(setting.input)?,
                variables: reader.variables(setting.variables)?,
            })
        })
    }

    fn arguments(&mut self, arguments: Vec<generated::Argument>) -> Result<Vec<Argument>, InvalidServer> {
        self.list(MAX_ARGUMENTS, "arguments", arguments, |reader, argument| {
            Ok(Argument {
                name: reader.maybe(argument.name)?,
                hint: reader.text(argument.hint),
                input: reader.input(argument.input)?,
                variables: reader.variables(argument.variables)?,
                repeated: argument.repeated,
            })
        })
    }

    fn transport(&mut self, transport: generated::Transport) -> Result<RegistryTransport, InvalidServer> {
        let mut endpoint = |endpoint: generated::Endpoint| {
            Ok(Endpoint {
                url: self.exact(endpoint.url)?,
                headers: self.settings(endpoint.headers)?,
                variables: self.variables(endpoint.variables)?,
            })
        };
        Ok(match transport {
            generated::Transport::Stdio => RegistryTransport::Stdio,
            generated::Transport::StreamableHttp(at) => RegistryTransport::StreamableHttp(endpoint(at)?),
            generated::Transport::Sse(at) => RegistryTransport::Sse(endpoint(at)?),
            generated::Transport::Other(word) => RegistryTransport::Other(self.line(&word)),
        })
    }

    fn package(&mut self, package: generated::Package) -> Result<Package, InvalidServer> {
        Ok(Package {
            kind: self.exact(package.kind)?,
            base_url: self.maybe(package.base_url)?,
            identifier: self.exact(package.identifier)?,
            version: self.maybe(package.version)?,
            sha256: self.maybe(package.sha256)?.map(|digest| digest.to_ascii_lowercase()),
            runtime: self.maybe(package.runtime)?,
            transport: self.transport(package.transport)?,
            runtime_arguments: self.arguments(package.runtime_arguments)?,
            package_arguments: self.arguments(package.package_arguments)?,
            environment: self.settings(package.environment)?,
        })
    }
}
