//! Secrets in texts: [`known`] masks values that are known in a stream, and [`rules`] finds secrets in a text by their
//! form and by what is around them.
//!
//! Not for where secrets are kept, and not for which texts are cleaned. The two modules share no code: a shim masks and
//! compiles no regex.
//!
//! ```
//! # fn main() -> Result<(), aiw_redact::rules::InvalidRule> {
//! use aiw_redact::{known::Mask, rules::Redactor};
//! let mut mask = Mask::new(&[b"correct horse".to_vec()]);
//! assert_eq!([mask.push(b"{\"pass\": \"correct "), mask.push(b"horse\"}\n")].concat(), b"{\"pass\": \"[secret]\"}\n");
//! assert_eq!(Redactor::new(&[])?.redact("password=hunter2"), "password=[redacted]");
//! # Ok(()) }
//! ```

pub mod known;
pub mod rules;
