//! Each way in which a case can end, with its judgement.

use super::*;

const ANSWER: Expected =
    Expected::Answer { said: Said::This("Done."), documents: 0, review: false, turns: 1 };
const TWO_CALLS: Expected =
    Expected::Answer { said: Said::This("Done."), documents: 2, review: false, turns: 2 };

fn facts(change: impl FnOnce(&mut Facts)) -> Facts {
    let mut facts = Facts {
        agents: vec!["qa".to_owned()],
        code: "rehearsal-1".to_owned(),
        posts: vec![post("Done.")],
        turns: 1,
        model_calls: Some(1),
        offered: vec!["task_load".to_owned()],
        ..Facts::default()
    };
    change(&mut facts);
    facts
}

fn post(text: &str) -> Post {
    Post { agent: "qa".to_owned(), text: text.to_owned() }
}

#[track_caller]
fn assert_judged(expected: &Expected, facts: &Facts, grade: Grade, words: &str) {
    match judge(expected, facts) {
        Verdict::Played(judged, sentence) => {
            assert!(judged == grade && sentence.contains(words), "{judged:?}: {sentence}");
        }
        Verdict::Skipped(why) | Verdict::Open(why) => panic!("not played: {why}"),
    }
}

#[test]
fn answers() {
    use Grade::{Bad, Degraded, Ok};
    let rows: [(Facts, Grade, &str); 11] = [
        (facts(|_| {}), Ok, "answered once"),
        (facts(|facts| facts.posts.push(post("Done."))), Bad, "2 times"),
        (facts(|facts| facts.posts = vec![post("500 oops")]), Bad, "500 oops"),
        (facts(|facts| facts.posts.clear()), Bad, "no answer was posted"),
        (
            facts(|facts| {
                facts.posts.clear();
                facts.ended.insert("dead".to_owned(), 1);
            }),
            Degraded,
            "ended as dead",
        ),
        (
            facts(|facts| {
                facts.posts.clear();
                facts.model_calls = Some(0);
            }),
            Bad,
            "the model got no request",
        ),
        (facts(|facts| facts.timed_out = true), Degraded, "not done in time"),
        (facts(|facts| facts.recovered = 1), Degraded, "read from the history"),
        (facts(|facts| facts.turns = 2), Degraded, "2 turns instead of 1"),
        (
            facts(|facts| {
                facts.turns = 2;
                facts.disturbance = Some(Disturbance::Kill);
            }),
            Ok,
            "2 turns instead of 1",
        ),
        (
            facts(|facts| {
                facts.turns = 2;
                facts.disturbance = Some(Disturbance::Loss);
            }),
            Degraded,
            "2 turns instead of 1",
        ),
    ];
    for (facts, grade, words) in rows {
        assert_judged(&ANSWER, &facts, grade, words);
    }
}

#[test]
fn effects_of_calls() {
    use Grade::{Bad, Degraded, Ok};
    let with = |titles: &[&str], change: fn(&mut Facts)| {
        facts(|facts| {
            facts.turns = 2;
            facts.documents = titles.iter().map(|title| (*title).to_owned()).collect();
            change(facts);
        })
    };
    let rows = [
        (with(&["a", "b"], |_| {}), Ok, "answered once"),
        (with(&["a", "a"], |_| {}), Bad, "a call ran twice"),
        (with(&["b"], |_| {}), Bad, "1 of 2 calls"),
        (with(&["b"], |facts| facts.told_one_call = true), Degraded, "one call at a time"),
        (
            with(&[], |facts| facts.offered = vec!["tool_search".to_owned()]),
            Bad,
            "set tools.toolSearch to false",
        ),
        (
            with(&[], |facts| {
                facts.offered.clear();
                facts.posts = vec![post("ECHO")];
                facts.reasons = vec!["gateway_too_old".to_owned()];
            }),
            Degraded,
            "never shows function tools",
        ),
    ];
    for (facts, grade, words) in rows {
        assert_judged(&TWO_CALLS, &facts, grade, words);
    }
}

