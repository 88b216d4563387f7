//! The world of marketplaces, as a trait.

use std::marker::PhantomData;

use crate::__wit::exports::aiw::plugin::market_source::Guest;
use crate::{
    EntryRef, Error, Field, Manifests, OwnSource, ReferenceForm, Registration, Snapshot, SourceInfo, Tree, log_panics,
};

/// A kind of plugin marketplace. The standard entry forms (`github`, `url`, `git-subdir`) are resolved by the host
/// for all sources. A source handles only relative entries and the forms that its [`describe`](Self::describe) names.
///
/// Each call runs in a fresh instance. To keep something, put it into [`cache`](crate::cache).
pub trait MarketSource {
    /// What this source reads.
    fn describe() -> SourceInfo;

    /// Whether this source handles a reference, and what it means. It may call only [`log`](crate::log) on the host.
    fn claim(reference: &str) -> Option<Registration>;

    /// Reads the marketplace document. Return it unchanged: the host parses it.
    fn fetch_marketplace(at: &Registration) -> Result<Snapshot, Error>;

    /// All files of an entry.
    fn download_plugin(_at: &Registration, entry: &EntryRef) -> Result<Tree, Error> {
        let name = &entry.name;
        Err(Error::invalid(format!("`{name}` can't be downloaded: this source does not implement `download_plugin`")))
    }

    /// The cheapest way to get an entry's manifests. By default, they are read from all of its files.
    fn fetch_plugin(at: &Registration, entry: &EntryRef) -> Result<Manifests, Error> {
        plugin_manifests(Self::download_plugin(at, entry)?)
    }

    /// The marketplace, unless `known` is still its revision. By default, it is fetched and compared.
    fn update(at: &Registration, known: &str) -> Result<Option<Snapshot>, Error> {
        Ok(Some(Self::fetch_marketplace(at)?).filter(|snapshot| snapshot.revision != known))
    }
}

/// The host's own limit on a marketplace document.
const MAX_DOCUMENT: u32 = 8 << 20;
const MAX_MANIFEST: u32 = 1 << 20;

/// Reads the `.claude-plugin/marketplace.json` of a tree, at the tree's revision. `name` is the tree's name in
/// messages.
pub fn market_document(tree: &Tree, name: &str) -> Result<Snapshot, Error> {
    let path = ".claude-plugin/marketplace.json";
    let document = tree.read(path, MAX_DOCUMENT).map_err(|error| match error {
        Error::NotFound(_) => Error::not_found(format!("no `{path}` in {name}")),
        other => other,
    })?;
    Ok(Snapshot { document, revision: tree.revision() })
}

/// Reads the manifests of a plugin whose files are available.
pub fn plugin_manifests(tree: Tree) -> Result<Manifests, Error> {
    let read = |path| match tree.read(path, MAX_MANIFEST) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(Error::NotFound(_)) => Ok(None),
        Err(error) => Err(error),
    };
    let (plugin_json, mcp_json) = (read(".claude-plugin/plugin.json")?, read(".mcp.json")?);
    Ok(Manifests { plugin_json, mcp_json, files: Some(tree) })
}

/// Computes a revision for a document without one: 128-bit FNV-1a in hexadecimal. It tells versions apart, but
/// proves nothing.
pub fn digest(bytes: &[u8]) -> String {
    const BASIS: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    let hash = bytes.iter().fold(BASIS, |hash, byte| (hash ^ u128::from(*byte)).wrapping_mul(PRIME));
    format!("{hash:032x}")
}

impl SourceInfo {
    /// Creates a description with a label: what the source reads, in a few words, such as `GitHub repositories`.
    pub fn new(label: &str) -> Self {
        Self { label: label.to_owned(), references: Vec::new(), entry_forms: Vec::new() }
    }

    /// Adds a form of reference, as shown in help, with an example.
    #[must_use]
    pub fn reference(mut self, form: &str, example: &str) -> Self {
        self.references.push(ReferenceForm { form: form.to_owned(), example: example.to_owned() });
        self
    }

    /// Adds a custom entry form: the `source` word of `{"source": "acme", …}`.
    #[must_use]
    pub fn entry_form(mut self, form: &str) -> Self {
        self.entry_forms.push(form.to_owned());
        self
    }
}

impl Registration {
    /// Creates a marketplace at a location, at a branch or tag.
    pub fn new(kind: &str, location: impl Into<String>, branch_or_tag: Option<&str>) -> Self {
        Self { kind: kind.to_owned(), location: location.into(), ref_: branch_or_tag.map(str::to_owned) }
    }
}

impl OwnSource {
    /// Returns a field's value as text. A missing field is an error that names the form and the field.
    pub fn field(&self, name: &str) -> Result<&str, Error> {
        let field = self.fields.iter().find(|field: &&Field| field.name == name);
        field
            .map(|field| field.value.as_str())
            .ok_or_else(|| Error::malformed(format!("a source of the form `{}` has no field `{name}`", self.form)))
    }
}

/// The exports of a component for a source.
#[doc(hidden)]
pub struct Exported<T>(PhantomData<T>);

impl<T: MarketSource> Exported<T> {
    /// Fails to compile if `T` is not a source.
    pub const CHECK: () = ();
}

impl<T: MarketSource> Guest for Exported<T> {
    fn describe() -> SourceInfo {
        log_panics();
        T::describe()
    }

    fn claim(reference: String) -> Option<Registration> {
        log_panics();
        T::claim(&reference)
    }

    fn fetch_marketplace(at: Registration) -> Result<Snapshot, Error> {
        log_panics();
        T::fetch_marketplace(&at)
    }

    fn fetch_plugin(at: Registration, entry: EntryRef) -> Result<Manifests, Error> {
        log_panics();
        T::fetch_plugin(&at, &entry)
    }

    fn download_plugin(at: Registration, entry: EntryRef) -> Result<Tree, Error> {
        log_panics();
        T::download_plugin(&at, &entry)
    }

    fn update(at: Registration, known: String) -> Result<Option<Snapshot>, Error> {
        log_panics();
        T::update(&at, &known)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digest_is_fnv_1a() {
        assert_eq!(digest(b""), "6c62272e07bb014262b821756295c58d");
        assert_eq!(digest(b"a"), "d228cb696f1a8caf78912b704e4a8964");
    }

    #[test]
    fn an_absent_field_is_named() {
        let source = OwnSource { form: "acme".to_owned(), fields: Vec::new() };
        assert_eq!(source.field("repo").unwrap_err().message(), "a source of the form `acme` has no field `repo`");
    }
}
