//! Mentions in messages: every sentence of backend-contract §5.2.

use serde_json::{Value, json};

use super::board::Board;

/// Dana (the author of people's messages) and three more people; four agents, the last of which is QA.
fn crew() -> Board {
    let board = Board::new();
    board.member("user_ann", "Ann", "ann.lee@example.com");
    board.member("user_annie", "Ann Lee", "annie@example.com");
    board.member("user_sam1", "Sam", "sam.old@example.com");
    board.member("user_sam2", "SAM", "sam.new@example.com");
    board.agent("squad-lead", "Squad Lead", "Orchestrator", json!({}));
    board.agent("engineer", "Engineer", "Builds", json!({}));
    board.agent("pixel", "Pixel Smith", "Designer", json!({}));
    board.agent("checker", "Checker", "QA reviewer", json!({}));
    board
}

/// People by their id, agents as `name/slug`.
fn named(message: &Value) -> Vec<String> {
    let mentions = message["mentions"].as_array().unwrap().iter();
    let shown = mentions.map(|mention| match mention["type"].as_str() {
        Some("agent") => {
            format!("{}/{}", mention["name"].as_str().unwrap(), mention["slug"].as_str().unwrap())
        }
        _ => mention["id"].as_str().unwrap().to_owned(),
    });
    shown.collect()
}

fn check(board: &Board, rows: &[(&str, &str, &[&str])]) {
    for (rule, text, expected) in rows {
        let task = board.task(json!({}));
        board.person_says(&task, text);
        let thread = board.look("messages:listByTask", json!({"taskId": task})).unwrap();
        assert_eq!(named(&thread[0]), *expected, "{rule}: {text:?}");
    }
}

#[test]
fn code_and_quotes_contain_no_mentions() {
    let rows: &[(&str, &str, &[&str])] = &[
        ("a fenced block is removed", "```\n@engineer\n``` and @pixel", &["Pixel Smith/pixel"]),
        ("a fence ends at the first one after it", "```@ann``` @sam ```@engineer```", &["user_sam2"]),
        ("an unclosed fence hides nothing", "```\nlook, @engineer", &["Engineer/engineer"]),
        ("inline code is removed", "`@engineer` and @pixel", &["Pixel Smith/pixel"]),
        ("inline code may span lines", "`a\n@engineer\nb` @pixel", &["Pixel Smith/pixel"]),
        ("a single back-tick hides nothing", "it`s @engineer", &["Engineer/engineer"]),
        ("the remaining parts are joined", "@pi`cut`xel", &["Pixel Smith/pixel"]),
        ("fences are removed before inline code", "```a`b``` @engineer `@pixel`", &["Engineer/engineer"]),
        ("a quoted line is removed", "> @engineer\n@pixel", &["Pixel Smith/pixel"]),
        ("a quoted line may be indented", "  \t> @engineer\n@pixel", &["Pixel Smith/pixel"]),
        ("a > inside a line is not a quote", "1 > 0, @engineer", &["Engineer/engineer"]),
        ("code is removed before quotes", "`x\n> `@engineer", &["Engineer/engineer"]),
    ];
    check(&crew(), rows);
}

#[test]
fn all_mentions_everybody_except_the_author() {
    let everybody: &[&str] = &[
        "user_ann",
        "user_annie",
        "user_sam1",
        "user_sam2",
        "Squad Lead/squad-lead",
        "Engineer/engineer",
        "Pixel Smith/pixel",
        "Checker/checker",
    ];
    let rows: &[(&str, &str, &[&str])] = &[
        ("people, then agents", "@all please look", everybody),
        ("in any case", "hello @ALL", everybody),
        ("a hyphen is a word boundary", "the @all-hands on Monday", everybody),
        ("the text before the @ is ignored", "write to x@all.org", everybody),
        ("other names are ignored then", "@all and @engineer", everybody),
        ("a longer word does not match", "@allen and @all_of", &[]),
        ("none in code", "`@all` @engineer", &["Engineer/engineer"]),
        ("none in a quote", "> @all\n@engineer", &["Engineer/engineer"]),
    ];
    check(&crew(), rows);
}

#[test]
fn tokens_are_cut_as_the_original_cuts_them() {
    let rows: &[(&str, &str, &[&str])] = &[
        ("a quoted name", "@\"Pixel Smith\", look", &["Pixel Smith/pixel"]),
        ("a quoted name is trimmed", "@\"  Pixel Smith \"", &["Pixel Smith/pixel"]),
        ("an empty quote is not a token", "@\"\" and @engineer", &["Engineer/engineer"]),
        ("an unclosed quote is not a token", "@\"engineer", &[]),
        ("words with blanks and hyphens", "@Squad Lead, @squad-lead", &["Squad Lead/squad-lead"]),
        ("a chunk extends through the sentence", "@engineer can you look?", &["Engineer/engineer"]),
        ("a chunk extends over a line break", "@Pixel\nSmith", &["Pixel Smith/pixel"]),
        ("punctuation ends a chunk", "@engineer: look", &["Engineer/engineer"]),
        ("a double space ends a chunk", "@dana  look", &["user_dana"]),
        ("a single one does not, and an address must be whole", "@ann.lee look", &["user_ann"]),
        ("a letter outside ASCII ends a chunk", "@danaé", &["user_dana"]),
        ("the next @ ends a chunk", "@engineer @pixel", &["Engineer/engineer", "Pixel Smith/pixel"]),
        ("the text before the @ is ignored", "mail me@engineer.org", &["Engineer/engineer"]),
        ("an e-mail address gives candidates", "dana@example.com", &[]),
        ("a lone @ is not a mention", "@ engineer @", &[]),
        ("a trailing hyphen is not part of the name", "@engineer- now", &["Engineer/engineer"]),
        (
            "in the order in which they are named",
            "@pixel, @ann, @engineer",
            &["Pixel Smith/pixel", "user_ann", "Engineer/engineer"],
        ),
    ];
    check(&crew(), rows);
}

