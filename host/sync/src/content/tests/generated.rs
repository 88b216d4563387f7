//! Random values, against an oracle that knows nothing of splices.

use std::collections::{BTreeMap, HashSet};

use aiw_home::{ConfigTree, Toml};
use proptest::prelude::*;

use super::*;
use crate::content::keys::synced_subtree as part_of;
use crate::content::structured::{StructuredFile, prune_empty};

type Path_ = Vec<String>;

const KEYS: [&str; 6] = ["a", "b c", "open", "set", "x", "y"];

fn leaf(form: ContentForm) -> BoxedStrategy<ConfigTree> {
    let special = if form == ContentForm::Toml {
        ConfigTree::Time("1979-05-27T07:32:00.5Z".into())
    } else {
        ConfigTree::Number("12345678901234567890123".into())
    };
    prop_oneof![
        (0..3i64).prop_map(|number| ConfigTree::Number(number.to_string())),
        proptest::sample::select(vec![
            "x",
            "",
            "/home/me",
            "/home/me/a",
            concat!("/home/me", "g"),
            "${aiw:home}/a",
            "${aiw:x",
            "${aiw:literal}${aiw:home}",
            "é\n\""
        ])
        .prop_map(|text| ConfigTree::Text(text.into())),
        Just(special),
        Just(ConfigTree::Bool(true)),
    ]
    .boxed()
}

fn trees(form: ContentForm) -> BoxedStrategy<ConfigTree> {
    leaf(form)
        .prop_recursive(2, 10, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(ConfigTree::List),
                proptest::collection::vec((proptest::sample::select(KEYS.to_vec()), inner), 0..4).prop_map(table),
            ]
        })
        .boxed()
}

