//! Registering, fetching and listing marketplaces.

use futures::future::BoxFuture;
use futures::{Stream, StreamExt, stream};
use std::sync::Arc;

use aiw_core::{
    Diagnostic, ErrorKind, ExtensionId, MarketKind, MarketName, PluginId, is_git_ref, one_line, without_query,
};
use aiw_extensions::World;
use aiw_home::{ExecutionContext, Home, MarketSettings, Settings, run_blocking};
use aiw_wasm::limits::MARKETPLACE_ALLOWANCE;
use aiw_wasm::market_source::{EntryRef, EntrySource, Registration, SourceField};
use aiw_wasm::{CallBudget, CallError, CallPermissions, ComponentReason, MarketSource};
use schemars::JsonSchema;
use serde::Serialize;

use crate::context::{Markets, bundled_source, check_reserved_name, lookup, redact_source, registration};
use crate::document::{MarketDocument, PluginEntry};
use crate::error::MarketError;
use crate::inspect::{Files, Inspection, inspect};
use crate::listing::MarketListing;
use crate::reserved::{confusable_reserved_name, is_anthropic, is_reserved};
use crate::source::{PluginSource, partition_forms};

/// The options of `marketplace add`.
#[derive(Debug, Clone, Default)]
pub struct AddOptions {
    /// A name instead of the document's own.
    pub name: Option<MarketName>,
    /// A branch or tag.
    pub reference: Option<String>,
    /// The component, if several claim the reference.
    pub source: Option<ExtensionId>,
    /// Whether to inspect remote entries.
    pub inspect: bool,
    /// Whether the user accepts a name that looks like a reserved one.
    pub accept_confusable: bool,
}

/// A marketplace that was added, or that existed and was updated.
#[derive(Debug)]
pub struct AddedMarket {
    /// As it is registered.
    pub market: MarketSettings,
    /// Its listing.
    pub listing: MarketListing,
    /// Whether it was already registered, from the same source.
    pub already_registered: bool,
    /// The document's name, if it is one of Anthropic's.
    pub has_spoofed_name: bool,
    /// Problems, one sentence each.
    pub notes: Vec<String>,
}

/// The result of updating one marketplace.
#[warn(missing_docs)]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct UpdatedMarket {
    /// The marketplace
    #[schemars(with = "String")]
    pub name: MarketName,
    /// Whether its document changed
    pub changed: bool,
    /// The revision now
    pub revision: String,
    /// How many plugins it lists now
    pub plugins: usize,
    /// The names of new plugins
    pub added: Vec<String>,
    /// The names of plugins that it no longer lists
    pub removed: Vec<String>,
    /// Problems, one sentence each
    pub notes: Vec<String>,
}

/// A marketplace that was removed.
#[warn(missing_docs)]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct RemovedMarket {
    /// Its name
    #[schemars(with = "String")]
    pub removed: MarketName,
    /// The ids of its plugins that stay installed
    #[schemars(with = "Vec<String>")]
    pub installed_plugins: Vec<PluginId>,
}

/// The meaning of a reference.
struct ResolvedMarket {
    /// Without the document's name yet.
    market: MarketSettings,
    /// Components that could not be asked, one sentence each.
    notes: Vec<String>,
}

/// The longest reference, and the longest location that a component may derive from it: the same as for git URLs.
const MAX_LOCATION: usize = 2048;

/// The most marketplaces that are fetched at once.
const MAX_UPDATES_AT_ONCE: usize = 8;

/// One line of `marketplace list`.
#[derive(Debug)]
pub struct MarketStatus {
    /// As it is registered.
    pub market: MarketSettings,
    /// Its listing; none until it is fetched.
    pub listing: Option<MarketListing>,
}

impl MarketStatus {
    /// Whether it is one of Anthropic's own.
    pub fn is_official(&self) -> bool {
        is_anthropic(&self.market)
    }

    /// Whether the document uses one of Anthropic's names, but the source isn't Anthropic's.
    pub fn has_spoofed_name(&self) -> bool {
        let claims = self.listing.as_ref().and_then(|l| l.document_name.as_deref()).is_some_and(is_reserved);
        claims && !is_anthropic(&self.market)
    }
}

