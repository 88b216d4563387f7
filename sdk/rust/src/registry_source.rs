//! The world of registries of MCP servers, as a trait, and the types of its rows.

use std::marker::PhantomData;

use crate::__wit_registry::exports::aiw::plugin::registry_source::Guest;
use crate::{Error, ReferenceForm, log_panics};

pub use crate::__wit_registry::exports::aiw::plugin::registry_source::{
    Argument, Endpoint, Format, Input, Instruction, Package, Page, RegistryInfo, SecretNeed, Server, Setting, Status,
    Transport, Variable,
};

/// A registry of MCP servers. It says what the registry says: the host makes the command, asks the user for what it
/// needs, and starts it.
///
/// Each call runs in a fresh instance. To keep something, put it into [`cache`](crate::cache).
pub trait RegistrySource {
    /// What this registry is. It may call only [`log`](crate::log) on the host.
    fn describe() -> RegistryInfo;

    /// What the registry finds, the best first: the latest version of each server, `limit` at most. The host ranks
    /// them again.
    fn search(query: &str, limit: u32) -> Result<Vec<Server>, Error>;

    /// A page of what changed since a time, in milliseconds since 1970: every version that was added, changed or
    /// deleted. Without a time: the latest version of every server. The first page has no cursor. Implement it if
    /// [`RegistryInfo::changes`] says so.
    fn changes(_since: Option<u64>, _cursor: Option<&str>) -> Result<Page, Error> {
        Err(Error::invalid("this registry does not report what changed"))
    }

    /// One version of a server, or the latest.
    fn server(name: &str, version: Option<&str>) -> Result<Server, Error>;
}

impl RegistryInfo {
    /// Creates a description with a label: what the registry is, in a few words, such as `The official MCP registry`. Of
    /// several equally good servers, that of the lowest priority comes first. It is 1 to 1000; aiw's own use 1 and 2.
    pub fn new(label: &str, priority: u32) -> Self {
        Self { label: label.to_owned(), priority, names: Vec::new(), changes: false, secret: None }
    }

    /// Adds a form of its servers' names, as shown in help, with an example.
    #[must_use]
    pub fn name(mut self, form: &str, example: &str) -> Self {
        self.names.push(ReferenceForm { form: form.to_owned(), example: example.to_owned() });
        self
    }

    /// Says that [`RegistrySource::changes`] works, so that the host keeps a copy.
    #[must_use]
    pub fn with_changes(mut self) -> Self {
        self.changes = true;
        self
    }

    /// Names the secret that it can use, and the page where users get one.
    #[must_use]
    pub fn secret(mut self, name: &str, required: bool, page: Option<&str>) -> Self {
        self.secret = Some(SecretNeed { name: name.to_owned(), required, page: page.map(str::to_owned) });
        self
    }
}

impl Server {
    /// Creates the latest version of a server, with nothing in it.
    pub fn new(name: impl Into<String>, version: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            title: None,
            description: String::new(),
            version: version.into(),
            latest: true,
            status: Status::Active,
            status_message: None,
            publisher: None,
            repository: None,
            website: None,
            updated: None,
            uses: None,
            packages: Vec::new(),
            remotes: Vec::new(),
            instructions: Vec::new(),
            aliases: Vec::new(),
        }
    }

    /// Sets what it does.
    #[must_use]
    pub fn description(mut self, description: impl Into<String>) -> Self {
        self.description = description.into();
        self
    }

    /// Adds a way to run it on the user's machine.
    #[must_use]
    pub fn package(mut self, package: Package) -> Self {
        self.packages.push(package);
        self
    }

    /// Adds an address where it runs.
    #[must_use]
    pub fn remote(mut self, remote: Transport) -> Self {
        self.remotes.push(remote);
        self
    }
}