fn table(fields: Vec<(&'static str, ConfigTree)>) -> ConfigTree {
    ConfigTree::Table(fields.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
}

fn roots(form: ContentForm) -> BoxedStrategy<ConfigTree> {
    proptest::collection::vec((proptest::sample::select(KEYS.to_vec()), trees(form)), 0..6).prop_map(table).boxed()
}

/// Changes of a value: each sets or removes something.
fn changes(form: ContentForm) -> BoxedStrategy<Vec<(Path_, Option<ConfigTree>)>> {
    let path = proptest::collection::vec(proptest::sample::select(KEYS.to_vec()).prop_map(str::to_owned), 1..4);
    proptest::collection::vec((path, proptest::option::weighted(0.7, trees(form))), 0..5).boxed()
}

fn changed(tree: &ConfigTree, changes: &[(Path_, Option<ConfigTree>)]) -> ConfigTree {
    let mut tree = tree.clone();
    for (path, value) in changes {
        match value {
            // What is already there is changed by its items.
            Some(ConfigTree::List(new)) if tree.get(path).is_some_and(|old| old.as_list().is_some()) => {
                let old = tree.get(path).unwrap().as_list().unwrap();
                let all = old.iter().skip(1).chain(new).cloned().collect();
                tree.put(path, ConfigTree::List(all)).unwrap();
            }
            Some(value) => drop(tree.put(path, value.clone())),
            None => drop(tree.take(path)),
        }
    }
    tree
}

const LOCAL_JSON: &str = "\"local\" :  [ 1,2 ] , // stays";
const LOCAL_TOML: &str = "local =  [ 1,2 ] # stays";

/// A file with a value, comments, and a key that stays.
fn file(form: ContentForm, tree: &ConfigTree) -> String {
    if form == ContentForm::Toml {
        let mut toml = Toml::parse(format!("# about all\n\n{LOCAL_TOML}\n").as_bytes()).unwrap();
        for (key, value) in tree.as_table().unwrap() {
            toml.set_tree(&[key], value).unwrap();
        }
        return toml.text() + "# the end\n";
    }
    let fields = tree.as_table().unwrap().iter();
    let fields = fields.map(|(key, value)| format!(",\n  // about {key}\n  \"{key}\": {}", value.json_text()));
    let fields: String = fields.collect();
    format!("{{ /* all */\n  {LOCAL_JSON}\n  \"first\": 0{fields} // the end\n}}\n")
}

fn tree(form: ContentForm, text: &str) -> ConfigTree {
    StructuredFile::parse(form, text.as_bytes()).unwrap().tree().unwrap()
}

fn sent(form: ContentForm, text: &str) -> String {
    String::from_utf8(to_synced_content(form, text.as_bytes(), &RULES, home()).unwrap().bytes).unwrap()
}

/// All values that are no tables, with sets sorted.
fn leaves(tree: &ConfigTree) -> BTreeMap<Path_, ConfigTree> {
    fn collect(path: &mut Path_, tree: &ConfigTree, all: &mut BTreeMap<Path_, ConfigTree>) {
        match tree {
            ConfigTree::Table(fields) => {
                for (key, value) in fields {
                    path.push(key.clone());
                    collect(path, value, all);
                    path.pop();
                }
            }
            ConfigTree::List(items) if is_set(path) => {
                let mut items: Vec<ConfigTree> = items.iter().cloned().collect::<HashSet<_>>().into_iter().collect();
                items.sort_by_key(ConfigTree::json_text);
                all.insert(path.clone(), ConfigTree::List(items));
            }
            other => drop(all.insert(path.clone(), other.clone())),
        }
    }
    let mut all = BTreeMap::new();
    collect(&mut Vec::new(), tree, &mut all);
    all
}

fn items(value: Option<&ConfigTree>) -> HashSet<ConfigTree> {
    value.and_then(ConfigTree::as_list).unwrap_or_default().iter().cloned().collect()
}

/// Says what is wrong with a result, if anything is.
fn complaint(
    base: Option<&ConfigTree>,
    mine: &ConfigTree,
    theirs: &ConfigTree,
    result: &ConfigTree,
    conflicts: &[Path_],
) -> Option<String> {
    let [b, m, t, r] = [base.unwrap_or(&ConfigTree::empty()), mine, theirs, result].map(leaves);
    let paths: HashSet<&Path_> = b.keys().chain(m.keys()).chain(t.keys()).chain(r.keys()).collect();
    for path in paths {
        let [b, m, t, r] = [&b, &m, &t, &r].map(|leaves| leaves.get(path));
        let is_shown = conflicts.iter().any(|key| path.starts_with(key) || key.starts_with(path));
        let wanted = if m == t || is_shown {
            m.cloned()
        } else if is_set(path) && [m, t].iter().all(|side| side.is_some_and(|side| side.as_list().is_some())) {
            let (b, m, t) = (items(b), items(m), items(t));
            let all = m
                .union(&t)
                .filter(|item| base.is_none() || !b.contains(item) || (m.contains(item) && t.contains(item)));
            let mut all: Vec<ConfigTree> = all.cloned().collect();
            all.sort_by_key(ConfigTree::json_text);
            Some(ConfigTree::List(all))
        } else if base.is_none() && (m.is_none() || t.is_none()) {
            m.or(t).cloned()
        } else if base.is_some() && b == m {
            t.cloned()
        } else if base.is_some() && b == t {
            m.cloned()
        } else {
            return Some(format!("{path:?} was changed on both sides and is not a conflict: {b:?} {m:?} {t:?}"));
        };
        let is_empty_list = |value: Option<&ConfigTree>| value.is_none_or(|value| prune_empty(value).is_none());
        if r != wanted.as_ref() && !(is_empty_list(r) && is_empty_list(wanted.as_ref())) {
            return Some(format!("{path:?} is {r:?}, not {wanted:?}"));
        }
    }
    None
}

/// A set of some of a few items.
fn subsets() -> impl Strategy<Value = ConfigTree> {
    proptest::sample::subsequence(vec![0, 1, 2, 3, 4], 0..5)
        .prop_shuffle()
        .prop_map(|items| ConfigTree::List(items.iter().map(|n: &i64| ConfigTree::Number(n.to_string())).collect()))
}

fn cases() -> impl Strategy<Value = (ContentForm, ConfigTree, ConfigTree, ConfigTree)> {
    proptest::sample::select(vec![ContentForm::Json, ContentForm::Toml]).prop_flat_map(|form| {
        let sets = proptest::option::of([subsets(), subsets(), subsets()]);
        (roots(form), changes(form), changes(form), sets).prop_map(move |(base, mine, theirs, sets)| {
            let mut sides = [base.clone(), changed(&base, &mine), changed(&base, &theirs)];
            if let Some(sets) = sets {
                for (side, set) in sides.iter_mut().zip(sets) {
                    side.put(&["set"], set).unwrap();
                }
            }
            let [base, mine, theirs] = sides;
            (form, base, mine, theirs)
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_edit_is_lost_that_is_not_a_conflict((form, base, mine, theirs) in cases(), has_base in any::<bool>()) {
        let [base, mine, theirs] = [&base, &mine, &theirs].map(|tree| file(form, tree));
        let (base, theirs) = (sent(form, &base), sent(form, &theirs));
        let merging = merging(form, has_base.then_some(&base), &mine, &theirs);
        let conflicts: Vec<Path_> = merging.conflicts().iter().map(|conflict| conflict.key.clone()).collect();
        let local = if form == ContentForm::Json { LOCAL_JSON } else { LOCAL_TOML };
        let value = |text: &str| tree(form, &sent(form, text));
        let (b, m, t) = (tree(form, &base), value(&mine), tree(form, &theirs));
        for choice in [ContentChoice::Mine, ContentChoice::Theirs] {
            let result = decided(&merging, &mine, &choice);
            prop_assert!(result.contains(local), "{}", result);
            for comment in ["the end", if form == ContentForm::Json { "/* all */" } else { "# about all" }] {
                prop_assert!(result.contains(comment), "{}", result);
            }
            // What stays is as it was.
            let stays = |text: &str| (tree(form, text).get(&["local"]).cloned(), tree(form, text).get(&["open", "x"]).cloned());
            prop_assert_eq!(stays(&result), stays(&mine));
            let r = value(&result);
            if choice == ContentChoice::Mine {
                let base = has_base.then_some(&b);
                prop_assert_eq!(complaint(base, &m, &t, &r, &conflicts), None, "{}\n{}\n{}", mine, theirs, result);
            } else {
                for key in &conflicts {
                    prop_assert_eq!(r.get(key).and_then(prune_empty), t.get(key).and_then(prune_empty), "{:?}", key);
                }
            }
            // The same again changes nothing.
            let again = super::merging(form, Some(&theirs), &result, &theirs);
            prop_assert!(again.conflicts().is_empty());
            prop_assert_eq!(again.resolve(&mut |_| ContentChoice::Theirs), Ok(FileAction::Unchanged));
        }
        // A conflict is one.
        let is_in_the_way = |key: &Path_| tree(form, &mine).get(key).is_some_and(|value| travels(key).is_none() && value.as_table().is_none());
        for key in conflicts.iter().filter(|key| !is_in_the_way(key)) {
            let [b, m, t] = [&b, &m, &t].map(|tree| tree.get(key));
            prop_assert!(m != t && (!has_base || (b != m && b != t)), "{:?}", key);
        }
    }

    #[test]
    fn both_machines_come_to_the_same((form, base, mine, theirs) in cases(), has_base in any::<bool>()) {
        // What stays in the way of a table is in the way on one machine only.
        prop_assume!([&mine, &theirs].iter().all(|tree| tree.get(&["open"]).is_none_or(|open| open.as_table().is_some())));
        let [base, one, other] = [&base, &mine, &theirs].map(|tree| file(form, tree));
        let base = has_base.then(|| sent(form, &base));
        let here = merging(form, base.as_deref(), &one, &sent(form, &other));
        let there = merging(form, base.as_deref(), &other, &sent(form, &one));
        prop_assert_eq!(here.conflicts().is_empty(), there.conflicts().is_empty());
        if here.conflicts().is_empty() {
            let choice = ContentChoice::Mine;
            let [here, there] = [decided(&here, &one, &choice), decided(&there, &other, &choice)];
            let [here, there] = [here, there].map(|text| leaves(&prune_empty(&tree(form, &sent(form, &text))).unwrap_or_else(ConfigTree::empty)));
            prop_assert_eq!(here, there);
        }
    }

    #[test]
    fn two_bases_count_where_they_agree((form, one, mine, theirs) in cases(), other in any::<prop::sample::Index>()) {
        let files = [&one, &mine, &theirs].map(|tree| file(form, tree));
        let [one, other] = [&files[0], other.get(&files)].map(|text| sent(form, text));
        let (mine, theirs) = (&files[1], sent(form, &files[2]));
        let both = [Some(one.as_bytes()), Some(other.as_bytes())];
        let versions = Versions { bases: &both, mine: Some(mine.as_bytes()), theirs: Some(theirs.as_bytes()) };
        let merging = merge(form, &versions, &RULES, home()).unwrap();
        let result = decided(&merging, mine, &ContentChoice::Mine);
        let [o, p, m, t, r] = [&one, &other, &sent(form, mine), &theirs, &sent(form, &result)].map(|text| leaves(&tree(form, text)));
        let set = vec!["set".to_owned()];
        let [in_o, in_p, in_m, in_t, in_r] = [&o, &p, &m, &t, &r].map(|leaves| items(leaves.get(&set)));
        if [&m, &t].iter().all(|side| side.get(&set).is_some_and(|set| set.as_list().is_some())) {
            let is_shown = merging.conflicts().iter().any(|conflict| conflict.key == set);
            for item in in_m.union(&in_t).filter(|item| !in_r.contains(*item)) {
                prop_assert!(is_shown || (in_o.contains(item) && in_p.contains(item)), "{:?}", item);
            }
        }
        // What was deleted was the same in both.
        for (path, value) in m.iter().chain(&t).filter(|(path, _)| !r.contains_key(*path)) {
            let is_shown = merging.conflicts().iter().any(|conflict| path.starts_with(&conflict.key) || conflict.key.starts_with(path));
            let is_agreed = o.get(path) == Some(value) && p.get(path) == Some(value);
            prop_assert!(is_shown || is_agreed || prune_empty(value).is_none(), "{:?}", path);
        }
    }

    #[test]
    fn what_travels_comes_back((form, value, _, _) in cases()) {
        let text = file(form, &value);
        let travels = to_synced_content(form, text.as_bytes(), &RULES, home()).unwrap();
        let sent = String::from_utf8(travels.bytes.clone()).unwrap();
        prop_assert!(!strings(form, &travels.bytes).unwrap().iter().any(|(_, text)| text == HOME || text.starts_with("/home/me/")));
        prop_assert!(tree(form, &sent).get(&["local"]).is_none());
        let there = Path::new("/Users/you");
        let back = to_local_content(form, &travels.bytes, home()).unwrap();
        let wanted = part_of(&tree(form, &text), &RULES);
        prop_assert_eq!(prune_empty(&tree(form, str::from_utf8(&back).unwrap())), prune_empty(&wanted));
        // By way of another machine.
        let other = to_local_content(form, &travels.bytes, there).unwrap();
        prop_assert_eq!(to_synced_content(form, &other, &RULES, there).unwrap().home_placeholder_paths, travels.home_placeholder_paths);
        let again = to_synced_content(form, &other, &RULES, there).unwrap().bytes;
        prop_assert_eq!(tree(form, str::from_utf8(&again).unwrap()), tree(form, &sent));
    }

    #[test]
    fn any_bytes_are_answered(
        bytes in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 3),
        texts in proptest::collection::vec("[{}\\[\\]\":,=.#/a1 \n]{0,30}", 3),
    ) {
        let texts: Vec<Vec<u8>> = texts.into_iter().map(String::into_bytes).collect();
        for sides in [&bytes, &texts] {
            for form in [ContentForm::Json, ContentForm::Toml, ContentForm::Text, ContentForm::Binary] {
                let versions = Versions { bases: &[Some(&sides[0])], mine: Some(&sides[1]), theirs: Some(&sides[2]) };
                if let Ok(merging) = merge(form, &versions, &RULES, home()) {
                    let _ = merging.resolve(&mut |_| ContentChoice::Theirs);
                    let _ = merging.resolve(&mut |_| ContentChoice::Edited(sides[0].clone()));
                }
                let _ = difference(form, Some(&sides[0]), Some(&sides[1]));
                let _ = to_synced_content(form, &sides[0], &RULES, home());
                let _ = to_local_content(form, &sides[0], home());
                let _ = strings(form, &sides[0]);
            }
        }
    }
}
