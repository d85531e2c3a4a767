//! Every metric is explained, and every explained metric exists.

use std::collections::BTreeSet;

use crate::footfall::Footfall;

const EXPLAINED: &str = include_str!("../../../../dashboards/README.md");

#[test]
fn dashboards_readme_explains_exactly_what_is_exported() {
    let folder = tempfile::tempdir().expect("a folder");
    let footfall = Footfall::start(folder.path(), &[]);
    let scrape = footfall.get("/metrics").body;
    let exported: BTreeSet<&str> =
        scrape.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    // A row of a table begins with the metric's name in backquotes. Where its last cell says something, it is there only
    // with that log or with those settings.
    let rows = EXPLAINED.lines().filter(|line| line.starts_with("| `footfall_"));
    let explained = |wanted: bool| -> BTreeSet<&str> {
        let rows = rows.clone().filter(|row| !wanted || row.ends_with("| |"));
        let name = |row: &'static str| row.split('`').nth(1).expect("a name").trim_end_matches("_total");
        // The format names the family of an info metric without its ending.
        rows.map(|row| name(row).trim_end_matches("_info")).collect()
    };
    let unexplained: Vec<_> = exported.difference(&explained(false)).copied().collect();
    let absent: Vec<_> = explained(true).difference(&exported).copied().collect();
    assert!(unexplained.is_empty(), "not in dashboards/README.md: {unexplained:?}");
    assert!(absent.is_empty(), "in dashboards/README.md, but not exported: {absent:?}");
}
