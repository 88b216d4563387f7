//! Kinds of marketplaces.

use std::fmt;
use std::str::FromStr;

use crate::names::SourceWord;
use crate::{InvalidName, names};

/// How a marketplace is reached: the word `source` in settings.json.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MarketKind {
    /// A repository on GitHub: `owner/repo`.
    Github,
    /// Any other git repository, by its URL.
    Git,
    /// A `marketplace.json`, by its URL.
    Url,
    /// A directory on this machine.
    Directory,
    /// A `marketplace.json` on this machine.
    File,
    /// A component's own.
    Other(SourceWord),
}

impl MarketKind {
    /// Its name, as Claude Code writes it.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Github => "github",
            Self::Git => "git",
            Self::Url => "url",
            Self::Directory => "directory",
            Self::File => "file",
            Self::Other(word) => word.as_str(),
        }
    }

    /// Whether it is a place on this machine.
    pub fn is_local(&self) -> bool {
        matches!(self, Self::Directory | Self::File)
    }
}

impl fmt::Display for MarketKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for MarketKind {
    type Err = InvalidName;

    fn from_str(word: &str) -> Result<Self, InvalidName> {
        Ok(match word {
            "github" => Self::Github,
            "git" => Self::Git,
            "url" => Self::Url,
            "directory" => Self::Directory,
            "file" => Self::File,
            word => Self::Other(word.parse()?),
        })
    }
}

impl serde::Serialize for MarketKind {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(self.as_str())
    }
}

impl<'de> serde::Deserialize<'de> for MarketKind {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        names::parse(d)
    }
}
