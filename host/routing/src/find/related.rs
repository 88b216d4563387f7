//! Words that people use for what tools call by other ones: who wants to "remember" something means a memory's "store",
//! and who "opens" a page means "navigate".
//!
//! Each helps a little, and never as much as the word itself. The table is measured (`cargo xtask bench routing`). What
//! means the same in general English is in [`super::synonyms`].

use std::collections::HashMap;
use std::sync::OnceLock;

use aiw_search::words;

/// Words of people and the words of tools for them; and the meaning of file endings.
const SYNONYMS: &[(&str, &str)] = &[
    ("find locate look lookup discover", "search find lookup query list"),
    ("search", "find query lookup"),
    ("open visit browse load", "navigate open browse goto url"),
    ("website webpage site homepage link", "url web page browser website"),
    ("page", "url browser web"),
    ("remember memorize recall", "memory store save entity observation note knowledge graph"),
    ("forget", "delete memory remove"),
    ("tell notify message text ping", "send message post notify notification"),
    ("announce post publish share", "post send publish message create share"),
    ("email mail", "email mail message gmail inbox send"),
    ("reply answer respond", "reply send message comment"),
    ("remove erase drop trash", "delete remove"),
    ("delete", "remove"),
    ("add make build write draft compose", "create add write insert generate"),
    ("create", "add make new"),
    ("generate draw plot", "create generate chart render"),
    ("change modify adjust set rename", "update edit set modify patch"),
    ("update", "edit modify set"),
    ("edit", "update modify replace"),
    ("show display view see check", "get list read show view display"),
    ("list enumerate", "list get all"),
    ("get fetch retrieve obtain grab pull", "get fetch read retrieve download"),
    ("read", "get read content file"),
    ("download", "fetch download get save"),
    ("save keep", "save store write create"),
    ("store", "save write"),
    ("file document", "file path document content"),
    ("folder", "directory folder path"),
    ("directory", "folder path"),
    ("picture photo drawing", "image picture photo"),
    ("image", "picture photo"),
    ("screenshot", "screenshot capture image page"),
    ("film movie clip", "video movie film"),
    ("song track", "music audio track song"),
    ("appointment meeting schedule", "event calendar meeting schedule"),
    ("event", "calendar"),
    ("reminder todo", "task reminder todo"),
    ("task ticket bug", "issue task ticket"),
    ("issue", "ticket bug issue"),
    ("refund", "refund payment order charge return"),
    ("pay buy purchase", "payment order purchase checkout"),
    ("price cost", "price quote cost"),
    ("stock share", "stock ticker quote price market"),
    ("money currency", "currency exchange rate convert"),
    ("weather temperature rain", "weather forecast temperature"),
    ("time clock date", "time timezone date"),
    ("place address town city", "location place address geocode map"),
    ("route drive directions", "directions route distance travel map"),
    ("restaurant hotel attraction parking", "place places nearby search poi"),
    ("near nearby around close", "nearby distance radius"),
    ("run execute launch", "execute run start command process"),
    ("command shell terminal", "command execute process terminal shell"),
    ("start", "start run launch create"),
    ("stop kill end", "stop kill terminate cancel end"),
    ("cancel", "cancel delete"),
    ("copy duplicate", "copy duplicate clone"),
    ("merge combine join", "merge combine join concatenate"),
    ("compare difference", "compare diff difference"),
    ("count many number", "count statistics total"),
    ("sum total average mean", "sum calculate average mean statistics"),
    ("calculate compute", "calculate compute evaluate math"),
    ("translate", "translate translation language"),
    ("summarize summary overview", "summary summarize content extract"),
    ("analyze analysis examine investigate", "analyze analysis statistics"),
    ("convert transform turn", "convert transform format"),
    ("type fill enter", "fill type input"),
    ("press tap", "click press"),
    ("click", "click press element"),
    ("commit revision", "commit git log"),
    ("repo repository project", "repository repo github git"),
    ("pr pull", "pull request merge"),
    ("code source", "code file repository source"),
    ("database table sql", "query sql table database execute"),
    ("record entry row", "record row entry entity"),
    ("paper article publication", "paper article search arxiv"),
    ("news headline", "news article headlines"),
    ("person people user contact customer client", "user contact person people customer member"),
    ("chat channel slack", "channel message slack chat"),
    ("team", "team channel group"),
    ("phone call", "call phone"),
    ("chart graph diagram", "chart graph diagram plot"),
    ("spreadsheet sheet excel", "sheet cell workbook excel range"),
    ("slide presentation powerpoint", "slide presentation"),
    ("word docx", "document paragraph word"),
    ("pdf", "pdf document"),
    ("xlsx xls csv workbook", "excel spreadsheet sheet table"),
    ("pptx ppt deck slideshow", "presentation slide powerpoint"),
    ("odt rtf", "word document"),
    ("png jpg jpeg gif svg webp", "image picture"),
    ("mp3 wav flac ogg", "audio music"),
    ("mp4 mov avi mkv", "video"),
    ("html htm", "html page web"),
    ("md", "markdown note"),
    ("txt", "text file"),
    ("py js ts sh script", "code script execute"),
    ("zip tar gz", "archive compress"),
    ("dollar euro yen pound yuan", "currency exchange money"),
    ("bitcoin ethereum coin", "crypto cryptocurrency price"),
    ("gold silver oil", "asset commodity price"),
    ("multiply divide subtract plus minus arithmetic", "calculate calculator math"),
    ("vulnerability exploit", "security vulnerability"),
    ("long length", "duration length"),
    ("big large size", "size"),
    ("hotel stay lodging accommodation rent apartment", "hotel accommodation listing booking"),
    ("eat cook meal dinner food dish", "recipe food meal restaurant"),
    ("train flight bus plane", "ticket flight train travel"),
    ("popular hot trend", "trending popular top rank"),
    ("library dependency module", "package library dependency"),
    ("crawl scrape", "extract fetch crawl page"),
    ("coordinate latitude longitude", "geocode coordinates location"),
    ("subtitle caption", "transcript subtitle"),
    ("report essay letter article", "document paragraph write"),
    ("pick choose select", "choose select random"),
    ("know", "search information read"),
    ("browser", "navigate page browser"),
    ("bug fault error problem", "issue error log"),
    ("login sign", "authenticate login account"),
];

