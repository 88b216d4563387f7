//! `extraKnownMarketplaces`: the registered marketplaces.

use aiw_core::{ExtensionId, MarketKind, MarketName, one_line};
use serde_json::{Map, Value, json};

use crate::{Document, HomeError};

/// The markets of a home that has set none: name, source, enabled.
pub(super) const DEFAULT_MARKETS: [(&str, &str, bool); 2] = [
    ("claude-plugins-official", "anthropics/claude-plugins-official", true),
    // Not published yet: listed, and fetched once the user adds it.
    ("aiw-official", "putao520/aiw-plugins", false),
];

/// The name of the official market in earlier documents.
pub(super) const OFFICIAL_ALIAS: (&str, &str) = ("claude-code-official", "claude-plugins-official");

/// A registered marketplace as stored in settings.json.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MarketSettings {
    /// Its name here.
    pub name: MarketName,
    /// How it is reached.
    pub kind: MarketKind,
    /// `owner/repo`, URL or path.
    pub location: String,
    /// A branch or tag.
    pub reference: Option<String>,
    /// The component, if it isn't the bundled one for the kind.
    pub extension: Option<ExtensionId>,
    /// A disabled market is listed but not used.
    pub enabled: bool,
}

impl MarketSettings {
    /// The field that holds the location, per kind, as Claude Code names it.
    fn location_key(kind: &MarketKind) -> &'static str {
        match kind {
            MarketKind::Github => "repo",
            MarketKind::Git | MarketKind::Url => "url",
            MarketKind::Directory | MarketKind::File => "path",
            MarketKind::Other(_) => "location",
        }
    }

    pub(super) fn to_json(&self) -> Value {
        let mut source = Map::new();
        source.insert("source".into(), self.kind.as_str().into());
        source.insert(Self::location_key(&self.kind).into(), self.location.clone().into());
        if let Some(reference) = &self.reference {
            source.insert("ref".into(), reference.clone().into());
        }
        if let Some(extension) = &self.extension {
            source.insert("extension".into(), extension.as_str().into());
        }
        let mut market = json!({ "source": source });
        if !self.enabled {
            market["enabled"] = false.into();
        }
        market
    }

    fn from_json(name: &str, value: &Value) -> Result<Self, String> {
        let name: MarketName = name.parse().map_err(|e: aiw_core::InvalidName| e.to_string())?;
        let source = value.get("source").and_then(Value::as_object).ok_or("has no `source` object")?;
        let text = |key: &str| source.get(key).and_then(Value::as_str).map(str::to_owned);
        let kind = text("source").ok_or("has a source without the field `source`")?;
        let kind: MarketKind = kind.parse().map_err(|e: aiw_core::InvalidName| format!("has a source whose {e}"))?;
        let key = Self::location_key(&kind);
        let location = text(key).ok_or_else(|| format!("has a `{kind}` source without `{key}`"))?;
        let extension =
            text("extension").map(|id| id.parse()).transpose().map_err(|e: aiw_core::InvalidName| e.to_string())?;
        let enabled = value.get("enabled").and_then(Value::as_bool).unwrap_or(true);
        Ok(Self { name, kind, location, reference: text("ref"), extension, enabled })
    }

    /// The source as one word: `github:owner/repo#ref`, a URL, a path.
    pub fn source(&self) -> String {
        let location = match &self.kind {
            // A query may hold a key.
            MarketKind::Url => match self.location.split_once('?') {
                Some((url, _)) => format!("{url}?…"),
                None => self.location.clone(),
            },
            MarketKind::Git | MarketKind::Directory | MarketKind::File => self.location.clone(),
            kind @ (MarketKind::Github | MarketKind::Other(_)) => format!("{kind}:{}", self.location),
        };
        match &self.reference {
            Some(reference) => format!("{location}#{reference}"),
            None => location,
        }
    }

    /// Whether both read the same place.
    pub fn has_same_source(&self, other: &Self) -> bool {
        (&self.kind, &self.location, &self.reference, &self.extension)
            == (&other.kind, &other.location, &other.reference, &other.extension)
    }
}

/// Returns the registered marketplaces, and a sentence for each entry that can't be read.
pub(super) fn read(document: &Document) -> Result<(Vec<MarketSettings>, Vec<String>), HomeError> {
    let (mut markets, mut problems) = (Vec::new(), Vec::new());
    match document.get(&["extraKnownMarketplaces"]) {
        // A home without marketplace settings has the default ones.
        None => {
            for (name, repo, enabled) in DEFAULT_MARKETS {
                if let Ok(name) = name.parse() {
                    markets.push(MarketSettings {
                        name,
                        kind: MarketKind::Github,
                        location: repo.into(),
                        reference: None,
                        extension: None,
                        enabled,
                    });
                }
            }
        }
        Some(Value::Object(entries)) => {
            for (name, value) in entries {
                let known = if name == OFFICIAL_ALIAS.0 { OFFICIAL_ALIAS.1 } else { name };
                match MarketSettings::from_json(known, value) {
                    Ok(market) => markets.push(market),
                    Err(problem) => problems.push(format!(
                        "marketplace `{}` in `{}` is left out: {problem}",
                        one_line(name, 60),
                        document.path().display()
                    )),
                }
            }
        }
        Some(_) => {
            return Err(HomeError::invalid(document.path(), "has an `extraKnownMarketplaces` that is not an object"));
        }
    }
    Ok((markets, problems))
}
