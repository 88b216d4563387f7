//! Pieces of streams that one core translates, without sockets. Prints rows of `what, measured, unit` for `cargo xtask
//! bench`.

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a bench prints, and ends by a panic")]

use std::time::Instant;

use aiw_dialects::{Api, ModelRequest, UpstreamTarget, prepare};

const PIECES: usize = 500_000;

fn main() {
    let request = br#"{"model":"m","max_tokens":9,"stream":true,"messages":[{"role":"user","content":"x"}]}"#;
    let responses = br#"{"model":"m","stream":true,"input":"x"}"#;
    for (what, client, body, text) in [
        ("Chat Completions to Messages, pieces of 5 characters", Api::Messages, &request[..], "hello".to_owned()),
        ("Chat Completions to Messages, pieces of 64 characters", Api::Messages, &request[..], "hello wo".repeat(8)),
        ("Chat Completions to Responses, pieces of 5 characters", Api::Responses, &responses[..], "hello".to_owned()),
    ] {
        let event = format!(
            "data: {{\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{text}\"}},\"finish_reason\":null}}]}}\n\n"
        );
        let stream = event.repeat(PIECES);
        let upstream = UpstreamTarget::new(Api::ChatCompletions, "m", "f");
        let mut best = f64::MAX;
        for _ in 0..3 {
            let mut prepared = prepare(&ModelRequest::new(client, body), &upstream).unwrap();
            let (begun, mut out) = (Instant::now(), Vec::with_capacity(1 << 20));
            // As pieces come from a socket.
            for chunk in stream.as_bytes().chunks(1 << 14) {
                prepared.response.read(chunk, &mut out);
                out.clear();
            }
            best = best.min(begun.elapsed().as_secs_f64());
        }
        #[expect(clippy::cast_precision_loss, reason = "a count of pieces")]
        let rate = PIECES as f64 / best;
        println!("{what}\t{:.0}\tk/s", rate / 1_000.0);
    }
}
