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