/// Registers a marketplace with its listing; returns whether it existed.
fn keep(
    home: &Home,
    market: MarketSettings,
    listing: MarketListing,
) -> Result<(MarketSettings, MarketListing, bool), MarketError> {
    let lock = home.lock()?;
    let mut settings = home.settings()?;
    let known = match settings.market(market.name.as_str()) {
        Some(other) if !other.has_same_source(&market) => {
            return Err(MarketError::NameTaken { name: market.name.to_string(), source_name: redact_source(other) });
        }
        Some(_) => true,
        None => false,
    };
    settings.set_market(market.clone())?;
    listing.save(home, &market.name, &lock)?;
    settings.save(&lock)?;
    home.sweep(&lock);
    Ok((market, listing, known))
}

/// Stores a marketplace's current listing.
fn keep_again(home: &Home, market: &MarketSettings, listing: MarketListing) -> Result<MarketListing, MarketError> {
    let lock = home.lock()?;
    // It was removed in the meantime: there is nothing to store.
    if home.settings()?.market(market.name.as_str()).is_some_and(|known| known.has_same_source(market)) {
        listing.save(home, &market.name, &lock)?;
    }
    Ok(listing)
}

/// As many forms as one line of a hint holds.
const MAX_FORMS: usize = 8;

impl Markets {
    /// Returns the forms of references that an extension reads, or else all that were added, as they describe
    /// themselves. One that can't be asked is left out.
    async fn forms(&self, of: Option<&ExtensionId>) -> Vec<String> {
        let ids = match of {
            Some(id) => vec![id.clone()],
            None => self.library.enabled_ids(World::MarketSource).unwrap_or_default(),
        };
        let mut forms = Vec::new();
        for id in ids.iter().filter(|id| of.is_some() || !self.library.is_bundled(id.as_str())) {
            let Ok(component) = self.library.load(id.as_str()).await else { continue };
            let Ok(source) = component.market_source() else { continue };
            let Ok(info) = source.describe().await else { continue };
            forms.extend(info.references.iter().map(|known| format!("`{}`", one_line(&known.form, 60))));
        }
        forms.truncate(MAX_FORMS);
        forms
    }

