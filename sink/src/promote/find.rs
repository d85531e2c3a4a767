//! Values by their paths, in one pass over a JSON object.
//!
//! Responsible for looking up several paths at once without parsing what no path leads to. Promises: of two equal keys
//! the last one counts, and text that is no JSON has no values from where it breaks. Nesting is bounded first, since the
//! log may hold what no gateway has judged and the parser skips values by recursion.

use event::limits::PROPERTIES_DEPTH_MAX;
use sonic_rs::{LazyValue, ObjectJsonIter};

/// The paths, as a tree of keys.
#[derive(Debug, Default)]
pub(super) struct Tree {
    roots: Vec<Node>,
    paths: usize,
}

#[derive(Debug)]
struct Node {
    key: String,
    /// Numbers of the paths that end here.
    ends: Vec<usize>,
    children: Vec<Node>,
}

impl Tree {
    pub(super) fn new<'s>(paths: impl Iterator<Item = impl Iterator<Item = &'s str>>) -> Tree {
        let mut tree = Tree::default();
        for path in paths {
            insert(&mut tree.roots, path.peekable(), tree.paths);
            tree.paths += 1;
        }
        tree
    }

    /// For each path, in their order, the value that it leads to.
    pub(super) fn find<'j>(&self, json: &'j str) -> Vec<Option<LazyValue<'j>>> {
        let mut found = vec![None; self.paths];
        if !event::nested_deeper(json, PROPERTIES_DEPTH_MAX) {
            walk(&self.roots, sonic_rs::to_object_iter(json), &mut found);
        }
        found
    }
}

fn insert<'s>(nodes: &mut Vec<Node>, mut path: std::iter::Peekable<impl Iterator<Item = &'s str>>, number: usize) {
    let Some(key) = path.next() else { return };
    let at = nodes.iter().position(|node| node.key == key).unwrap_or_else(|| {
        nodes.push(Node { key: key.to_owned(), ends: Vec::new(), children: Vec::new() });
        nodes.len() - 1
    });
    match path.peek() {
        None => nodes[at].ends.push(number),
        Some(_) => insert(&mut nodes[at].children, path, number),
    }
}

fn walk<'j>(nodes: &[Node], object: ObjectJsonIter<'j>, found: &mut [Option<LazyValue<'j>>]) {
    for (key, value) in object.map_while(Result::ok) {
        let Some(node) = nodes.iter().find(|node| *node.key == *key) else { continue };
        forget(&node.children, found);
        node.ends.iter().for_each(|number| found[*number] = Some(value.clone()));
        if let (false, Some(object)) = (node.children.is_empty(), value.into_object_iter()) {
            walk(&node.children, object, found);
        }
    }
}

/// What an earlier, equal key held.
fn forget(nodes: &[Node], found: &mut [Option<LazyValue<'_>>]) {
    for node in nodes {
        node.ends.iter().for_each(|number| found[*number] = None);
        forget(&node.children, found);
    }
}
