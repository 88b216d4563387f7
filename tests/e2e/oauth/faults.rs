//! Authorization servers that do wrong, and answers that are forged: no token, code or key goes where it was not given
//! for.

use std::sync::{Arc, Mutex, OnceLock};

use aiw_tests::{Answer, Environment, Request, Run, Server};
use serde_json::{Value, json};

use super::{Waiting, kept};

const CODE: &str = "canary-code-5d1c";
const TOKEN: &str = "canary-token-91fe";

type Change = dyn Fn(&World, &str, &Request) -> Option<Answer> + Send + Sync;

/// What the servers know of each other and got.
#[derive(Default)]
pub struct World {
    mcp: OnceLock<String>,
    issuer: OnceLock<String>,
    elsewhere: OnceLock<String>,
    requests: Mutex<Vec<(&'static str, Request)>>,
}

impl World {
    fn mcp(&self) -> &str {
        self.mcp.get().unwrap()
    }

    fn issuer(&self) -> &str {
        self.issuer.get().unwrap()
    }

    fn got(&self, who: &str) -> Vec<Request> {
        let requests = self.requests.lock().unwrap();
        requests.iter().filter(|(name, _)| *name == who).map(|(_, request)| request.clone()).collect()
    }

    fn resource(&self) -> Value {
        json!({"resource": format!("{}/mcp", self.mcp()), "authorization_servers": [self.issuer()]})
    }

    fn metadata(&self) -> Value {
        let at = |path: &str| format!("{}{path}", self.issuer());
        json!({
            "issuer": self.issuer(), "authorization_endpoint": at("/authorize"), "token_endpoint": at("/token"),
            "registration_endpoint": at("/register"), "response_types_supported": ["code"],
            "code_challenge_methods_supported": ["S256"], "token_endpoint_auth_methods_supported": ["none"],
            "authorization_response_iss_parameter_supported": true,
        })
    }

    /// What an honest server answers.
    fn honest(&self, who: &str, request: &Request) -> Answer {
        match (who, request.path.as_str()) {
            ("mcp", "/.well-known/oauth-protected-resource/mcp") => said(200, &self.resource()),
            ("mcp", "/mcp") => {
                let at = format!("{}/.well-known/oauth-protected-resource/mcp", self.mcp());
                let challenge = format!("Bearer resource_metadata=\"{at}\"");
                Answer::Plain(401, vec![("www-authenticate".into(), challenge)], Vec::new())
            }
            ("issuer", "/.well-known/oauth-authorization-server") => said(200, &self.metadata()),
            ("issuer", "/register") => said(201, &json!({"client_id": "c", "token_endpoint_auth_method": "none"})),
            ("issuer", "/token") => said(200, &json!({"access_token": TOKEN, "token_type": "bearer"})),
            _ => Answer::status(404),
        }
    }
}

pub fn said(status: u16, value: &Value) -> Answer {
    Answer::Plain(status, vec![("content-type".into(), "application/json".into())], value.to_string().into_bytes())
}

/// Three servers, one of which nobody named, and a home that knows the first.
pub struct Setting {
    pub env: Environment,
    world: Arc<World>,
    _servers: Vec<Server>,
}

impl Setting {
    pub fn new(change: impl Fn(&World, &str, &Request) -> Option<Answer> + Send + Sync + 'static) -> Self {
        let (world, change): (Arc<World>, Arc<Change>) = (Arc::default(), Arc::new(change));
        let start = |who: &'static str| {
            let (world, change) = (world.clone(), change.clone());
            Server::start(move |request| {
                world.requests.lock().unwrap().push((who, request.clone()));
                change(&world, who, request).unwrap_or_else(|| world.honest(who, request))
            })
        };
        let servers: Vec<Server> = ["mcp", "issuer", "elsewhere"].map(start).into();
        for (place, server) in [&world.mcp, &world.issuer, &world.elsewhere].into_iter().zip(&servers) {
            place.set(server.url()).unwrap();
        }
        let env = Environment::cold();
        env.write_mcp(
            &json!({"mcpServers": {"g": {"type": "http", "url": format!("{}/mcp", world.mcp())}}}).to_string(),
        );
        Self { env, world, _servers: servers }
    }

    /// Logs in at the server, and the browser brings the code.
    pub fn log_in(&self) -> Run {
        self.agrees(Waiting::start(&self.env, &[]))
    }

    /// Brings the code that a login waits for.
    fn agrees(&self, login: Waiting) -> Run {
        let state = login.parameter("state").unwrap();
        login.comes_back(&format!("code={CODE}&state={state}&iss={}", self.world.issuer()));
        login.end().ok()
    }