#[test]
fn candidates_are_resolved_in_the_contracts_order() {
    let board = crew();
    board.agent("sam", "Ann", "has a person's names", json!({}));
    board.agent("Loud", "annie", "has a person's address", json!({}));
    board.agent("lead", "squad", "a short name", json!({}));
    board.member("user_lead", "Lead", "pixel@example.com");
    let rows: &[(&str, &str, &[&str])] = &[
        ("1 a member's name before an agent's slug", "@sam", &["user_sam2"]),
        ("1 a member's name before an agent's name", "@ANN", &["user_ann"]),
        ("1 a member's name before an agent's slug, again", "@lead", &["user_lead"]),
        ("2 a member's address before an agent's slug", "@pixel", &["user_lead"]),
        ("2 a member's address before an agent's name", "@annie", &["user_annie"]),
        ("2 only the part before the @ counts", "@dana", &["user_dana"]),
        ("3 an agent's slug, in any case", "@loud", &["annie/Loud"]),
        ("4 an agent's name", "@\"pixel smith\"", &["Pixel Smith/pixel"]),
        ("6 the longest member's name that the text starts with", "@ann lee knows", &["user_annie"]),
        ("6 the shorter one, where the longer does not fit", "@ann leeds", &["user_ann"]),
        ("6 a member's name before an agent's slug", "@lead the way", &["user_lead"]),
        ("6 up to a new line", "@ann\nlook", &["user_ann"]),
        ("6 not up to a hyphen", "@ann-look", &[]),
        ("7 an agent's slug that the text starts with", "@squad-lead take over", &["Squad Lead/squad-lead"]),
        ("8 an agent's name that the text starts with", "@squad please", &["squad/lead"]),
        ("8 the longest one", "@squad lead please", &["Squad Lead/squad-lead"]),
        ("2 matches only as a whole", "@annie knows", &["annie/Loud"]),
        ("an unknown name", "@nobody here", &[]),
        ("duplicates count once", "@engineer, @Engineer, @engineer now", &["Engineer/engineer"]),
        ("of two equal names the later one wins", "@Sam, @sam", &["user_sam2"]),
        ("the author is included", "to @dana, later", &["user_dana"]),
    ];
    check(&board, rows);
}

#[test]
fn qa_mentions_the_approving_agent() {
    let board = crew();
    check(
        &board,
        &[
            ("5 the first one by role, whose slug then reads qa", "@QA, look", &["Checker/qa"]),
            ("5 only as the whole word", "@qa look", &[]),
        ],
    );
    board.agent("tester", "Tester", "Quality", json!({}));
    check(&board, &[("5 the first", "@qa", &["Checker/qa"])]);
    board.agent("QA", "Guard", "Guards", json!({}));
    check(
        &board,
        &[
            ("3 an agent of that slug comes first, in its own spelling", "@qa", &["Guard/QA"]),
            ("7 and it also matches as a prefix", "@qa look", &["Guard/QA"]),
        ],
    );
    let without_qa = Board::new();
    without_qa.agent("equality", "Equality", "Aqua", json!({}));
    check(&without_qa, &[("no such agent", "@qa", &[])]);
}

#[test]
fn an_agent_may_mention_itself_but_not_by_all() {
    let board = crew();
    let engineer = board.rows("agents")[1]["_id"].as_str().unwrap().to_owned();
    let task = board.task(json!({}));
    board.says(&engineer, &task, "@engineer continues");
    board.says(&engineer, &task, "@all");
    let thread = board.look("messages:listByTask", json!({"taskId": task})).unwrap();
    assert_eq!(named(&thread[0]), ["Engineer/engineer"]);
    let all = named(&thread[1]);
    assert!(
        all.contains(&"user_dana".to_owned()) && !all.contains(&"Engineer/engineer".to_owned()),
        "{all:?}"
    );
    assert!(thread[0]["mentions"][0]["id"] == *engineer, "{thread}");
    assert_eq!(thread[1]["mentions"][0].get("slug"), None, "people have no slug");
}

/// The processor time of this thread in hundredths of a second. Other load does not count.
fn processor_ticks() -> u64 {
    let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
    let (_, fields) = stat.rsplit_once(") ").unwrap();
    // The user's and the system's.
    fields.split(' ').skip(11).take(2).map(|ticks| ticks.parse::<u64>().unwrap()).sum()
}

#[test]
fn a_long_message_is_parsed_in_linear_time() {
    let board = crew();
    let task = board.task(json!({}));
    let repeated = |unit: &str| unit.repeat(99_900 / unit.len());
    let numbered: String = (0..).map(|n| format!("@n{n} ")).take(12_500).collect();
    let texts = [
        ("one name repeated", repeated("@a ")),
        ("words behind one name", format!("@{}", repeated("a "))),
        ("hyphens behind one name", format!("@{}", repeated("a-"))),
        ("lines behind one name", format!("@{}", repeated("a\n"))),
        ("many names", numbered.chars().take(99_900).collect()),
        ("a long quoted name", format!("@\"{}\"", repeated("a ").get(..99_000).unwrap())),
        ("unclosed quotes", repeated("@\"\" ")),
        ("unclosed marks of code", repeated("``@")),
    ];
    let mut slow = Vec::new();
    for (what, text) in &texts {
        let before = processor_ticks();
        board.person_says(&task, text);
        let took = processor_ticks() - before;
        // A parser with quadratic time needs many seconds here.
        if took > 200 {
            slow.push(format!("{what}: {took} hundredths of a second"));
        }
    }
    assert!(slow.is_empty(), "{slow:?}");
}