    /// Resolves a reference: which component reads it, and where it points.
    // Long: one arm for each form of a reference.
    async fn resolve_reference(&self, reference: &str, options: &AddOptions) -> Result<ResolvedMarket, MarketError> {
        let bad = |why: &str, hint: Option<String>| MarketError::InvalidReference {
            reference: without_query(reference).into_owned(),
            why: why.to_owned(),
            hint,
        };
        if reference.is_empty() || reference.len() > MAX_LOCATION || reference.contains(aiw_core::is_unsafe_in_line) {
            return Err(bad("is not a reference to a marketplace", None));
        }
        // Before any component sees it.
        if let Ok(url) = url::Url::parse(reference) {
            let user = !url.username().is_empty() && matches!(url.scheme(), "http" | "https");
            if url.password().is_some() || user {
                return Err(MarketError::InvalidReference {
                    reference: format!("{}://…@{}", url.scheme(), url.host_str().unwrap_or_default()),
                    why: "contains credentials".into(),
                    hint: Some("leave them out; git's credential helper supplies them".into()),
                });
            }
            if url.query_pairs().any(|(key, _)| aiw_core::is_secret_name(&key)) {
                let hint = "addresses are kept in settings.json: add its git repository, for which git's credential \
                            helper gives them";
                return Err(bad("contains credentials in its query", Some(hint.into())));
            }
        }
        let expanded = expand_home(reference, self.home.context());
        let asked = options.source.as_ref();
        let ids = match &options.source {
            Some(id) => vec![id.clone()],
            None => self.library.enabled_ids(World::MarketSource)?,
        };
        let (mut ours, mut theirs, mut notes) = (None, Vec::new(), Vec::new());
        for id in ids {
            let registration = match self.claim(&id, &expanded).await {
                Ok(Some(registration)) => registration,
                Ok(None) => continue,
                // A third party's mistake blocks no one, unless the user asked for that component by name.
                Err(e) if options.source.is_none() && !self.library.is_bundled(id.as_str()) => {
                    notes.push(format!("component `{id}` is skipped: {e}"));
                    continue;
                }
                Err(e) => return Err(e),
            };
            if bundled_source(&registration.kind) != Some(id.as_str()) {
                theirs.push((id, registration));
                continue;
            }
            // The contract defines `owner/repo` and paths, so no other component is asked.
            let is_settled = registration.kind == MarketKind::Github || registration.kind.is_local();
            ours = Some((id, registration));
            if is_settled {
                break;
            }
        }
        // aiw's own components go first: otherwise a component that claims everything would get it all.
        if ours.is_some() {
            notes.extend(theirs.drain(..).map(|(id, _)| {
                format!(
                    "component `{id}` claims the reference as well: `--source {id}` lets it read it, `aiw extension \
                     disable {id}` switches it off"
                )
            }));
        }
        let (id, claimed) = match (ours, theirs.len()) {
            (Some(claim), _) => claim,
            (None, 1) => theirs.remove(0),
            (None, 0) => {
                let hint = if std::path::Path::new(reference).exists() {
                    format!("a path must begin with `./`: `./{reference}`")
                } else {
                    let own = "use `owner/repo` (GitHub), a git URL, a directory, or the URL of a marketplace.json";
                    match (asked, self.forms(asked).await) {
                        (_, forms) if forms.is_empty() => own.to_owned(),
                        (Some(id), forms) => format!("`{id}` reads {}", forms.join(", ")),
                        (None, forms) => format!("{own}; your extensions read {}", forms.join(", ")),
                    }
                };
                // The skipped component may be the one that knows it.
                let why = match notes.first() {
                    Some(note) => format!("is not a reference that any source knows ({note})"),
                    None => "is not a reference that any source knows".into(),
                };
                return Err(bad(&why, Some(hint)));
            }
            (None, _) => {
                let choices: Vec<_> = theirs.iter().map(|(id, _)| format!("`--source {id}`")).collect();
                let last = theirs.last().map_or_else(String::new, |(id, _)| id.to_string());
                let hint =
                    format!("choose with {}, or disable one: `aiw extension disable {last}`", choices.join(" or "));
                return Err(bad("is claimed by several sources", Some(hint)));
            }
        };
        let given = options.reference.clone().or(claimed.reference);
        if given.as_deref().is_some_and(|name| !is_git_ref(name)) {
            return Err(bad("names a ref that is not a branch or tag", None));
        }
        let mut market = MarketSettings {
            // Replaced by the document's name.
            name: options
                .name
                .clone()
                .map_or_else(|| "unnamed".parse(), Ok)
                .map_err(|e: aiw_core::InvalidName| MarketError::NameUnusable { problem: e.to_string() })?,
            extension: (bundled_source(&claimed.kind) != Some(id.as_str())).then_some(id),
            kind: claimed.kind,
            location: claimed.location,
            reference: given,
            enabled: true,
        };
        if market.kind.is_local() {
            let path =
                std::fs::canonicalize(&market.location).map_err(|e| bad(&format!("cannot be opened: {e}"), None))?;
            market.location = path.to_str().ok_or_else(|| bad("is not UTF-8", None))?.to_owned();
            if market.reference.is_some() {
                return Err(bad(
                    "is a path, which has no ref",
                    Some("add its git repository with a `file://` URL".into()),
                ));
            }
        }
        Ok(ResolvedMarket { market, notes })
    }

    /// One component's reading of a reference; for a third party, only what can be registered.
    async fn claim(&self, id: &ExtensionId, reference: &str) -> Result<Option<Registration>, MarketError> {
        let claimed = self.library.load(id.as_str()).await?.market_source()?.claim(reference).await?;
        if let Some(claimed) = &claimed
            && !self.library.is_bundled(id.as_str())
        {
            check_foreign(claimed).map_err(|what| CallError::Trapped { component: id.to_string(), what })?;
        }
        Ok(claimed)
    }