    /// After a failure: nothing is kept, and nothing went astray.
    fn holds(&self, name: &str) {
        assert_eq!(kept(&self.env), [""; 0], "{name}: something was kept");
        assert_eq!(self.world.got("elsewhere").len(), 0, "{name}: another server was asked");
        for request in self.world.got("mcp") {
            assert!(!request.headers.contains_key("authorization"), "{name}: a token was sent");
            let body = String::from_utf8_lossy(&request.body).into_owned();
            assert!(!body.contains(CODE) && !request.query.contains(CODE), "{name}: the code was sent");
        }
    }
}

#[test]
fn metadata_that_lies_ends_the_login_before_the_browser_opens() {
    type Fault = (&'static str, &'static str, Box<Change>);
    let metadata = |name, says, change: fn(&World, &mut Value)| -> Fault {
        let answer = move |world: &World, who: &str, request: &Request| {
            let mut value = world.metadata();
            change(world, &mut value);
            let is_it = who == "issuer" && request.path == "/.well-known/oauth-authorization-server";
            is_it.then(|| said(200, &value))
        };
        (name, says, Box::new(answer))
    };
    let resource = |name, says, change: fn(&World, &mut Value)| -> Fault {
        let answer = move |world: &World, who: &str, request: &Request| {
            let mut value = world.resource();
            change(world, &mut value);
            (who == "mcp" && request.path != "/mcp").then(|| said(200, &value))
        };
        (name, says, Box::new(answer))
    };
    let at = |name, says, whose: &'static str, path: &'static str, answer: fn(&World) -> Answer| -> Fault {
        let answer = move |world: &World, who: &str, request: &Request| {
            (who == whose && request.path.starts_with(path)).then(|| answer(world))
        };
        (name, says, Box::new(answer))
    };
    let well_known = "/.well-known";
    let inside = "is inside this machine or its networks";
    let faults: Vec<Fault> = vec![
        metadata("wrong issuer", "names another issuer", |world, value| {
            value["issuer"] = world.elsewhere.get().unwrap().as_str().into();
        }),
        metadata("no issuer", "names another issuer", |_, value| value["issuer"] = Value::Null),
        metadata("no PKCE", "PKCE", |_, value| value["code_challenge_methods_supported"] = json!(["plain"])),
        metadata("PKCE unknown", "PKCE", |_, value| {
            drop(value.as_object_mut().unwrap().remove("code_challenge_methods_supported"))
        }),
        metadata("token endpoint inside", inside, |_, value| value["token_endpoint"] = "https://192.168.0.1/t".into()),
        metadata("registration inside", inside, |_, value| {
            value["registration_endpoint"] = "https://169.254.169.254/".into()
        }),
        metadata("not encrypted", "not encrypted", |_, value| {
            value["token_endpoint"] = "http://login.example.com/t".into()
        }),
        metadata("a file", "not encrypted", |_, value| value["authorization_endpoint"] = "file:///etc/passwd".into()),
        metadata("a script", "not encrypted", |_, value| {
            value["authorization_endpoint"] = "javascript:alert(1)".into()
        }),
        metadata("a password", "a user or a password", |_, value| {
            value["token_endpoint"] = "https://u:p@a.example/".into()
        }),
        metadata("its own redirect", "brings its own `redirect_uri`", |world, value| {
            let to = format!("{}/authorize?redirect_uri=https%3A%2F%2Fevil.example", world.issuer());
            value["authorization_endpoint"] = to.into();
        }),
        metadata("its own state", "brings its own `state`", |world, value| {
            value["authorization_endpoint"] = format!("{}/authorize?x=1&state=known", world.issuer()).into();
        }),
        metadata("no registration", "registers no clients", |_, value| value["registration_endpoint"] = Value::Null),
        resource("another resource", "is for another resource", |world, value| {
            value["resource"] = format!("{}/mcp", world.elsewhere.get().unwrap()).into();
        }),
        resource("a resource beneath", "is for another resource", |world, value| {
            value["resource"] = format!("{}/mcp/more", world.mcp()).into();
        }),
        resource("no servers", "offers no login", |_, value| value["authorization_servers"] = json!([])),
        resource("issuer in the cloud's metadata, plain", "not encrypted", |_, value| {
            value["authorization_servers"] = json!(["http://169.254.169.254/latest"]);
        }),
        resource("issuer in the cloud's metadata", inside, |_, value| {
            value["authorization_servers"] = json!(["https://169.254.169.254/latest"]);
        }),
        resource("issuer in the network", inside, |_, value| {
            value["authorization_servers"] = json!(["https://10.0.0.1"])
        }),
        at("resource redirects", "can't be asked", "mcp", well_known, |world| {
            Answer::redirect(world.elsewhere.get().unwrap())
        }),
        at("issuer redirects", "can't be asked", "issuer", well_known, |world| {
            Answer::redirect(format!("{}/x", world.elsewhere.get().unwrap()))
        }),
        at("challenge points inside", inside, "mcp", "/mcp", |_| {
            let challenge = "Bearer resource_metadata=\"https://169.254.169.254/\"".to_owned();
            Answer::Plain(401, vec![("www-authenticate".into(), challenge)], Vec::new())
        }),
        at("huge", "longer than", "issuer", well_known, |_| Answer::Endless),
        at("slow", "took longer than 20 s", "issuer", well_known, |_| Answer::Trickle),
        at("silent", "took longer than 20 s", "mcp", well_known, |_| Answer::Silence),
        at("cut", "truncated", "issuer", well_known, |_| Answer::Cut),
        at("not JSON", "is not a JSON object", "issuer", well_known, |_| Answer::ok("<html>")),
        at("an error", "status 500", "issuer", well_known, |_| Answer::status(500)),
        at("registration fails", "invalid_redirect_uri (no)", "issuer", "/register", |_| {
            said(400, &json!({"error": "invalid_redirect_uri", "error_description": "no"}))
        }),
        at("registration redirects", "status 307", "issuer", "/register", |world| {
            Answer::Plain(307, vec![("location".into(), world.elsewhere.get().unwrap().clone())], Vec::new())
        }),
    ];
    std::thread::scope(|scope| {
        for (name, says, change) in faults {
            scope.spawn(move || {
                let setting = Setting::new(change);
                let login = Waiting::start(&setting.env, &[]);
                assert_eq!(login.url, None, "{name}");
                let run = login.end();
                assert_ne!(run.code, 0, "{name}");
                assert!(run.whole().contains(says), "{name}: {}", run.whole());
                setting.holds(name);
            });
        }
    });
}

