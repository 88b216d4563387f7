//! Tools, prompts and resources under the names that a client sees.

use serde_json::Value;

use crate::definition::ToolDefinition;
use crate::names::to_proxied_name;
use crate::shape::Kind;
use crate::uris::{UriClaim, qualify_uri};

/// A tool, prompt or resource of a server, as a client may see it.
#[derive(Debug, Clone, PartialEq)]
pub struct CatalogItem<D = ToolDefinition> {
    /// The server's key.
    pub server: String,
    /// The name under which the client sees it.
    pub proxied_name: String,
    /// The definition as the server sent it.
    pub definition: D,
}

impl CatalogItem {
    /// The definition under the name that the client sees. The resource of an app names its server, whatever others
    /// have: a definition that depended on them would change without its server.
    pub fn client_definition(&self) -> Value {
        let mut definition = self.definition.value();
        definition["name"] = self.proxied_name.as_str().into();
        if let Some(uri) = self.definition.ui_resource() {
            definition["_meta"]["ui"]["resourceUri"] = qualify_uri(&self.server, uri).into();
        }
        definition
    }

    /// The tokens that the definition costs a client under that name.
    pub fn tokens(&self) -> usize {
        self.definition.tokens_with_name(&self.proxied_name)
    }
}

impl CatalogItem<Value> {
    /// The definition under the name that the client sees.
    pub fn client_definition(&self) -> Value {
        let mut definition = self.definition.clone();
        definition["name"] = self.proxied_name.as_str().into();
        definition
    }
}

pub(crate) fn catalog_item<D: Clone>(server: &str, name: &str, definition: &D) -> CatalogItem<D> {
    CatalogItem {
        server: server.to_owned(),
        proxied_name: to_proxied_name(server, name),
        definition: definition.clone(),
    }
}

/// Each name once. A server can choose a name that is another's proxied name; the first in the order of servers has it.
pub(crate) fn dedup_by_name<D>(mut offered: Vec<CatalogItem<D>>) -> Vec<CatalogItem<D>> {
    let mut seen = std::collections::HashSet::new();
    offered.retain(|offered| seen.insert(offered.proxied_name.clone()));
    offered
}

/// The field with the URI of a resource or template.
pub(crate) fn uri_field(offered: &CatalogItem<Value>) -> &'static str {
    let kind = if offered.definition.get("uri").is_some() { Kind::Resource } else { Kind::Template };
    kind.id_field()
}

/// Returns a server's claim by a resource or template.
pub(crate) fn uri_claim(offered: &CatalogItem<Value>) -> Option<UriClaim<'_>> {
    let field = uri_field(offered);
    let text = offered.definition[field].as_str()?;
    if field == Kind::Resource.id_field() {
        return Some(UriClaim::resource(&offered.server, text));
    }
    UriClaim::template(&offered.server, text)
}

/// Returns the claims of all servers by their resources and templates.
pub(crate) fn claims<'a>(
    resources: &'a [CatalogItem<Value>],
    templates: &'a [CatalogItem<Value>],
) -> impl Iterator<Item = UriClaim<'a>> {
    resources.iter().chain(templates).filter_map(uri_claim)
}
