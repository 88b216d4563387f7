//! Keys for `mcp.json`: safe in every client, and different for different names.

use std::collections::BTreeMap;

/// The names of what aiw itself offers: its own tools in profiles, kept workflows, planned tools. A server of such a name
/// would take their places.
const RESERVED_NAMES: [&str; 3] = ["aiw", "workflows", "planned"];

/// Whether a server of this name could be taken for what aiw itself offers, however the name is written.
pub fn is_reserved_name(name: &str) -> bool {
    let plain: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' }).collect();
    let plain = plain.trim_matches('_');
    RESERVED_NAMES
        .iter()
        .any(|own| plain.strip_prefix(own).is_some_and(|rest| rest.is_empty() || rest.starts_with("__")))
}

/// Keys for `mcp.json`: safe everywhere, and different for different names.
///
/// Clients turn a name into a part of tool names; `[A-Za-z0-9_-]` is what all of them keep.
pub fn safe_keys(names: &[String]) -> BTreeMap<String, String> {
    let mut keys: BTreeMap<String, String> = BTreeMap::new();
    // Names that are already safe stay as they are, whatever else maps to them.
    for name in names.iter().filter(|name| sanitize_name(name) == **name) {
        keys.insert(name.clone(), name.clone());
    }
    for name in names {
        if keys.contains_key(name) {
            continue;
        }
        let key = unique_key(&sanitize_name(name), |key| keys.values().any(|taken| taken.eq_ignore_ascii_case(key)));
        keys.insert(name.clone(), key);
    }
    keys
}

/// `key`, or the first free one of `key-2`, `key-3`, ….
pub fn unique_key(key: &str, taken: impl Fn(&str) -> bool) -> String {
    if !taken(key) {
        return key.to_owned();
    }
    let numbered = (2u32..).map(|n| format!("{key}-{n}"));
    numbered.into_iter().find(|key| !taken(key)).unwrap_or_else(|| key.to_owned())
}

/// The safe form of one name.
pub fn sanitize_name(name: &str) -> String {
    let mut key = String::new();
    for c in name.chars() {
        match c {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '_' => key.push(c),
            _ if key.ends_with('-') => {}
            _ => key.push('-'),
        }
    }
    let key: String = key.trim_matches('-').chars().take(64).collect();
    match key.as_str() {
        "" => "server".into(),
        own if is_reserved_name(own) => {
            format!("server-{}", own.chars().take(57).collect::<String>().trim_end_matches('-'))
        }
        _ => key,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn no_server_has_a_name_of_aiws_own() {
        for own in [
            "aiw",
            "workflows",
            "planned",
            "Workflows",
            " workflows",
            "AIW!",
            "work\u{200b}flows",
            "planned_",
            "workflows__x",
            "-aiw-",
        ] {
            assert_eq!(is_reserved_name(own), own != "work\u{200b}flows", "{own}");
            assert!(!is_reserved_name(&sanitize_name(own)), "{own} {}", sanitize_name(own));
            assert_eq!(sanitize_name(&sanitize_name(own)), sanitize_name(own));
        }
        for other in ["aiwx", "workflows-2", "my-workflows", "plan", "work", "server-aiw", "workflow"] {
            assert!(!is_reserved_name(other) && sanitize_name(other) == other, "{other}");
        }
    }

    mod fuzz {
        use super::*;
        proptest! {
            #[test]
            fn keys_are_safe_and_never_collide(names in proptest::collection::btree_set("[a-c .A-]{1,4}|aiw[!.]{0,2}", 1..12)) {
                let names: Vec<String> = names.into_iter().collect();
                let keys = safe_keys(&names);
                prop_assert_eq!(keys.len(), names.len());
                let different: std::collections::HashSet<_> = keys.values().collect();
                prop_assert_eq!(different.len(), names.len());
                for key in keys.values() {
                    prop_assert!(!is_reserved_name(key));
                    prop_assert!(key.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b)));
                }
            }
        }
    }
}
