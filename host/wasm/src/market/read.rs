//! Parses the answers of a market source into types that cannot hold invalid values. An answer that breaks a rule
//! is refused with the end of a sentence.

use aiw_core::{InvalidName, is_git_ref, one_line, printable};

use super::{ReferenceForm, Registration, Snapshot, SourceInfo};
use crate::bindings::v0_1::exports::aiw::plugin::market;
use crate::limits::Limits;

/// The end of a sentence that says what is wrong.
type Bad = String;

const LABEL: usize = 100;
const FORM: usize = 200;
const FORMS: usize = 32;
const LOCATION: usize = 4096;
const REVISION: usize = 1024;

pub(super) fn info(info: market::SourceInfo) -> Result<SourceInfo, Bad> {
    if info.references.len() > FORMS {
        return Err(format!("more than {FORMS} forms of references"));
    }
    let form = |form: market::ReferenceForm| {
        Ok(ReferenceForm { form: line("a form", form.form, FORM)?, example: line("an example", form.example, FORM)? })
    };
    Ok(SourceInfo {
        label: line("a label", info.label, LABEL)?,
        references: info.references.into_iter().map(form).collect::<Result<_, Bad>>()?,
        entry_forms: info.entry_forms,
    })
}

pub(super) fn registration(claimed: market::Registration) -> Result<Registration, Bad> {
    let kind = claimed.kind.parse().map_err(|e: InvalidName| format!("a kind whose {e}"))?;
    let location = line("a location", claimed.location, LOCATION)?;
    match claimed.ref_ {
        Some(name) if !is_git_ref(&name) => Err("a ref that is not a branch or a tag".into()),
        reference => Ok(Registration { kind, location, reference }),
    }
}

pub(super) fn snapshot(snapshot: market::Snapshot) -> Result<Snapshot, Bad> {
    let limit = Limits::MARKET_SOURCE.read_bytes;
    if snapshot.document.len() as u64 > limit {
        return Err(format!("a document of more than {} MiB", limit >> 20));
    }
    if snapshot.revision.len() > REVISION || snapshot.revision.contains(char::is_control) {
        return Err(format!("a revision that is not one line of at most {REVISION} bytes"));
    }
    Ok(Snapshot { document: snapshot.document, revision: snapshot.revision })
}

/// Checks text for display: one line, without terminal control characters.
fn line(what: &str, text: String, limit: usize) -> Result<String, Bad> {
    let plain = !text.trim().is_empty() && !text.contains(char::is_control) && printable(&text) == text.as_str();
    match plain && text.len() <= limit {
        true => Ok(text),
        false => {
            let shown = one_line(&text, 60);
            Err(format!("{what} that is not one line of 1 to {limit} printable bytes: `{shown}`"))
        }
    }
}