impl Package {
    /// Creates a package of a kind (`npm`, `pypi`, `oci`, …) that speaks over standard input and output.
    pub fn new(kind: &str, identifier: impl Into<String>, version: Option<&str>) -> Self {
        Self {
            kind: kind.to_owned(),
            base_url: None,
            identifier: identifier.into(),
            version: version.map(str::to_owned),
            sha256: None,
            runtime: None,
            transport: Transport::Stdio,
            runtime_arguments: Vec::new(),
            package_arguments: Vec::new(),
            environment: Vec::new(),
        }
    }

    /// Adds a variable of its environment.
    #[must_use]
    pub fn variable(mut self, name: &str, input: Input) -> Self {
        self.environment.push(Setting::new(name, input));
        self
    }

    /// Adds an argument of the server.
    #[must_use]
    pub fn argument(mut self, argument: Argument) -> Self {
        self.package_arguments.push(argument);
        self
    }
}

impl Transport {
    /// Creates an address over HTTP, without headers. `{name}` in it stands for a variable.
    pub fn http(url: impl Into<String>) -> Self {
        Self::StreamableHttp(Endpoint::new(url))
    }
}

impl Endpoint {
    /// Creates an address without headers. `{name}` in it stands for a variable.
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: url.into(), headers: Vec::new(), variables: Vec::new() }
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, input: Input) -> Self {
        self.headers.push(Setting::new(name, input));
        self
    }

    /// Adds what `{name}` in the address stands for.
    #[must_use]
    pub fn variable(mut self, name: &str, input: Input) -> Self {
        self.variables.push(Variable { name: name.to_owned(), input });
        self
    }
}

impl Setting {
    /// Creates a variable of the environment, or a header.
    pub fn new(name: impl Into<String>, input: Input) -> Self {
        Self { name: name.into(), input, variables: Vec::new() }
    }
}

impl Argument {
    /// Creates a named argument. The name has its dashes: `--port`.
    pub fn named(name: impl Into<String>, input: Input) -> Self {
        Self { name: Some(name.into()), ..Self::positional(input) }
    }

    /// Creates a positional argument.
    pub fn positional(input: Input) -> Self {
        Self { name: None, hint: None, input, variables: Vec::new(), repeated: false }
    }
}

/// An optional text that nobody has filled in.
impl Default for Input {
    fn default() -> Self {
        Self {
            description: None,
            required: false,
            secret: false,
            format: Format::Text,
            value: None,
            default_value: None,
            placeholder: None,
            choices: Vec::new(),
        }
    }
}

impl Input {
    /// Creates an optional text to ask for.
    pub fn new(description: impl Into<String>) -> Self {
        Self { description: Some(description.into()), ..Self::default() }
    }

    /// Creates a value that is not asked for.
    pub fn fixed(value: impl Into<String>) -> Self {
        Self { value: Some(value.into()), ..Self::default() }
    }

    /// Says that the server needs it.
    #[must_use]
    pub fn required(mut self) -> Self {
        self.required = true;
        self
    }

    /// Says that it is a secret.
    #[must_use]
    pub fn secret(mut self) -> Self {
        self.secret = true;
        self
    }
}

/// The exports of a component for a registry.
#[doc(hidden)]
pub struct Exported<T>(PhantomData<T>);

impl<T: RegistrySource> Exported<T> {
    /// Fails to compile if `T` is not a registry.
    pub const CHECK: () = ();
}

impl<T: RegistrySource> Guest for Exported<T> {
    fn describe() -> RegistryInfo {
        log_panics();
        T::describe()
    }

    fn search(query: String, limit: u32) -> Result<Vec<Server>, Error> {
        log_panics();
        T::search(&query, limit)
    }

    fn changes(since: Option<u64>, cursor: Option<String>) -> Result<Page, Error> {
        log_panics();
        T::changes(since, cursor.as_deref())
    }

    fn get_server(name: String, version: Option<String>) -> Result<Server, Error> {
        log_panics();
        T::server(&name, version.as_deref())
    }
}
