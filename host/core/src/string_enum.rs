//! Enums whose values are words.

/// Defines an enum in which each value is written with its word: `ALL`, `as_str` and `Display` follow from it, and with the
/// kind of word, so does `FromStr`. Where people read something else than the word, that follows it: `= "word" => "label"`.
///
/// ```
/// aiw_core::string_enum! {
///     /// A side of the road.
///     #[derive(Debug, Clone, Copy, PartialEq, Eq)]
///     pub enum Side, "side" {
///         /// The left one.
///         Left = "left",
///         /// The right one.
///         Right = "right",
///     }
/// }
/// assert_eq!(Side::ALL.map(Side::as_str), ["left", "right"]);
/// assert_eq!("left".parse(), Ok(Side::Left));
/// assert_eq!("up".parse::<Side>().unwrap_err().to_string(), "side `up` is not `left` or `right`");
/// ```
#[macro_export]
macro_rules! string_enum {
    (@or $one:literal) => { concat!("`", $one, "`") };
    (@or $one:literal $other:literal) => { concat!("`", $one, "` or `", $other, "`") };
    (@or $one:literal $($others:literal)+) => { concat!("`", $one, "`, ", $crate::string_enum!(@or $($others)+)) };
    (@label $word:literal) => { $word };
    (@label $word:literal $label:literal) => { $label };
    (@read $type:ident [$($word:literal)+]) => {};
    (@read $type:ident [$($word:literal)+] $what:literal) => {
        impl std::str::FromStr for $type {
            type Err = $crate::InvalidName;

            fn from_str(name: &str) -> Result<Self, Self::Err> {
                const REASON: &str = concat!("is not ", $crate::string_enum!(@or $($word)+));
                let known = Self::ALL.into_iter().find(|known| known.as_str() == name);
                known.ok_or_else(|| $crate::InvalidName { kind: $what, name: name.to_owned(), reason: REASON })
            }
        }
    };
    (
        $(#[$about:meta])*
        $vis:vis enum $type:ident $(, $what:literal)? {
            $($(#[$doc:meta])* $value:ident = $word:literal $(=> $label:literal)?),+ $(,)?
        }
    ) => {
        $(#[$about])*
        $vis enum $type {
            $($(#[$doc])* $value),+
        }

        impl $type {
            /// All of them.
            pub const ALL: [Self; [$($word),+].len()] = [$(Self::$value),+];

            /// Returns the word for it.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$value => $word),+
                }
            }

            /// Returns the text for people: the word, unless it has another.
            pub const fn label(self) -> &'static str {
                match self {
                    $(Self::$value => $crate::string_enum!(@label $word $($label)?)),+
                }
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.label())
            }
        }

        $crate::string_enum!(@read $type [$($word)+] $($what)?);
    };
}