#[test]
fn an_answer_that_is_not_for_this_login_gets_nothing() {
    for (name, query, says) in [
        ("wrong state", "code=CODE&state=other&iss=ISSUER", "its `state` is another"),
        ("no state", "code=CODE&iss=ISSUER", "its `state` is another"),
        ("two states", "code=CODE&state=STATE&state=x&iss=ISSUER", "something twice"),
        ("two codes", "code=CODE&code=x&state=STATE&iss=ISSUER", "something twice"),
        ("wrong iss", "code=CODE&state=STATE&iss=https://evil.example", "its `iss` is another"),
        ("no iss", "code=CODE&state=STATE", "its `iss` is missing"),
        ("no code", "state=STATE&iss=ISSUER", "has no code"),
        ("nothing", "", "its `state` is another"),
        ("denied", "error=access_denied&error_description=not%1b[31mred&state=STATE&iss=ISSUER", "access_denied (not"),
    ] {
        let setting = Setting::new(|_, _, _| None);
        let login = Waiting::start(&setting.env, &[]);
        let state = login.parameter("state").unwrap();
        let query = query.replace("STATE", &state).replace("ISSUER", setting.world.issuer()).replace("CODE", CODE);
        assert_eq!(login.comes_back(&query), 200, "{name}");
        let run = login.end();
        assert_ne!(run.code, 0, "{name}");
        assert!(run.whole().contains(says), "{name}: {}", run.whole());
        assert!(!run.whole().contains(CODE) && !run.whole().contains('\u{1b}'), "{name}: {}", run.whole());
        let asked = setting.world.got("issuer").iter().filter(|request| request.path == "/token").count();
        assert_eq!(asked, 0, "{name}: the code was exchanged");
        setting.holds(name);
    }
}

#[test]
fn a_token_endpoint_that_does_wrong_gives_no_token() {
    let redirect = |world: &World| {
        let to = format!("{}/token", world.elsewhere.get().unwrap());
        Answer::Plain(307, vec![("location".into(), to)], Vec::new())
    };
    type Fault = (&'static str, &'static str, fn(&World) -> Answer);
    let faults: Vec<Fault> = vec![
        ("redirects", "status 307", redirect),
        ("refuses", "invalid_grant", |_| said(400, &json!({"error": "invalid_grant"}))),
        ("another kind", "other than `Bearer`", |_| said(200, &json!({"access_token": TOKEN, "token_type": "mac"}))),
        ("no token", "no valid token", |_| said(200, &json!({"token_type": "bearer"}))),
        ("a header inside", "no valid token", |_| {
            said(200, &json!({"access_token": format!("{TOKEN}\r\nx: y"), "token_type": "bearer"}))
        }),
        ("huge", "longer than", |_| Answer::Endless),
        ("broken", "status 500", |_| Answer::status(500)),
    ];
    for (name, says, answer) in faults {
        let setting = Setting::new(move |world: &World, who: &str, request: &Request| {
            (who == "issuer" && request.path == "/token").then(|| answer(world))
        });
        let login = Waiting::start(&setting.env, &[]);
        let state = login.parameter("state").unwrap();
        login.comes_back(&format!("code={CODE}&state={state}&iss={}", setting.world.issuer()));
        let run = login.end();
        assert_ne!(run.code, 0, "{name}");
        assert!(run.whole().contains(says), "{name}: {}", run.whole());
        assert!(!run.whole().contains(TOKEN) && !run.whole().contains(CODE), "{name}: {}", run.whole());
        setting.holds(name);
    }
}