    /// Adds a marketplace. It is registered only after its document was read.
    pub fn add<'a>(
        &'a self,
        reference: &'a str,
        options: &'a AddOptions,
    ) -> BoxFuture<'a, Result<AddedMarket, MarketError>> {
        Box::pin(async move {
            let settings = self.home.settings()?;
            let ResolvedMarket { mut market, mut notes } = self.resolve_reference(reference, options).await?;
            let component = self.component(&market).await?;
            let source = component.market_source()?;
            self.observer.progress("fetching the marketplace", 0, 0);
            let fetched =
                source.fetch_marketplace(&Self::call_permissions(&settings, &market), &registration(&market)).await;
            let snapshot = fetched.map_err(|e| match e {
                // `owner/repo` means GitHub, even if a directory has that name.
                CallError::Rejected { message, .. }
                    if market.kind == MarketKind::Github && std::path::Path::new(reference).is_dir() =>
                {
                    let hint = Some(format!("`./{reference}` is the directory"));
                    MarketError::InvalidReference {
                        reference: reference.to_owned(),
                        why: format!("was taken for a GitHub repository, but {message}"),
                        hint,
                    }
                }
                e => e.into(),
            })?;
            let document = self.parse(&source, &market, &snapshot.document).await?;
            market.name = match &options.name {
                Some(name) => name.clone(),
                None => document.market_name().map_err(|problem| MarketError::NameUnusable { problem })?,
            };
            check_reserved_name(&market)?;
            self.check_looks(&settings, &market, options)?;
            let not_official = document.name.as_deref().is_some_and(is_reserved) && !is_anthropic(&market);
            if let Some(reserved) = confusable_reserved_name(market.name.as_str()).filter(|_| !is_anthropic(&market)) {
                notes.push(format!("its name looks like `{reserved}`, which is Anthropic's, but it is not official"));
            }
            let listing = self.list(&settings, &market, document, snapshot.revision, None).await?;
            notes.extend(self.notes(&listing));

            let home = self.home.clone();
            let (market, listing, known) = run_blocking(move || keep(&home, market, listing)).await?;
            let mut added =
                AddedMarket { market, listing, already_registered: known, has_spoofed_name: not_official, notes };
            if options.inspect {
                added.notes.extend(self.inspect_remote(&added.market, &mut added.listing).await?);
            }
            Ok(added)
        })
    }

    /// The user must agree, once, to a name that could be mistaken for a reserved one.
    fn check_looks(
        &self,
        settings: &Settings,
        market: &MarketSettings,
        options: &AddOptions,
    ) -> Result<(), MarketError> {
        let name = market.name.as_str();
        let is_known = settings.market(name).is_some_and(|known| known.has_same_source(market));
        match confusable_reserved_name(name) {
            Some(reserved) if !options.accept_confusable && !is_known && !is_anthropic(market) => {
                Err(MarketError::NameConfusable { name: name.to_owned(), reserved })
            }
            _ => Ok(()),
        }
    }

    async fn parse(
        &self,
        source: &MarketSource<'_>,
        market: &MarketSettings,
        bytes: &[u8],
    ) -> Result<MarketDocument, MarketError> {
        // Only third parties define their own forms.
        let (own, notes) = match &market.extension {
            Some(id) => partition_forms(id.as_str(), source.describe().await?.entry_forms),
            None => (Vec::new(), Vec::new()),
        };
        let mut document = MarketDocument::parse(bytes, &own)
            .map_err(|problem| MarketError::InvalidDocument { source_name: redact_source(market), problem })?;
        document.problems.extend(notes);
        Ok(document)
    }

    /// Makes a listing, with local entries inspected and remote ones as far as they are known.
    async fn list(
        &self,
        settings: &Settings,
        market: &MarketSettings,
        document: MarketDocument,
        revision: String,
        old: Option<&MarketListing>,
    ) -> Result<MarketListing, MarketError> {
        let mut listing = MarketListing::new(market, document, revision);
        let component = self.component(market).await?;
        let reader = component.market_source()?;
        // However many entries there are, the component gets one time budget.
        let reach = CallPermissions {
            budget: Some(Arc::new(CallBudget::new(MARKETPLACE_ALLOWANCE))),
            ..Self::call_permissions(settings, market)
        };
        let total = listing.plugins.len() as u64;
        let revision = listing.revision.clone();
        for (index, plugin) in listing.plugins.iter_mut().enumerate() {
            let Ok(usable) = &plugin.entry.content else { continue };
            plugin.inspection = match &usable.source {
                PluginSource::Refused { .. } => None,
                PluginSource::Git { .. } => self.cached_inspection(&plugin.entry).or_else(|| {
                    // An entry without a commit keeps its last result until the next round.
                    let same = |p: &&crate::ListingEntry| p.entry == plugin.entry;
                    old?.plugins.iter().find(same)?.inspection.clone()
                }),
                source @ (PluginSource::Relative { .. } | PluginSource::InMarketplace { .. }) => {
                    self.observer.progress("reading plugins", index as u64, total);
                    let entry = entry_ref(&plugin.entry, source, &revision);
                    self.inspect_own(&reader, &reach, market, &plugin.entry, &entry).await?
                }
            };
        }
        Ok(listing)
    }

    /// Inspects an entry that only the market's component can reach.
    async fn inspect_own(
        &self,
        source: &MarketSource<'_>,
        reach: &CallPermissions,
        market: &MarketSettings,
        entry: &PluginEntry,
        at: &EntryRef,
    ) -> Result<Option<Inspection>, MarketError> {
        let broken = |problem: String| Some(Inspection { broken: Some(problem), ..Inspection::default() });
        let found = match source.fetch_plugin(reach, &registration(market), at).await {
            Ok(found) => found,
            // A server that is down says nothing about the plugin.
            Err(CallError::Rejected { refusal: ComponentReason::Unavailable { .. }, .. }) => return Ok(None),
            Err(CallError::Rejected { message, .. }) => return Ok(broken(format!("cannot be read: {message}"))),
            Err(e) => return Err(e.into()),
        };
        let commit = found.files.as_ref().and_then(|tree| tree.commit().cloned());
        let files = match &found.files {
            Some(tree) => match Files::from_tree(tree, entry) {
                Ok(files) => files,
                Err(e) if e.kind() == ErrorKind::User => return Ok(broken(format!("cannot be read: {e}"))),
                Err(e) => return Err(e.into()),
            },
            None => Files { plugin_json: found.plugin_json, mcp_json: found.mcp_json, ..Files::default() },
        };
        Ok(Some(inspect(entry, &files, commit)))
    }

    /// One line for each entry that is left out, and for each problem.
    fn notes(&self, listing: &MarketListing) -> Vec<String> {
        let mut notes: Vec<String> = listing.problems.clone();
        for plugin in &listing.plugins {
            let name = &plugin.entry.name;
            if let Some(problem) = plugin.broken_reason() {
                notes.push(format!("plugin `{name}` is left out: it {problem}"));
            } else if let Some(inspection) = &plugin.inspection {
                notes.extend(inspection.skipped.iter().map(|line| format!("plugin `{name}`: {line}")));
            }
            if let Some(reason) = plugin.rejection_reason() {
                notes.push(format!("plugin `{name}` is left out: {reason}"));
            }
        }
        notes
    }

    /// Removes a marketplace. Its installed plugins stay, and are listed.
    pub fn remove<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<RemovedMarket, MarketError>> {
        Box::pin(async move {
            let name = name.to_owned();
            self.commit(move |markets| markets.forget(&name)).await
        })
    }

    fn forget(&self, name: &str) -> Result<RemovedMarket, MarketError> {
        let lock = self.home.lock()?;
        let mut settings = self.home.settings()?;
        let market = settings.market(name).cloned().ok_or_else(|| MarketError::UnknownMarket { name: name.into() })?;
        let plugins = self.home.plugins()?.all()?;
        settings.remove_market(&market.name)?;
        settings.save(&lock)?;
        let _ = aiw_home::remove_file(&self.home.market_cache(&market.name));
        let left = plugins.into_iter().map(|(id, _)| id).filter(|id| id.market == market.name).collect();
        Ok(RemovedMarket { removed: market.name, installed_plugins: left })
    }

    /// Fetches a marketplace again.
    pub fn update<'a>(&'a self, name: &'a str, inspect: bool) -> BoxFuture<'a, Result<UpdatedMarket, MarketError>> {
        Box::pin(async move {
            let settings = self.home.settings()?;
            let market = lookup(&settings, name)?.clone();
            let old = MarketListing::load(&self.home, &market)?;
            let component = self.component(&market).await?;
            let source = component.market_source()?;
            let (reach, at) = (Self::call_permissions(&settings, &market), registration(&market));
            self.observer.progress(&format!("fetching {}", market.name), 0, 0);
            let snapshot = match &old {
                Some(old) => source.update(&reach, &at, &old.revision).await?,
                None => Some(source.fetch_marketplace(&reach, &at).await?),
            };
            let names = |listing: Option<&MarketListing>| -> Vec<String> {
                listing.into_iter().flat_map(|l| &l.plugins).map(|p| p.entry.name.clone()).collect()
            };
            let (before, changed) = (names(old.as_ref()), snapshot.is_some());
            let mut notes = Vec::new();
            let mut listing = match (snapshot, old) {
                (None, Some(old)) => old,
                (snapshot, old) => {
                    let snapshot = match snapshot {
                        Some(snapshot) => snapshot,
                        None => source.fetch_marketplace(&reach, &at).await?,
                    };
                    let document = self.parse(&source, &market, &snapshot.document).await?;
                    let listing = self.list(&settings, &market, document, snapshot.revision, old.as_ref()).await?;
                    notes = self.notes(&listing);
                    let (home, market) = (self.home.clone(), market.clone());
                    run_blocking(move || keep_again(&home, &market, listing)).await?
                }
            };
            if inspect {
                notes.extend(self.inspect_remote(&market, &mut listing).await?);
            }
            let after = names(Some(&listing));
            let missing = |from: &[String], to: &[String]| from.iter().filter(|n| !to.contains(n)).cloned().collect();
            Ok(UpdatedMarket {
                name: market.name.clone(),
                changed,
                plugins: listing.plugins.len(),
                revision: listing.revision,
                added: missing(&after, &before),
                removed: missing(&before, &after),
                notes,
            })
        })
    }

    /// Fetches marketplaces again, some side by side. The results come in the order of the names.
    pub fn update_each(
        &self,
        names: Vec<String>,
        inspect: bool,
    ) -> impl Stream<Item = (String, Result<UpdatedMarket, MarketError>)> + '_ {
        let updates = names.into_iter().map(move |name| async move {
            let updated = self.update(&name, inspect).await;
            (name, updated)
        });
        stream::iter(updates).buffered(MAX_UPDATES_AT_ONCE)
    }

    /// A default marketplace that was never fetched, unless the user was asked before and said no.
    pub fn pending_offer(&self) -> Result<Option<MarketName>, MarketError> {
        if !self.home.settings()?.should_offer_default() {
            return Ok(None);
        }
        let (statuses, _) = self.statuses()?;
        let mut offered = statuses
            .into_iter()
            .filter(|status| status.market.enabled && status.listing.is_none() && Settings::is_default(&status.market));
        Ok(offered.next().map(|status| status.market.name))
    }

    /// Remembers that the user does not want the default marketplaces to be fetched.
    pub async fn decline_offer(&self) -> Result<(), MarketError> {
        self.commit(|markets| {
            let lock = markets.home.lock()?;
            let mut settings = markets.home.settings()?;
            settings.decline_default()?;
            Ok(settings.save(&lock)?)
        })
        .await
    }

    /// All registered marketplaces, with their cached listings. Reads files only.
    pub fn statuses(&self) -> Result<(Vec<MarketStatus>, Vec<String>), MarketError> {
        let settings = self.home.settings()?;
        let statuses: Result<Vec<_>, MarketError> = settings
            .markets()
            .iter()
            .map(|market| {
                Ok(MarketStatus { listing: MarketListing::load(&self.home, market)?, market: market.clone() })
            })
            .collect();
        let mut problems = settings.problems().to_vec();
        let mut usable = statuses?;
        for status in &mut usable {
            if status.market.enabled
                && let Err(e) = check_reserved_name(&status.market)
            {
                problems.push(format!("marketplace `{}` is left out: {e}", status.market.name));
                status.market.enabled = false;
            }
        }
        Ok((usable, problems))
    }
}

