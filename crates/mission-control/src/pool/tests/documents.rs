//! The documentation lists each function once, with its kind.

use super::*;

#[test]
fn the_documentation_lists_every_function() {
    let document = include_str!("../../../../../docs/worker-pool.md");
    let functions = pool::FUNCTIONS.iter().copied().flatten().map(|function| (function.path, function.kind));
    let actions = pool::action_paths().map(|path| (path, Kind::Action));
    let mut count = 0;
    for (path, kind) in functions.chain(actions) {
        let name = path.strip_prefix("agentFactory:").expect("the namespace");
        let row = format!("| `{name}` | {} |", kind.word().to_lowercase());
        assert_eq!(document.matches(&row).count(), 1, "{row}");
        count += 1;
    }
    assert_eq!(
        document
            .lines()
            .filter(|line| line.starts_with("| `") && line.contains("` | "))
            .filter(|line| {
                ["query", "mutation", "action"].iter().any(|kind| line.contains(&format!("` | {kind} |")))
            })
            .count(),
        count
    );
}
