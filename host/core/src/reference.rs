//! Forms of references.

use serde::{Deserialize, Serialize};

/// A form of reference to a marketplace, or of a server's name, as shown in help.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReferenceForm {
    /// The form, such as `owner/repo[@ref]`.
    pub form: String,
    /// An example of the form.
    pub example: String,
}
