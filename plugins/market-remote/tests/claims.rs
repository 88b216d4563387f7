//! Tests that no two first-party sources claim the same reference, and that no reference makes a source panic.

use aiw_extension::Registration;

#[path = "../../market-github/src/claim.rs"]
mod github;
#[path = "../../market-local/src/claim.rs"]
mod local;
#[path = "../src/claim.rs"]
mod remote;

fn claims(reference: &str) -> Vec<Registration> {
    [github::claim, local::claim, remote::claim].iter().filter_map(|claim| claim(reference)).collect()
}

#[test]
fn each_form_belongs_to_one_source() {
    let forms = [
        ("owner/repo", "github"),
        ("owner/repo@v1", "github"),
        ("https://github.com/owner/repo", "github"),
        ("https://github.com/owner/repo@feature/x", "github"),
        ("./owner/repo", "directory"),
        ("~/market/marketplace.json", "file"),
        ("C:/market", "directory"),
        ("git@github.com:owner/repo.git", "git"),
        ("https://gitlab.com/owner/repo", "git"),
        ("file:///srv/market", "git"),
        ("https://acme.example/marketplace.json", "url"),
        ("https://github.com/owner/repo/releases/download/v1/marketplace.json", "url"),
    ];
    for (reference, kind) in forms {
        let kinds: Vec<String> = claims(reference).into_iter().map(|at| at.kind).collect();
        assert_eq!(kinds, [kind], "{reference}");
    }
}

#[test]
fn no_odd_reference_belongs_to_two_sources() {
    const PARTS: [&str; 46] = [
        "https://",
        "http://",
        "HTTPS://",
        "ssh://",
        "file://",
        "git+https://",
        "git@",
        "github:",
        "github.com",
        "gitlab.com",
        "GitHub.com/",
        "host.example",
        "owner",
        "repo",
        "a-b",
        "tree",
        "raw",
        ".git",
        "_git",
        ".json",
        "/",
        "/",
        "/",
        "/",
        "\\",
        "C:",
        ":",
        "@",
        "#",
        "?",
        "~",
        ".",
        "..",
        "-",
        "--",
        " ",
        "\0",
        "\u{202e}",
        "é",
        "日本",
        "%2e",
        "main",
        "v1",
        "[::1]",
        "+",
        "",
    ];
    // xorshift with a fixed seed, so that a failure is reproducible.
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut below = |limit: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % limit as u64) as usize
    };
    let mut claimed = 0;
    for _ in 0..200_000 {
        let reference: String = (0..below(9)).map(|_| PARTS[below(PARTS.len())]).collect();
        let claims = claims(&reference);
        assert!(claims.len() < 2, "{reference:?}: {claims:?}");
        claimed += claims.len();
    }
    assert!(claimed > 10_000, "the parts make too few references: {claimed}");
}
