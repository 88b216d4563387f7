//! Stub.
use std::path::Path;
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContentForm {
    Json,
    Toml,
    Text,
    Binary,
}
impl ContentForm {
    pub fn has_keys(self) -> bool {
        matches!(self, Self::Json | Self::Toml)
    }
}
#[expect(dead_code, reason = "stub")]
pub struct KeyRules<'a> {
    pub travels: &'a dyn Fn(&[String]) -> Option<bool>,
    pub is_set: &'a dyn Fn(&[String]) -> bool,
}
pub struct Travelling {
    pub bytes: Vec<u8>,
}
pub fn travelling(_: ContentForm, text: &[u8], _: &KeyRules<'_>, _: &Path) -> Result<Travelling, String> {
    Ok(Travelling { bytes: text.to_vec() })
}
pub fn filtered(_: ContentForm, text: &[u8], _: &KeyRules<'_>) -> Result<Vec<u8>, String> {
    Ok(text.to_vec())
}
pub struct Versions<'a> {
    pub bases: &'a [Option<&'a [u8]>],
    pub mine: Option<&'a [u8]>,
    pub theirs: Option<&'a [u8]>,
}
#[derive(Debug, Clone)]
pub struct ContentConflict {
    pub key: Vec<String>,
    pub mine: Option<String>,
    pub theirs: Option<String>,
}
#[derive(Debug, Clone)]
pub struct KeyChange {
    pub key: Vec<String>,
    pub old: Option<String>,
    pub new: Option<String>,
}
impl KeyChange {
    pub fn lines(&self) -> Vec<String> {
        vec![format!("{} {:?} {:?}", self.key.join("."), self.old, self.new)]
    }
}
pub enum Choice {
    Mine,
    Theirs,
}
pub enum Resolved {
    Unchanged,
    Write(Vec<u8>),
    Delete,
}
pub struct Merging {
    mine: Option<Vec<u8>>,
    theirs: Option<Vec<u8>>,
    take: bool,
    conflicts: Vec<ContentConflict>,
}
pub fn merge(_: ContentForm, v: &Versions<'_>, _: &KeyRules<'_>, _: &Path) -> Result<Merging, String> {
    let (mine, theirs) = (v.mine.map(<[u8]>::to_vec), v.theirs.map(<[u8]>::to_vec));
    let base = v.bases.first().filter(|b| v.bases.iter().all(|o| o == *b)).map(|b| b.map(<[u8]>::to_vec));
    let (mut take, mut conflict) = (false, false);
    if mine != theirs {
        match base {
            Some(base) if base == mine => take = true,
            Some(base) if base == theirs => {}
            None if mine.is_none() => take = true,
            None if theirs.is_none() => {}
            _ => conflict = true,
        }
    }
    let shown = |v: &Option<Vec<u8>>| v.as_ref().map(|v| String::from_utf8_lossy(v).into_owned());
    let conflicts = conflict
        .then(|| ContentConflict { key: vec![], mine: shown(&mine), theirs: shown(&theirs) })
        .into_iter()
        .collect();
    Ok(Merging { mine, theirs, take, conflicts })
}
impl Merging {
    pub fn conflicts(&self) -> &[ContentConflict] {
        &self.conflicts
    }
    pub fn resolve(&self, choose: &mut dyn FnMut(&ContentConflict) -> Choice) -> Result<Resolved, String> {
        let take = self.take || self.conflicts.iter().any(|c| matches!(choose(c), Choice::Theirs));
        Ok(match (take, &self.theirs) {
            (false, _) => Resolved::Unchanged,
            (true, Some(t)) => {
                if self.mine.as_ref() == Some(t) {
                    Resolved::Unchanged
                } else {
                    Resolved::Write(t.clone())
                }
            }
            (true, None) => Resolved::Delete,
        })
    }
}
pub fn difference(_: ContentForm, old: Option<&[u8]>, new: Option<&[u8]>) -> Vec<KeyChange> {
    let shown = |v: Option<&[u8]>| v.map(|v| String::from_utf8_lossy(v).into_owned());
    if old == new { vec![] } else { vec![KeyChange { key: vec![], old: shown(old), new: shown(new) }] }
}
pub fn strings(_: ContentForm, _: &[u8]) -> Result<Vec<(Vec<String>, String)>, String> {
    Ok(vec![])
}
pub fn top_level_keys(_: ContentForm, _: &[u8]) -> Result<Vec<String>, String> {
    Ok(vec![])
}
