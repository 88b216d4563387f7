//! `ollama-rs` is not used: which HTTP client it takes, and how much of an answer it reads.

use std::any::TypeId;
use std::sync::atomic::{AtomicUsize, Ordering};

use dependencies::{answer_long, peak_memory, serve};
use ollama_rs::Ollama;
use ollama_rs::generation::chat::ChatMessage;
use ollama_rs::generation::chat::request::ChatMessageRequest;

const MEBIBYTES: usize = 512;
static SENT: AtomicUsize = AtomicUsize::new(0);

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let same = TypeId::of::<reqwest::Client>() == TypeId::of::<reqwest_ours::Client>();
    println!("the client that it takes is of the type of reqwest 0.13: {same}");
    let address = serve(|_, stream| {
        SENT.store(answer_long(stream, MEBIBYTES), Ordering::SeqCst);
    });
    // The builder's argument is what it takes: a client of reqwest 0.12.
    let client = reqwest::Client::new();
    let ollama = Ollama::builder().url(format!("http://{address}")).reqwest_client(client).build();
    let before = peak_memory();
    let request = ChatMessageRequest::new("any".into(), vec![ChatMessage::user("Hello".into())]);
    let refused = ollama.send_chat_messages(request).await.map(|answer| answer.message.content.len());
    println!("an answer of {MEBIBYTES} MiB that is no JSON: {refused:?}");
    println!("read {} MiB of it, memory {before} → {} MiB", SENT.load(Ordering::SeqCst) >> 20, peak_memory());
}
