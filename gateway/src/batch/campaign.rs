//! The campaign that a page's address tells of.
//!
//! Responsible for the five `utm_` parameters of a URL's query. Promises no copy of a value without escapes, next to no
//! cost for a URL without such parameters, and no refusal: a value that is no label is left in the URL, where it stands.

use std::borrow::Cow;

use event::limits::LABEL_BYTES_MAX;

/// What a URL says about its campaign.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Campaign<'a> {
    pub(super) source: Option<Cow<'a, str>>,
    pub(super) medium: Option<Cow<'a, str>>,
    pub(super) name: Option<Cow<'a, str>>,
    pub(super) term: Option<Cow<'a, str>>,
    pub(super) content: Option<Cow<'a, str>>,
}

/// Where a parameter stands twice, the first one counts, as it does for scripts on the page.
pub(super) fn of(url: &str) -> Campaign<'_> {
    let Some(query) = query(url).filter(|query| memchr::memmem::find(query.as_bytes(), b"utm_").is_some()) else {
        return Campaign::default();
    };
    let mut campaign = Campaign::default();
    for (key, value) in form_urlencoded::parse(query.as_bytes()) {
        let label = match &*key {
            "utm_source" => &mut campaign.source,
            "utm_medium" => &mut campaign.medium,
            "utm_campaign" => &mut campaign.name,
            "utm_term" => &mut campaign.term,
            "utm_content" => &mut campaign.content,
            _ => continue,
        };
        if label.is_none() && (1..=LABEL_BYTES_MAX).contains(&value.len()) {
            *label = Some(value);
        }
    }
    campaign
}

fn query(url: &str) -> Option<&str> {
    let at = memchr::memchr2(b'?', b'#', url.as_bytes())?;
    let query = url[at..].strip_prefix('?')?;
    Some(&query[..memchr::memchr(b'#', query.as_bytes()).unwrap_or(query.len())])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn parameters_are_found_and_decoded() {
        #[track_caller]
        fn check(url: &str, expected: [Option<&str>; 5]) {
            let Campaign { source, medium, name, term, content } = of(url);
            let found = [&source, &medium, &name, &term, &content].map(Option::as_deref);
            assert_eq!(found, expected, "{url}");
        }
        let none = [None; 5];
        check("https://x.example/?utm_source=a&b=c&utm_medium=d#e", [Some("a"), Some("d"), None, None, None]);
        check(
            "/p?utm_campaign=spring+sale&utm_term=k%C3%A4se%26&utm_content=%zz",
            [None, None, Some("spring sale"), Some("käse&"), Some("%zz")],
        );
        check("?utm%5Fsource=a&utm_source=b", [Some("a"), None, None, None, None]);
        check("?utm_source=&utm_source=b&utm_source=c", [Some("b"), None, None, None, None]);
        check("?utm_source=%ff", [Some("\u{fffd}"), None, None, None, None]);
        check("https://x.example/a?b=c", none);
        check("https://x.example/utm_source=a", none);
        check("https://x.example/a#?utm_source=a", none);
        check("https://x.example/a?b#utm_source=a", none);
        check("?my_utm_source=a&UTM_SOURCE=b&utm_source", none);
        check("", none);
        check(&format!("?utm_source={}", "x".repeat(513)), none);
    }

    #[test]
    fn only_values_with_escapes_are_copied() {
        let campaign = of("https://x.example/?utm_source=news&utm_medium=e+mail");
        assert!(matches!(campaign.source, Some(Cow::Borrowed("news"))));
        assert!(matches!(campaign.medium, Some(Cow::Owned(_))));
    }

    proptest! {
        /// What a page encodes is what stands in the lake.
        #[test]
        fn every_text_comes_back(source in ".{1,40}", name in ".{1,40}", other in "[a-z=&%]{0,20}") {
            let mut query = form_urlencoded::Serializer::new(String::new());
            query.append_pair("x", &other).append_pair("utm_source", &source).append_pair("utm_campaign", &name);
            let url = format!("https://x.example/?{}#y", query.finish());
            let campaign = of(&url);
            prop_assert_eq!(campaign.source.as_deref(), Some(&*source));
            prop_assert_eq!(campaign.name.as_deref(), Some(&*name));
            prop_assert_eq!(campaign.medium, None);
        }

        #[test]
        fn any_url_is_answered(url in "\\PC{0,64}|[?&=#%+utm_source]{0,64}") {
            let _ = of(&url);
        }
    }
}