#[test]
fn what_a_token_endpoint_quotes_of_the_request_is_not_printed() {
    const SECRET: &str = "canary-client+secret/7";

    for method in ["client_secret_post", "client_secret_basic"] {
        let setting = Setting::new(move |world: &World, who: &str, request: &Request| match (who, &*request.path) {
            ("issuer", "/.well-known/oauth-authorization-server") => {
                let mut metadata = world.metadata();
                metadata["token_endpoint_auth_methods_supported"] = json!([method]);
                Some(said(200, &metadata))
            }
            ("issuer", "/register") => Some(said(
                201,
                &json!({"client_id": "c", "client_secret": SECRET, "token_endpoint_auth_method": method}),
            )),
            ("issuer", "/token") => {
                let proof = request.headers.get("authorization").cloned().unwrap_or_default();
                let sent = String::from_utf8_lossy(&request.body).into_owned();
                let description = format!("{SECRET} {proof} {sent}");
                Some(said(400, &json!({"error": "invalid_client", "error_description": description})))
            }
            _ => None,
        });
        let login = Waiting::start(&setting.env, &[]);
        let state = login.parameter("state").unwrap();
        login.comes_back(&format!("code={CODE}&state={state}&iss={}", setting.world.issuer()));
        let run = login.end();
        let asked = setting.world.got("issuer").into_iter().find(|request| request.path == "/token").unwrap();
        let proof = asked.headers.get("authorization").cloned().unwrap_or_default();
        assert!(run.whole().contains("invalid_client ([secret]"), "{method}: {}", run.whole());
        for sent in
            ["canary-client", CODE, proof.trim_start_matches("Basic ")].into_iter().filter(|sent| !sent.is_empty())
        {
            assert!(!run.whole().contains(sent), "{method}: {sent} in {}", run.whole());
        }
        setting.holds(method);
    }
}

#[test]
fn a_login_that_is_interrupted_leaves_nothing() {
    let setting = Setting::new(|_, _, _| None);
    let mut login = Waiting::start(&setting.env, &[]);
    let redirect = login.parameter("redirect_uri").unwrap();
    let pid = rustix::process::Pid::from_raw(login.child.id().cast_signed()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    login.child.wait().unwrap();
    let place = redirect.strip_prefix("http://").unwrap().split_once('/').unwrap().0.to_owned();
    assert!(std::net::TcpStream::connect(place).is_err(), "nobody listens any more");
    setting.holds("interrupted");
}

#[test]
fn a_token_goes_to_the_url_it_was_given_for_and_is_forgotten_with_its_server() {
    let setting = Setting::new(|_, _, _| None);
    let login = Waiting::start(&setting.env, &[]);
    assert_eq!(login.parameter("resource").unwrap(), format!("{}/mcp", setting.world.mcp()));
    let run = setting.agrees(login);
    assert!(!run.whole().contains(TOKEN) && !run.whole().contains(CODE), "{}", run.whole());
    let with_token = |who: &str| {
        let expected = format!("Bearer {TOKEN}");
        setting.world.got(who).iter().filter(|request| request.headers.get("authorization") == Some(&expected)).count()
    };
    assert!(with_token("mcp") > 0);
    let secrets = kept(&setting.env);
    assert_eq!(secrets.len(), 1, "{secrets:?}");
    // No declaration gets it as a value.
    let name = &secrets[0];
    let elsewhere = format!("{}/mcp", setting.world.elsewhere.get().unwrap());
    let key = format!("Bearer ${{secret:{name}}}");
    for entry in
        [json!({"type": "http", "url": elsewhere}), json!({"type": "http", "url": elsewhere, "headers": {"X": key}})]
    {
        setting.env.write_mcp(&json!({"mcpServers": {"g": entry}}).to_string());
        assert_ne!(setting.env.run(&["mcp", "call", "g", "x"]).code, 0);
    }
    let text = |request: &Request| format!("{:?} {}", request.headers, String::from_utf8_lossy(&request.body));
    assert!(!setting.world.got("elsewhere").is_empty());
    assert!(setting.world.got("elsewhere").iter().all(|request| !text(request).contains(TOKEN)));
    setting.env.run(&["mcp", "remove", "g"]).ok();
    assert_eq!(kept(&setting.env), [""; 0]);
}
