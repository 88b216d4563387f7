//! Names that imitate others.

/// Returns a name's skeleton: similar letters and digits become one, and separators disappear. A reader can't tell two
/// names with the same skeleton apart.
pub fn skeleton(name: &str) -> String {
    let mut seen: String = name.chars().filter(|c| !matches!(c, '-' | '_' | '.' | ' ')).collect();
    // A capital I looks like a small L; so does a small I here, because a name may come in either case.
    seen.make_ascii_lowercase();
    for (pair, one) in [("rn", "m"), ("vv", "w"), ("cl", "d")] {
        seen = seen.replace(pair, one);
    }
    let alike = |c| match c {
        '0' => 'o',
        '1' | 'i' | 'j' => 'l',
        '2' => 'z',
        '3' => 'e',
        '4' => 'a',
        '5' => 's',
        '6' | '9' => 'g',
        '7' => 't',
        '8' => 'b',
        other => other,
    };
    seen.chars().map(alike).collect()
}

/// A text with Latin letters in place of those of other alphabets, and of wide ones, that look the same.
pub fn fold_homoglyphs(text: &str) -> String {
    let latin = |c: char| match c {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xff01 + 0x21).unwrap_or(c),
        'а' | 'α' => 'a',
        'в' | 'β' => 'b',
        'с' | 'ϲ' => 'c',
        'ԁ' => 'd',
        'е' | 'ε' => 'e',
        'һ' => 'h',
        'і' | 'ι' | 'ı' => 'i',
        'ј' => 'j',
        'к' | 'κ' => 'k',
        'ӏ' => 'l',
        'м' => 'm',
        'п' | 'η' => 'n',
        'о' | 'ο' | 'σ' => 'o',
        'р' | 'ρ' => 'p',
        'ѕ' => 's',
        'т' | 'τ' => 't',
        'υ' => 'u',
        'ѵ' | 'ν' => 'v',
        'ԝ' | 'ω' => 'w',
        'х' | 'χ' => 'x',
        'у' | 'γ' => 'y',
        other => other,
    };
    text.chars().map(latin).collect()
}

/// Whether a name could be mistaken for another: it looks like it, or is a typo of it. A short name may differ by one
/// character, a long one by two.
pub fn is_confusable(name: &str, other: &str) -> bool {
    let (mut name, mut other) = (name.to_owned(), other.to_owned());
    name.make_ascii_lowercase();
    other.make_ascii_lowercase();
    let slips = (other.len() / 8).clamp(1, 2);
    let (name_seen, other_seen) = (skeleton(&name), skeleton(&other));
    name_seen == other_seen
        || strsim::osa_distance(&name, &other) <= slips
        || strsim::osa_distance(&name_seen, &other_seen) <= slips
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_that_are_drawn_alike_or_mistyped_are_alike() {
        for name in [
            "cIaude-plugins-official",
            "c1aude-plugins-officia1",
            "claude-plugins-offical",
            "claude-plugin-official",
            "claude_plugins.official",
            "claudeplugins-official",
            "claude-plugins-0fficial",
            "daude-plugins-official",
            "cluade-plugins-official",
            "claude-pluqins-official",
        ] {
            assert!(is_confusable(name, "claude-plugins-official"), "{name}");
        }
        assert!(
            is_confusable("rnarket", "market")
                && is_confusable("vvorld", "world")
                && is_confusable("healthcane", "healthcare")
        );
        for (name, other) in [
            ("claude-plugins", "claude-plugins-official"),
            ("agent-kits", "agent-skills"),
            ("life-lessons", "life-sciences"),
            ("wealthcare-x", "healthcare"),
        ] {
            assert!(!is_confusable(name, other), "{name}");
        }
    }

    mod fuzz {
        use super::*;
        proptest! {
            #[test]
            fn any_name_is_alike_itself(name in "\\PC{0,40}") {
                prop_assert!(is_confusable(&name, &name));
                prop_assert!(is_confusable(&name.to_ascii_uppercase(), &name));
            }
        }
    }
}
