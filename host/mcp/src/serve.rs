use std::io::{Read, Write};
use std::sync::Arc;
use std::time::Duration;

use rmcp::serve_server;
use tokio_util::sync::CancellationToken;

use crate::Offer;
use crate::handler::Handler;
use crate::wire::Wire;

/// How long calls that have begun may take to end once the client has gone.
const GRACE: Duration = Duration::from_secs(2);

/// Serves the client on standard input and output until it goes away.
pub async fn serve_stdio(offer: Arc<dyn Offer>) {
    serve(offer, std::io::stdin(), standard_output()).await;
}

/// Standard output past the standard library's lock: a client that does not read would hold up
/// whatever wants that at the end of the process.
fn standard_output() -> Box<dyn Write + Send> {
    #[cfg(unix)]
    {
        use std::os::fd::AsFd;
        if let Ok(output) = std::io::stdout().as_fd().try_clone_to_owned() {
            return Box::new(std::fs::File::from(output));
        }
    }
    Box::new(std::io::stdout())
}

/// The same over any reader and writer.
pub async fn serve(offer: Arc<dyn Offer>, input: impl Read + Send + 'static, output: impl Write + Send + 'static) {
    let gone = CancellationToken::new();
    let wire = Wire::new(input, output, gone.clone());
    let sessions = async {
        while !gone.is_cancelled() {
            let handler = Handler { offer: offer.clone(), gone: gone.clone() };
            // What is no beginning of a session (the cancellation of a probe, an answer to nobody)
            // is an error of rmcp's: it is passed over, and the next message may be one.
            if let Ok(session) = serve_server(handler, wire.clone()).await {
                let _ = session.waiting().await;
            }
        }
    };
    tokio::select! {
        () = sessions => {}
        () = async { gone.cancelled().await; tokio::time::sleep(GRACE).await } => {}
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use async_trait::async_trait;
    use serde_json::{Map, Value, json};

    use super::*;
    use crate::{About, Answer, Cancelled, Effect, Tool};

    struct Odd;

    #[async_trait]
    impl Offer for Odd {
        fn about(&self) -> About {
            About { name: "odd".into(), version: "1".into(), instructions: String::new() }
        }

        fn tools(&self) -> Arc<[Tool]> {
            Arc::new([Tool::new("odd", "Odd", "Odd", Effect::Reads, json!({"type": "object"}), json!(null))])
        }

        async fn call(&self, name: &str, _: Map<String, Value>, cancelled: Cancelled) -> Answer {
            assert_ne!(name, "panics");
            if name == "waits" {
                cancelled.nobody_waits().await;
            }
            Answer::of(json!({"taken_back": cancelled.is_taken_back()}))
        }
    }

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn a_call_that_panics_or_waits_for_nobody_is_answered_all_the_same() {
        let call =
            |id: u8, name: &str| json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {"name": name}});
        let begin = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
            "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}});
        let input = format!("{begin}\n{}\n{}\n", call(1, "panics"), call(2, "waits")).into_bytes();
        let written = Written::default();
        serve(Arc::new(Odd), std::io::Cursor::new(input), written.clone()).await;
        let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        let answers: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let of = |id: u8| &answers.iter().find(|answer| answer["id"] == id).unwrap()["result"];
        assert_eq!(of(1)["isError"], true);
        // The client that is gone has not taken it back.
        assert_eq!(of(2)["structuredContent"], json!({"taken_back": false}));
    }
}
