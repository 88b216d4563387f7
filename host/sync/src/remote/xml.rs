//! XML of servers.

use quick_xml::events::BytesRef;

use super::RemoteError;

/// Returns the character that a reference stands for: `&amp;`, or `&#38;`. A document may define no others.
pub(super) fn resolve_entity(reference: &BytesRef<'_>, place: &str) -> Result<char, RemoteError> {
    Ok(match (reference.resolve_char_ref(), reference.xml10_content().as_ref()) {
        (Ok(Some(character)), _) => character,
        (_, "amp") => '&',
        (_, "lt") => '<',
        (_, "gt") => '>',
        (_, "quot") => '"',
        (_, "apos") => '\'',
        _ => return Err(RemoteError::invalid_response(place, "it holds an entity of its own")),
    })
}
