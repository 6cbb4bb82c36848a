//! A configuration that is changed by paths.

use serde_json::{Map, Value};

/// A path of keys.
pub(super) type Path<'a> = &'a [&'a str];

/// A configuration under change.
pub(super) struct Tree {
    root: Value,
    /// The paths where something else stood in place of an object.
    replaced: Vec<String>,
}

impl Tree {
    pub(super) fn new(root: Value) -> Self {
        Self { root, replaced: Vec::new() }
    }

    /// The configuration, and the paths where a value had to make room for an object.
    pub(super) fn finish(self) -> (Value, Vec<String>) {
        (self.root, self.replaced)
    }

    /// The value at this path.
    pub(super) fn get(&self, path: Path<'_>) -> Option<&Value> {
        path.iter().try_fold(&self.root, |value, key| value.get(key))
    }

    /// The value at this path, to be changed. Creates nothing.
    pub(super) fn get_mut(&mut self, path: Path<'_>) -> Option<&mut Value> {
        path.iter().try_fold(&mut self.root, |value, key| value.get_mut(key))
    }

    /// The text at this path.
    pub(super) fn text(&self, path: Path<'_>) -> Option<&str> {
        self.get(path)?.as_str()
    }

    /// The object at this path. It is created if it is missing, also in place of another value.
    pub(super) fn object(&mut self, path: Path<'_>) -> &mut Map<String, Value> {
        let mut here = object_in(&mut self.root, &[], &mut self.replaced);
        for (depth, key) in path.iter().enumerate() {
            let next = here.entry(*key).or_insert_with(|| Value::Object(Map::new()));
            here = object_in(next, &path[..=depth], &mut self.replaced);
        }
        here
    }

    /// Sets the value at this path.
    pub(super) fn set(&mut self, path: Path<'_>, value: impl Into<Value>) {
        if let Some((key, parents)) = path.split_last() {
            self.object(parents).insert((*key).to_owned(), value.into());
        }
    }

    /// Sets the value at this path if there is none.
    pub(super) fn set_default(&mut self, path: Path<'_>, value: impl Into<Value>) {
        if self.get(path).is_none() {
            self.set(path, value);
        }
    }

    /// Removes the value at this path, and objects that this leaves empty. Creates nothing.
    pub(super) fn remove(&mut self, path: Path<'_>) -> Option<Value> {
        let (key, parents) = path.split_last()?;
        let parent = parents.iter().try_fold(&mut self.root, |value, key| value.get_mut(key))?;
        let parent = parent.as_object_mut()?;
        let removed = parent.remove(*key)?;
        if parent.is_empty() && !parents.is_empty() {
            self.remove(parents);
        }
        Some(removed)
    }
}

fn object_in<'a>(
    value: &'a mut Value,
    path: Path<'_>,
    replaced: &mut Vec<String>,
) -> &'a mut Map<String, Value> {
    if !value.is_object() {
        replaced.push(path.join("."));
        *value = Value::Object(Map::new());
    }
    value.as_object_mut().expect("made an object above")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_path_creates_objects_and_reports_what_it_replaces() {
        let mut tree = Tree::new(json!({"a": 1, "b": {"c": null}}));
        tree.set(&["a", "x"], 2);
        tree.set_default(&["b", "c"], 3);
        tree.set_default(&["b", "d"], 4);
        let (value, replaced) = tree.finish();
        assert_eq!(value, json!({"a": {"x": 2}, "b": {"c": null, "d": 4}}));
        assert_eq!(replaced, ["a"]);
    }

    #[test]
    fn removing_leaves_no_empty_objects() {
        let mut tree = Tree::new(json!({"a": {"b": {"c": 1}}, "d": {"e": 1, "f": 2}}));
        assert_eq!(tree.remove(&["a", "b", "c"]), Some(json!(1)));
        assert_eq!(tree.remove(&["d", "e"]), Some(json!(1)));
        assert_eq!(tree.remove(&["d", "x", "y"]), None);
        assert_eq!(tree.finish(), (json!({"d": {"f": 2}}), Vec::new()));
    }
}
