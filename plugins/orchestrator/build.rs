//! The parser of scripts goes as deep as they are nested.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_ARCH").is_ok_and(|arch| arch == "wasm32") {
        // The default of 1 MiB holds 50 nested brackets. Deeper ones than this holds are refused before they are parsed.
        println!("cargo::rustc-link-arg-cdylib=-zstack-size=8388608");
    }
}