/// The related terms of a term, as an index has them.
pub(super) fn related_terms(term: &str) -> &'static [String] {
    static TABLE: OnceLock<HashMap<String, Vec<String>>> = OnceLock::new();
    let table = TABLE.get_or_init(|| {
        let mut table: HashMap<String, Vec<String>> = HashMap::new();
        for (said, meant) in SYNONYMS {
            for said in words(said) {
                let known = table.entry(said.clone()).or_default();
                for meant in words(meant) {
                    if meant != said && !known.contains(&meant) {
                        known.push(meant);
                    }
                }
            }
        }
        table
    });
    table.get(term).map(Vec::as_slice).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_say_leads_to_what_tools_say() {
        for (said, meant) in [("remember", "memory"), ("opening", "navigate"), ("finds", "search"), ("tell", "send")] {
            let said = &words(said)[0];
            assert!(related_terms(said).contains(&words(meant)[0]), "{said}: {:?}", related_terms(said));
        }
        for (ending, kind) in [("xlsx", "spreadsheet"), ("pptx", "presentation"), ("png", "image"), ("py", "script")] {
            assert!(related_terms(&words(ending)[0]).contains(&words(kind)[0]), "{ending}");
        }
        assert!(related_terms("zebra").is_empty());
        // Words of one stem are one word here, but a request for information sends nothing.
        assert!(!related_terms(&words("information")[0]).contains(&words("send")[0]));
        assert!(SYNONYMS.iter().all(|(said, meant)| !words(said).is_empty() && !words(meant).is_empty()));
    }
}
