//! Files and edits of all kinds: an edit is refused, or says exactly what was meant and leaves the rest as it is.

use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use super::*;
use crate::definition::{Dependency, RestartCondition};

const HEADS: [&str; 6] = [
    "",
    "\u{feff}",
    "// prozeßes }\n",
    "defaults { env { A \"1\"; W \"w\" } }\n",
    "defaults { restart \"always\"; env Q=\"1\" } // all\n",
    "/- process \"a\" { command \"old\" }\n",
];
const RUNS: [&str; 9] = [
    "command \"a\" \"b\"",
    "command \"a\" /-\"x\" \"b\" // run",
    "command #\"a\"b\"#",
    "command \"\"\"\n  two\n  words\n  \"\"\"",
    "shell \"a | b\"",
    "(t)command \"a\"",
    "command a \\\n  b",
    "command \"}\" /* } */",
    "command \"a\"\n    args \"b\"",
];
const ENVS: [&str; 16] = [
    "",
    "env { A \"1\"; B 2 }",
    "env {\n\t\tA \"1\" // one\n\t\t/* two */ B secret=tok\n\t}",
    "env A=\"1\" Z=\"0\"",
    "env { }",
    "env { // later\n    }",
    "env {\n        /- A \"9\"\n        C \"}\"\n    }",
    "env {\n var \"A\" \"1\"\n B \"2\"\n }",
    "env { (t)A #\"1}\"# }",
    "env A=\"1\" { B \"2\" }",
    "/-env { A \"8\" }",
    "env /- X=\"1\" { A \"2\" }",
    "env { A \"1\" /- secret=\"x\"; D \"4\" /* } */ }",
    "env {\n  A \"1\"; B \"2\" // both\n  }",
    "env { A \"\"\"\n  x\n  y\n  \"\"\" }",
    "env { A \"1\" }\n    env { B \"2\"; A \"3\" } // twice",
];
const OTHERS: [&str; 12] = [
    "cwd \"d\" // here",
    "needs \"b\"",
    "needs c until=started // c",
    "restart \"on-failure\" max=3",
    "auto-start #false",
    "ready tcp=\"3000\"",
    "labels { A \"1\" }",
    "/- cwd \"e\"",
    "// ü } and a {",
    "/* env { A \"5\" } */",
    "limits memory=\"2MB\"",
    "success 0 7",
];
const TAILS: [&str; 5] = ["", "\n", "\n// end", " // after\n", "; "];
const OTHER_PROCESSES: &str =
    "process \"b\" { command \"x\" }; process \"c\" { command \"x\"; env { A \"1\" } } // last";

/// A file, the pieces of `a` that it is made of, and what stands before and after it.
fn files() -> impl Strategy<Value = (String, Vec<String>, String, String)> {
    let pieces = (select(&RUNS[..]), select(&ENVS[..]), subsequence(&OTHERS[..], 0..5), any::<bool>());
    let frame = (select(&HEADS[..]), select(&TAILS[..]), select(&["\n    ", "; ", "\n\t"][..]), any::<bool>());
    (pieces, frame).prop_map(|((run, env, others, is_first), (head, tail, between, has_returns))| {
        let ends = |text: &str| if has_returns { text.replace('\n', "\r\n") } else { text.to_owned() };
        let mut pieces: Vec<&str> = others;
        let at = if is_first { 0 } else { pieces.len() };
        pieces.splice(at..at, [run, env]);
        let pieces: Vec<String> = pieces.into_iter().filter(|piece| !piece.is_empty()).map(ends).collect();
        // What follows a comment is on a line of its own.
        let has_comment = |piece: &&String| piece.contains("//");
        let body: String = (0..pieces.len())
            .map(|at| {
                let is_apart = at == 0 || pieces[at - 1..=at].iter().any(|piece| has_comment(&piece));
                format!("{}{}", ends(if is_apart { "\n  " } else { between }), pieces[at])
            })
            .collect();
        let close = ends("\n}");
        let before = ends(&format!("{head}process \"a\" {{"));
        let after = format!(
            "{close}{}{}",
            ends(if tail.is_empty() { "\n" } else { tail }),
            ends(&format!("\n{OTHER_PROCESSES}"))
        );
        (format!("{before}{body}{after}"), pieces, before, after)
    })
}

fn edits() -> impl Strategy<Value = Vec<usize>> {
    proptest::collection::vec(0usize..16, 1..4)
}

/// Makes an edit. Returns how the pieces begin that it is about.
fn edit(new: &mut Definition, which: usize) -> &'static [&'static str] {
    let set = |new: &mut Definition, name: &str, value: &str| {
        new.env.insert(name.into(), EnvValue::Literal(value.into()));
    };
    match which {
        0 => new.run = CommandSpec::Command(vec!["n\"ew".into(), "}".into()]),
        1 => new.run = CommandSpec::Shell("x && y".into()),
        2 => new.cwd = Some("else where".into()),
        3 => new.cwd = None,
        4 => set(new, "A", "7"),
        5 => set(new, "A", "q\"}\r\n//"),
        6 => set(new, "B", "8"),
        7 => set(new, "New", "9"),
        8 => drop(new.env.remove("A")),
        9 => drop(new.env.remove("B")),
        10 => new.env.clear(),
        11 => new.needs.clear(),
        12 => new.needs = vec![Dependency { id: "c".into(), until: aiw_supervisor::DependencyCondition::Ready }],
        13 => new.restart.when = RestartCondition::Always,
        14 => new.auto_start = !new.auto_start,
        _ => set(new, "var", "v"),
    }
    match which {
        0 | 1 => &["command", "shell", "(t)command"],
        2 | 3 => &["cwd"],
        11 | 12 => &["needs"],
        13 => &["restart"],
        14 => &["auto-start"],
        _ => &["env"],
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn an_edit_is_refused_or_says_what_was_meant_and_leaves_the_rest((text, pieces, before, after) in files(), edits in edits()) {
        // Not all pieces go together.
        let Ok(mut wanted) = parse(&text) else { return Ok(()) };
        let old = wanted.processes["a"].clone();
        let mut new = old.clone();
        let about: Vec<&str> = edits.iter().flat_map(|which| edit(&mut new, *which)).copied().collect();
        match replace_definition(&text, "a", &old, &new) {
            Ok(None) => prop_assert!(false, "nobody changed it meanwhile"),
            Ok(Some(changed)) => {
                wanted.processes.insert("a".into(), new);
                prop_assert_eq!(&parse(&changed).unwrap(), &wanted, "{}", &changed);
                prop_assert!(changed.starts_with(&before) && changed.ends_with(&after), "{:?} of {:?}", changed, text);
                for piece in pieces.iter().filter(|piece| !about.iter().any(|name| piece.starts_with(name))) {
                    prop_assert!(changed.contains(piece), "{:?} of {:?} lacks {:?}", changed, text, piece);
                }
                let bare = |text: &str| text.replace("\r\n", "").contains('\n');
                prop_assert!(!text.contains('\r') || !bare(&changed), "{:?} of {:?}", changed, text);
            }
            Err(problem) => prop_assert!(problem.contains("by hand"), "{}", problem),
        }
    }
}
