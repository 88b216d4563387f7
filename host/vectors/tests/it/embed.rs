//! Models: the tiny one that the tests make, and the real one.

use std::fs;
use std::path::Path;
use std::process::Command;

use aiw_tests::{TINY_DIMENSIONS, onnx_runtime, real_model, tiny_model};
use aiw_vectors::{Embedder, ModelError, ModelFiles, ModelState};

fn cosine(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// The sentence that a state says, or an empty one.
fn said(files: &ModelFiles) -> String {
    match files.state() {
        ModelState::Ready => String::new(),
        ModelState::Unusable(error) => error.to_string(),
    }
}

#[test]
fn a_sentence_is_near_to_one_that_means_the_same() {
    let Some(runtime) = onnx_runtime() else { return };
    let dir = tempfile::tempdir().unwrap();
    tiny_model(dir.path());
    let files = ModelFiles::new(dir.path(), runtime);
    assert_eq!(said(&files), "");
    let embedder = Embedder::load(&files).unwrap();
    assert_eq!(embedder.dimensions(), TINY_DIMENSIONS);
    let vectors = embedder.embed(&["find news on the web", "convert a pdf", "look up headlines online", ""]).unwrap();
    assert_eq!(vectors.len(), 4);
    assert!(cosine(&vectors[0], &vectors[2]) > 0.8, "{}", cosine(&vectors[0], &vectors[2]));
    assert!(cosine(&vectors[0], &vectors[1]) < 0.6);
    assert!(embedder.embed(&[]).unwrap().is_empty());
    // Texts get the same vectors in one batch of all kinds, and one by one.
    let texts: Vec<String> = (0..50).map(|n| ["play ", "music "].repeat(n % 7).concat() + "web").collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let together = embedder.embed(&texts).unwrap();
    for (text, vector) in texts.iter().zip(&together) {
        assert!(cosine(&embedder.embed(&[text]).unwrap()[0], vector) > 0.9999, "{text}");
        assert!((cosine(vector, vector) - 1.0).abs() < 1e-4);
    }
}

#[test]
fn texts_of_any_kind_have_vectors() {
    let Some(runtime) = onnx_runtime() else { return };
    let dir = tempfile::tempdir().unwrap();
    tiny_model(dir.path());
    let embedder = Embedder::load(&ModelFiles::new(dir.path(), runtime)).unwrap();
    let long = "news ".repeat(200_000);
    let no_spaces = "x".repeat(1 << 20);
    for text in ["\0", "   ", "新闻", "\u{202E}news", &long, &no_spaces, "🎵".repeat(10_000).as_str()] {
        let vectors = embedder.embed(&[text]).unwrap();
        assert!(vectors[0].iter().all(|value| value.is_finite()));
    }
    // What follows the first 256 tokens does not count.
    let start = "news ".repeat(256);
    let cut = embedder.embed(&[&start, &(start.clone() + &"pdf ".repeat(1000))]).unwrap();
    assert!(cosine(&cut[0], &cut[1]) > 0.9999);
}

/// Not a test: a process that has not loaded a library.
#[test]
#[ignore = "another test starts it"]
fn wrong_libraries() {
    let dir = tempfile::tempdir().unwrap();
    let model = dir.path().join("model");
    tiny_model(&model);
    let library = |name: &str, bytes: &[u8]| {
        fs::write(dir.path().join(name), bytes).unwrap();
        said(&ModelFiles::new(&model, dir.path().join(name)))
    };
    let shown = |text: String| text.replace(&dir.path().display().to_string(), "DIR");
    assert_eq!(shown(said(&ModelFiles::new(&model, dir.path().join("none.so")))), "there is no `DIR/none.so`");
    for bytes in [&b""[..], b"not a library", b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x03\0\x3e\0\x01\0\0\0"] {
        let said = shown(library("bad.so", bytes));
        assert!(said.starts_with("ONNX Runtime cannot be loaded from `DIR/bad.so`: "), "{said}");
        assert!(!said.contains('\n'));
    }
    assert!(said(&ModelFiles::new(&model, dir.path())).starts_with("cannot read"));
    // A library of something else, which every system has.
    let libc = ["/lib/x86_64-linux-gnu/libc.so.6", "/lib/aarch64-linux-gnu/libc.so.6"];
    if let Some(libc) = libc.iter().find(|path| Path::new(path).exists()) {
        let said = said(&ModelFiles::new(&model, libc));
        assert!(said.contains("OrtGetApiBase"), "{said}");
    }
    let Some(runtime) = onnx_runtime() else { return };
    assert_eq!(said(&ModelFiles::new(&model, &runtime)), "");
    let copy = dir.path().join("copy.so");
    fs::copy(&runtime, &copy).unwrap();
    let said = said(&ModelFiles::new(&model, &copy));
    assert!(
        said.ends_with(&format!("this process already uses `{}`, and can use only one", runtime.display())),
        "{said}"
    );
}

#[test]
fn a_missing_or_wrong_library_is_a_state_in_one_sentence() {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "embed::wrong_libraries", "--ignored"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn a_missing_or_wrong_file_is_a_state_in_one_sentence() {
    let dir = tempfile::tempdir().unwrap();
    let model = dir.path().join("model");
    tiny_model(&model);
    let shown = |text: String| text.replace(&dir.path().display().to_string(), "DIR");
    let Some(runtime) = onnx_runtime() else { return };
    let files = ModelFiles::new(&model, &runtime);
    for name in ["model.onnx", "tokenizer.json", "config.json", "special_tokens_map.json", "tokenizer_config.json"] {
        let path = model.join(name);
        let bytes = fs::read(&path).unwrap();
        fs::remove_file(&path).unwrap();
        assert_eq!(shown(said(&files)), format!("there is no `DIR/model/{name}`"));
        assert!(matches!(Embedder::load(&files), Err(ModelError::Missing { .. })));
        for wrong in [&b""[..], b"{", b"\0\0\0\0", &bytes[..bytes.len() / 2]] {
            fs::write(&path, wrong).unwrap();
            // An empty map of special tokens is a valid one.
            match Embedder::load(&files) {
                Err(error) => assert!(!error.to_string().contains('\n'), "{error}"),
                Ok(_) => panic!("{name}: {wrong:?}"),
            }
        }
        fs::write(&path, bytes).unwrap();
    }
    assert!(Embedder::load(&files).is_ok());
}

#[test]
fn a_file_that_is_not_the_pinned_one_is_refused() {
    let Some(runtime) = onnx_runtime() else { return };
    let dir = tempfile::tempdir().unwrap();
    tiny_model(dir.path());
    let mut files = ModelFiles::new(dir.path(), runtime);
    let loaded = Embedder::load(&files).unwrap();
    let pin = "0".repeat(64);
    files.pinned_digests.insert("tokenizer.json".into(), pin.clone());
    assert!(matches!(files.state(), ModelState::Unusable(ModelError::DigestMismatch { .. })));
    assert!(matches!(Embedder::load(&files), Err(ModelError::DigestMismatch { .. })));
    files.pinned_digests.clear();
    files.runtime_digest = Some(pin);
    assert!(matches!(Embedder::load(&files), Err(ModelError::DigestMismatch { .. })));
    files.runtime_digest = None;
    // Another model has another identity; one that is loaded goes on without its files.
    let tokenizer = dir.path().join("tokenizer.json");
    fs::write(&tokenizer, fs::read_to_string(&tokenizer).unwrap() + "\n").unwrap();
    assert_ne!(Embedder::load(&files).unwrap().identity(), loaded.identity());
    fs::remove_dir_all(dir.path()).unwrap();
    assert_eq!(loaded.embed(&["news"]).unwrap().len(), 1);
}

#[test]
fn the_real_model_knows_what_is_alike() {
    for name in ["all-MiniLM-L6-v2", "all-MiniLM-L6-v2-int8"] {
        let (Some(runtime), Some(model)) = (onnx_runtime(), real_model(name)) else { continue };
        let embedder = Embedder::load(&ModelFiles::new(model, runtime)).unwrap();
        assert_eq!(embedder.dimensions(), 384);
        let texts = [
            "find news on the web",
            "look up recent headlines online",
            "convert a PDF file to Word",
            "turn a pdf into docx",
        ];
        let vectors = embedder.embed(&texts).unwrap();
        let (alike, unlike) = (cosine(&vectors[0], &vectors[1]), cosine(&vectors[0], &vectors[2]));
        assert!(alike > 0.55 && unlike < 0.2, "{name}: {alike} {unlike}");
        assert!(cosine(&vectors[2], &vectors[3]) > 0.55);
        let alone = embedder.embed(&texts[1..2]).unwrap();
        assert!(cosine(&alone[0], &vectors[1]) > 0.9999, "{name}");
    }
}
