//! Acme's own rows, and finding them by words.

use aiw_extension::Error;
use aiw_extension::mcp::McpResult;
use aiw_extension::registry_source::{Input, Package, Server, Transport};
use serde::{Deserialize, Serialize};

/// What one call of the tool returns.
#[derive(Deserialize)]
pub struct Page {
    pub servers: Vec<Row>,
    pub pages: usize,
}

#[derive(Clone, Deserialize, Serialize)]
pub struct Row {
    pub name: String,
    pub about: String,
    pub version: String,
    /// The package, for a server that runs on the user's machine.
    npm: Option<String>,
    /// The variable with the user's key.
    key: Option<String>,
    /// The address, for one that runs at Acme.
    url: Option<String>,
}

impl Page {
    /// Reads the result of a tool: its structured content.
    pub fn parse(result: &McpResult) -> Result<Self, Error> {
        #[derive(Deserialize)]
        struct ToolResult {
            #[serde(rename = "structuredContent")]
            content: Page,
        }

        if result.is_error {
            return Err(Error::unavailable("the server of Acme's catalogue can't list it now", None));
        }
        let page: Result<ToolResult, _> = serde_json::from_str(&result.json);
        Ok(page.map_err(|error| Error::malformed(format!("this is not a page of Acme's catalogue: {error}")))?.content)
    }
}

impl Row {
    pub fn server(&self) -> Server {
        let mut server = Server::new(&self.name, &self.version).description(&self.about);
        if let Some(npm) = &self.npm {
            let mut package = Package::new("npm", npm, Some(&self.version));
            if let Some(key) = &self.key {
                package = package.variable(key, Input::new("Your key of Acme's tools").required().secret());
            }
            server = server.package(package);
        }
        match &self.url {
            Some(url) => server.remote(Transport::http(url)),
            None => server,
        }
    }

    /// What it is, for people and models.
    pub fn text(&self) -> String {
        format!("{}: {}", self.name.rsplit('/').next().unwrap_or_default(), self.about)
    }
}

/// Returns the rows that have any word of a query, those with the most words first.
pub fn ranked<'r>(rows: &'r [Row], query: &str) -> Vec<&'r Row> {
    let query = query.to_lowercase();
    let count = |row: &Row| {
        let text = row.text().to_lowercase();
        query.split_whitespace().filter(|word| text.contains(word)).count()
    };
    let mut found: Vec<(usize, &Row)> =
        rows.iter().map(|row| (count(row), row)).filter(|(count, _)| *count > 0 || query.is_empty()).collect();
    found.sort_by(|(one, _), (other, _)| other.cmp(one));
    found.into_iter().map(|(_, row)| row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(json: &str) -> Result<Page, Error> {
        Page::parse(&McpResult { is_error: false, json: json.to_owned() })
    }

    const PAGE: &str = r#"{"content": [], "structuredContent": {"pages": 1, "servers": [
        {"name": "acme/ledger", "about": "Asks the ledger", "version": "1.4.0", "npm": "@acme/ledger", "key": "LEDGER_KEY"},
        {"name": "acme/news", "about": "Finds news about the ledger of others", "version": "2", "url": "https://news.acme.example/mcp"}
    ]}}"#;

    #[test]
    fn a_row_is_a_package_or_an_address() {
        let rows = page(PAGE).unwrap().servers;
        let ledger = rows[0].server();
        assert_eq!((ledger.packages.len(), ledger.remotes.len()), (1, 0));
        let key = &ledger.packages[0].environment[0];
        assert!(key.name == "LEDGER_KEY" && key.input.required && key.input.secret);
        assert_eq!(rows[1].server().remotes, [Transport::http("https://news.acme.example/mcp")]);
    }

    #[test]
    fn more_words_come_first() {
        let rows = page(PAGE).unwrap().servers;
        let names = |query| ranked(&rows, query).into_iter().map(|row| row.name.as_str()).collect::<Vec<_>>();
        assert_eq!(names("news Ledger"), ["acme/news", "acme/ledger"]);
        assert_eq!(names("asks"), ["acme/ledger"]);
        assert!(names("weather").is_empty());
    }

    #[test]
    fn what_is_no_page_is_an_error() {
        for bad in
            ["", "{}", r#"{"structuredContent": {"servers": []}}"#, r#"{"content": [{"type": "text", "text": "x"}]}"#]
        {
            assert!(matches!(page(bad), Err(Error::Malformed(_))), "{bad}");
        }
        let failed = McpResult { is_error: true, json: PAGE.to_owned() };
        assert!(matches!(Page::parse(&failed), Err(Error::Unavailable(_))));
    }
}
