//! What a request names by its address: paths of files and folders, and URLs.
//!
//! Who writes `/srv/sales.xlsx` speaks of a file, but hardly of "srv", and of "sales" less than somebody who says so.

use aiw_search::words;

/// How much a word in an address counts. The ending of a file says what kind of thing it is, so it counts fully.
const ADDRESS_WEIGHT: f32 = 0.5;

/// How much it counts that there is a file, a folder or a URL at all; and that it has a path.
const ENTITY_WEIGHT: f32 = 0.8;
const PATH_WEIGHT: f32 = 0.4;

/// Endings by which a word is the name of a file, even without its folder.
const FILE_EXTENSIONS: &str = "avi bib bmp c cfg conf cpp cs css csv db doc docx epub flac gif go gz h heic htm html ini ipynb java \
jpeg jpg js json jsonl jsx key kt log m4a md mkv mov mp3 mp4 odp ods odt ogg parquet pdf pem php png ppt pptx ps1 psd py \
rb rs rtf sh sql sqlite srt svg swift tar tex tif tiff toml ts tsv tsx txt wav webm webp xls xlsx xml yaml yml zip";

/// The most characters of an ending.
const MAX_EXTENSION_LEN: usize = 5;

/// The words that an address stands for, with what each counts. `None` if it is not an address.
pub(super) fn address_terms(token: &str) -> Option<Vec<(String, f32)>> {
    let token = token.trim_matches(|c: char| !(c.is_alphanumeric() || c == '/' || c == '~'));
    let is_url = token.contains("://") || token.starts_with("www.");
    let is_path = token.starts_with("~/")
        || token.contains('\\')
        || token.matches('/').count() > 1
        || (token.starts_with('/') && token.len() > 2);
    let ending = token.rsplit_once('.').map(|(_, ending)| ending.to_lowercase()).filter(|ending| {
        !is_url && {
            let is_short =
                (1..=MAX_EXTENSION_LEN).contains(&ending.len()) && ending.bytes().all(|b| b.is_ascii_alphanumeric());
            is_short
                && (is_path
                    || (!token.contains('@') && FILE_EXTENSIONS.split_whitespace().any(|known| known == ending)))
        }
    });
    if !is_url && !is_path && ending.is_none() {
        return None;
    }
    let is_file = ending.is_some();
    let kind = words(&ending.unwrap_or_default());
    let mut all: Vec<(String, f32)> = words(token)
        .into_iter()
        .map(|word| if kind.contains(&word) { (word, 1.0) } else { (word, ADDRESS_WEIGHT) })
        .collect();
    let stands_for: &[_] = match (is_url, is_file) {
        (true, _) => &[("url", ENTITY_WEIGHT)],
        (_, true) => &[("file", ENTITY_WEIGHT), ("path", PATH_WEIGHT)],
        _ => &[("directory", PATH_WEIGHT), ("path", PATH_WEIGHT)],
    };
    all.extend(stands_for.iter().flat_map(|(word, counts)| words(word).into_iter().map(|word| (word, *counts))));
    Some(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(token: &str, word: &str) -> Option<f32> {
        address_terms(token)?.into_iter().find(|(known, _)| *known == words(word)[0]).map(|(_, counts)| counts)
    }

    #[test]
    fn an_address_says_what_kind_of_thing_it_is() {
        for file in
            ["/srv/sales.xlsx", "(~/sales.xlsx).", "C:\\data\\sales.xlsx", "sales.xlsx", "`data/2024/sales.xlsx`"]
        {
            assert_eq!([counts(file, "sales"), counts(file, "xlsx")], [Some(ADDRESS_WEIGHT), Some(1.0)], "{file}");
            assert_eq!(
                [counts(file, "file"), counts(file, "path")],
                [Some(ENTITY_WEIGHT), Some(PATH_WEIGHT)],
                "{file}"
            );
        }
        assert_eq!([counts("/srv/unknown.bin", "file"), counts("/srv/sales", "file")], [Some(ENTITY_WEIGHT), None]);
        assert_eq!(
            [counts("/srv/sales", "directory"), counts("/srv/sales", "sales")],
            [Some(PATH_WEIGHT), Some(ADDRESS_WEIGHT)]
        );
        for url in ["https://example.com/a.html", "www.example.com"] {
            assert_eq!(
                [counts(url, "url"), counts(url, "file"), counts(url, "html")],
                [Some(ENTITY_WEIGHT), None, counts(url, "a.html")]
            );
        }
    }

    #[test]
    fn what_is_no_address_is_words() {
        for word in ["and/or", "example.com", "3.5", "e.g.", "end.Then", "anna@example.py", "/", "", "U.S.A.", "12:30"]
        {
            assert_eq!(address_terms(word), None, "{word}");
        }
    }
}
