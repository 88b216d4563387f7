//! Enumerations of words, with those of the host that they stand for.

/// A word of the host.
pub(crate) trait Word: Sized {
    type Host;

    fn of(word: Self::Host) -> Self;

    fn into_host(self) -> Self::Host;
}

/// Defines an enumeration for tests, and how it is converted to and from the host's of the same words.
macro_rules! words {
    ($(#[$meta:meta])* $name:ident = $host:path { $($(#[$doc:meta])* $word:ident,)* }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum $name {
            $($(#[$doc])* $word,)*
        }

        impl Word for $name {
            type Host = $host;

            fn of(word: $host) -> Self {
                use $host as Host;
                match word {
                    $(Host::$word => Self::$word,)*
                }
            }

            fn into_host(self) -> $host {
                use $host as Host;
                match self {
                    $(Self::$word => Host::$word,)*
                }
            }
        }

        #[doc(hidden)]
        impl From<$host> for $name {
            fn from(word: $host) -> Self {
                Word::of(word)
            }
        }
    };
}

pub(crate) use words;
