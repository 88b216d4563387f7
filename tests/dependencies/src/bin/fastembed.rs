//! `fastembed` runs models through `ort`, which panics where ONNX Runtime is missing: aiw always gives it a path.

use std::panic::{catch_unwind, set_hook};

const VARIABLE: &str = "ORT_DYLIB_PATH";

fn main() {
    let missing = std::env::temp_dir().join("aiw-dependencies/libonnxruntime.so");
    // SAFETY: there is no other thread yet.
    unsafe { std::env::set_var(VARIABLE, &missing) };
    println!(
        "a library that is missing, given as a path: {:?}",
        ort::init_from(&missing).map(drop).map_err(|e| e.to_string())
    );
    set_hook(Box::new(|panic| println!("… looked for by ort: it panics ({panic})")));
    if let Ok(result) = catch_unwind(|| ort::init().build().map(drop).map_err(|e| e.to_string())) {
        println!("… looked for by ort: {result:?}");
    }
}
