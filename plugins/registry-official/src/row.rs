//! Rows of the registry, as they are: of all schemas since 2025-06, with and without `_meta`, wrapped and bare. A field of a
//! wrong type spoils its row and no other.

use aiw_extension::registry_source::{
    Argument, Endpoint, Format, Input, Instruction, Package, Page, Server, Setting, Status, Transport, Variable,
};
use registry_json::{InvalidRow, Object, from_rfc3339};
use serde_json::Value;

/// Where the registry itself says something about a row.
const METADATA_KEYS: [&str; 2] = ["io.modelcontextprotocol.registry/official", "io.modelcontextprotocol.registry"];

/// Where it did so in 2025-07, beside the server.
const LEGACY_METADATA_KEY: &str = "x-io.modelcontextprotocol.registry";

/// Reads a page. Returns the malformed rows' problems too.
pub fn page(answer: &Value) -> Result<(Page, Vec<InvalidRow>), InvalidRow> {
    let answer = Object::new(answer, "the answer")?;
    let rows = answer.list("servers", Ok)?;
    let next = match answer.object("metadata")? {
        Some(metadata) => metadata.string("nextCursor")?,
        // Without rows either, it is something else.
        None if rows.is_empty() => return Err(InvalidRow("it has neither `servers` nor `metadata`".to_owned())),
        None => None,
    };
    let (mut servers, mut bad) = (Vec::with_capacity(rows.len()), Vec::new());
    for (index, row) in rows.into_iter().enumerate() {
        match server(row) {
            Ok(server) => servers.push(server),
            Err(problem) => bad.push(InvalidRow(format!("row {}: {problem}", index + 1))),
        }
    }
    Ok((Page { servers, next }, bad))
}

/// Reads a row.
pub fn server(row: &Value) -> Result<Server, InvalidRow> {
    let row = Object::new(row, "it")?;
    let server = row.object("server")?.unwrap_or(row);
    let meta = official(row)?.or(official(server)?).or(row.object(LEGACY_METADATA_KEY)?);
    let detail = server.object("versionDetail")?;
    let of_meta = |name: &str| meta.map(|meta| meta.text(name)).transpose().map(Option::flatten);
    let name = server.text("name")?.ok_or_else(|| InvalidRow("it has no `name`".to_owned()))?;
    let version = server.text("version")?.or(detail.map(|detail| detail.text("version")).transpose()?.flatten());
    let latest = meta.map(|meta| meta.optional_flag("isLatest")).transpose()?.flatten();
    let latest = latest.or(detail.map(|detail| detail.optional_flag("isLatest")).transpose()?.flatten());
    let status = of_meta("status")?.or(server.text("status")?);
    let updated = of_meta("updatedAt")?.or(of_meta("publishedAt")?);
    Ok(Server {
        name: name.to_owned(),
        title: server.string("title")?,
        description: server.string("description")?.unwrap_or_default(),
        version: version.unwrap_or_default().to_owned(),
        latest: latest.unwrap_or(true),
        status: match status {
            None | Some("active") => Status::Active,
            Some("deleted") => Status::Deleted,
            // One that nobody here knows is not active.
            Some(_) => Status::Deprecated,
        },
        status_message: match (of_meta("statusMessage")?, status) {
            (None, Some(word)) if !matches!(word, "active" | "deleted" | "deprecated") => {
                Some(format!("its registry says `{}`, which is unknown", word.chars().take(40).collect::<String>()))
            }
            (message, _) => message.map(str::to_owned),
        },
        // The registry checks that a publisher owns the namespace.
        publisher: name.split_once('/').map(|(namespace, _)| namespace.to_owned()),
        repository: server.object("repository")?.map(|at| at.string("url")).transpose()?.flatten(),
        website: server.string("websiteUrl")?,
        updated: updated.and_then(from_rfc3339),
        uses: None,
        packages: server.list("packages", package)?,
        remotes: server.list("remotes", |remote| transport(Object::new(remote, "a remote")?, "streamable-http"))?,
        instructions: server.list("postInstallInstructions", instruction)?,
        aliases: Vec::new(),
    })
}

fn official<'a>(of: Object<'a>) -> Result<Option<Object<'a>>, InvalidRow> {
    let Some(meta) = of.object("_meta")? else { return Ok(None) };
    Ok(meta.object(METADATA_KEYS[0])?.or(meta.object(METADATA_KEYS[1])?))
}