/// aiw's own component reads aiw's own kinds, whoever claimed the reference; otherwise, the end of a sentence.
fn check_foreign(claimed: &Registration) -> Result<(), String> {
    match bundled_source(&claimed.kind) {
        Some(_) => Err(format!("answers with the kind `{}`, which is reserved for aiw's own components", claimed.kind)),
        None => Ok(()),
    }
}

/// The entry in the contract's types.
pub(crate) fn entry_ref(entry: &PluginEntry, source: &PluginSource, revision: &str) -> EntryRef {
    let source = match source {
        PluginSource::InMarketplace { word, fields } => EntrySource::Custom {
            form: word.clone(),
            fields: fields
                .iter()
                .map(|(name, value)| SourceField { name: name.clone(), value: value.clone() })
                .collect(),
        },
        PluginSource::Relative { path } => EntrySource::Relative(path.clone()),
        PluginSource::Git { .. } | PluginSource::Refused { .. } => EntrySource::Relative(String::new()),
    };
    EntryRef { name: entry.name.clone(), source, revision: revision.to_owned() }
}

/// `~/x` as a shell would have expanded it.
fn expand_home(reference: &str, around: &ExecutionContext) -> String {
    let home = around.variable_str("HOME").unwrap_or_default();
    match reference.strip_prefix('~') {
        Some("") if !home.is_empty() => home.to_owned(),
        Some(rest) if rest.starts_with('/') && !home.is_empty() => format!("{home}{rest}"),
        _ => reference.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[test]
    fn an_address_that_names_a_secret_is_refused_and_not_repeated() {
        let (_dir, markets) = crate::context::testing::markets("{}", &[]);
        let add = |reference: &str| {
            let done = markets.add(reference, &AddOptions::default()).now_or_never();
            done.unwrap().unwrap_err().to_string()
        };
        let said = add("https://h.example/m.json?team=x&access_token=hunter2");
        assert_eq!(said, "`https://h.example/m.json?…` contains credentials in its query");
        let said = add("https://h.example/m.json?team=hunter2");
        assert_eq!(said, "`https://h.example/m.json?…` is not a reference that any source knows");
    }

    #[test]
    fn a_component_that_is_missing_stands_in_nobodys_way() {
        let (_dir, markets) = crate::context::testing::markets("{}", &[]);
        let mut file = markets.home.extensions_lock().unwrap();
        let acme = aiw_home::LockedExtension {
            id: "acme".parse().unwrap(),
            version: "1.0.0".into(),
            source: "/acme.wasm".into(),
            sha256: "0".repeat(64),
            worlds: vec![World::MarketSource.as_str().into()],
            enabled: true,
            added_at: String::new(),
            grants: std::collections::BTreeMap::new(),
        };
        file.extensions.insert(acme.id.clone(), acme.clone());
        file.save(&markets.home.lock().unwrap()).unwrap();
        let add = |source: Option<ExtensionId>| {
            let options = AddOptions { source, ..AddOptions::default() };
            markets.add("acme:tools", &options).now_or_never().unwrap().unwrap_err().to_string()
        };
        // No other component knows the reference here; the missing one is named but isn't the error.
        let passed_over = "`acme:tools` is not a reference that any source knows (component `acme` is skipped: ";
        assert!(add(None).starts_with(passed_over), "{}", add(None));
        assert!(add(Some(acme.id)).starts_with("the file for component `acme` is missing"));
    }

    #[test]
    fn a_third_party_registers_no_kind_of_ours() {
        let of = |kind: &str| Registration { kind: kind.parse().unwrap(), location: "x".into(), reference: None };
        assert_eq!(check_foreign(&of("acme")), Ok(()));
        for kind in ["github", "git", "url", "directory", "file"] {
            let what = format!("answers with the kind `{kind}`, which is reserved for aiw's own components");
            assert_eq!(check_foreign(&of(kind)), Err(what));
        }
    }
}
