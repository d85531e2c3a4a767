//! Every kind of store: what the boot probe accepts and what it refuses.

use std::sync::Arc;

use object_store::memory::InMemory;

use super::*;
use crate::testing::{Fault, Faulty, conduct, good_log, policy, read_chain, resume_point};

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
    check(faulty(|_| Fault::Overwrite), "a second create").await;
    let racing = |path: &Path| if path.as_ref().ends_with("race") { Fault::Overwrite } else { Fault::None };
    check(faulty(racing), "at once").await;
    // The second create overwrites, and then says that it did not.
    let mut creates = 0;
    let lying = move |_: &Path| {
        creates += 1;
        if creates == 2 { Fault::OverwriteAndDeny } else { Fault::None }
    };
    check(faulty(lying), "changed the object").await;
}

#[tokio::test]
async fn lakes_that_cannot_be_written_say_so() {
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