fn package(package: &Value) -> Result<Package, InvalidRow> {
    let package = Object::new(package, "a package")?;
    // The schema of 2025-06 has `registry_name` and `name`.
    let kind = package.text("registryType")?.or(package.text("registryName")?);
    let identifier = package.text("identifier")?.or(package.text("name")?);
    let (Some(kind), Some(identifier)) = (kind, identifier) else {
        return Err(InvalidRow("a package has no `registryType` or no `identifier`".to_owned()));
    };
    Ok(Package {
        base_url: package.string("registryBaseUrl")?,
        version: package.string("version")?,
        sha256: package.string("fileSha256")?,
        runtime: package.string("runtimeHint")?,
        transport: package.object("transport")?.map_or(Ok(Transport::Stdio), |at| transport(at, "stdio"))?,
        runtime_arguments: package.list("runtimeArguments", argument)?,
        package_arguments: package.list("packageArguments", argument)?,
        environment: package.list("environmentVariables", setting)?,
        ..Package::new(kind, identifier, None)
    })
}

/// Reads a transport. An address without a URL is none.
fn transport(at: Object<'_>, usual: &str) -> Result<Transport, InvalidRow> {
    let word = at.text("type")?.or(at.text("transportType")?).unwrap_or(usual);
    let endpoint = match at.string("url")? {
        Some(url) => {
            Endpoint { url, headers: at.list("headers", setting)?, variables: at.entries("variables", variable)? }
        }
        None if word == "stdio" && usual == "stdio" => return Ok(Transport::Stdio),
        None => return Ok(Transport::Other(word.to_owned())),
    };
    Ok(match word {
        "streamable-http" | "streamable_http" | "streamable" | "http" => Transport::StreamableHttp(endpoint),
        "sse" => Transport::Sse(endpoint),
        "stdio" if usual == "stdio" => Transport::Stdio,
        other => Transport::Other(other.to_owned()),
    })
}

fn setting(setting: &Value) -> Result<Setting, InvalidRow> {
    let object = Object::new(setting, "a variable or header")?;
    Ok(Setting {
        name: object.string("name")?.unwrap_or_default(),
        input: input(object)?,
        variables: object.entries("variables", variable)?,
    })
}

fn argument(argument: &Value) -> Result<Argument, InvalidRow> {
    let object = Object::new(argument, "an argument")?;
    let name = match object.text("type")? {
        Some("positional") => None,
        _ => object.string("name")?,
    };
    Ok(Argument {
        name,
        hint: object.string("valueHint")?,
        input: input(object)?,
        variables: object.entries("variables", variable)?,
        repeated: object.flag("isRepeated")?,
    })
}

fn variable(name: &str, value: &Value) -> Result<Variable, InvalidRow> {
    Ok(Variable { name: name.to_owned(), input: input(Object::new(value, "a variable")?)? })
}

fn input(object: Object<'_>) -> Result<Input, InvalidRow> {
    Ok(Input {
        description: object.string("description")?,
        required: object.flag("isRequired")?,
        secret: object.flag("isSecret")?,
        format: match object.text("format")? {
            Some("number") => Format::Number,
            Some("boolean") => Format::Boolean,
            Some("filepath" | "file_path") => Format::FilePath,
            _ => Format::Text,
        },
        value: object.scalar("value")?,
        default_value: object.scalar("default")?,
        placeholder: object.scalar("placeholder")?,
        choices: object.scalars("choices")?,
    })
}

