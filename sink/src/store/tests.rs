//! Every kind of store: what the boot probe accepts and what it refuses.

use std::{collections::HashMap, sync::Arc};

use futures::TryStreamExt;
use object_store::memory::InMemory;

use super::*;
use crate::testing::{Fault, Faulty, conduct, good_log, policy, read_chain, resume_point};

/// One create of all fails in this way.
fn nth_create(nth: usize, fault: Fault) -> impl FnMut(&Path) -> Fault {
    let mut creates = 0;
    move |_: &Path| {
        creates += 1;
        if creates == nth { fault } else { Fault::None }
    }
}

fn faulty(plan: impl FnMut(&Path) -> Fault + Send + 'static) -> Store {
    let memory: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    Store::with_objects(Arc::new(Faulty::puts(&memory, plan)), "memory:///")
}

#[tokio::test]
async fn stores_that_honour_create_if_absent_pass_and_hold_a_chain() {
    async fn check(store: Store) {
        store.probe().await.expect("it passes");
        let left: Vec<_> = store.objects().list_with_delimiter(None).await.expect("a list").common_prefixes;
        assert!(left.iter().all(|prefix| prefix.as_ref() == "_probe"), "{left:?}");
        let probes: Vec<_> = store.objects().list(Some(&Path::from("_probe"))).try_collect().await.expect("a list");
        assert!(probes.is_empty(), "{probes:?}");
        let log = good_log(10);
        for _ in 0..2 {
            let resume = resume_point(store.objects()).await;
            let start = resume.next;
            conduct(Arc::clone(store.objects()), resume, policy(4)).feed(&log, start, || 4).await;
        }
        assert_eq!(read_chain(store.objects().as_ref()).await.last().expect("files").0.next_offset, 10);
    }
    let folder = tempfile::tempdir().expect("a folder");
    check(Store::memory()).await;
    check(Store::open("memory:///").expect("a URL")).await;
    check(Store::folder(folder.path()).expect("a folder")).await;
    check(Store::open(&format!("file://{}", folder.path().join("new").display())).expect("a new folder")).await;
    check(Store::open(&folder.path().join("plain").display().to_string()).expect("a path")).await;
}

#[tokio::test]
async fn stores_that_lose_a_race_silently_are_refused() {
    async fn check(store: Store, expected: &str) {
        let line = store.probe().await.expect_err("it must be refused").to_string();
        assert!(line.contains("ignores create-if-absent") && line.contains(expected), "{line}");
    }
    check(faulty(|_| Fault::Overwrite), "at once").await;
    // Whoever comes within a moment of the first wins too; a repeat later is refused.
    let mut creates: HashMap<Path, u32> = HashMap::new();
    let two_win = move |path: &Path| {
        let create = creates.entry(path.clone()).or_default();
        *create += 1;
        if *create == 2 { Fault::Overwrite } else { Fault::None }
    };
    check(faulty(two_win), "at once").await;
    // Not every time.
    let third = |path: &Path| if path.as_ref().contains("/race-2-") { Fault::Overwrite } else { Fault::None };
    check(faulty(third), "at once").await;
    check(faulty(nth_create(18, Fault::Overwrite)), "a second create").await;
    // They overwrite, and then say that they did not.
    check(faulty(nth_create(10, Fault::OverwriteAndDeny)), "changed the object").await;
    check(faulty(nth_create(18, Fault::OverwriteAndDeny)), "changed the object").await;
}

#[tokio::test]
async fn lakes_that_cannot_be_written_say_so() {
    // A lost answer or two is no reason to refuse a store.
    faulty(nth_create(2, Fault::LostReply)).probe().await.expect("its winner is not known, and another race is run");
    faulty(nth_create(18, Fault::Refused)).probe().await.expect("the repeat got no clear answer");
    let line = faulty(|_| Fault::Refused).probe().await.expect_err("refused").to_string();
    assert!(line.contains("cannot be written") && line.contains("check that it exists"), "{line}");
    #[track_caller]
    fn check(url: &str, expected: &str) {
        let line = Store::open(url).expect_err("it must be refused").to_string();
        assert!(line.contains(expected) && !line.contains('\n'), "{line}");
    }
    check("/nowhere/at/all", "create it, or correct the lake's URL");
    check("file:///nowhere/at/all", "/nowhere/at/all cannot be opened");
    check("file://host/folder", "it has a host");
    check("ftp://host/folder", "use a folder, file:///, s3://, gs:// or az://");
}

#[test]
fn sinks_that_start_together_make_the_folder_together() {
    for _ in 0..50 {
        let folder = tempfile::tempdir().expect("a folder");
        let lake = folder.path().join("lake");
        let start = std::sync::Barrier::new(8);
        std::thread::scope(|scope| {
            let open = || {
                start.wait();
                Store::folder(&lake).map(drop)
            };
            let opening: Vec<_> = (0..8).map(|_| scope.spawn(open)).collect();
            opening.into_iter().for_each(|opening| opening.join().expect("no panic").expect("opened"));
        });
    }
}
