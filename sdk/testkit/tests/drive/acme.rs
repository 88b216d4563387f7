//! Third-party extensions as their authors build them: in Rust for WASI, and in JavaScript.

use crate::common::{bytes, path};
use aiw_testkit::{CallError, EntryRef, EntrySource, Field, RecordedResponse, Refusal, Testkit};

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

fn index(about: &str) -> RecordedResponse {
    RecordedResponse::ok(format!(
        r#"{{"title": "Tools of the data team", "tools": [{{"id": "ledger", "about": "{about}", "kind": "data",
            "release": {{"repo": "https://github.com/acme/ledger.git", "commit": "{COMMIT}"}}}}]}}"#
    ))
}

/// Tests what all versions of the extension have in common, whatever language they are written in.
async fn reads_an_index(component: Vec<u8>, scheme: &str) {
    let files = tempfile::tempdir().unwrap();
    std::fs::create_dir(files.path().join(".claude-plugin")).unwrap();
    std::fs::write(files.path().join(".claude-plugin/plugin.json"), r#"{"name": "ledger"}"#).unwrap();
    let cache = tempfile::tempdir().unwrap();
    let kit = || Testkit::new(component.clone()).unwrap().compiled_cache(cache.path().join("compiled"));
    let acme = kit()
        .response("https://plugins.acme.example/data/index.json", index("Asks the ledger"))
        .response("https://plugins.acme.example/gone/index.json", RecordedResponse::with_status(404))
        .response("https://plugins.acme.example/page/index.json", RecordedResponse::ok("<html>"))
        .repository("https://github.com/acme/ledger.git", files.path())
        .load()
        .await
        .unwrap();
    let acme = acme.market_source();
    let claim = async |name: &str| acme.claim(&format!("{scheme}:{name}")).await.unwrap();

    // The description and the claims.
    let about = acme.describe().await.unwrap();
    assert_eq!(about.references[0].example, format!("{scheme}:data"));
    assert!(claim("../x").await.is_none());
    assert!(acme.claim("owner/repo").await.unwrap().is_none());

    // The document.
    let at = claim("data").await.unwrap();
    let snapshot = acme.fetch_marketplace(&at).await.unwrap();
    let document: serde_json::Value = serde_json::from_slice(&snapshot.document).unwrap();
    assert_eq!(document["name"], "acme-data");
    let plugin = &document["plugins"][0];
    assert_eq!((&plugin["name"], &plugin["category"]), (&"ledger".into(), &"data".into()));
    assert_eq!(plugin["source"]["commit"], COMMIT);
    assert!(acme.update(&at, &snapshot.revision).await.unwrap().is_none());
    assert_eq!(acme.update(&at, "older").await.unwrap().unwrap().revision, snapshot.revision);

    // An entry of the extension's own form.
    let form = plugin["source"]["source"].as_str().unwrap().to_owned();
    assert_eq!(about.entry_forms, std::slice::from_ref(&form));
    let field = |name: &str| Field { name: name.into(), value: plugin["source"][name].as_str().unwrap().into() };
    let own = |fields| EntrySource::Custom { form: form.clone(), fields };
    let entry = |source| EntryRef { name: "ledger".into(), source, revision: snapshot.revision.clone() };
    let whole = entry(own(vec![field("tool"), field("repo"), field("commit")]));
    assert_eq!(acme.fetch_plugin(&at, &whole).await.unwrap().plugin_json.unwrap(), br#"{"name": "ledger"}"#);
    let tree = acme.download_plugin(&at, &whole).await.unwrap();
    assert!(tree.read(".claude-plugin/plugin.json").is_ok());
    let refusal = |e: CallError| match e {
        CallError::Rejected { refusal, message } => (refusal, message),
        e => panic!("{e}"),
    };
    assert_eq!(
        refusal(acme.download_plugin(&at, &entry(own(vec![field("repo")]))).await.err().unwrap()),
        (Refusal::Malformed, format!("a source of the form `{form}` has no field `commit`"))
    );
    let elsewhere = vec![Field { name: "repo".into(), value: "https://gitlab.com/x/y.git".into() }, field("commit")];
    let (kind, message) = refusal(acme.download_plugin(&at, &entry(own(elsewhere))).await.err().unwrap());
    assert_eq!(kind, Refusal::Denied);
    assert!(message.contains("may not reach `gitlab.com`: its manifest does not name it under `origins`"), "{message}");

    // What can go wrong at the server.
    let fetch = async |name: &str| refusal(acme.fetch_marketplace(&claim(name).await.unwrap()).await.unwrap_err());
    let (kind, message) = fetch("gone").await;
    assert_eq!(kind, Refusal::NotFound);
    assert!(message.starts_with("`https://plugins.acme.example/gone/index.json` does not exist"), "{message}");
    let (kind, message) = fetch("page").await;
    assert_eq!(kind, Refusal::Malformed);
    assert!(message.starts_with("`https://plugins.acme.example/page/index.json` is not an Acme index"), "{message}");
    assert_eq!(
        fetch("away").await,
        (
            Refusal::Unavailable { retry_after: None },
            "no recorded answer for `https://plugins.acme.example/away/index.json`".to_owned()
        )
    );

    // A mirror set by the user.
    let mirrored = kit()
        .setting("base_url", "https://mirror.example:8443/acme/")
        .response("https://mirror.example:8443/acme/data/index.json", index("Mirrored"))
        .load()
        .await
        .unwrap();
    let document = mirrored.market_source().fetch_marketplace(&at).await.unwrap().document;
    assert!(String::from_utf8(document).unwrap().contains("Mirrored"));
    assert_eq!(mirrored.requested_urls(), ["https://mirror.example:8443/acme/data/index.json"]);
}

#[tokio::test]
async fn an_extension_in_rust_reads_an_index_of_its_own() {
    reads_an_index(bytes("acme-index"), "acme").await;
}

#[tokio::test]
async fn an_extension_in_javascript_does_the_same() {
    if !path("acme-index-js").exists() {
        eprintln!("skipped: acme-index-js.wasm is not built (it takes node and npm)");
        return;
    }
    reads_an_index(bytes("acme-index-js"), "acmejs").await;
}