#[test]
fn failures_of_the_provider() {
    use Grade::{Bad, Degraded, Ok};
    let failed = |error: &str, change: fn(&mut Facts)| {
        facts(|facts| {
            facts.posts.clear();
            facts.errors = vec![error.to_owned()];
            change(facts);
        })
    };
    let rows = [
        (failed(Why::ProviderTrouble.explain(), |_| {}), Ok, "overloaded or fails"),
        (failed(Why::Internal.explain(), |_| {}), Degraded, "internal error"),
        (
            failed(Why::ProviderRefused.explain(), |facts| {
                facts.errors.push(Why::Internal.explain().to_owned());
            }),
            Ok,
            "key or account",
        ),
        (
            failed("x", |facts| facts.posts = vec![post("LLM request timed out.")]),
            Bad,
            "posted as the agent's",
        ),
        (
            failed("x", |facts| {
                facts.ended.insert("unanswered".to_owned(), 1);
            }),
            Bad,
            "looks like a silent agent",
        ),
    ];
    for (facts, grade, words) in rows {
        assert_judged(&Expected::Failure, &facts, grade, words);
    }
    let open = facts(|facts| facts.posts.clear());
    assert!(matches!(judge(&Expected::Failure, &open), Verdict::Open(_)));
}

#[test]
fn silence_and_missing_agents() {
    use Grade::{Bad, Ok};
    let quiet = facts(|facts| {
        facts.posts.clear();
        facts.ended.insert("silent".to_owned(), 1);
    });
    assert_judged(&Expected::Silence, &quiet, Ok, "nothing was posted");
    assert_judged(&Expected::Silence, &facts(|_| {}), Bad, "was posted");
    let missing = facts(|facts| {
        facts.posts.clear();
        facts.model_calls = Some(0);
        facts.reasons = vec!["agents_missing".to_owned()];
    });
    assert_judged(&Expected::NoTurn, &missing, Ok, "reported as missing");
    assert_judged(&Expected::NoTurn, &facts(|_| {}), Bad, "had a turn");
}

#[test]
fn questions_before_the_first_turn() {
    let good = Probed {
        version: Some("2026.9.6".to_owned()),
        listed: Some(Vec::new()),
        history: Some(HistoryWay::Http),
        ..Probed::default()
    };
    let refused = Probed { refusal: Some("the token is wrong".to_owned()), ..Probed::default() };
    let closed = Probed {
        doubt: Some("too new".to_owned()),
        missing: Some("qa is missing".to_owned()),
        history: Some(HistoryWay::Closed),
        ..Probed::default()
    };
    let rows = [
        (Probe::Version, Grade::Degraded, "too new"),
        (Probe::Agents, Grade::Bad, "qa is missing"),
        (Probe::History, Grade::Degraded, "tools.alsoAllow"),
    ];
    assert!(matches!(judge_probe(Probe::Access, &good), Verdict::Played(Grade::Ok, _)));
    assert!(
        matches!(judge_probe(Probe::Access, &refused), Verdict::Played(Grade::Bad, why) if why == "the token is wrong")
    );
    for (probe, grade, words) in rows {
        assert!(matches!(judge_probe(probe, &refused), Verdict::Open(_)), "{probe:?}");
        assert!(matches!(judge_probe(probe, &good), Verdict::Played(Grade::Ok, _)), "{probe:?}");
        let Verdict::Played(judged, sentence) = judge_probe(probe, &closed) else { panic!("{probe:?}") };
        assert!(judged == grade && sentence.contains(words), "{judged:?}: {sentence}");
    }
}

/// What a real model did is not seen, so nothing is said about it.
#[test]
fn a_real_model_is_not_blamed_for_what_is_not_seen() {
    let real = |change: fn(&mut Facts)| {
        facts(|facts| {
            (facts.model_calls, facts.turns) = (None, 0);
            facts.offered.clear();
            change(facts);
        })
    };
    assert_judged(&ANSWER, &real(|_| {}), Grade::Ok, "answered once");
    assert_judged(&TWO_CALLS, &real(|_| {}), Grade::Bad, "0 of 2 calls had an effect");
    assert_judged(&TWO_CALLS, &real(|facts| facts.posts.clear()), Grade::Bad, "no answer was posted");
    assert_judged(
        &TWO_CALLS,
        &real(|facts| facts.posts = vec![post("I cannot.")]),
        Grade::Bad,
        "“I cannot.”",
    );
    let old = real(|facts| facts.reasons.push("gateway_too_old".to_owned()));
    assert_judged(&TWO_CALLS, &old, Grade::Degraded, "never shows function tools");
    let stranger = real(|facts| {
        facts.posts.clear();
        facts.reasons.push("agents_missing".to_owned());
    });
    assert_judged(&Expected::NoTurn, &stranger, Grade::Ok, "the agent had no turn");
}
