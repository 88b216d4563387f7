//! Provider addresses in their stored form.

use url::Url;

/// A provider's address in its stored form: http or https, a host, no credentials, no query, no trailing `/`.
///
/// The error is the end of a sentence. It doesn't repeat the address, because an invalid one may contain a secret.
pub fn base_url(text: &str) -> Result<String, &'static str> {
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    let url = url.ok_or("is not an address such as `https://api.example.com/v1`")?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("contains credentials; give the token separately");
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("contains a query, which a base address can't have");
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

/// Scheme, host and port of an address, as [`base_url`] gives it: what a secret is bound to.
pub fn origin(base_url: &str) -> String {
    Url::parse(base_url).map(|url| url.origin().ascii_serialization()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_kept_plain() {
        assert_eq!(base_url("https://h:8443/v1/").as_deref(), Ok("https://h:8443/v1"));
        for bad in
            ["", "h/v1", "ftp://h", "https://", "https://u:p@h/x", "https://u@h", "https://h/?key=k", "https://h/#x"]
        {
            assert!(base_url(bad).is_err(), "{bad}");
        }
        assert_eq!(origin("https://H.example/v1"), "https://h.example");
        assert_eq!(origin("http://h.example:8080/v1"), "http://h.example:8080");
    }
}