fn instruction(step: &Value) -> Result<Instruction, InvalidRow> {
    let step = Object::new(step, "an instruction")?;
    Ok(Instruction {
        description: step.string("description")?.unwrap_or_default(),
        command: step.string("command")?,
        page: step.string("documentation")?,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::json;

    use super::*;

    const REAL: &str = include_str!("../testdata/rows.json");

    fn real() -> Value {
        serde_json::from_str(REAL).unwrap()
    }

    #[test]
    fn every_real_row_is_read() {
        let (page, bad) = page(&real()).unwrap();
        assert_eq!((page.servers.len(), bad.len(), page.next.as_deref()), (9, 0, Some("ai.test/server:0.0.1")));
        let packages = || page.servers.iter().flat_map(|server| &server.packages);
        let kinds: BTreeSet<&str> = packages().map(|package| package.kind.as_str()).collect();
        assert_eq!(kinds, BTreeSet::from(["mcpb", "npm", "oci", "pypi"]));
        let named = |package: &Package| package.package_arguments.iter().filter(|a| a.name.is_some()).count();
        assert!(packages().any(|package| named(package) > 5));
        assert!(packages().any(|package| package.environment.iter().any(|setting| setting.input.secret)));
        assert!(packages().any(|package| package.sha256.as_ref().is_some_and(|digest| digest.len() == 64)));
        let remotes = || page.servers.iter().flat_map(|server| &server.remotes);
        assert!(remotes().any(|remote| matches!(remote, Transport::Sse(_))));
        assert!(remotes().any(|remote| matches!(remote, Transport::StreamableHttp(at) if !at.headers.is_empty())));
        for server in &page.servers {
            let named = server.publisher.as_ref().is_some_and(|publisher| server.name.starts_with(publisher));
            assert!(named && server.updated.is_some() && server.status == Status::Active, "{server:?}");
        }
    }

    #[test]
    fn rows_of_all_ages_say_the_same() {
        let meta = json!({"isLatest": false, "status": "deprecated", "updatedAt": "2025-10-09T17:05:17Z"});
        let new = json!({
            "server": {
                "name": "io.github.acme/weather", "description": "Says the weather", "version": "1.2.0",
                "repository": {"url": "https://github.com/acme/weather", "source": "github"},
                "packages": [{
                    "registryType": "npm", "registryBaseUrl": "https://registry.npmjs.org", "identifier": "@acme/weather",
                    "version": "1.2.0", "runtimeHint": "npx", "transport": {"type": "stdio"}, "fileSha256": "ab",
                    "runtimeArguments": [{"type": "positional", "value": "-y"}],
                    "packageArguments": [{"type": "named", "name": "--city", "valueHint": "city", "isRepeated": true}],
                    "environmentVariables": [
                        {"name": "KEY", "isRequired": true, "isSecret": true, "format": "string", "default": "x"}
                    ]
                }],
                "remotes": [{"type": "sse", "url": "https://acme.example/sse"}]
            },
            "_meta": {"io.modelcontextprotocol.registry/official": meta}
        });
        // The names of 2025-07, wrapped as then.
        let old = json!({
            "server": {
                "name": "io.github.acme/weather", "description": "Says the weather", "status": "deprecated",
                "version_detail": {"version": "1.2.0"},
                "repository": {"url": "https://github.com/acme/weather", "source": "github"},
                "packages": [{
                    "registry_name": "npm", "registry_base_url": "https://registry.npmjs.org", "name": "@acme/weather",
                    "version": "1.2.0", "runtime_hint": "npx", "file_sha256": "ab",
                    "runtime_arguments": [{"type": "positional", "value": "-y"}],
                    "package_arguments": [
                        {"type": "named", "name": "--city", "value_hint": "city", "is_repeated": "true"}
                    ],
                    "environment_variables": [
                        {"name": "KEY", "is_required": true, "is_secret": "true", "default": "x"}
                    ]
                }],
                "remotes": [{"transport_type": "sse", "url": "https://acme.example/sse"}]
            },
            "x-io.modelcontextprotocol.registry": {"is_latest": false, "updated_at": "2025-10-09T17:05:17Z"}
        });
        let mut bare = new["server"].clone();
        bare["_meta"] = new["_meta"].clone();
        let read = server(&new).unwrap();
        assert_eq!(server(&old), Ok(read.clone()));
        assert_eq!(server(&bare), Ok(read.clone()));
        assert_eq!((read.latest, read.status, read.updated), (false, Status::Deprecated, Some(1_760_029_517_000)));
        let argument = &read.packages[0].package_arguments[0];
        assert_eq!(
            (argument.name.as_deref(), argument.hint.as_deref(), argument.repeated),
            (Some("--city"), Some("city"), true)
        );
        let key = &read.packages[0].environment[0].input;
        assert_eq!((key.required, key.secret, key.default_value.as_deref()), (true, true, Some("x")));
    }

    #[test]
    fn what_a_row_leaves_out_has_its_usual_meaning() {
        let least = server(&json!({"name": "acme/x", "futureField": [1], "title": null})).unwrap();
        assert_eq!(least, Server { publisher: Some("acme".to_owned()), ..Server::new("acme/x", "") });
        let with =
            |field: &str, value: Value| server(&json!({"name": "acme/x", "version": "1", field: value})).unwrap();
        assert_eq!(with("repository", json!({})).repository, None);
        assert_eq!(with("status", json!("deleted")).status, Status::Deleted);
        assert_eq!(with("status", json!("active")).status, Status::Active);
        let resting = with("status", json!("resting"));
        assert_eq!(resting.status, Status::Deprecated);
        assert_eq!(resting.status_message.as_deref(), Some("its registry says `resting`, which is unknown"));
        let package = |extra: Value| {
            let mut package = json!({"registryType": "npm", "identifier": "x"});
            package.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
            with("packages", json!([package])).packages.remove(0)
        };
        assert_eq!(package(json!({})).transport, Transport::Stdio);
        let at = json!({"transport": {"type": "streamable-http", "url": "http://localhost:{port}/mcp",
            "variables": {"port": {"default": 8080, "format": "number"}}}});
        let Transport::StreamableHttp(at) = package(at).transport else { panic!("it has an address") };
        assert_eq!(at.variables[0].input.default_value.as_deref(), Some("8080"));
        let remote = |remote: Value| with("remotes", json!([remote])).remotes.remove(0);
        assert_eq!(remote(json!({"type": "stdio"})), Transport::Other("stdio".to_owned()));
        assert_eq!(
            remote(json!({"type": "carrier-pigeon", "url": "x"})),
            Transport::Other("carrier-pigeon".to_owned())
        );
        assert_eq!(remote(json!({"url": "https://x.example"})), Transport::http("https://x.example"));
        let steps = json!([{"description": "Log in", "command": "x login", "documentation": "https://x.example", "optional": true}]);
        assert_eq!(with("postInstallInstructions", steps).instructions[0].command.as_deref(), Some("x login"));
    }

    #[test]
    fn a_page_ends_without_a_cursor() {
        let next = |metadata: Value| page(&json!({"servers": [], "metadata": metadata})).map(|(page, _)| page.next);
        assert_eq!(next(json!({"nextCursor": "a b:1"})), Ok(Some("a b:1".to_owned())));
        assert_eq!(next(json!({"next_cursor": "c"})), Ok(Some("c".to_owned())));
        for end in [json!({}), json!({"nextCursor": null}), json!({"nextCursor": ""})] {
            assert_eq!(next(end), Ok(None));
        }
        assert_eq!(page(&json!({"servers": null, "metadata": {"count": 0}})).unwrap().0.servers, []);
        for bad in [json!({}), json!([]), json!({"servers": {}}), json!({"servers": [], "metadata": {"nextCursor": 7}})]
        {
            assert!(page(&bad).is_err(), "{bad}");
        }
    }

    /// Values of every type.
    fn odd(pick: usize) -> Value {
        let deep = (0..50).fold(json!(1), |inner, _| json!([inner]));
        let all = [
            json!(null),
            json!(true),
            json!("true"),
            json!(""),
            json!(-1),
            json!(1.5e300),
            json!(u64::MAX),
            json!([]),
            json!({}),
            json!([null]),
            json!({"": null}),
            json!("\u{0}\u{1b}[31m\u{202e}"),
            json!("x".repeat(5000)),
            deep,
        ];
        all[pick % all.len()].clone()
    }

    /// Changes one field somewhere below a value.
    fn disturb(value: &mut Value, below: &mut impl FnMut(usize) -> usize) {
        let inner = match value {
            Value::Object(fields) if !fields.is_empty() => {
                let at = below(fields.len());
                fields.values_mut().nth(at)
            }
            Value::Array(items) if !items.is_empty() => {
                let at = below(items.len());
                items.get_mut(at)
            }
            _ => None,
        };
        match inner {
            Some(inner) if below(4) > 0 => disturb(inner, below),
            _ => *value = odd(below(1000)),
        }
    }

    #[test]
    fn a_spoilt_row_spoils_no_other() {
        // xorshift with a fixed seed, so that a failure is reproducible.
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut below = |limit: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state % limit as u64) as usize
        };
        let real = real();
        let whole = page(&real).unwrap().0.servers;
        let (mut left_out, mut changed) = (0, 0);
        for _ in 0..2_000 {
            let at = below(whole.len());
            let mut spoilt = real.clone();
            let row = &mut spoilt["servers"][at];
            (0..=below(3)).for_each(|_| disturb(row, &mut below));
            let (read, bad) = page(&spoilt).unwrap();
            assert_eq!(read.servers.len() + bad.len(), whole.len());
            let others = |servers: &[Server]| {
                let others = servers.iter().enumerate().filter(|(index, _)| *index != at);
                others.map(|(_, server)| server.clone()).collect::<Vec<_>>()
            };
            match bad.as_slice() {
                [] => assert_eq!(others(&read.servers), others(&whole)),
                [InvalidRow(problem)] => {
                    assert_eq!(read.servers, others(&whole));
                    assert!(problem.starts_with(&format!("row {}: ", at + 1)), "{problem}");
                }
                more => panic!("{more:?}"),
            }
            left_out += bad.len();
            changed += usize::from(bad.is_empty() && read.servers != whole);
        }
        assert!(left_out > 500 && changed > 50, "{left_out} left out, {changed} changed");
    }
}
