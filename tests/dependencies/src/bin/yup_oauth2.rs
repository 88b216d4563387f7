//! `yup-oauth2` is not used: what its device flow sends, when it gives up, what it logs, and how much of an answer it reads.

use std::pin::Pin;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use dependencies::{answer_json, answer_long, peak_memory, serve};
use log::{LevelFilter, Log, Metadata, Record};
use yup_oauth2::authenticator_delegate::{DeviceAuthResponse, DeviceFlowDelegate};
use yup_oauth2::{ApplicationSecret, DeviceFlowAuthenticator};

const MEBIBYTES: usize = 512;
/// What the server says of the code, and how long the program waits for the flow to end.
const EXPIRES_IN: u64 = 2;
const WAIT: Duration = Duration::from_secs(7);
const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:device_code";
const CODE: &str = r#"{"device_code":"DEVICE-CODE","user_code":"A","verification_url":"http://127.0.0.1/","expires_in":2,"interval":1}"#;
const TOKEN: &str =
    r#"{"access_token":"ACCESS-TOKEN","refresh_token":"REFRESH-TOKEN","token_type":"Bearer","expires_in":3600}"#;
static POLLS: AtomicUsize = AtomicUsize::new(0);
static LOGGED: Mutex<String> = Mutex::new(String::new());
static SENT: Mutex<Vec<String>> = Mutex::new(Vec::new());

struct Kept;

impl Log for Kept {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        if record.target().starts_with("yup_oauth2") {
            LOGGED.lock().unwrap().push_str(&format!("{}: {}\n", record.level(), record.args()));
        }
    }

    fn flush(&self) {}
}

/// Shows no code to anybody.
struct Silent;

impl DeviceFlowDelegate for Silent {
    fn present_user_code<'a>(&'a self, _: &'a DeviceAuthResponse) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        Box::pin(async {})
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    log::set_logger(&Kept).unwrap();
    log::set_max_level(LevelFilter::Debug);
    let address = serve(|request, stream| {
        let (head, form) = request.split_once("\r\n\r\n").unwrap_or_default();
        if head.starts_with("POST /code") {
            return answer_json(stream, "200 OK", CODE);
        }
        SENT.lock().unwrap().push(form.to_owned());
        if head.starts_with("POST /long") {
            let sent = answer_long(stream, MEBIBYTES);
            return println!("read {} MiB of an answer", sent >> 20);
        }
        POLLS.fetch_add(1, Ordering::SeqCst);
        match head.starts_with("POST /pending") {
            true => answer_json(stream, "400 Bad Request", r#"{"error":"authorization_pending"}"#),
            false => answer_json(stream, "200 OK", TOKEN),
        }
    });
    let flow = |path: &str| {
        let secret = ApplicationSecret {
            client_id: "CLIENT".into(),
            client_secret: "CLIENT-SECRET".into(),
            token_uri: format!("http://{address}{path}"),
            auth_uri: format!("http://{address}/auth"),
            redirect_uris: Vec::new(),
            ..ApplicationSecret::default()
        };
        let flow = DeviceFlowAuthenticator::builder(secret).flow_delegate(Box::new(Silent));
        flow.device_code_url(format!("http://{address}/code"))
    };
    let forms = || SENT.lock().unwrap().drain(..).collect::<Vec<_>>().join("; ");

    let authenticator = flow("/token").build().await.unwrap();
    let token = authenticator.token(&["scope"]).await.map(|_| ());
    println!("the form for a token: {} ({token:?})", forms());
    let authenticator = flow("/token").grant_type(GRANT_TYPE).build().await.unwrap();
    let _ = authenticator.token(&["scope"]).await;
    println!("… with `grant_type` set: {}", forms());
    let logged = LOGGED.lock().unwrap().clone();
    for secret in ["CLIENT-SECRET", "DEVICE-CODE", "ACCESS-TOKEN", "REFRESH-TOKEN"] {
        println!(
            "at level debug, the log has {secret} in {} lines",
            logged.lines().filter(|line| line.contains(secret)).count()
        );
    }

    POLLS.store(0, Ordering::SeqCst);
    let authenticator = flow("/pending").build().await.unwrap();
    let ended = tokio::time::timeout(WAIT, authenticator.token(&["scope"])).await.is_ok();
    let polls = POLLS.load(Ordering::SeqCst);
    println!("a code that ends after {EXPIRES_IN} s: {polls} polls in {} s, ended by itself: {ended}", WAIT.as_secs());

    let before = peak_memory();
    let authenticator = flow("/long").build().await.unwrap();
    let _ = authenticator.token(&["scope"]).await;
    println!("memory {before} → {} MiB", peak_memory());
}
